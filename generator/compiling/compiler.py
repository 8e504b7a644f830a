"""Networks compiled ahead of time, in a process of their own, and kept for the next start.

Not in a worker's own: a compiler is Python for a minute or two, as is what launches a network's kernels, and
threads of Python take turns of five milliseconds. A call that asks for its turn five hundred times takes
seconds then.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import pickle
import shutil
import signal
import time
import traceback
import warnings
from collections.abc import Iterable
from functools import partial
from io import BytesIO
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import diffusers
import platformdirs
import torch
from diffusers import ModelMixin
from filelock import FileLock
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import sdpa_kernel

from generator import devices
from generator.compiling import attention, toolchain
from generator.compiling.calls import Call, Compile, Inputs, each, named
from storage.private_files import make_private_folder
from storage.supervision import supervised

log = logging.getLogger(__name__)

MOST_ROWS = {"cuda": 63, "cpu": 15}
"""In one version; for more, diffusers' UNets take another way on a GPU, and torch on a processor."""

NICENESS = 10
"""The compiler's processes leave the processors to those that draw."""

FORM = 2
"""Of the files: another number where they are to be called in another way."""

UNFINISHED = "unfinished-"
"""Prefix of folders in which a file is being made."""

KEPT_DAYS = 90
"""A file that nobody has used for so long is of another torch or GPU, most likely."""


def users_folder() -> Path:
    """Default folder of the compiled networks, in the user's cache."""
    return platformdirs.user_cache_path("easel") / "compiled"


class Compiler:
    """Any thread may ask; several processes may share the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[Path, Any] = {}

    def ways(self, part: torch.nn.Module) -> list[Compile]:
        """Ways to compile a part, the quickest first; the last needs no look at its numbers."""
        return [partial(self.compiled, part, quickest=quickest) for quickest in (True, False)]

    def compiled(self, part: torch.nn.Module, example: Inputs, *, quickest: bool) -> Call:
        """A part of a model for inputs like these, with its own weights.

        What is kept is only how to compute with them. `quickest` puts the quickest attention first, whose
        numbers have to be looked at.

        Raises:
            RuntimeError: it cannot be compiled; the text says why.
        """
        file = self._folder / f"{key(part, example)}{'-quickest' if quickest else ''}.pt2"
        if file not in self._loaded:
            make_private_folder(self._folder)
            # The workers of several GPUs begin at the same time: one compiles, the others wait for its file.
            with FileLock(file.with_suffix(".lock")):
                if not file.exists():
                    toolchain.let_compilers_find_cuda(self._folder)
                    _compile(part, example, file, quickest=quickest)
                    self._tidy()
            self._loaded[file] = _load(file, next(named(example))[1].device)
        return partial(self._loaded[file], weights_of(part))

    def _tidy(self) -> None:
        """Remove what nobody uses, and what processes left that were killed."""
        for place in chain.from_iterable(map(self._folder.glob, ("*.pt2", "*.lock", f"{UNFINISHED}*"))):
            if place.stat().st_mtime > time.time() - KEPT_DAYS * 24 * 60 * 60:
                continue
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)
            else:
                place.unlink(missing_ok=True)


def weights_of(part: torch.nn.Module) -> dict[str, Tensor]:
    """In an order that its layout alone decides."""
    named_weights = {**dict(part.named_parameters()), **dict(part.named_buffers())}
    return {name: weight.detach() for name, weight in sorted(named_weights.items())}


def key(part: torch.nn.Module, example: Inputs) -> str:
    """Names what decides how the part is computed: its networks' layout and settings, the inputs' form."""
    networks = [
        (repr(network), _config(network), _processors(network))
        for network in part.modules()
        if isinstance(network, ModelMixin)
    ]
    tensors = [*weights_of(part).items(), *((name, value[:1]) for name, value in named(example))]
    forms = [(name, list(value.shape), str(value.dtype), list(value.stride())) for name, value in tensors]
    device = next(named(example))[1].device
    versions = [FORM, torch.__version__, diffusers.__version__]
    known = [versions, type(part).__name__, networks, forms, _rows(example, device), _machine(device)]
    return hashlib.sha256(json.dumps(known, default=repr, sort_keys=True).encode()).hexdigest()[:32]


def _machine(device: torch.device) -> list[str]:
    """The GPU's name and what the processor can do: what calls the kernels is compiled for just that."""
    abilities = torch.cpu.get_capabilities()
    return [devices.name(device), *sorted(ability for ability, has in abilities.items() if has is True)]


def _config(network: Any) -> dict[str, Any]:
    """Without where it was found, and by which version it was saved."""
    return {name: value for name, value in network.config.items() if not name.startswith("_")}


def _processors(network: Any) -> list[tuple[str, str, str]]:
    """Processors of each attention; an adapter's own scale is a number in the code."""
    processors = sorted(getattr(network, "attn_processors", {}).items())
    return [(name, type(one).__name__, str(getattr(one, "scale", ""))) for name, one in processors]


