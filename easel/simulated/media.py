"""Pictures on SimCord's page: there at once, with room kept for them until then.

SimCord starts a Python for each picture, one after the other, and refuses more than eight that wait. Here
they come from the demo's own bot and people, and are read on a thread. Its warning that a platform cannot
bound the memory of that is for strangers' files: no red badge tells a newcomer of it.

The page draws all messages anew when a list opens. Without room for them, pictures would have no height
for a moment: what is below jumps out of view, and a list that is out of view closes before it was seen.
"""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PIL import Image
from simcord.preview._media import MediaError, MediaInfo, MediaWorker, _process_media
from simcord.preview._server import PreviewServer

if TYPE_CHECKING:
    from simcord.preview import Preview

_STYLE = """
img:not([src])[width][height], .attachment-image[width][height] {
  --shape: calc(attr(width type(<number>)) / attr(height type(<number>)));
  width: min(attr(width px), min(calc(var(--preview-height) * .8), 720px) * var(--shape));
  aspect-ratio: var(--shape);
}
"""
"""Room for pictures that are still to come, or are fetched anew: as much as they take when they are there."""

_THREADS = 2
"""As many pictures are read at once, and waited for at the end."""


class Server(PreviewServer):
    """Serves SimCord's page with a rule more in its style sheet."""

    def __init__(self, preview: Preview, port: int) -> None:
        super().__init__(preview, port)
        self._page = preview

    async def _static(self, request: Any) -> Any:
        response = await super()._static(request)
        if request.path == "/preview.css":
            response.text += _STYLE
        return response

    async def close(self) -> None:
        """The server's end waits for requests, up to a minute, and they for pictures that are being read."""
        worker = self._page._media_worker
        if worker is not None:
            await worker.close()
        await super().close()


class Media(MediaWorker):
    """Reads pictures and their movies on threads; anything else in a process, as SimCord does."""

    def __init__(self) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(_THREADS, "media")

    async def validate(self, key: str, blob: bytes, *, media_time: float | None = None) -> MediaInfo:
        if self._closed:
            raise MediaError("the page is closed")
        if size_of(blob) is None:
            info = await super().validate(key, blob, media_time=media_time)
        else:
            loop = asyncio.get_running_loop()
            info = await loop.run_in_executor(self._threads, _process_media, blob, media_time or 0.0)
        return replace(info, memory_limited=True)

    async def close(self) -> None:
        """Pictures that wait to be read are given up, and whoever waits for them is told so."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await super().close()


def with_size(asset: dict[str, Any], blob: bytes) -> dict[str, Any]:
    """Description of a picture for the page, with its size, which SimCord adds only once it was loaded."""
    size = None if "displayWidth" in asset else size_of(blob)
    return asset if size is None else {**asset, "displayWidth": size[0], "displayHeight": size[1]}


def size_of(blob: bytes) -> tuple[int, int] | None:
    """Width and height of a picture; None of anything else."""
    try:
        with Image.open(io.BytesIO(blob), formats=("PNG", "WEBP", "JPEG", "GIF")) as image:
            return image.size
    except OSError:
        return None
