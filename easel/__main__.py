"""The `easel` command. What a command needs is imported when it runs: `easel bot` starts without torch."""

from __future__ import annotations

from typing import Annotated

import typer

from easel import (
    __version__,
    bot,
    database,
    demo,
    doctor,
    imagine,
    models,
    parse,
    run,
    setup,
    withhold,
    worker,
)
from easel.one_sentence import OneSentence

app = typer.Typer(
    cls=OneSentence,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"easel {__version__}")
        raise typer.Exit


@app.callback()
def _of_all(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which version this is."),
    ] = False,
) -> None:
    """Easel, a self-hosted Midjourney for Discord."""


app.command()(setup.setup)
app.command()(demo.demo)
app.command()(run.run)
app.command()(bot.bot)
app.command()(worker.worker)
app.command()(imagine.imagine)
app.command(context_settings={"ignore_unknown_options": True})(parse.parse)  # a prompt may begin with a flag
app.command()(doctor.doctor)
app.command()(withhold.withhold)
app.add_typer(database.commands, name="db")
app.add_typer(models.commands, name="models")

if __name__ == "__main__":
    app()