def _rows(example: Inputs, device: torch.device) -> tuple[int, int] | None:
    """Numbers of rows that have one version together; a single one is a constant to the compiler."""
    rows, most = len(next(named(example))[1]), MOST_ROWS[device.type]
    if rows == 1:
        return None
    return (2, most) if rows <= most else (most + 1, 1 << 16)


def _load(file: Path, device: torch.device) -> Any:
    """Raises:
    RuntimeError: it is torn; it is made anew the next time.
    """
    file.touch()
    try:
        return torch._inductor.aoti_load_package(  # noqa: SLF001  it has no other name
            str(file), run_single_threaded=True, device_index=-1 if device.index is None else device.index
        )
    except RuntimeError:
        file.unlink(missing_ok=True)
        raise


def _compile(part: torch.nn.Module, example: Inputs, file: Path, *, quickest: bool) -> None:
    """In a process of its own.

    Raises:
        RuntimeError: it cannot be compiled; the text says why.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    device = next(named(example))[1].device
    with TemporaryDirectory(prefix=UNFINISHED, dir=file.parent) as folder:
        partly = Path(folder) / file.name
        work = (sender, skeleton(part, example), device, partly, quickest)
        # Daemonic: it ends with this process.
        process = context.Process(target=_work, args=work, name="easel-compiler", daemon=True)
        process.start()
        sender.close()
        try:
            trouble: str | None = receiver.recv()
        except EOFError:
            trouble = "the compiler's process died"
        process.join()
        if trouble is not None:
            raise RuntimeError(trouble)
        partly.replace(file)


class _Skeleton(pickle.Pickler):
    """Tensors without their numbers."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return _numberless, (tuple(value.shape), value.stride(), value.dtype, "meta")
        return NotImplemented


def skeleton(part: torch.nn.Module, example: Inputs) -> bytes:
    """Both pickled but for all numbers."""
    written = BytesIO()
    _Skeleton(written).dump((part, example))
    return written.getvalue()


def _numberless(shape: Iterable[int], stride: Iterable[int], dtype: torch.dtype, device: Any) -> Tensor:
    return torch.empty_strided(tuple(shape), tuple(stride), dtype=dtype, device=device)


def _work(sender: Connection, sent: bytes, device: torch.device, file: Path, quickest: bool) -> None:
    with supervised(lambda error: sender.send("".join(traceback.format_exception(error)))):
        os.nice(NICENESS)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the worker's, which ends this process too
        warnings.simplefilter("ignore")  # torch's of itself
        part, example = pickle.loads(sent)  # noqa: S301  from the process that started this one
        chosen = attention.QUICKEST if quickest else attention.TRUSTED
        with sdpa_kernel(chosen, set_priority=True):
            package(exported(part, example, device), file)
        sender.send(None)


class _Pure(torch.nn.Module):
    """A part as a function of its weights as well."""

    def __init__(self, part: torch.nn.Module) -> None:
        super().__init__()
        self._part = (part,)  # in a tuple its weights are not this module's

    def forward(self, weights: dict[str, Tensor], *inputs: Any) -> Tensor:
        (_, first), *others = named(inputs)
        for _, other in others:
            torch._check(other.shape[0] == first.shape[0])  # noqa: SLF001  says of all that their rows are as many
        made: Tensor = torch.func.functional_call(self._part[0], weights, inputs)
        return made


def exported(part: torch.nn.Module, example: Inputs, device: torch.device) -> torch.export.ExportedProgram:
    """A part for inputs of this form on a device, with its weights as the first of them.

    Neither needs any numbers, and none of the device's memory is taken.
    """

    def on_device(value: Tensor) -> Tensor:
        return _numberless(value.shape, value.stride(), value.dtype, device)

    forms = (weights_of(part), *example)
    with FakeTensorMode():
        weights, *inputs = each(on_device, forms)
    bounds = _rows(example, device)
    # DYNAMIC: of large pictures diffusers asks whether they are too many, at a number that is not whole.
    rows = None if bounds is None else {0: torch.export.Dim.DYNAMIC(min=bounds[0], max=bounds[1])}
    sizes = (dict.fromkeys(weights), each(lambda _: rows, example))
    with torch.no_grad():
        return torch.export.export(_Pure(part), (weights, *inputs), dynamic_shapes=sizes, strict=False)


def package(program: torch.export.ExportedProgram, file: Path) -> None:
    """Compile it into a file, by torch's own way for this.

    AOTInductor: https://docs.pytorch.org/docs/stable/torch.compiler_aot_inductor.html
    """
    # What calls the kernels is run once, while a graph records them.
    options = {"aot_inductor.compile_wrapper_opt_level": "O0"}
    with torch.no_grad():
        torch._inductor.aoti_compile_and_package(  # noqa: SLF001  it has no other name
            program, package_path=str(file), inductor_configs=options
        )
