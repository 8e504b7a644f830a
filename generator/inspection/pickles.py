"""Pickled weights (`.ckpt`, `.bin`, `.pt`, `.pth`), looked into without unpickling.

A pickle is a program. Its instructions are read one by one (`pickletools`), and what it would import and call
is noted instead: nothing of it runs, and no weights are read.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from generator.inspection.headers import Header, TensorHeader, is_plausible
from storage import foreign_files
from storage.foreign_files import DamagedFile

_MOST_VALUES = 100_000
"""Values of all tables of a file, of which many may be the same one."""
_LONGEST_PROGRAM = 64 * 2**20
_MOST_INSTRUCTIONS = 5_000_000
_LONGEST_NAME = 1000
_MAGIC = 0x1950A86A20F9469CFC6C
"""First number in files of torch before 1.6, which are several pickles one behind the other."""
_STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL", "UntypedStorage": "U8",
}  # fmt: skip
_DICTIONARY = "collections.OrderedDict"
_PARAMETER = "torch._utils._rebuild_parameter"


class _Global(NamedTuple):
    """A name that the program would import, as `module.name`."""

    name: str


class _Noted(NamedTuple):
    """A call that it would make."""

    function: Any
    arguments: tuple[Any, ...]


_MARK = object()


def read(file: Path) -> Header:
    """Raises:
    DamagedFile: it is no pickle, or not a whole one.
    OSError: it cannot be read.
    """
    machine = _Machine()
    with foreign_files.reading(_damaged), file.open("rb") as opened:
        found = machine.run(opened) if not zipfile.is_zipfile(file) else machine.run(_program(file))
        if found == _MAGIC:
            for _ in range(3):  # the format's number, the machine's sizes, the weights
                found = machine.run(opened)
        table = found.get("state_dict", found) if isinstance(found, dict) else {}
        tensors = dict(_tensors(table)) if isinstance(table, dict) else {}
    return Header(tensors, {}, file.stat().st_size, "pickle", tuple(sorted(machine.imported - _HARMLESS)))


def _damaged(error: Exception) -> DamagedFile:
    del error  # it tells of opcodes
    return DamagedFile("is not a whole file of pickled weights: it is cut short, or holds something else")


def _program(file: Path) -> IO[bytes]:
    with zipfile.ZipFile(file) as archive:
        name = next((name for name in archive.namelist() if name.endswith("data.pkl")), None)
        if name is None:
            raise DamagedFile("is an archive without weights of torch")
        if archive.getinfo(name).file_size > _LONGEST_PROGRAM:
            raise DamagedFile("is an archive whose list of weights is too long to be one")
        return io.BytesIO(archive.read(name))


def _tensors(table: dict[Any, Any]) -> Iterator[tuple[str, TensorHeader]]:
    for name, value in islice(_values(table), _MOST_VALUES):
        tensor = _tensor(value)
        if tensor is not None:
            yield name, tensor


def _values(table: dict[Any, Any], begin: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """All values by their names; those of a table within by both names."""
    for key, value in table.items():
        yield f"{begin}{key}", value
        if isinstance(value, dict) and depth < 3:
            yield from _values(value, f"{begin}{key}.", depth + 1)


def _tensor(value: Any) -> TensorHeader | None:
    if isinstance(value, _Noted) and value.function == _Global(_PARAMETER) and value.arguments:
        value = value.arguments[0]
    match value:
        case _Noted(_Global(name), (_Noted(None, (_, _Global(storage), *_)), _, tuple() as shape, *_)) if (
            name.startswith("torch._utils._rebuild_tensor")
        ):
            if not is_plausible(shape):
                raise DamagedFile("is no file of weights: a tensor of it has an impossible shape")
            return TensorHeader(shape, _STORAGES.get(storage.rpartition(".")[2], "?"))
    return None


_HARMLESS = {
    *(f"torch.{storage}" for storage in _STORAGES),
    *(f"torch._utils.{name}" for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")),
    *("torch.storage.UntypedStorage", _DICTIONARY, "torch.Size", "torch.device"),
}
"""Functions that weights alone are made of."""


class _Machine:
    """The instructions of pickles, as far as they build tables; calls are noted and not made."""

    def __init__(self) -> None:
        self.imported: set[str] = set()
        self.stack: list[Any] = []
        self.memo: dict[Any, Any] = {}

    def run(self, program: IO[bytes]) -> Any:
        """The object that the pickle at the stream's place would become."""
        self.stack, self.memo = [], {}
        for number, (opcode, argument, _) in enumerate(pickletools.genops(program)):
            if number > _MOST_INSTRUCTIONS:
                raise DamagedFile("is a pickle whose list of weights is too long to be one")
            self._step(opcode.name, argument)
        return self.stack[-1]

    def _step(self, name: str, argument: Any) -> None:
        step = _STEPS.get(name)
        if step is not None:
            step(self, argument)
        elif argument is not None:
            self.stack.append(argument)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop()

    def to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def last(self, number: int) -> tuple[Any, ...]:
        found = tuple(self.stack[-number:])
        del self.stack[-number:]
        return found

    def import_(self, name: str) -> None:
        self.imported.add(name)
        self.push(_Global(name))

    def import_from_stack(self) -> None:
        module, name = self.last(2)
        self.import_(f"{module}.{name}")

    def call(self, arguments: Any) -> None:
        function = self.pop()
        made = _Noted(function, arguments if isinstance(arguments, tuple) else ())
        self.push({} if function == _Global(_DICTIONARY) else made)

    def called_by_name(self, name: str) -> None:
        self.import_(name)
        self.pop()
        self.push(_Noted(_Global(name), tuple(self.to_mark())))

    def extend(self, values: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(values)

    def update(self, values: list[Any]) -> None:
        if isinstance(self.stack[-1], dict):
            self.stack[-1].update(_paired(values))

    def remember(self, place: Any) -> None:
        self.memo[place] = self.stack[-1]


_STEPS: dict[str, Any] = {
    "PROTO": lambda _machine, _: None,
    "FRAME": lambda _machine, _: None,
    "STOP": lambda _machine, _: None,
    "MARK": lambda machine, _: machine.push(_MARK),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_SET": lambda machine, _: machine.push([]),
    "DICT": lambda machine, _: machine.push(_paired(machine.to_mark())),
    "LIST": lambda machine, _: machine.push(machine.to_mark()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.to_mark())),
    "FROZENSET": lambda machine, _: machine.push(tuple(machine.to_mark())),
    "TUPLE1": lambda machine, _: machine.push(machine.last(1)),
    "TUPLE2": lambda machine, _: machine.push(machine.last(2)),
    "TUPLE3": lambda machine, _: machine.push(machine.last(3)),
    "APPEND": lambda machine, _: machine.extend([machine.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.to_mark()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.to_mark()),
    "SETITEM": lambda machine, _: machine.update(list(machine.last(2))),
    "SETITEMS": lambda machine, _: machine.update(machine.to_mark()),
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": lambda machine, _: machine.to_mark(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "PUT": lambda machine, place: machine.remember(place),
    "BINPUT": lambda machine, place: machine.remember(place),
    "LONG_BINPUT": lambda machine, place: machine.remember(place),
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memo)),
    "GET": lambda machine, place: machine.push(machine.memo[place]),
    "BINGET": lambda machine, place: machine.push(machine.memo[place]),
    "LONG_BINGET": lambda machine, place: machine.push(machine.memo[place]),
    "GLOBAL": lambda machine, name: machine.import_(name.replace(" ", ".")),
    "STACK_GLOBAL": lambda machine, _: machine.import_from_stack(),
    "INST": lambda machine, name: machine.called_by_name(name.replace(" ", ".")),
    "OBJ": lambda machine, _: machine.push(_Noted(None, tuple(machine.to_mark()))),
    "REDUCE": lambda machine, _: machine.call(machine.pop()),
    "NEWOBJ": lambda machine, _: machine.call(machine.pop()),
    "NEWOBJ_EX": lambda machine, _: (machine.pop(), machine.call(machine.pop())),
    "BUILD": lambda machine, _: machine.pop(),
    "BINPERSID": lambda machine, _: machine.push(_Noted(None, machine.pop())),
}


def _paired(values: list[Any]) -> dict[Any, Any]:
    """A table by its names alone: to hash a deeply nested key takes ages, or more stack than there is."""
    return {key: value for key, value in zip(values[::2], values[1::2], strict=True) if _is_name(key)}


def _is_name(key: Any) -> bool:
    return isinstance(key, int) or (isinstance(key, str) and len(key) <= _LONGEST_NAME)
