"""The thread that owns one device: jobs join its batch groups and leave them between ticks."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from generator import devices
from generator.compiling import attention
from generator.device_errors import outcome
from generator.engine.batch_group import BatchGroup
from generator.engine.clock import Tell, clock_of
from generator.engine.decoding import DecodeQueue
from generator.engine.meter import Meter
from generator.engine.running_job import DrawRequest, RunningJob
from generator.engine.trace import TRACED_TICKS, Trace
from storage.supervision import logged, supervised

log = logging.getLogger(__name__)

T = TypeVar("T")


class EngineClosed(RuntimeError):
    """The engine was closed, or its thread died of an error that is in the log."""


class _Call(NamedTuple):
    """`refuse` does nothing where `run` has told the end already."""

    run: Callable[[], None]
    refuse: Callable[[BaseException], object]
    tell: Tell


class DeviceThread:
    """Ticks the groups in turn; between two it runs short calls (a prompt, a tile) and decodes pictures.

    While any job is running these get about as much time as ticks, so neither starves the other. What needs
    no device (finished pictures, progress callbacks) happens on a second thread beside the ticks.
    """

    def __init__(self, device: torch.device) -> None:
        attention.trust(device)
        self.meter = Meter(device)
        self._device = device
        self._clock = clock_of(device)
        self._trace: Trace | None = None
        self._calls: deque[_Call] = deque()
        self._decoder = DecodeQueue(device)
        self._arrived: list[RunningJob] = []
        self._groups: dict[Hashable, BatchGroup] = {}
        self._jobs: set[DrawRequest] = set()
        self._tick_seconds = self._between_seconds = 0.0
        self._closed: BaseException | None = None
        self._wake = threading.Condition()
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="easel-beside")
        self._thread = threading.Thread(target=self._run, name="easel-device", daemon=True)
        self._thread.start()

    def admit(self, rows: RunningJob) -> None:
        """Let a job join its group at the next tick."""
        job = rows.job
        self._jobs.add(job)
        job.future.add_done_callback(lambda _: self._jobs.discard(job))
        self._arrived.append(rows)
        self._post(partial(self._start, rows), job.fail)

    def call(self, function: Callable[[], T], tell: Tell = lambda _: None) -> T:
        """Run a short function on the device's thread, between two ticks, and wait for what it returns.

        `tell` hears the seconds that it took of the device, on a GPU a little later.

        Raises:
            EngineClosed: there is no such thread any more.
        """
        if threading.current_thread() is self._thread:
            return function()
        future: Future[T] = Future()

        def run() -> None:
            found = outcome(function, self._device)
            if isinstance(found, Exception):
                future.set_exception(found)
            else:
                future.set_result(found)

        def refuse(error: BaseException) -> None:
            if not future.done():
                future.set_exception(error)

        self._post(run, refuse, tell)
        return future.result()

    def trace(self, file: Path, ticks: int = TRACED_TICKS) -> None:
        """Profile so many ticks, once there are any, into a Chrome trace: `.json` or `.json.gz`."""
        self._trace = Trace(self._device, file, ticks)

    def close(self) -> None:
        """Stop after the tick in progress; jobs that have not finished are cancelled."""
        with self._wake:
            self._closed = self._closed or EngineClosed("the engine is closed")
            self._wake.notify()
        self._thread.join()
        self._beside.shutdown()

    def _post(
        self, run: Callable[[], None], refuse: Callable[[BaseException], object], tell: Tell = lambda _: None
    ) -> None:
        with self._wake:
            closed = self._closed
            if closed is None:
                self._calls.append(_Call(run, refuse, tell))
                self._wake.notify()
        if closed is not None:
            refuse(closed)

    @torch.inference_mode()
    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # one of the four edges where anything is caught: supervised work
            log.exception("the device's thread died")
            with self._wake:
                self._closed = EngineClosed(f"the device's thread died: {error}")
        self._abandon()

    def _work(self) -> None:
        devices.claim(self._device)  # graphs are recorded on a thread's own
        while self._wait_for_work():
            begin = time.perf_counter()
            self._between_seconds = 0.0
            self._between_ticks(self._calls, self._run_call)
            self._between_ticks(self._decoder, self._decode)
            self._tick()
            self.meter.worked(time.perf_counter() - begin)

    def _wait_for_work(self) -> bool:
        with self._wake:
            self._wake.wait_for(lambda: self._closed or self._calls or self._decoder or self._groups)
            return self._closed is None

    def _between_ticks(self, waiting: Sized, step: Callable[[], None]) -> None:
        """One step, if any is `waiting`, and while jobs run as many as a tick's time is enough for."""
        while len(waiting) and self._closed is None:
            with self._clock.timed(self._stepped):
                step()
            if self._groups and not len(waiting):
                break  # the tick that follows keeps pace: a newcomer is not to wait for two
            self._clock.keep_pace()
            if not self._groups or self._between_seconds >= self._tick_seconds:
                break

    def _stepped(self, seconds: float) -> None:
        self._between_seconds += seconds

    def _run_call(self) -> None:
        # Taken away only when it is through: should the thread die of it, it is still there to be refused.
        call = self._calls[0]
        with self._clock.timed(call.tell):
            call.run()
        self._calls.popleft()

    def _decode(self) -> None:
        for rows, pixels in self._decoder.step():
            self._beside.submit(self._finish, rows, pixels)

    def _tick(self) -> None:
        for group in self._groups.values():
            group.drop_cancelled()
        self._forget_empty_groups()
        advanced: list[RunningJob] = []
        if self._groups:
            group = min(self._groups.values(), key=lambda group: group.spent)
            with self._clock.timed(self._ticked):
                advanced = group.tick()
            self._clock.keep_pace()
            self._forget_empty_groups()
            for rows in advanced:
                if not rows.finished and rows.family is not group.family:
                    self._join(rows)
            self._trace_tick()
        self._count_jobs(advanced)
        for rows in advanced:
            self._beside.submit(rows.job.report, rows.progress())
            if rows.finished:
                self._decoder.add(rows)

    def _ticked(self, seconds: float) -> None:
        self._tick_seconds = seconds
        self.meter.ticked(seconds)

    def _count_jobs(self, advanced: list[RunningJob]) -> None:
        running = sum(not rows.finished for rows in advanced)
        self.meter.holds(running, sum(map(len, self._groups.values())) - running)

    def _trace_tick(self) -> None:
        if self._trace is not None and not self._trace.tick():
            self._trace = None

    def _forget_empty_groups(self) -> None:
        self._groups = {key: group for key, group in self._groups.items() if len(group)}

    def _start(self, rows: RunningJob) -> None:
        self._arrived.remove(rows)
        if rows.job.future.cancelled():
            rows.job.drop()
            return
        prompts = rows.family.prompts
        later = [text for other in self._arrived if other.family.prompts is prompts for text in other.texts]

        def start() -> None:
            prompts.prepare(rows.texts, later)
            rows.start()

        error = outcome(start, self._device)
        if error is not None:
            rows.job.fail(error)
            return
        self._join(rows)

    def _join(self, rows: RunningJob) -> None:
        key = rows.group
        if key not in self._groups:
            # A newcomer starts from the others' least: it neither waits for them nor makes them wait.
            spent = min((group.spent for group in self._groups.values()), default=0.0)
            self._groups[key] = BatchGroup(
                rows.family, math.prod(rows.shape[1:]), spent, self._clock, self.meter
            )
        self._groups[key].join(rows)

    @staticmethod
    def _finish(rows: RunningJob, pixels: Tensor) -> None:
        def finish() -> None:
            if not pixels.isfinite().all():
                raise ArithmeticError("the model's numbers overflowed; the picture would be black")
            rows.job.succeed(rows.family.images(pixels))

        error = outcome(finish)
        if error is not None:
            rows.job.fail(error)

    def _abandon(self) -> None:
        """Nobody waits for ever for a thread that has ended, whatever becomes of the others who wait."""
        closed = self._closed or EngineClosed("the engine is closed")
        ends: list[Callable[[], object]] = [partial(call.refuse, closed) for call in self._calls]
        ends += [job.drop for job in self._jobs.copy()]
        if self._trace is not None:
            ends.append(self._trace.end)
        self._calls.clear()
        for end in ends:
            with supervised(logged(log, "the device's thread could not tell its end")):
                end()
