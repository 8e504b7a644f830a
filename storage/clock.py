"""Ages of rows by the clock that dated them: the database's, whatever this machine's own says."""

from __future__ import annotations

from sqlalchemy.orm import Session

from storage.database import now
from storage.monotonic import monotonic


class Clock:
    """The database's clock, read once and carried on by a monotonic one. Milliseconds."""

    def __init__(self, at: int) -> None:
        self._at, self._read = at, monotonic()

    @classmethod
    def read(cls, session: Session) -> Clock:
        return cls(now(session))

    def now(self) -> int:
        """Epoch milliseconds by the database's clock."""
        return self._at + int((monotonic() - self._read) * 1000)

    def since(self, then: int) -> int:
        """The age of a row's date; negative for one to come."""
        return self.now() - then

    def until(self, then: int) -> int:
        """The time left to a row's date; negative for one that is past."""
        return then - self.now()
