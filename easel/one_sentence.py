"""The edge of the `easel` command: what its machine or its settings lack is one sentence, no traceback.

Commands raise ConfigError where they know which setting is meant; what a disk, a folder or a database
refuses anywhere else comes to its sentence here.
"""

from __future__ import annotations

import errno
import logging
import sys
from typing import Any

import typer
from sqlalchemy.exc import DatabaseError
from typer.core import TyperGroup

from storage import full_disks
from storage.errors import CatalogError, ConfigError, FetchError

log = logging.getLogger(__name__)


SPOKEN_OF = (ConfigError, CatalogError, FetchError, OSError, DatabaseError)
"""Kinds of errors for which `sentence` may have one."""


class OneSentence(TyperGroup):
    """Commands that stop with a sentence and exit code 2; at the log level debug, with the traceback too."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SPOKEN_OF as error:
            said = sentence(error)
            if said is None:
                raise
            log.debug("stopped", exc_info=error)
            sys.stderr.write(f"easel: {said}\n")
            raise typer.Exit(2) from None


def sentence(error: Exception) -> str | None:
    """Sentence for the operator about an error that is not ours; None for one that may be."""
    match error:
        case ConfigError() | CatalogError() | FetchError():
            return str(error)
        case OSError() if error.errno != errno.EPIPE and error.strerror:
            said = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
        case DatabaseError():
            said = f"the database: {str(error.orig).strip().splitlines()[0]}"
        case _:
            return None
    return f"{said}. Make room on that disk." if full_disks.is_full(error) else f"{said}."
