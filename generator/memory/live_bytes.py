"""Bytes of tensors that are alive at a time, counted where torch makes them; fake ones count as real ones."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it, what is made is counted once for each storage, and no longer than that lives.

    What was there `before` (weights, inputs) does not count, nor do views of it.
    """

    def __init__(self, before: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._before = [tensor.untyped_storage() for tensor in before]
        self._counted: dict[int, Any] = {_address(storage): None for storage in self._before}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, Tensor):
                self._count(each.untyped_storage())
        self.peak = max(self.peak, self.now)
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        address = _address(storage)
        if address not in self._counted:
            self.now += storage.nbytes()
            self._counted[address] = weakref.finalize(storage, self._forget, address, storage.nbytes())

    def _forget(self, address: int, size: int) -> None:
        del self._counted[address]
        self.now -= size


def _address(storage: torch.UntypedStorage) -> int:
    """Of the storage itself: fake ones have no data."""
    address: int = storage._cdata  # noqa: SLF001  it has no other identity
    return address
