"""Memory budget of pictures in the bot, whoever brings or shows them.

Whatever decodes one says beforehand about how much it will take, and waits until there is room.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import _imaging

PIXEL = 4
"""Bytes of a pixel, as Pillow keeps RGB too."""


class Budget:
    """Bytes that may be in use at a time. Who waits is served in order, so large pictures get their turn too.

    Threads that hold a part must not ask for another: two who do so would wait for each other.
    """

    def __init__(self, most: int) -> None:
        self.most = self._free = most
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def held(self, wanted: int) -> Iterator[None]:
        """Wait for `wanted` bytes, and have them until the end of the block. Who wants more has them all."""
        amount = min(wanted, self.most)
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            self._changed.wait_for(lambda: self._waiting[0] is turn and self._free >= amount)
            self._waiting.popleft()
            self._free -= amount
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()


_imaging.set_block_size(64 * 2**20)
"""Pillow asks for memory in pieces of so many bytes. Below 32 MiB glibc keeps what each thread gives back."""

PICTURES = Budget(384 * 2**20)
"""Budget of all decoding in the bot: a phone's 48 million pixels, or some dozens of usual pictures."""
