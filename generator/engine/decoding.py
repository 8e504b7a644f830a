"""From finished latents to pixels: a few pictures a call, whoever's they are, so that a tick is soon back."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from generator import devices
from generator.device_errors import outcome
from generator.engine.running_job import RunningJob
from generator.memory.plan import CPU_PIXELS, GPU_PIXELS

log = logging.getLogger(__name__)


class Decoded(NamedTuple):
    """A job with all its pictures: (n, 3, height, width) in −1…1."""

    rows: RunningJob
    pixels: Tensor


class _QueuedImage(NamedTuple):
    rows: RunningJob
    number: int

    @property
    def latents(self) -> Tensor:
        return self.rows.latents[self.number, None]


class DecodeQueue:
    """Pictures of finished jobs in the order in which these ended. Only the device's thread touches it.

    The pictures in a call are one, two, four, …: of few sizes, so that its numbers are the same whoever else
    is in it.
    """

    def __init__(self, device: torch.device) -> None:
        self._most_pixels = GPU_PIXELS if devices.is_gpu(device) else CPU_PIXELS
        self._waiting: deque[_QueuedImage] = deque()
        self._done: dict[RunningJob, list[Tensor]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, rows: RunningJob) -> None:
        """Take a job whose rows are finished."""
        self._done[rows] = []
        self._waiting.extend(_QueuedImage(rows, number) for number in range(rows.count))

    def step(self) -> list[Decoded]:
        """One call of an autoencoder. Returns the jobs that have all their pictures now.

        A job whose pictures cannot be decoded leaves with its error.

        Raises:
            torch.AcceleratorError: the device is lost, to all jobs.
        """
        self._drop_cancelled()
        images = self._next()
        for image in images:
            self._waiting.remove(image)
        for image, decoded in zip(images, self._decoded(images), strict=True):
            if image.rows not in self._done:
                continue  # another picture of this job failed before
            if isinstance(decoded, Exception):
                self._forget(image.rows)
                image.rows.job.fail(decoded)
            else:
                self._done[image.rows].append(decoded)
        whole = [rows for rows, done in self._done.items() if len(done) == rows.count]
        return [Decoded(rows, torch.cat(self._done.pop(rows))) for rows in whole]

    def _drop_cancelled(self) -> None:
        for rows in [rows for rows in self._done if rows.job.future.cancelled()]:
            self._forget(rows)
            rows.job.drop()

    def _forget(self, rows: RunningJob) -> None:
        del self._done[rows]
        self._waiting = deque(image for image in self._waiting if image.rows is not rows)

    def _next(self) -> list[_QueuedImage]:
        """The longest waiting pictures of one model and size, as many as a call takes."""
        if not self._waiting:
            return []
        family, latents = self._waiting[0].rows.family, self._waiting[0].latents
        alike = [
            image
            for image in self._waiting
            if image.rows.family is family and image.latents.shape == latents.shape
        ]
        pixels = latents.shape[-2] * latents.shape[-1] * family.latent_scale**2
        most = 1 if family.plan.one_at_a_time else max(1, self._most_pixels // pixels)
        return alike[: _power_of_two(min(most, len(alike)))]

    def _decoded(self, images: Sequence[_QueuedImage]) -> list[Tensor | Exception]:
        """(1, 3, height, width) or what went wrong for each; what fails together is tried in halves."""
        if not images:
            return []
        family = images[0].rows.family
        found = outcome(lambda: family.decode(torch.cat([each.latents for each in images])), family.device)
        if not isinstance(found, Exception):
            return list(torch.split(found, 1))
        if len(images) == 1:
            return [found]
        log.warning("%d pictures are not decoded together: %s", len(images), type(found).__name__)
        if isinstance(found, torch.OutOfMemoryError):
            self._most_pixels //= 2
        del found  # and with it what the failed call held of the device's memory
        devices.release_unused(family.device)
        half = len(images) // 2
        return [*self._decoded(images[:half]), *self._decoded(images[half:])]


def _power_of_two(most: int) -> int:
    """The largest that is not above `most`, which is at least 1."""
    return 1 << (most.bit_length() - 1)
