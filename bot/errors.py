"""Exceptions become sentences here and nowhere else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from discord import app_commands

from actions.batches import TooManyHere
from actions.blend import DuplicateImages
from actions.canvas import NothingToDraw, PaintedShape, RegionEmpty, RegionTooLarge, RegionTooSmall
from actions.derivation import ImageWithheld, LoraGone, ModelGone, ReferenceGone
from actions.describe import NoDescriber
from actions.downloads import MOST_BYTES, NotALink, PrivateAddress, TooManyBytes, Unreachable
from actions.found_prompts import NoWords
from actions.image_decoding import ImageRefused, NotAnImage, TooManyPixels
from actions.image_prompts import SeveralImages
from actions.outpainting import NoSquarerSize
from actions.painted_masks import NoOriginal
from actions.permissions import MissingPermissions, NotAgeRestricted
from actions.recall import NothingRecalled
from actions.region import NoSegmenter
from actions.shorten import NothingKnown, NotShortened, TooShort
from actions.upscale import NoUpscaler, UpscaleTooLarge
from actions.word_filter import ForbiddenWords
from bot.command_options import NotAccepted, NotResolved
from bot.components.describe import OneSource
from bot.components.embedded_commands import NoCommand
from bot.components.modals import FormTooLate, TooLongForForm, Unresolved
from bot.components.press import UnknownButton
from bot.components.send_to_dm import ClosedMessages, NothingToSend
from bot.components.use_picture import ImageTooLarge, NoImage
from bot.database_outage import reason
from bot.messages import batches, finding, image_actions, models, pictures, privacy, prompts, refusals
from bot.messages.typed import NOTHING, Typed
from prompts import sentences
from prompts.parser import FlagError
from storage import full_disks
from storage.database import passes
from storage.errors import (
    AlreadyFinished,
    Banned,
    BatchClosed,
    BatchesFull,
    DataDeleted,
    ImageMissing,
    NoSuchBatch,
    NoSuchImage,
    NoSuchJob,
    NoSuchMessage,
    NotModerator,
    NotYours,
    Paused,
    QueueFull,
    Refused,
)
from storage.offers import ModelOff
from storage.takedowns import TakenDown

log = logging.getLogger(__name__)

_SENTENCES: dict[type[Exception], Callable[[Any], str]] = {
    FlagError: lambda error: sentences.flag_problems(error.faults),
    ForbiddenWords: lambda error: refusals.forbidden_words(error.words),
    MissingPermissions: lambda error: refusals.missing_permissions(error.missing),
    NotAgeRestricted: lambda _: refusals.not_age_restricted(),
    QueueFull: lambda error: refusals.queue_full(error.limit),
    Banned: lambda error: refusals.banned(error.reason, error.expires_at),
    Paused: lambda _: refusals.paused(),
    DataDeleted: lambda _: privacy.data_deleted(),
    NoSuchJob: lambda error: refusals.no_such_job(error.job_id),
    NoSuchMessage: lambda _: finding.no_such_message(),
    NoOriginal: lambda _: finding.no_original(),
    NoImage: lambda _: finding.no_picture(),
    NoCommand: lambda _: finding.no_command(),
    ImageTooLarge: lambda error: finding.picture_too_large(error.limit),
    NoSuchBatch: lambda _: batches.gone(),
    BatchesFull: lambda error: batches.full(error.size, error.waiting, error.limit),
    BatchClosed: lambda error: batches.closed(error.state),
    NothingRecalled: lambda error: prompts.nothing_recalled(error.which),
    SeveralImages: lambda error: prompts.several_pictures(error.model),
    TooManyHere: lambda error: batches.too_many_here(error.size, error.most),
    NoSuchImage: lambda _: refusals.no_such_picture(),
    ImageWithheld: lambda _: refusals.picture_withheld(),
    ImageMissing: lambda _: refusals.picture_lost(),
    UpscaleTooLarge: lambda error: refusals.too_large(error.width, error.height, error.limit),
    NoUpscaler: lambda _: refusals.no_upscaler(),
    ModelOff: lambda error: models.off(error.title, error.on),
    ModelGone: lambda error: refusals.model_gone(error.name),
    LoraGone: lambda error: refusals.lora_gone(error.name),
    ReferenceGone: lambda _: refusals.reference_gone(),
    NoSquarerSize: lambda error: image_actions.no_squarer_size(error.title),
    NoSegmenter: lambda error: image_actions.no_segmenter(error.title),
    NothingToDraw: lambda _: image_actions.nothing_to_draw(),
    RegionEmpty: lambda error: image_actions.no_region(finds=error.finds),
    RegionTooSmall: lambda _: image_actions.region_too_small(),
    RegionTooLarge: lambda _: image_actions.region_too_large(),
    PaintedShape: lambda error: image_actions.painted_shape(error.given, error.wanted),
    ClosedMessages: lambda _: image_actions.closed_messages(),
    NothingToSend: lambda error: image_actions.nothing_to_send(error.job_id, error.state),
    TooLongForForm: lambda error: image_actions.prompt_too_long(error.limit),
    FormTooLate: lambda _: image_actions.form_too_late(),
    TooManyBytes: lambda _: pictures.too_many_bytes(MOST_BYTES // 2**20),
    TooManyPixels: lambda error: pictures.too_many_pixels(error.most // 1_000_000),
    NotAnImage: lambda _: pictures.not_a_picture(),
    Unreachable: lambda error: pictures.unreachable(error.status),
    PrivateAddress: lambda _: pictures.private_address(),
    NoDescriber: lambda error: pictures.no_describer(error.model),
    DuplicateImages: lambda _: pictures.duplicate_images(),
    NotShortened: lambda error: pictures.not_shortened(error.part),
    TooShort: lambda _: pictures.too_short(),
    NothingKnown: lambda error: pictures.nothing_known(error.model, error.known),
    NoWords: lambda _: pictures.no_words(),
    OneSource: lambda error: pictures.one_source(error.given),
    NotALink: lambda error: pictures.not_a_link(error.given),
    TakenDown: lambda error: refusals.taken_down(everywhere=error.everywhere),
    NotYours: lambda _: refusals.not_yours(),
    NotModerator: lambda _: refusals.not_moderator(),
    AlreadyFinished: lambda error: refusals.already_finished(error.state),
    UnknownButton: lambda _: refusals.unknown_button(),
    Unresolved: lambda _: refusals.not_resolved(),
    NotResolved: lambda _: refusals.not_resolved(),
    NotAccepted: lambda error: refusals.not_accepted(error.given),
    app_commands.CommandNotFound: lambda _: refusals.stale_command(),
    app_commands.CommandSignatureMismatch: lambda _: refusals.stale_command(),
}


def expected(error: BaseException) -> bool:
    """True for a request that cannot be granted, False for a fault of ours."""
    return isinstance(error, Refused | NotAccepted | NotResolved)


def outage(error: BaseException) -> bool:
    """True for what is no fault of Easel's own: a full disk, a database that is away."""
    return full_disks.is_full(error) or passes(error)


