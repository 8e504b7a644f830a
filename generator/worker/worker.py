"""A worker: it claims jobs while it has free slots, keeps its lease, and lets go of everything when told to.

Tickets and events only make it look sooner: it looks by itself every second, and what the database says
holds.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import FrameType

from sqlalchemy.exc import SQLAlchemyError

from generator.engine.device_thread import DeviceThread, EngineClosed
from generator.worker.attempt import Attempt
from generator.worker.models import Models
from generator.worker.progress import Pulse
from generator.worker.room import Room
from storage import attempts, jobs, workers
from storage.attempts import Blame, Claim
from storage.backends import Backends
from storage.broker import TicketListener
from storage.contract import CancelEvent, ChangedEvent, ErrorCode, Event, JobState
from storage.errors import Stale
from storage.events import Listener
from storage.supervision import supervised
from storage.tables import Job

log = logging.getLogger(__name__)

LEASE_MS = 15_000
_HEARTBEATS_PER_LEASE = 4
_LOOK_SECONDS = 1.0
_HANG_SECONDS = 300.0
_GRACE_SECONDS = 2.0


class Worker:
    """Runs up to `slots` jobs at a time with `models`.

    It may live in the bot's process (`start` and `stop`) or have its own (`run_forever`). `broken` is set
    when its device is lost to this process: it takes no more jobs, has left its own to others, and only a
    new process can help.
    """

    def __init__(
        self,
        backends: Backends,
        models: Models,
        *,
        slots: int | None = None,
        name: str | None = None,
        lease_ms: int = LEASE_MS,
        hang_seconds: float = _HANG_SECONDS,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self.broken = threading.Event()
        self._backends = backends
        self._models = models
        self._lease_ms = lease_ms
        self._hang_seconds = hang_seconds
        self._look_seconds = look_seconds
        self._free = threading.Semaphore(slots or backends.config.worker_slots)
        self._look = threading.Event()
        self._beat = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._claiming = threading.Lock()
        self._running: dict[Attempt, threading.Thread] = {}
        self._outcomes: Counter[JobState] = Counter()
        self._worker_id = 0
        self._catalog = backends.catalog
        self._told: tuple[Collection[str], Mapping[str, str]] = (), {}
        self._vanished: frozenset[str] = frozenset()
        self._given_up: frozenset[str] = frozenset()
        self._pulse = Pulse()
        self._hanging = False
        self._hung_at = 0.0
        self._reaper = workers.Reaper(lease_ms)
        self._room = Room(backends.images, self.name)
        self._threads: list[threading.Thread] = []
        self._tickets: TicketListener | None = None
        self._events: Listener | None = None

    @property
    def device_thread(self) -> DeviceThread:
        """Thread that draws, with the meter that counts it."""
        return self._models.device_thread

    @property
    def lacks(self) -> str | None:
        """Reason to take no more jobs, namely the thing that it has no room in; None while it takes them."""
        return self._room.lacks

    def outcomes(self) -> Mapping[JobState, int]:
        """Number of jobs that ended here, by what they became."""
        with self._lock:
            return {state: self._outcomes[state] for state in JobState if state.finished}

    def prepare(self, name: str) -> None:
        """Load a model, and what its pictures are checked with, before the first job waits for them.

        Raises:
            CatalogError: it cannot be loaded.
        """
        self._models.engine(name)
        self._models.safety(name)

    def start(self) -> None:
        """Register and begin; returns at once, whether the broker can be reached or not.

        Raises:
            SQLAlchemyError: the database cannot be reached.
        """
        self._register()
        self._tickets = self._backends.tickets.listen(self._look.set, name=f"easel@{self.name}")
        self._events = self._backends.events.listen(self._heard, self._reconnected)
        for target in (self._claim_jobs, self._keep_lease):
            thread = threading.Thread(target=target, name=f"worker {target.__name__[1:]}", daemon=True)
            self._threads.append(thread)
            thread.start()
        log.info("worker %s serves %s", self.name, ", ".join(sorted(self._models.names())))

    def stop(self) -> None:
        """Take no more jobs and hand back those that are running; done within seconds."""
        self._stopping.set()
        self._look.set()
        self._beat.set()
        self._free.release()
        for attempt in self._attempts():
            attempt.release()
        if self._tickets is not None:
            self._tickets.stop()
        if self._events is not None:
            self._events.stop()
        for thread in self._threads:
            thread.join()
        deadline = time.monotonic() + _GRACE_SECONDS
        for attempt, thread in self._attempts().items():
            attempt.release()
            thread.join(max(0.0, deadline - time.monotonic()))
        # A job that hung the device may not count as untried: its lease runs out, and that counts.
        if not self._hanging:
            self._requeue()

    def run_forever(self) -> int:
        """Work until SIGTERM or SIGINT; returns the exit status, which is 1 when the device was lost."""
        told = threading.Event()

        def tell(signum: int, _: FrameType | None) -> None:
            log.info("worker %s: %s, handing back", self.name, signal.Signals(signum).name)
            told.set()

        before = {number: signal.signal(number, tell) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self.start()
            while not told.wait(1.0) and not self.broken.is_set():
                pass
            self.stop()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return 1 if self.broken.is_set() else 0

    def _register(self) -> None:
        self._told = names, broken = self._models.names(), self._models.broken()
        with self._backends.database.writing() as session:
            self._worker_id = workers.register(session, self.name, names, self._lease_ms, broken=broken)

    def _claim_jobs(self) -> None:
        while True:
            self._free.acquire()
            if self._stopping.is_set():
                return
            self._look.clear()
            if not self._claim():
                self._free.release()
                self._look.wait(self._look_seconds)

    def _claim(self) -> bool:
        """Begin one more job; False when there is none for this worker now."""
        if self._hanging or self.broken.is_set() or not self._room.look():
            return False
        with supervised(self._cannot_claim):
            self._renew_models()
            return self._claim_one()
        return False

    def _renew_models(self) -> None:
        catalog = self._backends.catalog
        if catalog is not self._catalog:
            vanished = self._catalog.models.keys() - catalog.models.keys()
            self._vanished = (self._vanished | vanished) - catalog.models.keys()
            self._catalog = catalog
            self._models.renew(catalog)
            self._beat.set()

    def _claim_one(self) -> bool:
        try:
            with self._claiming:
                with self._backends.database.writing() as session:
                    serves = self._models.names() | self._given_up
                    claim = attempts.claim(session, self._worker_id, serves, self._models.loaded())
                    if self.broken.is_set():
                        # It may be the very job that found the device dead, waiting again.
                        session.rollback()
                        return False
                return claim is not None and self._begin(claim)
        except Stale:
            self._beat.set()
            return False

    def _cannot_claim(self, error: Exception) -> None:
        if isinstance(error, SQLAlchemyError):
            log.warning("worker %s cannot claim: %s", self.name, error)
        else:
            log.error("worker %s cannot claim", self.name, exc_info=error)

    def _begin(self, claim: Claim) -> bool:
        attempt = Attempt(self._backends, self._models, claim, self._pulse, self._room, self.broken)
        thread = threading.Thread(target=self._run, args=(attempt,), name=f"job {claim.job_id}", daemon=True)
        with self._lock:
            self._running[attempt] = thread
        try:
            thread.start()
        except RuntimeError as error:
            log.error("job %s goes back: %s", claim.job_id, error)  # the system is out of threads
            with self._lock:
                del self._running[attempt]
            self._room.had_no_memory()
            with self._backends.database.writing() as session:
                attempts.requeue(session, claim.job_id, claim.attempt)
            return False
        return True

    def _run(self, attempt: Attempt) -> None:
        try:
            with supervised(partial(self._ended_wrong, attempt.claim.job_id)):
                attempt.run()
        finally:
            with self._lock:
                del self._running[attempt]
                if attempt.outcome is not None:
                    self._outcomes[attempt.outcome] += 1
            self._free.release()
            self._look.set()

    def _ended_wrong(self, job_id: int, error: Exception) -> None:
        if isinstance(error, EngineClosed):
            log.critical("worker %s takes no more jobs: %s; start it again", self.name, error)
        else:
            log.error("job %s: its end could not be written", job_id, exc_info=error)

    def _attempts(self) -> dict[Attempt, threading.Thread]:
        with self._lock:
            return dict(self._running)

    def _keep_lease(self) -> None:
        while not self._stopping.is_set():
            with supervised(self._no_heartbeat):
                self._heartbeat()
            self._beat.wait(self._lease_ms / 1000 / _HEARTBEATS_PER_LEASE)
            self._beat.clear()

    def _no_heartbeat(self, error: Exception) -> None:
        if isinstance(error, SQLAlchemyError):
            log.warning("worker %s: no heartbeat: %s", self.name, error)
        else:
            log.error("worker %s: no heartbeat", self.name, exc_info=error)

    def _heartbeat(self) -> None:
        if self._device_hangs():
            return
        try:
            with self._backends.database.writing() as session:
                cancelled = workers.renew(session, self._worker_id, self._lease_ms, self.lacks)
        except Stale:
            log.warning("worker %s had lost its lease; its jobs are others' now", self.name)
            for attempt in self._attempts():
                attempt.release()
            self._register()
            return
        for attempt in self._attempts():
            if attempt.claim.job_id in cancelled:
                attempt.cancel()
        self._give_up_forgotten()
        self._announce()
        with self._backends.database.writing() as session:
            taken = [jobs.get(session, job_id) for job_id in self._reaper.sweep(session)]
        self._tell_of(taken)

    def _announce(self) -> None:
        """Tell which models are served, where that changed.

        Jobs for those that nobody serves are taken all the same: their members are told that they cannot be
        drawn, and what was mended is found out.
        """
        self._models.look_again()
        names, broken = self._models.names(), self._models.broken()
        lost = self._vanished | broken.keys()
        if (names, broken) != self._told:
            with self._backends.database.writing() as session:
                workers.announce(session, self._worker_id, names, broken)
            self._told = names, broken
        if lost or self._given_up:
            with self._backends.database.reading() as session:
                self._given_up = workers.unserved(session, self._worker_id, lost)

    def _device_hangs(self) -> bool:
        """True if jobs wait for a device that does nothing. Its lease is then left to run out, and its jobs
        fall to others; should it wake up, it finds itself fenced and begins anew.
        """
        waited = max((attempt.waiting_seconds for attempt in self._attempts()), default=0.0)
        hangs = min(waited, self._pulse.silent_seconds) > self._hang_seconds
        if hangs and not self._hanging:
            log.critical("worker %s: the device has done nothing for %.1f s", self.name, self._hang_seconds)
            self._hung_at = time.monotonic()
        elif self._hanging and not hangs:
            log.warning("worker %s: the device answers again", self.name)
            self.broken.clear()
        self._hanging = hangs
        if hangs and time.monotonic() - self._hung_at > 2 * self._lease_ms / 1000:
            self.broken.set()
        return hangs

    def _give_up_forgotten(self) -> None:
        """Fail what the database says runs here and does not: its claim's answer, or its end, was lost."""
        with self._claiming:
            with self._backends.database.reading() as session:
                mine = set(workers.running_jobs(session, self._worker_id))
            forgotten = mine - {(each.claim.job_id, each.claim.attempt) for each in self._attempts()}
        if self._stopping.is_set():
            # They are being let go of, to be handed back.
            return
        for job_id, attempt in forgotten:
            log.error("job %s: attempt %s was forgotten", job_id, attempt)
            with suppress(Stale), self._backends.database.writing() as session:
                attempts.fail(
                    session,
                    job_id,
                    attempt,
                    ErrorCode.CRASHED,
                    "its worker forgot it",
                    retry=True,
                    blame=Blame.WHO_RAN_ALONE,
                )

    def _heard(self, event: Event) -> None:
        if isinstance(event, CancelEvent) and event.job_id in {
            each.claim.job_id for each in self._attempts()
        }:
            self._beat.set()

    def _reconnected(self) -> None:
        self._look.set()
        self._beat.set()

    def _requeue(self) -> None:
        try:
            with self._backends.database.writing() as session:
                returned = [jobs.get(session, job_id) for job_id in workers.stop(session, self._worker_id)]
        except SQLAlchemyError as error:
            log.warning("worker %s could not hand back; its lease will run out: %s", self.name, error)
            return
        log.info("worker %s has stopped and handed back %s jobs", self.name, len(returned))
        self._tell_of(returned)

    def _tell_of(self, changed: Sequence[Job]) -> None:
        for job in changed:
            self._backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))
            self._backends.tickets.send()
