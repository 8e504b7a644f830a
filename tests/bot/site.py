"""A web site on this machine, with pictures for links."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.bot import photos


class Site:
    """Behind every path is a picture of its own."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        """The paths that were asked for, in their order."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _answering(self.asked))
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def link(self, name: str) -> str:
        return f"http://{self.address}/{name}.png"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _answering(asked: list[str]) -> type[BaseHTTPRequestHandler]:
    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            data = photos.png(colour=f"#{zlib.crc32(self.path.encode()) & 0xFFFFFF:06x}")
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (as it is declared)
            pass

    return Pages


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()
