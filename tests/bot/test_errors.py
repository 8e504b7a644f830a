"""Every refusal has its own sentence, and the prompt is never lost with it."""

from __future__ import annotations

import pytest

from actions.batches import TooManyHere
from actions.blend import DuplicateImages
from actions.canvas import NothingToDraw, PaintedShape, RegionEmpty, RegionTooLarge, RegionTooSmall
from actions.derivation import ImageWithheld, LoraGone, ModelGone
from actions.describe import NoDescriber
from actions.downloads import NotALink, PrivateAddress, TooManyBytes, Unreachable
from actions.found_prompts import NoWords
from actions.image_decoding import NotAnImage, TooManyPixels
from actions.image_prompts import SeveralImages
from actions.outpainting import NoSquarerSize
from actions.permissions import MissingPermissions, NotAgeRestricted, Permission
from actions.recall import NothingRecalled
from actions.shorten import NothingKnown, NotShortened, TooShort
from actions.upscale import NoUpscaler, UpscaleTooLarge
from actions.word_filter import ForbiddenWords
from bot import errors
from bot.components.describe import OneSource
from bot.components.modals import FormTooLate, TooLongForForm
from bot.components.press import UnknownButton
from bot.components.send_to_dm import ClosedMessages, NothingToSend
from bot.components.use_picture import ImageTooLarge, NoImage
from bot.messages import refusals
from prompts.markdown import length
from prompts.parser import FlagError, parse
from storage import errors as storage_errors
from storage.contract import JobState
from storage.errors import Refused
from tests.prompts.catalogs import catalog

REFUSALS: list[Exception] = [
    MissingPermissions((Permission.ATTACH_FILES,)),
    NotAgeRestricted(),
    ModelGone("sold"),
    NoUpscaler(),
    LoraGone("ink"),
    ImageWithheld(),
    UpscaleTooLarge(8192, 8192),
    ForbiddenWords(["spider"], "a spider"),
    UnknownButton("zz"),
    storage_errors.QueueFull(10),
    storage_errors.BatchesFull(40, 60, 80),
    storage_errors.Banned("spam", None),
    storage_errors.Paused(),
    storage_errors.NoSuchJob(5),
    storage_errors.DataDeleted(5),
    storage_errors.NoSuchMessage(5),
    storage_errors.NoSuchImage(5),
    storage_errors.NotYours(),
    storage_errors.NotModerator(),
    storage_errors.AlreadyFinished("cancelled"),
    NoImage(),
    ImageTooLarge(10 * 2**20),
    TooManyHere(9),
    NothingToDraw(),
    NothingKnown("Picturebook", ["castle", "boat"]),
    PaintedShape((100, 64), (64, 64)),
    RegionEmpty(),
    RegionTooLarge(),
    RegionTooSmall(),
    NotALink("ftp://a"),
    NotAnImage(),
    PrivateAddress(),
    TooManyBytes(),
    TooManyPixels(),
    Unreachable(404),
    DuplicateImages(),
    NoDescriber("sold"),
    NotShortened("--no"),
    NoWords(),
    TooShort(),
    NothingRecalled("a fox"),
    NoSquarerSize("Picturebook"),
    OneSource(2),
    ClosedMessages(),
    NothingToSend(5, JobState.FAILED),
    FormTooLate(),
    TooLongForForm(),
    SeveralImages("Picturebook"),
    storage_errors.BatchClosed("cancelled"),
    storage_errors.NoSuchBatch(),
]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
def test_a_refusal_is_expected_and_has_its_sentence(error: Exception) -> None:
    assert errors.expected(error)
    sentence = errors.sentence(error, reference=99)
    assert sentence != refusals.unexpected(99)
    assert length(sentence) <= 2000


def _kinds(kind: type[Refused]) -> set[type[Refused]]:
    return {kind, *(deeper for below in kind.__subclasses__() for deeper in _kinds(below))}


def test_no_kind_of_refusal_is_forgotten() -> None:
    ours = {kind for kind in _kinds(Refused) if kind.__module__.startswith(("bot.", "storage."))}
    raised = {kind for kind in ours if not kind.__subclasses__()}
    said = tuple(errors._SENTENCES)
    assert [kind for kind in raised if not issubclass(kind, said)] == []


def test_what_nobody_foresaw_is_said_to_be_our_fault_with_a_number_to_quote() -> None:
    assert not errors.expected(KeyError("x"))
    sentence = errors.sentence(KeyError("secret"), reference=99)
    assert "99" in sentence
    assert "secret" not in sentence
    assert errors.attachment(KeyError("x")) is None


@pytest.mark.parametrize("text", ["a fox --s 9999", "*" * 1500 + " --s 9999"])
def test_a_refused_prompt_is_echoed_to_copy(text: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse(text, catalog())
    assert f"```\n{text}\n```" in errors.sentence(caught.value)
    assert errors.attachment(caught.value) is None


@pytest.mark.parametrize("text", ["x" * 3990 + " --s 9999", "🦊" * 1000 + " --s 9999", "a ``` fox --s 9999"])
def test_one_that_fits_no_message_comes_as_a_file(text: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse(text, catalog())
    assert errors.attachment(caught.value) == text
    assert text not in errors.sentence(caught.value)
    assert length(errors.sentence(caught.value)) <= 2000


def test_an_empty_prompt_has_nothing_to_echo() -> None:
    with pytest.raises(FlagError) as caught:
        parse("", catalog())
    assert errors.sentence(caught.value).startswith("Empty prompt")
    assert "copy" not in errors.sentence(caught.value)
