"""Errors of a device: those that one job may raise for itself, and those that end it for everybody."""

from __future__ import annotations

import torch

OF_THE_DEVICE = (torch.OutOfMemoryError, torch.AcceleratorError)
"""Errors that say nothing of the files that were just being loaded."""


def raise_if_lost(error: Exception, device: torch.device) -> None:
    """Return where `error` leaves the device usable.

    After an illegal access or a failed assertion in a kernel, a GPU raises the same at whatever this process
    asks of it, for whichever job. It is asked, for other errors have the same class, and those of its
    libraries another.

    Raises:
        torch.AcceleratorError: it is lost.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif isinstance(error, torch.AcceleratorError):
        raise error
