"""First steps of every command: read the configuration, set up the log, open the stores."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy.exc import DatabaseError

from easel import logs
from generator.inspection import entries
from storage import config, stores
from storage.backends import Backends
from storage.catalog import Catalog
from storage.config import Config
from storage.database import Database
from storage.errors import CatalogError, ConfigError

log = logging.getLogger(__name__)


def configure(*, quiet: bool = False) -> Config:
    """The configuration, with the log set up; `quiet` for commands whose output is what they print."""
    settings = config.load()
    logs.set_up(settings, quiet=quiet)
    for name, _ in config.unread():
        log.warning("%s is set, but is no setting of Easel's; .env.example has them all", name)
    return settings


def token_of(settings: Config) -> str:
    if settings.discord_token is None:
        raise ConfigError(
            "DISCORD_TOKEN is not set: put the bot's token into .env (README, “To a real Discord server”)."
        )
    return settings.discord_token.get_secret_value()


def require(extra: str, *modules: str) -> None:
    """Raises:
    ConfigError: one of the modules of an optional part of Easel is not installed.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise ConfigError(f"{', '.join(missing)} is not installed: {installing(extra)}")


def installing(extra: str) -> str:
    """The command of the shell that adds an optional part to this very Python, from the checkout."""
    root = Path(__file__).parents[1]
    folder = shlex.quote(str(root)) if (root / "pyproject.toml").is_file() else "EASEL'S-CHECKOUT"
    python = shlex.quote(sys.executable)
    return f"cd {folder} && {python} -m pip install --constraint constraints.txt '.[{extra}]'"


@contextmanager
def backends(settings: Config, *, migrate: bool = False) -> Iterator[Backends]:
    """The stores, open, with a database of this version.

    Raises:
        ConfigError: the database cannot be reached, wants `easel db upgrade` and `migrate` is False, or is of
            other pictures than these.
    """
    with reachable(settings):
        opened = Backends.open(settings)
    try:
        with reachable(settings):
            if migrate:
                opened.database.upgrade()
            else:
                require_current(opened.database)
            stores.settle(opened.database, opened.images)
        yield opened
    finally:
        opened.close()


def require_drawable(settings: Config, catalog: Catalog) -> None:
    """Log what cannot be drawn with: such a model is offered to nobody.

    Raises:
        CatalogError: that is so of all models; the text tells of the first.
    """
    unchecked = settings.safety == "off"
    faults = {
        name: fault
        for name, entry in catalog.models.items()
        if (fault := next(entries.faults(entry, unchecked=unchecked), None)) is not None
    }
    for name, fault in faults.items():
        told = f"Model {name!r}: {fault} (`easel models check` tells of all)."
        if len(faults) == len(catalog.models):
            raise CatalogError(told)
        log.warning("%s", told)


def require_current(database: Database) -> None:
    differences = database.check()
    if differences:
        raise ConfigError(f"The tables do not fit. {differences[0]}")


@contextmanager
def reachable(settings: Config) -> Iterator[None]:
    """Turns a database that does not answer into one sentence without its password."""
    try:
        yield
    except (DatabaseError, OSError) as error:
        reason = str(error.orig if isinstance(error, DatabaseError) else error).strip().splitlines()[0]
        for secret in logs.secrets_of(settings):
            reason = reason.replace(secret, "***")
        raise ConfigError(f"EASEL_DATABASE_URL: the database cannot be used: {reason}.") from None
