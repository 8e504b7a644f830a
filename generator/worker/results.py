"""Results of an attempt, as files in the store."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

import PIL.Image

from generator.companions.safety import Verdict
from generator.worker import output
from generator.worker.weight_hashes import hashes_of
from storage import full_disks, metadata
from storage.attempts import Claim
from storage.backends import Backends
from storage.contract import GenerationRequest
from storage.drafts import ImageDraft
from storage.errors import StoreFull
from storage.images import key_for, movie_key_for

log = logging.getLogger(__name__)


class Results:
    """Of one attempt, under keys that name it: what another attempt saves is never touched."""

    def __init__(self, backends: Backends, claim: Claim) -> None:
        self._store = backends.images
        self._catalog = backends.catalog
        self._claim = claim
        self._movie_key = movie_key_for(claim.job_id, claim.attempt)
        self._keys: list[str] = []
        self.size = 0
        """Bytes of all that was saved, or was to be."""

    def save_pictures(
        self, images: Sequence[PIL.Image.Image], verdicts: Sequence[Verdict], request: GenerationRequest
    ) -> list[ImageDraft]:
        """Each image as a PNG that says how it was made.

        Raises:
            StoreFull: the store takes no more.
            OSError: it cannot be written to for another reason.
        """
        files = output.encode_all(images, request, hashes_of(request, self._catalog))
        self.size += sum(map(len, files))
        made = zip(images, files, verdicts, strict=True)
        return [self._saved(index, *each, request) for index, each in enumerate(made)]

    def exif(self, request: GenerationRequest) -> bytes:
        """EXIF with the pictures' parameters, for their movie."""
        return metadata.exif(output.parameters(request, hashes_of(request, self._catalog)))

    def save_movie(self, data: bytes) -> str:
        """Returns its key.

        Raises:
            StoreFull: the store takes no more.
            OSError: it cannot be written to for another reason.
        """
        self.size += len(data)
        self._keep(self._movie_key, data)
        return self._movie_key

    def drop(self) -> None:
        """Delete what was saved: nobody will ever ask for it."""
        for key in self._keys:
            self._delete(key)

    def drop_movie(self) -> None:
        """Delete the movie alone: it shows what was deleted while it was made."""
        self._delete(self._movie_key)

    def _delete(self, key: str) -> None:
        try:
            self._store.delete(key)
        except OSError:
            log.warning("job %s: could not delete %s", self._claim.job_id, key, exc_info=True)

    def _saved(
        self, index: int, image: PIL.Image.Image, data: bytes, verdict: Verdict, request: GenerationRequest
    ) -> ImageDraft:
        key = key_for(self._claim.job_id, self._claim.attempt, index)
        self._keep(key, data)
        return ImageDraft(
            index=index,
            seed=request.seed_of(index),
            width=image.width,
            height=image.height,
            key=key,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
            safety_scores=verdict.scores,
            withheld=verdict.unsafe,
        )

    def _keep(self, key: str, data: bytes) -> None:
        self._keys.append(key)
        try:
            self._store.save(key, data)
        except OSError as error:
            if full_disks.is_full(error):
                raise StoreFull(self.size) from error
            raise
