"""Errors that mean a full disk: the file system's, SQLite's and PostgreSQL's."""

from __future__ import annotations

import errno
import sqlite3

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_POSTGRES_DISK_FULL = "53100"


def is_full(error: BaseException) -> bool:
    """True where an error, or the driver's that SQLAlchemy wraps, says that a disk has no room."""
    cause = getattr(error, "orig", None) or error
    match cause:
        case OSError():
            return cause.errno in _NO_ROOM
        case sqlite3.Error():
            return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return getattr(cause, "sqlstate", None) == _POSTGRES_DISK_FULL
