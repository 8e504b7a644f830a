"""Members' data put together in the background and handed over: through the command's answer, or directly.

It is made on threads of its own, an archive at a time: neither the bot's memory nor the threads that
everybody's commands need grow with what a member has. What was begun is a row, and goes on after a restart.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import CancelledError
from typing import Any, TypeVar

import discord

from bot.components.press import button
from bot.database_outage import Outage
from bot.discord_io import posting
from bot.discord_io.client_loop import Requests
from bot.discord_io.failures import DiscordFailure
from bot.discord_io.posting import HANDOVER_MS, OutgoingMessage, ProgressPlace
from bot.export_archives import ExportArchive, parcels
from bot.held_rows import HeldRows
from bot.messages import privacy as sentences
from storage import exports
from storage.backends import Backends
from storage.clock import Clock
from storage.database import passes
from storage.errors import Stale
from storage.monotonic import monotonic
from storage.tables import Export

log = logging.getLogger(__name__)

T = TypeVar("T")

THREADS = 2
POLL_S = 1.0
HOLD_MS = 60_000
"""After this another bot goes on with what this one had begun, should it have died."""
RENEW_S = 10.0
MOST_TRIES = 6
"""Of one archive, later and later."""


class MemberUnreachable(Exception):
    """Neither the answer nor the member's direct messages take anything."""


class Exports:
    """Looks for exports that members wait for, and hands them over."""

    def __init__(self, client: discord.Client, backends: Backends) -> None:
        self._client = client
        self._backends = backends
        self._rows = HeldRows("export", THREADS, self._take, self._hold, self._try_while_alive)
        self._requests = Requests()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="exports", daemon=True)

    def start(self) -> None:
        """Begin. Called on the client's event loop, after login."""
        self._requests.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop; what is under way is found again at the next start. Blocks for a moment."""
        self._stopping.set()
        self._requests.stop()
        self._rows.stop()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        outage = Outage("exports")
        while not self._stopping.wait(outage.wait_s or POLL_S):
            with outage.turn():
                self._rows.turn(RENEW_S)

    def _hold(self, export_ids: Collection[int]) -> None:
        """Keep those under way from other bots: a request may take longer than what was theirs so far."""
        for export_id in export_ids:
            with contextlib.suppress(Stale):
                self._write(exports.hold, export_id, HOLD_MS)

    def _take(self, limit: int) -> tuple[Sequence[Export], Clock] | None:
        with self._backends.database.reading() as session:
            if not exports.is_due(session):
                return None
        with self._backends.database.writing() as session:
            return exports.take(session, limit, HOLD_MS), Clock.read(session)

    def _write(self, change: Callable[..., T], *args: Any) -> T:
        with self._backends.database.writing() as session:
            return change(session, *args)

    def _try_while_alive(self, row: Export, clock: Clock) -> None:
        """One try at one export."""
        try:
            self._try(row, clock)
        except CancelledError:
            log.info("export %s goes on at the next start", row.id)
            self._write(exports.requeue, row.id)
        except Stale:
            log.info("export %s: its member deleted their data", row.id)

    def _try(self, row: Export, clock: Clock) -> None:
        if row.tries > MOST_TRIES:
            # The bot died at each: nothing was noted but that they were begun.
            log.error("export %s: given up after %s tries", row.id, row.tries - 1)
            self._write(exports.end, row.id)
            self._tell_failure(row, clock)
            return
        try:
            for parcel in parcels(self._backends, row, self._alive(row)):
                self._write(exports.hold, row.id, HOLD_MS)
                self._send(row, parcel, clock)
                self._write(exports.sent, row.id, parcel.place + 1, parcel.cursor, HOLD_MS)
        except (Stale, CancelledError):
            raise
        except MemberUnreachable as why:
            log.warning("export %s: member %s cannot be reached: %s", row.id, row.member_id, why)
        except Exception as error:  # one of the four edges where anything is caught: an attempt
            if passes(error):
                raise
            log.exception("export %s: try %s failed", row.id, row.tries)
            if row.tries < MOST_TRIES:
                self._write(exports.later, row.id, 1000 * 2**row.tries)
                return
            self._tell_failure(row, clock)
        self._write(exports.end, row.id)

    def _alive(self, row: Export) -> Callable[[], None]:
        """A function to call between two pages: it keeps others away, and ends the try when the bot ends."""
        renewed = monotonic()

        def go_on() -> None:
            nonlocal renewed
            if self._stopping.is_set():
                raise CancelledError
            if monotonic() - renewed > RENEW_S:
                self._write(exports.hold, row.id, HOLD_MS)
                renewed = monotonic()

        return go_on

    def _send(self, row: Export, parcel: ExportArchive, clock: Clock) -> None:
        """Through the command's answer while its token lives, or else by direct message.

        Raises:
            MemberUnreachable
            DiscordFailure: it may succeed in a while.
        """
        following = parcel.next_after
        view = None if following is None else lambda: _next(following)
        outgoing = OutgoingMessage(parcel.content, row.member_id, parcel.upload, view)
        token = row.interaction_token
        if token is not None and clock.until(row.token_expires_at or 0) > HANDOVER_MS:
            try:
                self._answer(token, outgoing, first=parcel.place == 0)
            except DiscordFailure as failure:
                if failure.transient:
                    raise
            else:
                return
        try:
            nonce = f"x{row.id}-{parcel.place}"
            self._requests.wait(posting.post_directly(self._client, outgoing, nonce))
        except DiscordFailure as failure:
            if failure.transient:
                raise
            raise MemberUnreachable(str(failure)) from failure

    def _answer(self, token: str, outgoing: OutgoingMessage, *, first: bool) -> None:
        """The first archive takes the place of what was said at once: a change may be repeated."""
        if first:
            place = ProgressPlace(token)
            work = posting.edit(
                self._client, place, outgoing.content, view=outgoing.view, upload=outgoing.upload
            )
            self._requests.wait(work)
        else:
            self._requests.wait(posting.follow_up(self._client, token, outgoing, ephemeral=True))

    def _tell_failure(self, row: Export, clock: Clock) -> None:
        try:
            self._send(row, ExportArchive(row.sent, sentences.export_failed(row.id)), clock)
        except (MemberUnreachable, DiscordFailure) as error:
            log.warning("export %s: member %s was not told: %s", row.id, row.member_id, error)


def _next(after: int) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    view.add_item(button("yp", after, label=sentences.next_part()))
    return view
