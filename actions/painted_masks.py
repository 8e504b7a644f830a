"""The original of a painted copy: the picture of Easel's that somebody saved, painted over and posted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import PIL.Image
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from actions import canvas
from actions.image_decoding import stored
from storage import deliveries, jobs
from storage.backends import Backends
from storage.catalog_values import Size
from storage.contract import LARGEST_REGION, SMALLEST_REGION
from storage.errors import ImageMissing, Refused
from storage.images import ImageStore
from storage.tables import Image, Job

MOST = 40
"""Of a member's own pictures of the same shape, how many are compared, the newest first."""
COMPARED = 256
"""Pixels along a side: enough to know a picture by."""


class NoOriginal(Refused):
    """No picture of Easel's is known of which this is a painted copy."""


async def find_original(
    backends: Backends, member_id: int, painted: PIL.Image.Image, replied_to: int | None
) -> Image | None:
    """The picture that was painted over: in the message that was replied to, or else one of the member's own.

    Of several it is the one that differs least. A mask in black and white differs from all alike, and only
    from a single picture that was replied to is it known to be of that.
    """
    answered = partial(_answered, message_id=replied_to, member_id=member_id)
    own = partial(_own, member_id=member_id, size=painted.size)
    for candidates in (answered, own):
        images = await backends.database.read(candidates)
        found = await asyncio.to_thread(_nearest, backends.images, images, painted)
        if found is not None:
            return found
    return None


def _answered(session: Session, *, message_id: int | None, member_id: int) -> Sequence[Image]:
    """The pictures that a message of Easel's shows, where the member may see them."""
    if message_id is None:
        return []
    try:
        job = deliveries.job_of_message(session, message_id)
        jobs.check_seen_by(job, member_id)
    except Refused:
        return []
    message = deliveries.shown(session, message_id)
    alone = None if message is None else message.image_id
    found = jobs.images_of(session, job.id)
    return [image for image in found if not image.withheld and alone in (None, image.id)]


def _own(session: Session, *, member_id: int, size: Size) -> Sequence[Image]:
    """The member's newest pictures of a shape."""
    width, height = size
    apart = func.abs(Image.width * height - Image.height * width)
    query = (
        select(Image)
        .join(Job, Job.id == Image.job_id)
        .where(Job.member_id == member_id, Job.deleted_at.is_(None))
        .where(jobs.visible(), Image.withheld.is_(False))
        .where(apart <= canvas.RATIO_TOLERANCE * Image.height * width)
    )
    return list(session.scalars(query.order_by(Image.id.desc()).limit(MOST)))


def _nearest(store: ImageStore, images: Sequence[Image], painted: PIL.Image.Image) -> Image | None:
    if canvas.is_mask(painted) and len(images) != 1:
        return None
    painted = _small(painted)
    parts = {image.id: _part(store, image, painted) for image in images}
    likely = [image for image in images if SMALLEST_REGION <= parts[image.id] <= LARGEST_REGION]
    return min(likely, key=lambda image: parts[image.id], default=None)


def _part(store: ImageStore, image: Image, painted: PIL.Image.Image) -> float:
    """Share of the picture that is painted over, 0–1; above 1 where it cannot be its copy."""
    try:
        with stored(store.load(image.key)) as picture:
            original = _small(picture)
        return canvas.white_part(canvas.painted_over(original, painted))
    except (ImageMissing, canvas.PaintedShape):
        return 2.0


def _small(image: PIL.Image.Image) -> PIL.Image.Image:
    small = image.convert("RGB")
    small.thumbnail((COMPARED, COMPARED), PIL.Image.Resampling.LANCZOS)
    return small
