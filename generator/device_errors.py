"""Errors of a device: those that one job may raise for itself, and those that end it for everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from generator import devices

T = TypeVar("T")

OF_THE_DEVICE = (torch.OutOfMemoryError, torch.AcceleratorError)
"""Errors that say nothing of the files that were just being loaded."""


def outcome(work: Callable[[], T], device: torch.device | None = None) -> T | Exception:
    """Call work of one job's, or of a batch's; returns its error, which is the job's and nobody else's.

    One of the four edges where anything is caught: an attempt.

    Raises:
        torch.AcceleratorError: the device is lost.
    """
    try:
        return work()
    except Exception as error:  # noqa: BLE001  told to whoever waits for the job
        if device is not None:
            raise_if_lost(error, device)
        return error


def raise_if_lost(error: Exception, device: torch.device) -> None:
    """Return where `error` leaves the device usable.

    After an illegal access or a failed assertion in a kernel, a GPU raises the same at whatever this process
    asks of it, for whichever job. It is asked, for other errors have the same class, and those of its
    libraries another.

    Raises:
        torch.AcceleratorError: it is lost.
    """
    if devices.is_gpu(device):
        devices.synchronize(device)
    elif isinstance(error, torch.AcceleratorError):
        raise error
