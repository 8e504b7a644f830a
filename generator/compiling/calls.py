"""A network's calls on a GPU: of a few batch sizes, compiled beside the ticks, replayed as CUDA graphs.

A call is filled up to the next power of two of rows: so there are few shapes, and a row's numbers are the
same whoever shares its call. What is called again and again is compiled (`compiler.py`), once for many
numbers of rows, and recorded for each that comes. Until that is done, and for good where it fails, its calls
are ordinary ones: nobody waits for a compiler.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from storage.supervision import supervised

log = logging.getLogger(__name__)

MOST_DIFFERENCE = 0.03
"""Of a compiled call from the network's own, in half precision: a few thousandths were seen."""

WORTH_COMPILING = 30
"""Calls that differ in nothing but their rows, after which they are compiled: about one job's."""

Inputs = tuple[Any, ...]
"""Inputs of one call, tensors and dictionaries of tensors; the first dimension of each is rows."""

Call = Callable[..., Tensor]
"""Inputs, one by one, to what a network makes of them, which has their rows."""

Shape = tuple[tuple[str, tuple[int, ...]], ...]


def bucket(rows: int) -> int:
    """Number of rows to which a call of so many is filled up."""
    return 1 << (rows - 1).bit_length()


def named(inputs: Inputs) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of them, and its name or place."""
    for place, value in enumerate(inputs):
        if isinstance(value, Tensor):
            yield str(place), value
        else:
            yield from sorted(value.items())


def each(function: Callable[[Tensor], Any], inputs: Inputs) -> Inputs:
    """The same with every tensor changed, dictionaries by the order of their names."""
    return tuple(
        function(value)
        if isinstance(value, Tensor)
        else {name: function(tensor) for name, tensor in sorted(value.items())}
        for value in inputs
    )


def _filled(rows: int, value: Tensor) -> Tensor:
    missing = rows - len(value)
    if missing <= 0:
        return value
    return torch.cat([value, value[-1:].expand(missing, *value.shape[1:])])


def _form(shape: Shape) -> Shape:
    """The shape without its rows; a single row is compiled by itself, as torch's compiler wants it."""
    (_, (rows, *_)), *_ = shape
    return tuple((name, (min(rows, 2), *sizes)) for name, (_, *sizes) in shape)


_ONE_AT_A_TIME = threading.Lock()
"""Two compilers would take more of the processors than is left to take."""

Compile = Callable[[Inputs], Call]
"""Makes a quicker call for inputs of this shape; called on a thread of its own, which may wait."""


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
        """True once anything came often enough to be compiled."""
        return bool(self._begun)

    @property
    def settled(self) -> bool:
        """True once something did, and the compiler is through with all of it."""
        return self.begun and self._begun == self._ended

    def __call__(self, *inputs: Any) -> Tensor:
        _, first = next(named(inputs))
        filled = each(partial(_filled, bucket(len(first))), inputs)
        return self._best(filled)(*filled)[: len(first)]

    def _best(self, inputs: Inputs) -> Call:
        shape = tuple((name, tuple(value.shape)) for name, value in named(inputs))
        compiled = self._compiled.get(shape)
        if compiled is not None:
            return compiled
        form = _form(shape)
        self._calls[form] += 1
        if self._calls[form] >= WORTH_COMPILING and shape not in self._begun:
            self._begun.add(shape)
            # Of one layout, whatever the sampler left; a graph copies what it is given into that.
            example = each(partial(torch.clone, memory_format=torch.contiguous_format), inputs)
            # A daemon, so that nobody waits for a compiler at the end either.
            threading.Thread(target=self._improve, args=(shape, example), daemon=True).start()
        return self._eager

    def _improve(self, shape: Shape, example: Inputs) -> None:
        (_, (rows, *_)), *_ = shape
        try:
            with supervised(partial(_uncompiled, rows)):
                with _ONE_AT_A_TIME:
                    self._compiled[shape] = self._compile(example)
                log.info("%d rows a call are compiled", rows)
        finally:
            self._ended.add(shape)


def _uncompiled(rows: int, error: Exception) -> None:
    if threading.main_thread().is_alive():  # at the end the compiler's processes are gone before it
        log.warning("%d rows a call stay uncompiled", rows, exc_info=error)


Record = Callable[[Call, Inputs], Call]
"""Makes of a compiled call a quicker one for inputs of just this shape."""


def first_right(ways: Sequence[Compile], record: Record, inputs: Inputs) -> Call:
    """Of several ways to compile, the first that gives the network's own numbers for these inputs.

    Raises:
        ArithmeticError: the last does not.
        RuntimeError: the last cannot be compiled.
    """
    *others, last = ways
    for way in others:
        try:
            return record(way(inputs), inputs)
        except (ArithmeticError, RuntimeError) as error:
            log.warning("compiled in another way: %s", error)
    return record(last(inputs), inputs)


def record_graph(
    eager: Call, on_device: Callable[[Callable[[], Graph]], Graph], compiled: Call, inputs: Inputs
) -> Graph:
    """Record it on the device's own thread, and compare it there with the network.

    Raises:
        ArithmeticError: it gives other numbers.
    """
    device = next(named(inputs))[1].device
    beside = torch.cuda.Stream(device)
    with torch.inference_mode(), torch.cuda.stream(beside):
        beside.wait_stream(torch.cuda.default_stream(device))
        # What is run first loads kernels, which takes its time: not the others'.
        for _ in range(2):
            compiled(*inputs)
        beside.synchronize()

    def recorded() -> Graph:
        # Each thread chooses algorithms anew, which a graph cannot record.
        compiled(*inputs)
        graph = Graph(compiled, inputs)
        check(graph(*inputs), eager(*inputs))
        return graph

    return on_device(recorded)


def check(made: Tensor, expected: Tensor) -> None:
    """Raises:
    ArithmeticError: the two are not the same but for rounding in half precision.
    """
    difference = float((made.float() - expected.float()).norm() / expected.float().norm())
    if not difference < MOST_DIFFERENCE:
        raise ArithmeticError(f"what was compiled differs from the network by {difference:.1%}")


@functools.cache
def _pool() -> Any:
    """The memory that all graphs share: only one runs at a time, and its output is copied out at once."""
    return torch.cuda.graph_pool_handle()


class Graph:
    """A call recorded once, with inputs and output in places of their own."""

    def __init__(self, call: Call, inputs: Inputs) -> None:
        self._places = [place for _, place in named(inputs)]
        self._inputs = inputs
        self._graph = torch.cuda.CUDAGraph()
        # Other threads go on loading models meanwhile.
        with torch.cuda.graph(self._graph, pool=_pool(), capture_error_mode="thread_local"):
            self._output = call(*inputs)

    def __call__(self, *inputs: Any) -> Tensor:
        for place, (_, given) in zip(self._places, named(inputs), strict=True):
            place.copy_(given)
        self._graph.replay()
        return self._output.clone()
