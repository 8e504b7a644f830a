"""Files that somebody else made, read by libraries that may raise anything at a damaged one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from storage.errors import EaselError


class DamagedFile(EaselError):
    """A library cannot read the file; the text is its reason in one line."""

    @classmethod
    def of(cls, error: Exception) -> DamagedFile:
        return cls((str(error).strip() or type(error).__name__).splitlines()[0])


@contextmanager
def reading(damaged: Callable[[Exception], Exception] = DamagedFile.of) -> Iterator[None]:
    """One of the four edges where anything is caught: what `damaged` makes of it is raised in its place.

    Errors of our own pass.
    """
    try:
        yield
    except EaselError:
        raise
    except Exception as error:
        raise damaged(error) from error