def note(what: str, error: Exception) -> None:
    """Log an error that a member is told of: a refusal or an outage in a line, ours with its traceback."""
    if expected(error):
        log.info("%s was refused: %r", what, error)
    elif outage(error):
        log.error("%s failed: %s", what, reason(error))
    else:
        log.error("%s failed", what, exc_info=error)


def sentence(error: BaseException, reference: int | None = None, typed: Typed = NOTHING) -> str:
    """Sentence for the member, at most one message long. An unforeseen error gives `reference` to quote."""
    said, echo = _plain_sentence(error, reference), typed.text or _echo(error)
    with_others = "\n".join([said, *typed.others])
    if refusals.echo_fits(with_others, echo):
        said = with_others
    return refusals.with_echo(said, echo) if echo else said


def why_not_posted(error: Refused, *, to_all: bool) -> str:
    """Of what was allowed when it was asked for; `to_all` leaves out why a member was banned."""
    if isinstance(error, ForbiddenWords):
        return refusals.words_not_posted(error.words)
    if isinstance(error, Banned) and to_all:
        return refusals.banned("", error.expires_at)
    return _plain_sentence(error)


def attachment(error: BaseException, typed: Typed = NOTHING) -> str | None:
    """The text that was typed, for a file `prompt.txt`, where the sentence has no room for it."""
    echo = typed.text or _echo(error)
    fits = refusals.echo_fits("\n".join([_plain_sentence(error), *typed.others]), echo)
    return None if not echo or fits else "\n".join([echo, *typed.others])


def _plain_sentence(error: BaseException, reference: int | None = None) -> str:
    for kind, say in _SENTENCES.items():
        if isinstance(error, kind):
            return _named(error, say(error))
    if full_disks.is_full(error):
        return refusals.disk_full()
    return refusals.unexpected(reference)


def _named(error: BaseException, said: str) -> str:
    if isinstance(error, ImageRefused) and error.name is not None and not isinstance(error, NotALink):
        return pictures.of_several(error.name, said)
    return said


def _echo(error: BaseException) -> str:
    return error.echo if isinstance(error, FlagError | ForbiddenWords) else ""
