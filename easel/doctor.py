"""`easel doctor`: what is configured, what can be reached, what is missing and how to mend it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from easel import checkups
from easel.checkups import Finding
from storage import config
from storage.config import Config
from storage.errors import ConfigError


class Purpose(StrEnum):
    RUN = "run"
    BOT = "bot"
    WORKER = "worker"
    DEMO = "demo"


CHECKUPS: dict[Purpose, tuple[Callable[[Config], Iterator[Finding]], ...]] = {
    Purpose.RUN: (
        checkups.discord_library,
        checkups.token,
        checkups.drawing,
        checkups.device,
        checkups.models,
        checkups.database,
        checkups.broker,
        checkups.key,
        checkups.private_folder,
        checkups.pictures,
        checkups.room,
        checkups.metrics,
    ),
    Purpose.BOT: (
        checkups.discord_library,
        checkups.token,
        checkups.model_names,
        checkups.database,
        checkups.shared_broker,
        checkups.key,
        checkups.private_folder,
        checkups.pictures,
        checkups.workers,
        checkups.room,
    ),
    Purpose.WORKER: (
        checkups.drawing,
        checkups.device,
        checkups.models,
        checkups.database,
        checkups.shared_broker,
        checkups.key,
        checkups.private_folder,
        checkups.pictures,
        checkups.room,
        checkups.metrics,
    ),
    Purpose.DEMO: (
        checkups.discord_library,
        checkups.simulated_discord,
        checkups.drawing,
        checkups.device,
        checkups.models,
        checkups.database,
        checkups.private_folder,
        checkups.pictures,
    ),
}
_MARKS = {"good": "[green]good[/]", "note": "[yellow]note[/]", "bad": "[red]bad[/]"}


def doctor(
    purpose: Annotated[Purpose, typer.Argument(help="What you want to start.")] = Purpose.RUN,
) -> None:
    """Say whether Easel could start here, and how to mend what is missing; exit code 1 if it could not."""
    findings = list(examine(purpose))
    table = Table("", title=f"easel {purpose.value}")
    for title in ("what", "how it is", "what to do"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        table.add_row(_MARKS[finding.state], finding.subject, finding.text, finding.mend)
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def examine(purpose: Purpose) -> Iterator[Finding]:
    yield from _unread_variables()
    try:
        settings = _settings(purpose)
    except ConfigError as error:
        yield Finding(
            "bad", "configuration", str(error), "Mend it in .env or the environment (.env.example)."
        )
        return
    yield Finding("good", "configuration", f"data folder {settings.data_dir}")
    for checkup in CHECKUPS[purpose]:
        yield from checkup(settings)


def _settings(purpose: Purpose) -> Config:
    if purpose is Purpose.DEMO:
        from easel.demo import demo_settings

        return demo_settings()
    return config.load()


def _unread_variables() -> Iterator[Finding]:
    for name, meant in config.unread():
        if meant is None:
            mend = "See .env.example for what there is."
            yield Finding("note", name, "is set, but no setting of Easel's", mend)
        else:
            yield Finding("bad", name, "is no setting of Easel's", f"Is {meant} meant?")
