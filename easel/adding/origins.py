"""Places from which models are added: this machine, Hugging Face, CivitAI, any link to a file."""

from __future__ import annotations

import filecmp
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import typer

from easel.adding import civitai, downloads, hub
from easel.adding.remote import Advance, Offered, RemoteFile, one_line, safe_name
from storage.errors import FetchError


def offered(source: str, file: str | None) -> Offered:
    """Look at a source without fetching it; `file` is the one of a Hugging Face id that is meant.

    Raises:
        FetchError: there is nothing of the kind.
    """
    found = _found(source, file)
    return replace(
        found,
        title=one_line(found.title, 100) or "model",
        license=one_line(found.license, 300),
        trigger=one_line(found.trigger, 1000),
        description=one_line(found.description, 1000),
    )


def _found(source: str, file: str | None) -> Offered:
    place = Path(source).expanduser()
    if place.exists():
        return _here(place)
    if civitai.is_link(source):
        return civitai.offered(source)
    if hub.is_link(source):
        id_, linked, revision = hub.of_link(source)
        return hub.offered(id_, file or linked, revision)
    if source.startswith(("http://", "https://")):
        return _linked(source)
    return hub.offered(source, file)


def _here(place: Path) -> Offered:
    if place.is_file():
        files = [_own(place, place.name)]
        return Offered(place.stem, files, partial(_copy, place.parent), single=True)
    found = sorted(path for path in place.rglob("*") if path.is_file() and ".cache" not in path.parts)
    files = [_own(path, path.relative_to(place).as_posix()) for path in found]
    return Offered(place.absolute().name, files, partial(_copy, place), single=False)


def _own(path: Path, name: str) -> RemoteFile:
    return RemoteFile(name, path.stat().st_size, url=path.absolute().as_uri())


def _copy(folder: Path, file: RemoteFile, target: Path, advance: Advance) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + downloads.PART)
    with (folder / file.name).open("rb") as given, part.open("wb") as out:
        while chunk := given.read(downloads.CHUNK):
            out.write(chunk)
            advance(len(chunk))
    part.replace(target)


def _linked(link: str) -> Offered:
    name = PurePosixPath(unquote(urlsplit(link).path)).name
    if not name:
        raise FetchError(f"{link} names no file: take the link of a download.")
    files = [RemoteFile(safe_name(name), url=link)]
    fetch = partial(downloads.fetch, downloads.headers())
    return Offered(PurePosixPath(name).stem, files, fetch, single=True)


def receive(offer: Offered, target: Path) -> None:
    """Bring all files of an offer to `target`, a file or a folder; what is there already stays.

    Raises:
        FetchError: something cannot be had, or the target is something else; what came is kept to go on with.
        OSError: the disk is full, or takes nothing.
    """
    places = {file: target if offer.single else target / file.name for file in offer.files}
    missing = {file: place for file, place in places.items() if not _is_there(file, place)}
    needed = sum((file.size or 0) - _begun(place) for file, place in missing.items())
    downloads.check_room(target.parent, max(0, needed))
    with downloads.bar(offer.title, sum(file.size or 0 for file in missing)) as advance:
        for file, place in missing.items():
            offer.fetch(file, place, advance)
    hub.forget_cache(target if target.is_dir() else target.parent)


def _begun(place: Path) -> int:
    part = place.with_name(place.name + downloads.PART)
    return part.stat().st_size if part.is_file() else 0


def _is_there(file: RemoteFile, place: Path) -> bool:
    """True for a file that an earlier try has brought.

    Raises:
        FetchError: another file has its place.
    """
    if not place.exists():
        return False
    if not place.is_file() or not _is_same(file, place):
        raise FetchError(f"{place} is there already, and is something else: say another name with --name.")
    return True


def _is_same(file: RemoteFile, place: Path) -> bool:
    if file.url.startswith("file:"):
        own = Path(url2pathname(urlsplit(file.url).path))
        return own.samefile(place) or filecmp.cmp(own, place, shallow=False)
    if file.sha256:
        return downloads.sha256_of(place) == file.sha256.lower()
    if file.size is None:
        typer.echo(f"{place} is there already and is taken as it is: its site does not say more.", err=True)
        return True
    return abs(place.stat().st_size - file.size) <= 1024
