"""Work that must not end whoever does it: a thread's turn, a callback, tidying up behind a failure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def supervised(failed: Callable[[Exception], object]) -> Iterator[None]:
    """One of the four edges where anything is caught: `failed` is told, and the thread goes on.

    Its callers are listed in docs/architecture.md.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001  told to `failed`
        failed(error)


def logged(
    log: logging.Logger, message: str, *arguments: object, level: int = logging.ERROR
) -> Callable[[Exception], None]:
    """For `supervised`: write the message with the error's traceback."""

    def failed(error: Exception) -> None:
        log.log(level, message, *arguments, exc_info=error)

    return failed
