"""`easel setup`: from nothing to a first picture and a bot that can be invited, question by question.

Every answer can be an option, so that it runs unattended; what is set already is checked and not asked again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from dotenv import set_key
from rich.console import Console

from easel import checkups, imagine, start
from easel.adding import commands as adding
from easel.checkups import Finding
from storage import config
from storage.config import Config
from storage.errors import ConfigError

FIRST_PROMPT = "a red castle on green hills at night"
PICTUREBOOK = "picturebook"
PROPOSED = (
    (7 * 2**30, "stabilityai/stable-diffusion-xl-base-1.0"),
    (3 * 2**30, "stable-diffusion-v1-5/stable-diffusion-v1-5"),
    (0, PICTUREBOOK),
)
"""Models by the bytes of a GPU's memory with which each is drawn well; without a GPU, the one that ships."""
MARKS = {"good": "[green]✓[/]", "note": "[yellow]·[/]", "bad": "[red]✗[/]"}

Check = Callable[[Config], Iterator[Finding]]
Ask = Callable[[], str]


def setup(
    token_file: Annotated[
        Path | None, typer.Option(help="A file that holds the bot's token; - is standard input.")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(help="sqlite:///… or postgresql+psycopg://…; by default SQLite."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="As of `easel models add`; 'picturebook' adds none.")
    ] = None,
    draw: Annotated[bool, typer.Option(help="Draw the first picture.")] = True,
    out: Annotated[Path, typer.Option("-o", "--out", help="Where to put it.")] = Path("easel.png"),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; take what is proposed.")] = False,
) -> None:
    """Set Easel up: token, database, model, first picture. What is answered is kept in .env."""
    asks = _is_asked(yes=yes)
    token = None if token_file is None else _read(token_file)
    _settle("discord_token", token, checkups.token, _ask_token if asks else None)
    _settle("database_url", database, checkups.database, _ask_database if asks else None)
    settings = start.configure(quiet=True)
    for finding in checkups.device(settings):
        _say(finding)
    if settings.catalog_file is None:
        _add_model(model or _chosen_model(settings, asks=asks), yes=yes)
    if draw:
        imagine.imagine(FIRST_PROMPT, out)
    typer.echo("Start the bot with `easel run`; `easel doctor` says what is missing.")


def _is_asked(*, yes: bool) -> bool:
    return not yes and sys.stdin.isatty()


def _settle(field: str, value: str | None, check: Check, ask: Ask | None) -> None:
    """Try a setting, given or asked for, until nothing speaks against it; a new value is kept in `.env`.

    Raises:
        ConfigError: something does, and nobody can be asked.
    """
    while bad := [each for each in _tried(field, value, check) if each.state == "bad"]:
        if ask is None:
            raise ConfigError(" ".join(filter(None, (f"{bad[0].subject} {bad[0].text}.", bad[0].mend))))
        value = ask()
    if value is not None:
        _keep(config.variable(field), value)


def _tried(field: str, value: str | None, check: Check) -> Iterator[Finding]:
    """Findings of a check as if the setting had this value; each is said."""
    try:
        found = list(check(config.load(**({} if value is None else {field: value}))))
    except ConfigError as error:
        found = [Finding("bad", config.variable(field), f"cannot be used: {error}")]
    for finding in found:
        _say(finding)
        yield finding


def _say(finding: Finding) -> None:
    mend = f" ({finding.mend})" if finding.mend else ""
    console = Console(soft_wrap=True, highlight=False)
    console.print(MARKS[finding.state], end=" ")
    console.print(f"{finding.subject}: {finding.text}{mend}", markup=False)


def _read(file: Path) -> str:
    return (sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")).strip()


def _ask_token() -> str:
    typer.echo("The bot's token, from discord.com/developers/applications → your application → Bot.")
    return str(typer.prompt("DISCORD_TOKEN", hide_input=True)).strip()


def _ask_database() -> str:
    return str(typer.prompt("EASEL_DATABASE_URL (sqlite:///… or postgresql+psycopg://…)")).strip()


def _chosen_model(settings: Config, *, asks: bool) -> str:
    """A published model that the device has memory for, or another that is asked for."""
    start.require("worker", "torch", "diffusers", "transformers")
    from generator import devices

    device = devices.choose(settings.device)
    room = devices.total_bytes(device) if devices.is_gpu(device) else 0
    proposed = next(model for least, model in PROPOSED if room >= least)
    if not asks:
        return proposed
    typer.echo("A model: a Hugging Face id, a CivitAI link, a folder or a file.")
    return str(typer.prompt("model", default=proposed)).strip()


def _add_model(source: str, *, yes: bool) -> None:
    if source.casefold() == PICTUREBOOK:
        typer.echo(
            "It draws with Picturebook, a small model that knows little: `easel models add` adds others."
        )
    else:
        adding.add(source, default=True, yes=yes, draw=False)


def _keep(name: str, value: str) -> None:
    """Write a line of `.env`, which its owner alone can read."""
    file = Path(config.ENV_FILE)
    file.touch()
    file.chmod(0o600)
    set_key(file, name, value)
    typer.echo(f"  {name} is kept in {file.absolute()}.")
    if os.environ.get(name, value) != value:
        typer.echo(f"  The environment has another {name}, which wins: unset it.", err=True)
