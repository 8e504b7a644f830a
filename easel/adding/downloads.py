"""Fetch a file by HTTP: resumed where it was cut, compared with its hash, with a bar meanwhile."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from easel import __version__
from easel.adding.remote import Advance, RemoteFile
from storage.errors import FetchError

CHUNK = 1 << 20
"""Bytes of a file on this machine that are copied at a time."""
PART = ".part"
KNOWN_BY = ".of"
"""Ending of what notes, beside a part, of which state of its file it is: its ETag or date."""
SPARE = 256 << 20
"""Bytes that stay free on a disk beside what is fetched."""
TIMEOUT_S = 30.0


@contextmanager
def bar(title: str, total: int) -> Iterator[Advance]:
    """A line on the terminal that shows how much of `total` bytes has come (0: nobody knows)."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(escape(title), total=total or None)
        yield lambda count: progress.advance(task, count)


def check_room(folder: Path, needed: int) -> None:
    """Raises:
    FetchError: the disk of a folder, which need not exist yet, has less free than `needed` bytes and some.
    """
    place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free
    if needed and free < needed + SPARE:
        raise FetchError(
            f"There is no room in {folder}: {_gb(needed)} are to come, and {_gb(free)} are free there."
            " Make room on that disk."
        )


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def headers(token: str | None = None) -> dict[str, str]:
    """Headers of a request, with the token of an account, which follows no redirect to another host."""
    said = {"User-Agent": f"easel/{__version__}"}
    return {**said, "Authorization": f"Bearer {token}"} if token else said


def shown(url: str) -> str:
    """An address without what may be secret in it: a password, or a token behind the question mark."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def fetch(sent: Mapping[str, str], file: RemoteFile, target: Path, advance: Advance) -> None:
    """Bring a file to `target`, with these headers of a request.

    What was cut lies beside it (`.part`), and the next try goes on there.

    Raises:
        FetchError: it cannot be had, is a web page, or is not what its hash says.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + PART)
    begun = part.stat().st_size if part.exists() else 0
    advance(begun)
    try:
        _receive(sent, file, part, begun, advance)
    except httpx2.HTTPError as error:
        raise FetchError(
            f"{shown(file.url)} was cut after {_gb(part.stat().st_size if part.exists() else 0)}"
            f" ({type(error).__name__}): the same command goes on from there."
        ) from None
    part.with_name(part.name + KNOWN_BY).unlink(missing_ok=True)
    check_hash(file, part)
    part.replace(target)


def _receive(sent: Mapping[str, str], file: RemoteFile, part: Path, begun: int, advance: Advance) -> None:
    asked = {**sent, "Accept-Encoding": "identity"}
    known_by = part.with_name(part.name + KNOWN_BY)
    if begun:
        asked["Range"] = f"bytes={begun}-"
        if known_by.exists():
            asked["If-Range"] = known_by.read_text(encoding="utf-8")
    with httpx2.stream("GET", file.url, headers=asked, follow_redirects=True, timeout=TIMEOUT_S) as answer:
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and begun:
            return  # all of it is there
        refuse(answer, shown(file.url))
        if answer.headers.get("content-type", "").startswith("text/html"):
            raise FetchError(
                f"{shown(file.url)} is a web page, and no model's file: take the link of its download."
            )
        goes_on = answer.status_code == HTTPStatus.PARTIAL_CONTENT
        if begun and not goes_on:
            advance(-begun)
            begun = 0
        check_room(part.parent, int(answer.headers.get("content-length", 0)))
        _note(answer, known_by)
        with part.open("ab" if goes_on else "wb") as out:
            for chunk in answer.iter_bytes():
                out.write(chunk)
                advance(len(chunk))


def _note(answer: httpx2.Response, known_by: Path) -> None:
    """Keep by what a file is known, so that a part of it never goes on with another file's rest."""
    tag = answer.headers.get("etag", "")
    # A weak tag (W/) says nothing of single bytes (RFC 9110, 13.1.5).
    if state := tag if tag.startswith('"') else answer.headers.get("last-modified", ""):
        known_by.write_text(state, encoding="utf-8")
    else:
        known_by.unlink(missing_ok=True)


def refuse(answer: httpx2.Response, what: str) -> None:
    """Raises:
    FetchError: the site does not give it; the text says what helps.
    """
    if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise FetchError(
            f"{what} needs an account ({answer.status_code}): accept its terms on its page, and set"
            " CIVITAI_TOKEN to an API key of yours."
        )
    if answer.status_code == HTTPStatus.NOT_FOUND:
        raise FetchError(f"{what} does not exist (404): look at the link or the number again.")
    if answer.is_error:
        raise FetchError(f"{what} cannot be had: the site answers {answer.status_code}. Try it later.")


def check_hash(file: RemoteFile, place: Path) -> None:
    """Raises:
    FetchError: the file's SHA-256 is another than was said. It is deleted: it would never get right.
    """
    if file.sha256 is None:
        return
    found = sha256_of(place)
    if found != file.sha256.lower():
        place.unlink()
        raise FetchError(
            f"{file.name} is not what its site says: its SHA-256 begins with {found[:12]}, not with"
            f" {file.sha256[:12].lower()}. It was deleted; try again."
        )


def sha256_of(place: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with place.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
