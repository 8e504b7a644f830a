"""The files that Discord is given: large enough to look at, small enough to send."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import PIL.Image
from pydantic import ValidationError

from actions.image_decoding import stored
from actions.memory_budget import PICTURES, PIXEL
from prompts import markdown
from storage import image_encoding, metadata
from storage.backends import Backends
from storage.contract import GenerationRequest
from storage.errors import ImageMissing
from storage.tables import Image, Job

MARGIN = 1024
"""Bytes kept free below Discord's limit."""


@dataclass(frozen=True)
class Upload:
    name: str
    data: bytes


def grid(backends: Backends, job: Job, images: Sequence[Image], member: str, limit: int) -> Upload:
    """The pictures side by side in at most `limit` bytes; withheld ones are veiled, deleted ones left blank.

    Raises:
        ImageMissing: the store has lost one.
    """
    entry = backends.catalog.models.get(job.model)
    times = 1 if entry is None else entry.display_scale
    count = GenerationRequest.model_validate(job.request).num_images_per_prompt
    tile = PIXEL * max(image.width * image.height for image in images)
    # The tiles, the sheet, the sheet enlarged, and what it is encoded from.
    with PICTURES.held(count * tile * (2 + 2 * times**2)):
        tiles = {image.index: _tile(backends, image) for image in images}
        # A picture keeps its place, after which its buttons are numbered.
        blank = PIL.Image.new("RGB", tiles[images[0].index].size, image_encoding.BACKGROUND)
        sheet = image_encoding.grid([tiles.get(index, blank) for index in range(count)])
        return _fitting(
            image_encoding.enlarge(sheet, times), job, member, limit, _of_grid(backends, job, images)
        )


def single(backends: Backends, job: Job, image: Image, member: str, limit: int) -> Upload:
    """One picture in at most `limit` bytes, its parameters in the PNG; about as large as its grid is shown.

    Raises:
        ImageMissing: the store has lost it.
    """
    original = backends.images.load(image.key)
    times = _times(backends, job)
    if times == 1 and len(original) <= limit - MARGIN:
        return Upload(markdown.file_name(member, job.text, job.id, "png"), original)
    texts = metadata.read(original)
    with stored(original, copies=1 + 2 * times**2) as opened:
        return _fitting(image_encoding.enlarge(opened, times), job, member, limit, texts)


def brought(backends: Backends, job: Job, member: str, limit: int) -> Upload:
    """The picture that a job is about, as its member brought it, in at most `limit` bytes.

    Raises:
        ImageMissing: the store has lost it.
    """
    key = GenerationRequest.model_validate(job.request).source_key
    if key is None:
        raise ImageMissing(f"the picture of job {job.id}")
    original = backends.images.load(key)
    if len(original) <= limit - MARGIN:
        return Upload(markdown.file_name(member, job.text, job.id, "png"), original)
    with stored(original) as image:
        return _fitting(image, job, member, limit)


def _times(backends: Backends, job: Job) -> int:
    entry = backends.catalog.models.get(job.model)
    if entry is None or entry.display_scale == 1:
        return 1
    scale = GenerationRequest.model_validate(job.request).scale
    return max(1, 2 * entry.display_scale // scale)


def _tile(backends: Backends, image: Image) -> PIL.Image.Image:
    opened = PIL.Image.open(io.BytesIO(backends.images.load(image.key))).convert("RGB")
    return image_encoding.veil(opened) if image.withheld else opened


def _of_grid(backends: Backends, job: Job, images: Sequence[Image]) -> dict[str, str]:
    """Texts of a grid's file: how its first picture that is shown was made, and Easel's request for all."""
    shown = next((image for image in images if not image.withheld), None)
    if shown is None:
        return {}
    texts = metadata.read(backends.images.load(shown.key))
    try:
        alone = GenerationRequest.model_validate_json(texts.pop(metadata.EASEL, ""))
    except ValidationError:
        return texts
    asked = GenerationRequest.model_validate(job.request)
    whole = alone.changed(seed=asked.seed, num_images_per_prompt=asked.num_images_per_prompt)
    return {**texts, metadata.EASEL: whole.model_dump_json()}


def _fitting(
    image: PIL.Image.Image,
    job: Job,
    member: str,
    limit: int,
    parameters: Mapping[str, str] | None = None,
) -> Upload:
    data, extension = image_encoding.encode_within(image, limit - MARGIN, parameters)
    return Upload(markdown.file_name(member, job.text, job.id, extension), data)
