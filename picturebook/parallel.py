"""Training in several processes of one thread each, which share their weights.

On a busy machine this is much quicker than one process of several threads, since nobody waits
for a thread that has lost its core within every single operation.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import spawn

WORKERS = 2
"""Processes that train together."""

PERIOD = 8
"""Steps between two exchanges of weights."""


def _work(rank: int, meeting: str, count: int, job: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=count)
    job(*arguments)
    distributed.destroy_process_group()


def run_together(job: Callable[..., None], *arguments: Any) -> None:
    """Run the job in all processes and wait for its end."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = str(Path(folder) / "meeting")
        spawn(_work, (meeting, WORKERS, job, arguments), nprocs=WORKERS)  # type: ignore[no-untyped-call]


def rank() -> int:
    """This process's number among those that train together; 0 for one alone."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def workers() -> int:
    """Number of processes that train together; 1 for one alone."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def share_weights(model: nn.Module, step: int) -> bool:
    """Every ``PERIOD`` steps give all processes the mean of their weights; tells whether it did.

    In between everyone learns alone (local SGD: Stich 2019), so that nobody waits at every step.
    """
    if (step + 1) % PERIOD:
        return False
    if workers() > 1:
        weights = [weight.data for weight in model.parameters()]
        flat = torch.cat([weight.reshape(-1) for weight in weights])
        distributed.all_reduce(flat)
        flat /= workers()
        for weight, part in zip(weights, torch.split(flat, [w.numel() for w in weights]), strict=True):
            weight.copy_(part.view_as(weight))
    return True
