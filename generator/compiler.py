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
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import diffusers
import platformdirs
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from generator import toolchain
from generator.compiled import Call, Compile, Inputs, each, named
from generator.families.parts import Part
from generator.families.sd import StableDiffusion
from generator.variants import Variant, Variants
from storage.catalog import ModelEntry

log = logging.getLogger(__name__)

MOST_ROWS = {"cuda": 63, "cpu": 15}
"""In one version; for more, diffusers' UNets take another way on a card, and torch on a processor."""

QUICKEST = [
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]
"""cuDNN's attention is up to twice as quick as what torch tries first (an H200, 40 to 160 numbers a head)."""

NICENESS = 10
"""The compiler's processes leave the processors to those that draw."""

Make = Callable[[], StableDiffusion]
"""Loads a model again, wherever it is called: it is sent to another process."""


def users_folder() -> Path:
    """Where they are kept if nobody says where."""
    return platformdirs.user_cache_path("easel") / "compiled"


class _Wish(NamedTuple):
    """What a process of the compiler's is to make."""

    variant: Variant
    name: str
    shapes: Inputs
    file: Path
    quickest: bool


class Compiler:
    """Of one model. Any thread may ask; several processes may share the folder."""

    def __init__(self, folder: Path, make: Make, entry: ModelEntry | None = None) -> None:
        self._folder = folder
        self._make = make
        self._entry = entry
        self._loaded: WeakKeyDictionary[Part, dict[Path, Call]] = WeakKeyDictionary()

    def ways(self, part: Part, variant: Variant, name: str) -> list[Compile]:
        """How to compile it, the quickest first; the last needs no look at its numbers."""
        return [partial(self.compiled, part, variant, name, quickest=quickest) for quickest in (True, False)]

    def compiled(self, part: Part, variant: Variant, name: str, example: Inputs, *, quickest: bool) -> Call:
        """A part, which is the one of this name of this variant of the model, for inputs like these.

        Its weights are the part's own; what is kept is only how to compute with them. `quickest` puts the
        quickest attention first, whose numbers have to be looked at.

        Raises:
            RuntimeError: it cannot be compiled; the text says why.
        """
        file = self._folder / f"{key(part, example)}{'-quickest' if quickest else ''}.pt2"
        if not file.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            toolchain.let_compilers_find_cuda(self._folder)
            self._compile(_Wish(variant, name, _shapes(example), file, quickest))
        loaded = self._loaded.setdefault(part, {})
        if file not in loaded:
            loaded[file] = self._load(file, part)
        return loaded[file]

    @staticmethod
    def _load(file: Path, part: Part) -> Call:
        package: Any = torch._inductor.aoti_load_package(str(file), run_single_threaded=True)  # noqa: SLF001
        weights = {name: part.weights[name] for name in package.get_constant_fqns()}
        package.load_constants(weights, check_full_update=True, user_managed=True)
        package.weights = weights  # which it only borrows
        call: Call = package
        return call

    def _compile(self, wish: _Wish) -> None:
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        work = (sender, self._make, self._entry, wish)
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


def key(part: Part, example: Inputs) -> str:
    """Names what decides how the part is computed: its networks' layout and settings, the inputs' form."""
    networks = [(repr(network), _config(network), _processors(network)) for network in part.called]
    tensors = [*sorted(part.weights.items()), *((name, value[:1]) for name, value in named(example))]
    forms = [(name, list(value.shape), str(value.dtype), list(value.stride())) for name, value in tensors]
    device = next(named(example))[1].device
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    known = [networks, forms, _rows(example), machine, torch.__version__, diffusers.__version__]
    return hashlib.sha256(json.dumps(known, default=repr, sort_keys=True).encode()).hexdigest()[:32]


def _config(network: Any) -> dict[str, Any]:
    """Without where it was found, and by which version it was saved."""
    return {name: value for name, value in network.config.items() if not name.startswith("_")}


def _processors(network: Any) -> list[tuple[str, str, str]]:
    """What runs in each attention; an adapter's weight is a number in the code."""
    processors = sorted(getattr(network, "attn_processors", {}).items())
    return [(name, type(one).__name__, str(getattr(one, "scale", ""))) for name, one in processors]


def _rows(example: Inputs) -> tuple[int, int] | None:
    """Which numbers of rows have one version together; a single one is a constant to the compiler."""
    first = next(named(example))[1]
    most = MOST_ROWS[first.device.type]
    if len(first) == 1:
        return None
    return (2, most) if len(first) <= most else (most + 1, 1 << 16)


def _shapes(example: Inputs) -> Inputs:
    """What may be sent to another process, and takes no memory there."""
    return each(lambda value: value.new_empty(value.shape, device="meta"), example)


def _work(sender: Connection, make: Make, entry: ModelEntry | None, wish: _Wish) -> None:
    try:
        os.nice(NICENESS)
        family = Variants(make(), entry, lambda *_: None).made(wish.variant)
        # Whatever the numbers are: nothing of them is kept.
        example = each(lambda value: torch.ones_like(value, device=family.device), wish.shapes)
        attention = sdpa_kernel(QUICKEST, set_priority=True) if wish.quickest else nullcontext()
        with attention, TemporaryDirectory(dir=wish.file.parent) as folder:
            partly = Path(folder) / wish.file.name
            package(family.parts()[wish.name], example, partly)
            partly.replace(wish.file)
    except Exception:  # noqa: BLE001  told to the process that waits
        sender.send(traceback.format_exc())
    else:
        sender.send(None)


def package(part: Part, example: Inputs, file: Path) -> None:
    """Compile into a file, without weights, for every number of rows that has one version with the example's.

    The way is torch's own: `torch.export`, then AOTInductor
    (https://docs.pytorch.org/docs/stable/torch.compiler_aot_inductor.html).
    """
    bounds = _rows(example)
    rows = None if bounds is None else torch.export.Dim("rows", min=bounds[0], max=bounds[1])
    options = {
        "aot_inductor.package_constants_in_so": False,
        # What calls the kernels is run once, while a graph records them.
        "aot_inductor.compile_wrapper_opt_level": "O0",
        # Short biases would be written into the code otherwise.
        "always_keep_tensor_constants": True,
    }
    with torch.no_grad():
        shapes = (each(lambda _: None if rows is None else {0: rows}, example),)
        exported = torch.export.export(part, example, dynamic_shapes=shapes, strict=False)
        torch._inductor.aoti_compile_and_package(  # noqa: SLF001  it has no other name
            exported, package_path=str(file), inductor_configs=options
        )
