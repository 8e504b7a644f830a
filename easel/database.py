"""`easel db`: the database's tables, and whether its counters still add up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from easel import start
from storage import counters, moderation, stores
from storage.config import Config
from storage.database import Database
from storage.images import ImageStore

commands = typer.Typer(no_args_is_help=True, help="The database: bring it up to date, check it.")


@contextmanager
def _database(settings: Config | None = None) -> Iterator[Database]:
    settings = settings or start.configure(quiet=True)
    with start.reachable(settings):
        database = Database(settings.database)
        try:
            yield database
        finally:
            database.close()


@commands.command()
def upgrade() -> None:
    """Create the tables, or bring them to this version."""
    with _database() as database:
        database.upgrade()
    typer.echo("The database is up to date.")


@commands.command()
def check() -> None:
    """Say whether the tables are those of this version; exit code 1 if not."""
    with _database() as database:
        differences = database.check()
    if differences:
        typer.echo("\n".join(differences), err=True)
        raise typer.Exit(1)
    typer.echo("The database is of this version.")


@commands.command()
def verify(repair: bool = typer.Option(False, help="Write the right numbers.")) -> None:
    """Recount what the queue counts, and prove the audit log's chain; exit code 1 if something is off."""
    with _database() as database:
        with database.writing() as session:
            faults = counters.verify(session, repair=repair)
        with database.reading() as session:
            faults += moderation.verify_chain(session)
    for fault in faults:
        typer.echo(fault, err=True)
    if faults and not repair:
        raise typer.Exit(1)
    typer.echo("Counters repaired." if faults else "Counters and audit log are right.")


@commands.command()
def adopt() -> None:
    """Say that the pictures are in EASEL_IMAGES_URL now: after moving them, or when they are lost."""
    settings = start.configure(quiet=True)
    images = ImageStore(settings.images)
    with _database(settings) as database:
        start.require_current(database)
        with database.writing() as session:
            stores.adopt(session, images)
    typer.echo(f"This database's pictures are in {images.folder} from now on.")
