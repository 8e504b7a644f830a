"""Headers of GGUF files, in which quantized transformers are passed around."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from generator.inspection.headers import Header, TensorHeader
from storage import foreign_files
from storage.foreign_files import DamagedFile

MAGIC = b"GGUF"
ARCHITECTURE = "general.architecture"
"""Field by which a file says of which network it has the weights."""


def read(file: Path) -> Header:
    """Without the package `gguf`, as where the bot alone is installed, no tensors are told.

    Raises:
        DamagedFile: it is not a whole file of this format.
        OSError: it cannot be read.
    """
    size = file.stat().st_size
    if find_spec("gguf") is None:
        return Header({}, {}, size, "GGUF")
    from gguf import GGUFReader

    class Bounded(GGUFReader):
        """Refuses to read behind the file's end, where the package finds endless arrays of nothing."""

        def _get(self, offset: int, dtype: Any, count: int = 1, *args: Any, **kwargs: Any) -> Any:
            if int(count) and int(offset) >= size:
                raise EOFError("it ends within its header")
            return super()._get(offset, dtype, count, *args, **kwargs)

    with foreign_files.reading(_damaged):
        reader = Bounded(file)
        tensors = {
            tensor.name: TensorHeader(
                tuple(int(side) for side in tensor.shape[::-1]), tensor.tensor_type.name
            )
            for tensor in reader.tensors
        }
        field = reader.fields.get(ARCHITECTURE)
        metadata = {} if field is None else {ARCHITECTURE: str(field.contents())}
    return Header(tensors, metadata, size, "GGUF")


def _damaged(error: Exception) -> DamagedFile:
    return DamagedFile(f"is not a whole GGUF file: {DamagedFile.of(error)}")
