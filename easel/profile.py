"""The option `--profile FILE` of the commands that draw."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def _writable(file: Path | None) -> Path | None:
    if file is None:
        return None
    if not file.name.endswith((".json", ".json.gz")):
        raise typer.BadParameter("end its name with .json or .json.gz.")
    if not os.access(file if file.exists() else file.parent, os.W_OK) or file.is_dir():
        raise typer.BadParameter(f"{file} cannot be written.")
    return file


ProfileFile = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        metavar="FILE",
        callback=_writable,
        help="Write what torch does in the first hundred ticks to this .json or .json.gz, for Perfetto.",
    ),
]
