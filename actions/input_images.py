"""Pictures that a command brings into the image store: its member's, and those composed for its job.

Each has a row before it has a file, so that nobody takes it away meanwhile; both go again where the command
comes to nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from actions import downloads
from actions.downloads import File, InputImage
from storage import brought
from storage.backends import Backends
from storage.database import passes
from storage.images import COMPOSED
from storage.supervision import supervised

log = logging.getLogger(__name__)


class InputImages:
    """The pictures of one command: `async with`, around all that may still refuse it."""

    def __init__(self, backends: Backends, member_id: int) -> None:
        self._backends = backends
        self._member_id = member_id
        self._bringings: list[int] = []
        self.texts: list[Mapping[str, str]] = []
        """Texts that the files of the received pictures say beside their pixels, in order."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if kind is None or not self._bringings:
            return
        # What refused the command is what its member should read; the sweep comes later.
        with supervised(_not_let_go):
            await asyncio.to_thread(brought.release, self._backends, self._bringings)

    async def receive(self, sources: Sequence[File | str]) -> list[InputImage]:
        """Fetch and keep the pictures of files, or behind links as they were typed, in order.

        Raises:
            PictureRefused: any of its kinds; nothing was kept.
            OSError: the store is full.
        """
        found = await downloads.fetch(self._backends, sources)
        for each in found:
            await self._keep(each.key, each.png)
        self.texts += (each.texts for each in found)
        return found

    async def fetch(self, links: Iterable[str]) -> dict[str, str]:
        """As `receive`: the keys of what is behind links, by the links."""
        each = list(dict.fromkeys(links))
        return {link: found.key for link, found in zip(each, await self.receive(each), strict=True)}

    async def compose(self, png: bytes) -> str:
        """Keep a sheet or mask; the same one has the same key."""
        key = f"{COMPOSED}{hashlib.sha256(png).hexdigest()}.png"
        await self._keep(key, png)
        return key

    async def _keep(self, key: str, png: bytes) -> None:
        database = self._backends.database
        self._bringings.append(await database.write(brought.bring, self._member_id, key))
        await asyncio.to_thread(self._save, key, png)

    def _save(self, key: str, png: bytes) -> None:
        if not self._backends.images.exists(key):
            self._backends.images.save(key, png)


def _not_let_go(error: Exception) -> None:
    log.error(
        "what a refused command brought could not be let go: %s",
        getattr(error, "orig", error),
        exc_info=None if passes(error) else error,
    )
