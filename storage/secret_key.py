"""The installation's secret key: its processes prove to each other with it who they are.

It is EASEL_KEY, the contents of EASEL_KEY_FILE, or a random one that the first process to start keeps in its
data folder. It is never used itself; each purpose derives a key of its own from it, by the expansion of HKDF
(RFC 5869).
"""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from storage.config import LEAST_KEY_CHARACTERS, Config
from storage.errors import ConfigError
from storage.private_files import make_private_folder, rename_once

_FILE = "easel.key"


class SecretKey:
    """A secret of at least 32 characters; its representation does not show it."""

    def __init__(self, secret: str) -> None:
        self._secret = SecretStr(secret)

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose, from which neither this key nor another purpose's can be told."""
        return hmac.digest(
            self._secret.get_secret_value().encode(), f"easel/{purpose}\x01".encode(), "sha256"
        )


def load(config: Config) -> SecretKey:
    """The configured key, or the one in the data folder, which is made when there is none.

    Raises:
        ConfigError: it can be neither read nor made, or is too short.
    """
    secret = config.key.get_secret_value() if config.key is not None else _kept(config.data_dir)
    return SecretKey(secret)


def kept_in(data_dir: Path) -> Path:
    """Path of the key that a data folder keeps."""
    return data_dir / _FILE


def _kept(data_dir: Path) -> str:
    path = kept_in(data_dir)
    try:
        if not path.exists():
            _make(path)
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(
            f"{path}, the installation's key, cannot be used: {error.strerror}. Mend that, or set EASEL_KEY."
        ) from None
    if len(secret) < LEAST_KEY_CHARACTERS:
        raise ConfigError(f"{path} holds no key: delete it, and the next start makes a new one.")
    return secret


def _make(path: Path) -> None:
    """Write a new key to `path`, whole, unless another process was first."""
    make_private_folder(path.parent)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        rename_once(part, path)
    finally:
        part.unlink(missing_ok=True)
