"""A batch group: the jobs that can share a call of their model, and the call itself."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from generator import devices
from generator.device_errors import outcome
from generator.engine.clock import DeviceClock
from generator.engine.host_copies import unwaited
from generator.engine.meter import Meter
from generator.engine.running_job import RunningJob
from generator.families.base import Conditions, Family
from generator.memory.plan import quick_rows

log = logging.getLogger(__name__)

RECOVERY_CALLS = 20
"""Calls that have to go well after a shortage of memory before a larger one is tried."""

PATIENCE = 8
"""Ticks that a job has to wait to count as one call nearer to its end."""


def rows_per_call(family: Family, latent_pixels: int) -> int:
    """Number of rows of this size that one call takes: what is quick, but no more than memory is for."""
    quick = quick_rows(latent_pixels, family.gpu_latents if devices.is_gpu(family.device) else None)
    most = family.plan.call_latents
    return quick if most is None else max(1, min(quick, most // latent_pixels))


def _distance(rows: RunningJob) -> float:
    if rows.calls_done == 0:
        return -math.inf
    return rows.calls_left - rows.ticks_waited / PATIENCE


class BatchGroup:
    """Jobs of one model and one size. Only the device's thread touches it."""

    def __init__(
        self, family: Family, latent_pixels: int, spent: float, clock: DeviceClock, meter: Meter
    ) -> None:
        self.family = family
        self._clock = clock
        self._meter = meter
        # About what a row takes of the device, which is shared by models of very different sizes.
        self._row_work = family.work_per_row(latent_pixels)
        self._jobs: list[RunningJob] = []
        self._most_rows = rows_per_call(family, latent_pixels)
        self.rows_per_call = self._most_rows
        self._good_calls = 0
        self.spent = spent
        """Work done so far: the group that spent least has the next tick."""

    def __len__(self) -> int:
        return len(self._jobs)

    def join(self, rows: RunningJob) -> None:
        self._jobs.append(rows)

    def drop_cancelled(self) -> None:
        for rows in [rows for rows in self._jobs if rows.job.future.cancelled()]:
            self._jobs.remove(rows)
            rows.job.drop()

    def tick(self) -> list[RunningJob]:
        """One call for as many jobs as fit. Returns who advanced; whose next call is another model's leaves.

        A job whose part fails leaves with its error; the others go on as if it had never been there.

        Raises:
            torch.AcceleratorError: the device is lost, to all of them.
        """
        batch = self._next_batch()
        advanced = []
        for rows, output in zip(batch, self._outputs(batch), strict=True):
            error = output if isinstance(output, Exception) else self._advance(rows, output)
            if error is not None:
                log.warning("a job failed in its batch: %s", type(error).__name__)
                rows.job.fail(error)
                self._jobs.remove(rows)
                continue
            advanced.append(rows)
            if rows.finished or rows.family is not self.family:
                self._jobs.remove(rows)
        self.spent += self._row_work * sum(rows.batch_rows for rows in batch)
        return advanced

    def _next_batch(self) -> list[RunningJob]:
        """Jobs of the next tick: newcomers first, then those that are nearest to their end.

        So a short job is not held up by long ones, and fewer pictures are under way at a time. A job that
        waits comes slowly nearer all the same: it is never put off for ever.
        """
        batch: list[RunningJob] = []
        space = self.rows_per_call
        for rows in sorted(self._jobs, key=_distance):
            if not batch or rows.batch_rows <= space:
                batch.append(rows)
                space -= rows.batch_rows
            else:
                rows.ticks_waited += 1
        return batch

    def _outputs(self, batch: Sequence[RunningJob]) -> list[Tensor | Exception]:
        found = outcome(lambda: list(self._predict(batch)), self.family.device)
        if not isinstance(found, Exception):
            return [*found]
        if len(batch) == 1:
            return [found]
        del found  # and with it what the failed call held of the device's memory
        return [output for rows in batch for output in self._outputs([rows])]

    def _advance(self, rows: RunningJob, output: Tensor) -> Exception | None:
        return outcome(lambda: rows.advance(output), self.family.device)

    def _predict(self, batch: Sequence[RunningJob]) -> Sequence[Tensor]:
        inputs = [rows.model_input() for rows in batch]
        latents = torch.cat([latents for latents, _ in inputs])
        times = [time for latents, time in inputs for _ in range(len(latents))]
        with unwaited(self.family.device):
            timesteps = torch.tensor(times).to(self.family.device)
        conditions = self.family.joined([rows.conditions for rows in batch])
        while True:
            step = self.rows_per_call
            try:
                output = self._called_in_pieces(step, latents, timesteps, conditions)
            except torch.OutOfMemoryError:
                output = None  # the next try begins outside, where what this one held is gone
            if output is not None:
                self._recover()
                return torch.split(output, [rows.batch_rows for rows in batch])
            self._shrink(min(step, len(latents)))

    def _called_in_pieces(
        self, step: int, latents: Tensor, timesteps: Tensor, conditions: Conditions
    ) -> Tensor:
        """Call the network for so many rows at a time."""
        pieces = [slice(begin, begin + step) for begin in range(0, len(latents), step)]
        outputs = [
            self._called(
                latents[piece], timesteps[piece], {name: value[piece] for name, value in conditions.items()}
            )
            for piece in pieces
        ]
        return torch.cat(outputs)

    def _called(self, latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        with self._clock.timed(partial(self._meter.called, len(latents))):
            return self.family.predict(latents, timesteps, conditions)

    def _shrink(self, rows: int) -> None:
        """Halve the call after the device had no memory for so many rows; one row is the last try."""
        if rows == 1:
            raise torch.OutOfMemoryError("one row of this size does not fit into the device's memory")
        self.rows_per_call = rows // 2
        self._good_calls = 0
        log.warning("out of memory with %d rows a call; %d from now on", rows, self.rows_per_call)
        devices.release_unused(self.family.device)

    def _recover(self) -> None:
        """Try larger calls again after a while: whatever took the memory may be gone."""
        self._good_calls += 1
        if self.rows_per_call < self._most_rows and self._good_calls % RECOVERY_CALLS == 0:
            self.rows_per_call = min(2 * self.rows_per_call, self._most_rows)
