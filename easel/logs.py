"""Set up the log: its form and its place, with secrets kept out of it."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rich.console import Console

from storage import full_disks
from storage.config import Config
from storage.errors import ConfigError
from storage.private_files import make_private_folder

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

# A password stands before the host, the token of an interaction or webhook in the path, a bot's anywhere.
_PATTERNS = (
    re.compile(r"(?<=://)[^/\s@]*:[^/\s]*(?=@)"),
    re.compile(r"(?<=/interactions/)\d+/[\w.~-]{20,}"),
    re.compile(r"(?<=/webhooks/)\d+/[\w.~-]{20,}"),
    # An interaction's token is base64 of "interaction:" and more, wherever it stands.
    re.compile(r"\baW50ZXJhY3Rpb246[\w.~=-]{8,}"),
    re.compile(r"\b[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}"),
)


class SecretFreeFormatter(logging.Formatter):
    """Blacks out the configured secrets, and whatever looks like one, tracebacks included."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__(FORMAT)
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        for pattern in _PATTERNS:
            text = pattern.sub("***", text)
        return text


def secrets_of(config: Config) -> list[str]:
    """Tokens and key, and the passwords of database and broker as they are written and as they are meant."""
    found = [secret.get_secret_value() for secret in (config.discord_token, config.key) if secret]
    found += [token for name in ("HF_TOKEN", "CIVITAI_TOKEN") if (token := os.environ.get(name))]
    for url in (config.database, config.broker):
        password = urlsplit(url).password
        if password:
            found += [password, unquote(password)]
    return found


def set_up(config: Config, file: Path | None = None, *, quiet: bool = False) -> None:
    """Log to stderr at the configured level; with a file, to it, and only errors to stderr.

    Raises:
        ConfigError: the file cannot be written.
    """
    formatter = SecretFreeFormatter(secrets_of(config))
    level = logging.getLevelNamesMapping()[config.log_level.upper()]
    if quiet and level == logging.INFO:
        level = logging.WARNING
    screen = logging.StreamHandler(sys.stderr)
    screen.setLevel(logging.ERROR if file else level)
    handlers: list[logging.Handler] = [screen]
    if file:
        handlers.append(_to_file(file))
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=handlers, force=True)
    for chatty in ("PIL", "urllib3", "httpcore2", "httpx2", "amqp", "alembic", "celery.redirected"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, level))
    # It warns on every start of faster libraries that are not installed.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


class _File(logging.FileHandler):
    """Goes without a line for which the disk has no room, instead of telling each on the screen."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        error = sys.exc_info()[1]
        if error is None or not full_disks.is_full(error):
            super().handleError(record)


def _to_file(file: Path) -> logging.Handler:
    try:
        make_private_folder(file.parent)
        return _File(file, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"EASEL_DATA_DIR: {file} cannot be written: {error.strerror}.") from None


class _Above:
    """A stream that writes above whatever lives at the foot of a console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> None:
        self._console.out(text.removesuffix("\n"), highlight=False)

    def flush(self) -> None:
        self._console.file.flush()


@contextmanager
def above(console: Console) -> Iterator[None]:
    """Log to this console instead of stderr for a while, unwrapped."""
    root = logging.getLogger().handlers
    screens = [each for each in root if isinstance(each, logging.StreamHandler) and each.stream is sys.stderr]
    before = [screen.setStream(_Above(console)) for screen in screens]
    try:
        yield
    finally:
        for screen, stream in zip(screens, before, strict=True):
            screen.setStream(stream)
