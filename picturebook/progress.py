"""Progress bars over training steps, with checkpoints from which a run goes on."""

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from tqdm import tqdm

from picturebook.parallel import rank


class Stateful(Protocol):
    """Anything whose state can be stored and brought back."""

    def state_dict(self) -> dict[str, Any]:
        """The state."""

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Bring the state back."""


class TrainingProgress:
    """Iterates over the steps that are left, shows them, and keeps a checkpoint every two minutes."""

    def __init__(self, name: str, folder: Path, steps: int, parts: Mapping[str, Stateful]) -> None:
        """Bring back the parts' state where ``folder`` holds a checkpoint."""
        self.step = 0
        self.steps = steps
        self._parts = parts
        self._file = folder / "checkpoint.pt"
        self._average: dict[str, float] = {}
        self._saved = time.monotonic()
        self._name = name
        folder.mkdir(parents=True, exist_ok=True)
        if self._file.exists():
            stored = torch.load(self._file, weights_only=True)
            self.step = stored["step"]
            for key, part in parts.items():
                part.load_state_dict(stored[key])

    def __iter__(self) -> Iterator[int]:
        """Count the steps that are left, from the checkpoint on."""
        bar = tqdm(total=self.steps, initial=self.step, desc=self._name, mininterval=5, disable=rank() > 0)
        while self.step < self.steps:
            yield self.step
            self.step += 1
            bar.update()
            if self.step % 20 == 0:
                bar.set_postfix({key: f"{value:.4f}" for key, value in self._average.items()}, refresh=False)
            if time.monotonic() - self._saved > 120:
                self.save()
        self.save()
        bar.close()

    def show(self, **values: float) -> None:
        """Show running averages beside the bar."""
        for key, value in values.items():
            self._average[key] = 0.98 * self._average.get(key, value) + 0.02 * value

    def save(self) -> None:
        """Write the checkpoint, whole or not at all. Only the first of several processes does."""
        self._saved = time.monotonic()
        if rank() > 0:
            return
        stored = {key: part.state_dict() for key, part in self._parts.items()}
        partial = self._file.with_suffix(".partial")
        torch.save({"step": self.step, **stored}, partial)
        partial.replace(self._file)


def set_rate(optimiser: torch.optim.Optimizer, step: int, steps: int, peak: float, warm: int = 100) -> None:
    """A learning rate that rises for ``warm`` steps and then falls along a cosine to a fiftieth.

    A group of weights may have a ``share`` of it.
    """
    share = min(1.0, step / max(1, steps))
    fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share))
    for group in optimiser.param_groups:
        group["lr"] = group.get("share", 1.0) * peak * min(1.0, (step + 1) / warm) * fall
