"""Members' data put together in the background and handed over: through the command's answer, or directly.

It is made on threads of its own, an archive at a time: neither the bot's memory nor the threads that
everybody's commands need grow with what a member has. What was begun is a row, and goes on after a restart.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import discord

from bot import archives, posting
from bot.archives import Entry, Group
from bot.messages import privacy as said
from bot.posting import FAILURES, HANDOVER_MS, TRANSIENT, ClientLoop, Letter, Place
from bot.translation import spoken
from bot.uploads import MARGIN, Upload
from bot.views.press import button
from storage import belongings, exports
from storage.backends import Backends
from storage.errors import Stale
from storage.tables import UPLOAD_LIMIT, Export, Image, Member

log = logging.getLogger(__name__)

T = TypeVar("T")

THREADS = 2
POLL_S = 1.0
HOLD_MS = 60_000
"""After this another bot goes on with what this one had begun, should it have died."""
RENEW_S = 10.0
REQUEST_S = 300.0
MOST_TRIES = 6
"""Of one archive, later and later."""
PARTS, PARTS_BY_TOKEN = 10, 4
"""Archives in one answer; where only the member installed Easel, Discord takes five messages."""
ROWS = 2000
LETTERS = 4_000_000
"""Rows, or characters, of one JSON file."""


class Unreachable(Exception):
    """Neither the answer nor the member's direct messages take anything."""


@dataclass(frozen=True)
class Parcel:
    """One archive, or none where nothing fits, and what is said with it."""

    place: int
    content: str
    upload: Upload | None
    next_after: int | None
    """The picture after which the next answer begins; None where this is not the last of this one's."""


class Exports:
    """Looks for exports that members wait for, and hands them over."""

    def __init__(self, client: discord.Client, backends: Backends) -> None:
        self._client = client
        self._backends = backends
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="export")
        self._under_way: set[int] = set()
        self._requests: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="exports", daemon=True)

    def start(self) -> None:
        """Begin. Called on the client's event loop, after login."""
        self._loop = ClientLoop()
        self._thread.start()

    def stop(self) -> None:
        """Stop; what is under way is found again at the next start. Blocks for a moment."""
        self._stopping.set()
        with self._lock:
            pending = list(self._requests)
        for request in pending:
            request.cancel()
        self._pool.shutdown(cancel_futures=True)
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(POLL_S):
            try:
                self._take()
            except Exception:
                log.exception("exports: the database did not answer; trying again")

    def _take(self) -> None:
        with self._lock:
            free = THREADS - len(self._under_way)
        if free <= 0:
            return
        with self._backends.database.reading() as session:
            if not exports.is_due(session):
                return
        for row in self._write(exports.take, free, HOLD_MS):
            with self._lock:
                if row.id in self._under_way or self._stopping.is_set():
                    continue
                self._under_way.add(row.id)
            self._pool.submit(self._hand_over, row)

    def _write(self, change: Callable[..., T], *args: Any) -> T:
        with self._backends.database.writing() as session:
            return change(session, *args)

    def _hand_over(self, row: Export) -> None:
        """One try at one export, on a thread of the pool."""
        try:
            with spoken(row.locale):
                self._try(row)
        except (Stale, CancelledError) as reason:
            log.info("export %s: it was interrupted: %r", row.id, reason)
        except Exception:
            # Perhaps the database is away: it is taken again when its hold is over.
            log.exception("export %s failed", row.id)
        finally:
            with self._lock:
                self._under_way.discard(row.id)

    def _try(self, row: Export) -> None:
        try:
            for parcel in parcels(self._backends, row, self._alive(row)):
                if parcel.place >= row.sent:
                    self._write(exports.hold, row.id, HOLD_MS)
                    self._send(row, parcel)
                    self._write(exports.sent, row.id, parcel.place + 1, HOLD_MS)
        except (Stale, CancelledError):
            raise
        except Unreachable as reason:
            log.warning("export %s: member %s cannot be reached: %s", row.id, row.member_id, reason)
        except Exception:
            log.exception("export %s: try %s failed", row.id, row.tries)
            if row.tries < MOST_TRIES:
                self._write(exports.later, row.id, 1000 * 2**row.tries)
                return
            self._tell_failure(row)
        self._write(exports.end, row.id)

    def _alive(self, row: Export) -> Callable[[], None]:
        """What is called between two pages: keeps others away, and ends it when the bot ends."""
        renewed = time.monotonic()

        def go_on() -> None:
            nonlocal renewed
            if self._stopping.is_set():
                raise CancelledError
            if time.monotonic() - renewed > RENEW_S:
                self._write(exports.hold, row.id, HOLD_MS)
                renewed = time.monotonic()

        return go_on

    def _send(self, row: Export, parcel: Parcel) -> None:
        """Through the command's answer while its token lives, or else by direct message.

        Raises:
            Unreachable
        """
        following = parcel.next_after
        view = None if following is None else lambda: _next(following)
        letter = Letter(parcel.content, row.member_id, parcel.upload, view)
        token = row.interaction_token
        if token is not None and (row.token_expires_at or 0) - time.time() * 1000 > HANDOVER_MS:
            try:
                self._answer(token, letter, first=parcel.place == 0)
            except FAILURES as error:
                if posting.failure(error) in TRANSIENT:
                    raise
            else:
                return
        try:
            channel_id = self._request(posting.open_dm(self._client, row.member_id))
            nonce = f"x{row.id}-{parcel.place}"
            self._request(posting.post(self._client, channel_id, None, letter, nonce))
        except FAILURES as error:
            if posting.failure(error) in TRANSIENT:
                raise
            raise Unreachable(str(error)) from error

    def _answer(self, token: str, letter: Letter, *, first: bool) -> None:
        """The first archive takes the place of what was said at once: a change may be repeated."""
        if first:
            place = Place(token)
            work = posting.edit(self._client, place, letter.content, view=letter.view, upload=letter.upload)
            self._request(work)
        else:
            self._request(posting.follow_up(self._client, token, letter, ephemeral=True))

    def _tell_failure(self, row: Export) -> None:
        try:
            self._send(row, Parcel(row.sent, said.export_failed(row.id), None, None))
        except (Unreachable, *FAILURES) as error:
            log.warning("export %s: member %s was not told: %s", row.id, row.member_id, error)

    def _request(self, work: Coroutine[Any, Any, T]) -> T:
        """Await a request on the client's loop, from a thread of the pool."""
        with self._lock:
            if self._stopping.is_set():
                work.close()
                raise CancelledError
            future = self._loop.run(work)
            self._requests.add(future)
        try:
            return future.result(REQUEST_S)
        finally:
            future.cancel()
            with self._lock:
                self._requests.discard(future)


