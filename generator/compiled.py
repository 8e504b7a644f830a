"""A network's calls on a card: of a few batch sizes, compiled beside the ticks, replayed as CUDA graphs.

A call is filled up to the next power of two of rows: so there are few shapes, and a row's numbers are the
same whoever shares its call. What is called again and again is compiled on a thread of its own, once for all
numbers of rows, and recorded for each that comes. Until that is done, and for good where it fails, its calls
are ordinary ones: nobody waits for a compiler.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)

WORTH_COMPILING = 30
"""Calls that differ in nothing but their rows, after which they are compiled: about one job's."""

Inputs = tuple[Any, ...]
"""What one call is given, tensors and dictionaries of tensors; the first dimension of each is rows."""

Call = Callable[..., Tensor]
"""Inputs, one by one, to what a network makes of them, which has their rows."""

Shape = tuple[tuple[str, tuple[int, ...]], ...]


def bucket(rows: int) -> int:
    """How many rows a call of so many is filled up to."""
    return 1 << (rows - 1).bit_length()


def _named(inputs: Inputs) -> Iterator[tuple[str, Tensor]]:
    for place, value in enumerate(inputs):
        if isinstance(value, Tensor):
            yield str(place), value
        else:
            yield from sorted(value.items())


def _each(function: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    return tuple(
        function(value)
        if isinstance(value, Tensor)
        else {name: function(each) for name, each in value.items()}
        for value in inputs
    )


def _filled(rows: int, value: Tensor) -> Tensor:
    missing = rows - len(value)
    if missing <= 0:
        return value
    return torch.cat([value, value[-1:].expand(missing, *value.shape[1:])])


def _form(shape: Shape) -> Shape:
    """The shape without its rows; a single row is compiled by itself, as `torch.compile` wants it."""
    (_, (rows, *_)), *_ = shape
    return tuple((name, (min(rows, 2), *sizes)) for name, (_, *sizes) in shape)


_ONE_AT_A_TIME = threading.Lock()

Compile = Callable[[Inputs], Call]
"""Makes a quicker call for inputs of this shape; called on the compiler's thread."""


class CompiledCall:
    """Calls in buckets. Only the device's thread calls it."""

    def __init__(self, eager: Call, compile_: Compile) -> None:
        self._eager = eager
        self._compile = compile_
        self._calls: Counter[Shape] = Counter()
        self._begun: set[Shape] = set()
        self._ended: set[Shape] = set()
        self._compiled: dict[Shape, Call] = {}

    @property
    def begun(self) -> bool:
        """Whether anything came often enough to be compiled."""
        return bool(self._begun)

    @property
    def settled(self) -> bool:
        """Whether something did, and the compiler is through with all of it."""
        return self.begun and self._begun == self._ended

    def __call__(self, *inputs: Any) -> Tensor:
        _, first = next(_named(inputs))
        filled = _each(partial(_filled, bucket(len(first))), inputs)
        return self._best(filled)(*filled)[: len(first)]

    def _best(self, inputs: Inputs) -> Call:
        shape = tuple((name, tuple(value.shape)) for name, value in _named(inputs))
        compiled = self._compiled.get(shape)
        if compiled is not None:
            return compiled
        form = _form(shape)
        self._calls[form] += 1
        if self._calls[form] >= WORTH_COMPILING and shape not in self._begun:
            self._begun.add(shape)
            example = _each(Tensor.clone, inputs)
            # A daemon, so that nobody waits for a compiler at the end either.
            threading.Thread(target=self._improve, args=(shape, example), daemon=True).start()
        return self._eager

    def _improve(self, shape: Shape, example: Inputs) -> None:
        (_, (rows, *_)), *_ = shape
        try:
            with _ONE_AT_A_TIME:
                self._compiled[shape] = self._compile(example)
        except Exception:
            if threading.main_thread().is_alive():  # at the end the compiler's processes are gone before it
                log.warning("%d rows a call stay uncompiled", rows, exc_info=True)
        else:
            log.info("%d rows a call are compiled", rows)
        finally:
            self._ended.add(shape)


def keep_in(folder: Path) -> None:
    """Where `torch.compile` keeps what it made, for the next start; a folder that the operator set stays."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))


@functools.cache
def _pool() -> Any:
    """The memory that all graphs share: only one runs at a time, and its output is copied out at once."""
    return torch.cuda.graph_pool_handle()


def trace_before_anybody_draws() -> None:
    """Let the compiler do once what no other thread may meet.

    It traces one function by `torch.fx`, and for that moment every module's call, on any thread, is taken for
    a part of that function: a job's UNet call would fail.
    """
    from torch._inductor.loop_body import InterpreterShim  # which takes a second, and a CPU needs none of it

    InterpreterShim._dummy_gm()  # noqa: SLF001  cached; nothing public reaches it


def mark_rows(inputs: Inputs) -> None:
    """Tell `torch.compile` that their first dimension will be others, too."""
    for _, value in _named(inputs):
        torch._dynamo.maybe_mark_dynamic(value, 0)  # noqa: SLF001  documented


class GraphCompiler:
    """Compiles for a card: `torch.compile` on this thread, then a CUDA graph recorded on the device's own."""

    def __init__(self, call: Call, on_device: Callable[[Callable[[], Graph]], Graph]) -> None:
        trace_before_anybody_draws()
        self._compiled = torch.compile(call, dynamic=False)
        self._on_device = on_device
        # Every form of every model is a version of the same code.
        torch._dynamo.config.recompile_limit = 256  # noqa: SLF001  it has no other name

    def __call__(self, inputs: Inputs) -> Call:
        mark_rows(inputs)
        device = next(_named(inputs))[1].device
        beside = torch.cuda.Stream(device)
        with torch.inference_mode(), torch.cuda.stream(beside):
            beside.wait_stream(torch.cuda.default_stream(device))
            for _ in range(2):
                self._compiled(*inputs)
            beside.synchronize()
        return self._on_device(lambda: Graph(self._compiled, inputs))


class Graph:
    """A call recorded once, with inputs and output in places of their own."""

    def __init__(self, call: Call, inputs: Inputs) -> None:
        self._places = [place for _, place in _named(inputs)]
        self._inputs = inputs
        self._graph = torch.cuda.CUDAGraph()
        # Other threads go on loading models meanwhile.
        with torch.cuda.graph(self._graph, pool=_pool(), capture_error_mode="thread_local"):
            self._output = call(*inputs)

    def __call__(self, *inputs: Any) -> Tensor:
        for place, (_, given) in zip(self._places, _named(inputs), strict=True):
            place.copy_(given)
        self._graph.replay()
        return self._output.clone()
