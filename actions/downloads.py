"""Pictures that come from members: a file's, or what is behind a link, fetched and looked at.

`input_images` keeps them.

A link is whatever a member typed. So that it cannot reach into the operator's own network, the very addresses
that are connected to are checked, after every redirect again.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp
import PIL.Image
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from actions.image_decoding import ImageRefused, decode
from actions.public_addresses import is_public
from prompts.image_links import single
from storage import metadata
from storage.backends import Backends
from storage.image_encoding import png_bytes
from storage.images import INCOMING

MOST_BYTES = 20 * 2**20
REDIRECTS = 3
WITHIN_S = 20.0
ALL_WITHIN_S = 45.0
"""For all that one command fetches."""
AT_A_TIME = 4
"""Of one command's pictures, how many are fetched side by side."""

_DECODERS = ThreadPoolExecutor(2, "decode")
"""Threads of their own: they wait for memory, and others of the bot should not."""

_REDIRECT = frozenset({301, 302, 303, 307, 308})


class TooManyBytes(ImageRefused):
    """More than MOST_BYTES."""


class Unreachable(ImageRefused):
    """There is no answer, or none with a picture; `status` is HTTP's, where there was one."""

    def __init__(self, status: int | None = None) -> None:
        super().__init__("" if status is None else f"HTTP {status}")
        self.status = status


class PrivateAddress(ImageRefused):
    """The link leads into a private network."""


class NotALink(ImageRefused):
    """It is no http(s) address."""

    def __init__(self, given: str) -> None:
        super().__init__(given)
        self.given = given


class File(Protocol):
    """A file that came with a command, whatever chat platform brought it. It can be a key of a mapping."""

    @property
    def filename(self) -> str: ...

    @property
    def size(self) -> int:
        """In bytes."""

    async def read(self) -> bytes:
        """Fetch its bytes.

        Raises:
            Unreachable: they can't be had.
        """


@dataclass(frozen=True)
class InputImage:
    """A picture as it is kept: RGB, upright, without metadata. The same picture has the same key."""

    key: str
    width: int
    height: int
    png: bytes = field(repr=False)
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Texts that its file carried beside its pixels (`storage.metadata`)."""


async def fetch(backends: Backends, sources: Sequence[File | str]) -> list[InputImage]:
    """The pictures of attachments, or behind http(s) links as they were typed, in order; nothing is kept.

    A few are fetched side by side. Where one is refused the others are not waited for.

    Raises:
        PictureRefused: any of its kinds, with a name where there are several sources.
    """
    deadline = asyncio.get_running_loop().time() + ALL_WITHIN_S
    room = asyncio.Semaphore(AT_A_TIME)

    async def one(source: File | str) -> InputImage:
        try:
            async with room:
                return await _fetched(backends, source, deadline)
        except ImageRefused as refused:
            if len(sources) > 1:
                refused.name = source if isinstance(source, str) else source.filename
            raise

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(source)) for source in sources]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def _fetched(backends: Backends, source: File | str, deadline: float) -> InputImage:
    if isinstance(source, str):
        data = await _download(source, backends.config.trusted_link_hosts, deadline)
    else:
        data = await _read(source, deadline)
    return await asyncio.get_running_loop().run_in_executor(_DECODERS, convert, data)


async def look(file: File) -> PIL.Image.Image:
    """A file's picture, as `decode` gives it; nothing is kept.

    Raises:
        PictureRefused: any of its kinds.
    """
    return await seen(await _read(file, asyncio.get_running_loop().time() + ALL_WITHIN_S))


async def seen(data: bytes) -> PIL.Image.Image:
    """A file's picture, as `decode` gives it.

    Raises:
        PictureRefused: any of its kinds.
    """
    return await asyncio.get_running_loop().run_in_executor(_DECODERS, decode, data)


def convert(data: bytes) -> InputImage:
    """Decode a file and make it a PNG. Takes a second or so of processor time for a large one.

    Raises:
        TooManyBytes, TooManyPixels, NotAPicture
    """
    if len(data) > MOST_BYTES:
        raise TooManyBytes
    image = decode(data)
    png = png_bytes(image)
    key = f"{INCOMING}{hashlib.sha256(png).hexdigest()}.png"
    return InputImage(key, image.width, image.height, png, metadata.read(data))


def _until(deadline: float) -> asyncio.Timeout:
    return asyncio.timeout_at(min(deadline, asyncio.get_running_loop().time() + WITHIN_S))


async def _read(file: File, deadline: float) -> bytes:
    if file.size > MOST_BYTES:
        raise TooManyBytes
    try:
        async with _until(deadline):
            return await file.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unreachable from error


async def _download(link: str, trusted: Collection[str], deadline: float) -> bytes:
    found = single(link)
    url = _url(found.url if found else link)
    try:
        async with _until(deadline):
            for _ in range(REDIRECTS + 1):
                answer = await _get(url, trusted)
                if isinstance(answer, bytes):
                    return answer
                url = answer
    except aiohttp.InvalidURL:
        raise NotALink(link) from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unreachable from error
    raise Unreachable


def _url(link: str) -> yarl.URL:
    try:
        url = yarl.URL(link.strip())
    except ValueError:
        raise NotALink(link) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise NotALink(link)
    return url


async def _get(url: yarl.URL, trusted: Collection[str]) -> bytes | yarl.URL:
    """The body, or where the answer sends to."""
    inside = url.host in trusted or f"{url.host}:{url.port}" in trusted
    if not inside and _is_private_literal(url):
        raise PrivateAddress
    connector = aiohttp.TCPConnector(resolver=None if inside else _PublicResolver())
    async with (
        aiohttp.ClientSession(connector=connector, headers={"User-Agent": "Easel"}) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        if answer.status in _REDIRECT:
            return _url(str(url.join(yarl.URL(answer.headers.get("Location", "")))))
        if answer.status != 200:
            raise Unreachable(answer.status)
        return await _body(answer)


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """No more of it is read than may be kept, whatever length it claims or how well it is compressed."""
    if (answer.content_length or 0) > MOST_BYTES:
        raise TooManyBytes
    body = bytearray()
    async for piece in answer.content.iter_chunked(2**16):
        body += piece
        if len(body) > MOST_BYTES:
            raise TooManyBytes
    return bytes(body)


class _PublicResolver(AbstractResolver):
    """Finds public addresses only; the connection is made to exactly these."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not all(is_public(address["host"]) for address in found):
            raise PrivateAddress
        return found

    async def close(self) -> None:
        await self._resolver.close()


def _is_private_literal(url: yarl.URL) -> bool:
    """aiohttp asks no resolver for a host that is an address already."""
    try:
        return not is_public(url.host or "")
    except ValueError:
        return False