def parcels(backends: Backends, row: Export, go_on: Callable[[], None]) -> Iterator[Parcel]:
    """What one answer has: all rows, if it is the first, and pictures, as many as its archives hold.

    `go_on` is called every now and then, and may raise.
    """
    most = PARTS_BY_TOKEN if row.user_install else PARTS
    # Small enough for direct messages too, whatever the server allows: it may end there.
    limit = min(row.upload_limit, UPLOAD_LIMIT) - MARGIN
    cursor = row.after or 0
    for place, group in enumerate(archives.grouped(_entries(backends, row, go_on), limit)):
        following = group.following
        full = following is not None and not following.deflated and place + 1 >= most
        cursor = _last(group, cursor)
        yield _parcel(row, place, group, cursor if full else None)
        if full:
            return


def _last(group: Group, before: int) -> int:
    """The picture after which what follows the group begins."""
    ids = [entry.image_id for entry in group.entries if entry.image_id is not None]
    return ids[-1] if ids else before


def _parcel(row: Export, place: int, group: Group, next_after: int | None) -> Parcel:
    archive = archives.pack(group.entries)
    content = said.exported(
        begins=row.after is None and place == 0,
        more=next_after is not None,
        missing=archive.lost,
        too_large=len(group.left_out),
    )
    name = f"easel_data_{row.after or 0}_{place + 1}.zip"
    upload = Upload(name, archive.data) if len(group.entries) > archive.lost else None
    return Parcel(place, content, upload, next_after)


def _entries(backends: Backends, row: Export, go_on: Callable[[], None]) -> Iterator[Entry]:
    database, member_id = backends.database, row.member_id
    with database.reading() as session:
        member = session.get(Member, member_id)
    name = "" if member is None else member.name
    if row.after is None:
        yield from _documents(_going_on(belongings.rows(database, member_id), go_on))
    found = _going_on(belongings.pictures(database, member_id, row.after or 0), go_on)
    begun_job = _job_of(backends, row.after)
    for job, its in itertools.groupby(found, key=lambda pair: pair[1]):
        if job.movie_key is not None and job.id != begun_job:
            yield Entry.of_movie(backends.images, job, job.movie_key, name)
        for image, _ in its:
            yield Entry.of_picture(backends.images, job, image, name)


def _job_of(backends: Backends, image_id: int | None) -> int | None:
    """The job of which a part of the pictures was handed over before."""
    if not image_id:
        return None
    with backends.database.reading() as session:
        image = session.get(Image, image_id)
    return None if image is None else image.job_id


def _going_on(things: Iterable[T], go_on: Callable[[], None]) -> Iterator[T]:
    for thing in things:
        go_on()
        yield thing


def _documents(rows: Iterable[tuple[str, Sequence[dict[str, Any]]]]) -> Iterator[Entry]:
    """JSON files of rows, a table's after the other; several where a table has many."""
    for name, pages in itertools.groupby(rows, key=lambda page: page[0]):
        texts = _texts(row for _, page in pages for row in page)
        first, second = next(texts), next(texts, None)
        if second is None:
            yield Entry.of_text(f"{name}.json", first)
            continue
        for number, text in enumerate(itertools.chain((first, second), texts), 1):
            yield Entry.of_text(f"{name}_{number}.json", text)


def _texts(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Arrays of JSON, a row a line."""
    lines: list[str] = []
    length = 0
    for row in rows:
        lines.append(json.dumps(row, ensure_ascii=False))
        length += len(lines[-1])
        if len(lines) == ROWS or length > LETTERS:
            yield _array(lines)
            lines, length = [], 0
    if lines:
        yield _array(lines)


def _array(lines: Sequence[str]) -> str:
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _next(after: int) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    view.add_item(button("yp", after, label=said.next_part()))
    return view
