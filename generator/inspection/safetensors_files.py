"""Headers of `.safetensors` files, for which nothing but Python is needed.

safetensors itself reads them only where numpy or torch is installed, and tells of a download that was cut
short without its length. `tests/generator/test_headers.py` compares the two.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from generator.inspection.headers import BITS, Header, TensorHeader, is_plausible
from storage.foreign_files import DamagedFile

LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""
_METADATA = "__metadata__"


def read(file: Path) -> Header:
    """Raises:
    DamagedFile: it is no whole file of this format.
    OSError: it cannot be read.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or length > min(size - 8, LONGEST_HEADER):
            raise _damaged(f"it ends within its header, after {size:,} bytes")
        text = opened.read(length)
    try:
        header: dict[str, Any] = json.loads(text.decode("utf-8"))
        metadata = header.pop(_METADATA, None) or {}
        end = _checked(header)
        tensors = {
            name: TensorHeader(tuple(tensor["shape"]), tensor["dtype"]) for name, tensor in header.items()
        }
        if not all(isinstance(value, str) for value in metadata.values()):
            raise _damaged("its header is damaged")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _damaged("its header is damaged") from None
    if size != 8 + length + end:
        raise _damaged(
            f"it has {size:,} bytes, and its header tells of {8 + length + end:,}; download it again"
        )
    return Header(tensors, metadata, size)


def _damaged(reason: str) -> DamagedFile:
    return DamagedFile(f"is not a whole .safetensors file: {reason}")


def _checked(header: dict[str, Any]) -> int:
    """Length of all numbers in bytes, which lie one tensor behind the other.

    Raises:
        ValueError, TypeError, KeyError: they do not, or a tensor has not as many as its shape tells.
    """
    end = 0
    for begin, until, tensor in sorted(
        (*tensor["data_offsets"], tensor["dtype"]) for tensor in header.values()
    ):
        if begin != end or until < begin or tensor not in BITS:
            raise ValueError(tensor)
        end = until
    for tensor in header.values():
        begin, until = tensor["data_offsets"]
        whole = TensorHeader(tuple(tensor["shape"]), tensor["dtype"])
        if not is_plausible(whole.shape) or type(begin) is not int or type(until) is not int:
            raise ValueError(tensor)
        if whole.parameters * BITS[whole.dtype] != (until - begin) * 8:
            raise ValueError(tensor)
    return end
