"""Contents of a delivery: the message that shows a job's pictures, or the sentence why there is none."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy.orm import Session

from actions import found_prompts
from actions.derivation import Subject
from actions.table import BY_ACTION
from bot import components, messages
from bot.discord_io import uploads
from bot.discord_io.posting import OutgoingMessage
from bot.messages import pictures as sentences
from bot.messages import preferences
from storage import deliveries, jobs, members
from storage.backends import Backends
from storage.contract import Action
from storage.deliveries import Used
from storage.errors import ImageMissing
from storage.tables import Delivery, Image, Job, Member

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Contents:
    """The rows that a delivery is made of, read at one time."""

    job: Job
    member_name: str
    images: Sequence[Image]
    used: Used
    used_of_image: frozenset[Action]
    favorite: bool
    drawn: Mapping[int, bool]
    """The prompts that the job has found and that were drawn."""
    reply_to: int | None


def read(session: Session, delivery: Delivery) -> Contents:
    job = jobs.get(session, delivery.job_id)
    images = jobs.images_of(session, job.id)
    if delivery.image_id is not None:
        images = [image for image in images if image.id == delivery.image_id]
    one = images[0].id if len(images) == 1 else None
    return Contents(
        job,
        session.get_one(Member, job.member_id).name,
        images,
        deliveries.used(session, job.id),
        frozenset() if one is None else deliveries.used_of_image(session, one),
        one is not None and members.is_favorite(session, job.member_id, one),
        found_prompts.drawn(session, job.id),
        delivery.reply_to or _parent_message(session, delivery, job),
    )


def _parent_message(session: Session, delivery: Delivery, job: Job) -> int | None:
    """The newest message in the same channel that shows what the job was made from."""
    if job.parent_job_id is None:
        return None
    shown = [
        message
        for message in deliveries.messages_of(session, job.parent_job_id)
        if message.channel_id == delivery.channel_id and message.image_id in (None, job.parent_image_id)
    ]
    by_itself = [message for message in shown if message.image_id is not None]
    of_image = BY_ACTION[Action(job.action)].subject is Subject.IMAGE
    wanted = (by_itself or shown) if of_image else shown
    return wanted[-1].id if wanted else None


def pictures(backends: Backends, delivery: Delivery, contents: Contents, limit: int) -> OutgoingMessage:
    """The message that shows what a job came to, pictures or words, its file within `limit` bytes."""
    job, images = contents.job, contents.images
    if job.action == Action.SHORTEN:
        note = _instead_of(delivery, job)
        make = partial(components.shortened, job, contents.drawn, note)
        return OutgoingMessage("", delivery.member_id, None, make, contents.reply_to)
    if job.action == Action.DESCRIBE:
        return _description(backends, delivery, contents, limit)
    try:
        return _with_file(backends, delivery, contents, limit)
    except ImageMissing:
        log.exception("job %s: the store has lost one of %s pictures", job.id, len(images))
        return OutgoingMessage(messages.pictures_lost(job), delivery.member_id, reply_to=contents.reply_to)


def _description(backends: Backends, delivery: Delivery, contents: Contents, limit: int) -> OutgoingMessage:
    job = contents.job
    content = sentences.described(job, found_prompts.prompts(job)) + _instead_of(delivery, job)
    try:
        upload = uploads.brought(backends, job, contents.member_name, limit)
    except ImageMissing:
        # Its prompts are what was asked for.
        upload = None
    return OutgoingMessage(
        content,
        delivery.member_id,
        upload,
        partial(components.described, job, contents.drawn),
        contents.reply_to,
    )


def _with_file(backends: Backends, delivery: Delivery, contents: Contents, limit: int) -> OutgoingMessage:
    job, images = contents.job, contents.images
    if not images:
        raise ImageMissing(f"all of job {job.id}")
    content = _content(delivery, contents)
    if len(images) == 1:
        image = images[0]
        upload = uploads.single(backends, job, image, contents.member_name, limit)
        used, favorite = contents.used_of_image, contents.favorite
        return OutgoingMessage(
            content,
            delivery.member_id,
            upload,
            lambda: components.single(image, job, used, favorite),
            contents.reply_to,
        )
    upload = uploads.grid(backends, job, images, contents.member_name, limit)
    return OutgoingMessage(
        content,
        delivery.member_id,
        upload,
        lambda: components.grid(job, images, contents.used),
        contents.reply_to,
    )


def _content(delivery: Delivery, contents: Contents) -> str:
    job, images = contents.job, contents.images
    if delivery.kind == deliveries.SINGLE:
        content = messages.single(job, images[0].index, delivery.member_id)
    else:
        withheld = sum(image.withheld for image in images)
        content = messages.finished(job, len(images), withheld)
    return content + _instead_of(delivery, job)


def _instead_of(delivery: Delivery, job: Job) -> str:
    """A result that could not be posted where it was asked for says so."""
    moved = delivery.kind == deliveries.RESULT and delivery.channel_id != job.channel_id
    if not moved or job.channel_id is None:
        return ""
    return preferences.out_of_time() if job.by_token_alone else messages.instead_of(job.channel_id)
