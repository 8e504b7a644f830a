"""The UNet's calls on a card: of a few batch sizes, compiled beside the ticks, replayed as CUDA graphs.

A call is filled up to the next of `BUCKETS`: so there are few shapes, and a row's numbers are the same
whoever shares its bucket. A shape that is called again and again is compiled on a thread of its own. Until
that is done, and for good where it fails, its calls are ordinary ones: nobody waits for a compiler.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from generator.families.sd import Conditions, UNetCall

log = logging.getLogger(__name__)

BUCKETS = (1, 2, 4, 8, 16, 32)
WORTH_COMPILING = 30
"""Calls of one shape after which it is compiled: about one job's."""

Shape = tuple[tuple[str, tuple[int, ...]], ...]


class Inputs(NamedTuple):
    """What one UNet call is given; the first dimension of everything is rows."""

    latents: Tensor
    timesteps: Tensor
    conditions: Conditions

    @property
    def named(self) -> dict[str, Tensor]:
        return {"latents": self.latents, "timesteps": self.timesteps, **self.conditions}

    @property
    def shape(self) -> Shape:
        return tuple((name, tuple(value.shape)) for name, value in self.named.items())

    def filled(self, rows: int) -> Inputs:
        """With the last row repeated until there are `rows`."""
        conditions = {name: _filled(value, rows) for name, value in self.conditions.items()}
        return Inputs(_filled(self.latents, rows), _filled(self.timesteps, rows), conditions)

    def copy(self) -> Inputs:
        conditions = {name: value.clone() for name, value in self.conditions.items()}
        return Inputs(self.latents.clone(), self.timesteps.clone(), conditions)


def _filled(value: Tensor, rows: int) -> Tensor:
    missing = rows - len(value)
    if missing <= 0:
        return value
    return torch.cat([value, value[-1:].expand(missing, *value.shape[1:])])


_ONE_AT_A_TIME = threading.Lock()

Compile = Callable[[UNetCall, Inputs], UNetCall]
"""Makes a quicker call of this one for inputs of this shape; called on the compiler's thread."""


class CompiledNetwork:
    """A UNet call in buckets. Only the device's thread calls it."""

    def __init__(self, eager: UNetCall, compile_: Compile) -> None:
        self._eager = eager
        self._compile = compile_
        self._calls: Counter[Shape] = Counter()
        self._compiled: dict[Shape, UNetCall] = {}

    def __call__(self, latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        rows = len(latents)
        bucket = next((size for size in BUCKETS if size >= rows), rows)
        inputs = Inputs(latents, timesteps, conditions).filled(bucket)
        return self._best(inputs)(*inputs)[:rows]

    def _best(self, inputs: Inputs) -> UNetCall:
        shape = inputs.shape
        compiled = self._compiled.get(shape)
        if compiled is not None:
            return compiled
        self._calls[shape] += 1
        if self._calls[shape] == WORTH_COMPILING:
            # A daemon, so that nobody waits for a compiler at the end either.
            threading.Thread(target=self._improve, args=(inputs.copy(),), daemon=True).start()
        return self._eager

    def _improve(self, inputs: Inputs) -> None:
        rows = len(inputs.latents)
        try:
            with _ONE_AT_A_TIME:
                self._compiled[inputs.shape] = self._compile(self._eager, inputs)
        except Exception:
            log.warning("%d rows a call stay uncompiled", rows, exc_info=True)
        else:
            log.info("%d rows a call are compiled", rows)


def keep_in(folder: Path) -> None:
    """Where `torch.compile` keeps what it made, for the next start; a folder that the operator set stays."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))


class GraphCompiler:
    """Compiles for a card: `torch.compile` on this thread, then a CUDA graph recorded on the device's own."""

    def __init__(self, on_device: Callable[[Callable[[], Graph]], Graph]) -> None:
        self._on_device = on_device
        self._pool = torch.cuda.graph_pool_handle()
        # Every bucket of every size is a version of the same code.
        torch._dynamo.config.recompile_limit = 256  # noqa: SLF001  it has no other name

    def __call__(self, call: UNetCall, inputs: Inputs) -> UNetCall:
        compiled = torch.compile(call, dynamic=False, mode="max-autotune-no-cudagraphs")
        beside = torch.cuda.Stream(inputs.latents.device)
        with torch.inference_mode(), torch.cuda.stream(beside):
            beside.wait_stream(torch.cuda.default_stream(inputs.latents.device))
            for _ in range(3):
                compiled(*inputs)
            beside.synchronize()
        return self._on_device(lambda: Graph(compiled, inputs, self._pool))


class Graph:
    """A UNet call recorded once, with inputs and output in places of their own; graphs share their memory."""

    def __init__(self, call: UNetCall, inputs: Inputs, pool: Any) -> None:
        self._inputs = inputs
        self._graph = torch.cuda.CUDAGraph()
        # Other threads go on loading models meanwhile.
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            self._output = call(*inputs)

    def __call__(self, latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        given = Inputs(latents, timesteps, conditions).named
        for name, place in self._inputs.named.items():
            place.copy_(given[name])
        self._graph.replay()
        return self._output.clone()
