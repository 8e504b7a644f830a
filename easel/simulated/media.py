"""Pictures on SimCord's page: there at once, with room kept for them until then.

SimCord starts a Python for each picture, one after the other, and refuses more than eight that wait. Here
they come from the demo's own bot and people, and are read on a thread.

The page draws all messages anew when a list opens. Without room for them, pictures would have no height
for a moment: what is below jumps out of view, and a list that is out of view closes before it was seen.
"""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

from PIL import Image
from simcord.preview._media import MediaInfo, MediaWorker, _process_media
from simcord.preview._server import PreviewServer

if TYPE_CHECKING:
    from simcord.preview import Preview

_ROOM = """
img:not([src])[width][height] {
  width: attr(width px);
  aspect-ratio: attr(width type(<number>)) / attr(height type(<number>));
}
"""


class Server(PreviewServer):
    """Serves SimCord's page with a rule more in its style sheet."""

    def __init__(self, preview: Preview, port: int) -> None:
        super().__init__(preview, port)
        self._page = preview

    async def _static(self, request: Any) -> Any:
        response = await super()._static(request)
        if request.path == "/preview.css":
            response.text += _ROOM
        return response

    async def close(self) -> None:
        """The server's end waits for requests, up to a minute, and they for movies that are being read."""
        worker = self._page._media_worker
        if worker is not None:
            await worker.close()
        await super().close()


class Media(MediaWorker):
    """Reads pictures on a thread; movies in a process, as SimCord does."""

    async def validate(self, key: str, blob: bytes, *, media_time: float | None = None) -> MediaInfo:
        if size_of(blob) is None:
            return await super().validate(key, blob, media_time=media_time)
        return await asyncio.to_thread(_process_media, blob, media_time or 0.0)


def with_size(asset: dict[str, Any], blob: bytes) -> dict[str, Any]:
    """Description of a picture for the page, with its size, which SimCord adds only once it was loaded."""
    size = None if "displayWidth" in asset else size_of(blob)
    return asset if size is None else {**asset, "displayWidth": size[0], "displayHeight": size[1]}


def size_of(blob: bytes) -> tuple[int, int] | None:
    """Width and height of a picture; None of anything else."""
    try:
        with Image.open(io.BytesIO(blob), formats=("PNG", "WEBP", "JPEG", "GIF")) as picture:
            return picture.size
    except OSError:
        return None
