"""Room on the page for pictures that are not loaded yet.

SimCord's page draws all messages anew when a list opens. Without room for them, pictures would have no height for
a moment: what is below jumps out of view, and a list that is out of view closes before it was seen.
"""

from __future__ import annotations

import io
from typing import Any

from PIL import Image
from simcord.preview._server import PreviewServer

_ROOM = """
img:not([src])[width][height] {
  width: attr(width px);
  aspect-ratio: attr(width type(<number>)) / attr(height type(<number>));
}
"""


class Server(PreviewServer):
    """Serves SimCord's page with a rule more in its style sheet."""

    async def _static(self, request: Any) -> Any:
        response = await super()._static(request)
        if request.path == "/preview.css":
            response.text += _ROOM
        return response


def with_size(asset: dict[str, Any], picture: bytes) -> dict[str, Any]:
    """What the page is told of a picture, with its size, which SimCord adds only once it was loaded."""
    if "displayWidth" in asset or not str(asset["contentType"]).startswith("image/"):
        return asset
    try:
        with Image.open(io.BytesIO(picture)) as opened:
            width, height = opened.size
    except OSError:
        return asset
    return {**asset, "displayWidth": width, "displayHeight": height}
