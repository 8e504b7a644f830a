"""Source pictures of a job, out of the store; one that a member brought only after a look at it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import PIL.Image
from PIL import ImageChops

from generator.worker import blend
from storage.contract import LARGEST_REGION, SMALLEST_REGION, GenerationRequest, Role, Task
from storage.errors import ImageMissing, NearlyWhole, NothingFound, SourceWithheld
from storage.image_encoding import as_seen
from storage.images import INCOMING, ImageStore

Find = Callable[[PIL.Image.Image, str], PIL.Image.Image]
"""Makes a mask of a picture and the words that name something in it."""


class SourceImages:
    """Of one request. `is_unsafe` looks at a picture, and `key_of` finds where an image of a job is kept.

    Every method raises `ImageMissing` where a picture is not in the store or cannot be read, and
    `SourceWithheld` where a member brought an unsafe one.
    """

    def __init__(
        self,
        request: GenerationRequest,
        store: ImageStore,
        is_unsafe: Callable[[PIL.Image.Image], bool],
        key_of: Callable[[int], str],
    ) -> None:
        self._request = request
        self._store = store
        self._is_unsafe = is_unsafe
        self._key_of = key_of

    def source(self) -> PIL.Image.Image | None:
        """Picture that is varied, enlarged, described or drawn anew in parts; None if there is nothing
        to see.
        """
        request = self._request
        size = (request.width, request.height)
        if request.task is Task.TEXT_TO_IMAGE:
            return None
        if request.source_key is not None:
            source = self._opened(request.source_key)
            return blend.fitted(source, size) if request.task is Task.IMAGE_TO_IMAGE else source
        if request.parent_image_id is None:
            return blend.mean(self.blended(), size)
        return self._opened(self._key_of(request.parent_image_id))

    def blended(self) -> Sequence[PIL.Image.Image]:
        """The pictures of a blend, each by itself."""
        return [self._opened(key) for key in self._request.source_keys]

    def control(self) -> PIL.Image.Image | None:
        """Control image, cut to the request's shape."""
        control = self._request.control
        if control is None or control.key is None:
            return None
        return blend.fitted(self._opened(control.key), (self._request.width, self._request.height))

    def references(self) -> dict[Role, list[PIL.Image.Image]]:
        """Pictures that are read beside the words, by role."""
        return {
            reference.role: [self._opened(key) for key in reference.keys]
            for reference in self._request.references
        }

    def mask(self, source: PIL.Image.Image | None, find: Find) -> PIL.Image.Image | None:
        """White where the picture is drawn anew: as it was painted, and where `find` finds what words name.

        Raises:
            NothingFound, NearlyWhole: by the words.
        """
        key, words = self._request.mask_key, self._request.mask_words
        painted = None if key is None else self._opened(key).convert("L")
        if not words or source is None:
            return painted
        found = find(source, words)
        if _white_part(found) < SMALLEST_REGION:
            raise NothingFound(words)
        mask = found if painted is None else ImageChops.lighter(found, painted.resize(found.size))
        if _white_part(mask) > LARGEST_REGION:
            raise NearlyWhole(words)
        return mask

    def _opened(self, key: str) -> PIL.Image.Image:
        """Upright and opaque."""
        data = self._store.load(key)
        try:
            with PIL.Image.open(io.BytesIO(data)) as stored:
                image = as_seen(stored)
        except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
            raise ImageMissing(key) from error
        if key.startswith(INCOMING) and self._is_unsafe(image):
            raise SourceWithheld(key)
        return image


def _white_part(mask: PIL.Image.Image) -> float:
    return sum(mask.histogram()[128:]) / (mask.width * mask.height)
