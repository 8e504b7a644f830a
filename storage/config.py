"""Configuration: the environment and `.env`, read once at start, never at import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from storage import variables
from storage.errors import ConfigError

ENV_FILE = ".env"
DISCORD_URL = "https://discord.com/api/v10"
DATABASE_SCHEMES = ("sqlite", "postgresql+psycopg")
BROKER_SCHEMES = ("memory", "redis", "rediss", "amqp", "amqps")
IMAGE_SCHEMES = ("file",)
LEAST_KEY_CHARACTERS = 32


class Config(BaseSettings):
    """Everything an operator may set; `.env.example` has a line for each."""

    model_config = SettingsConfigDict(
        env_prefix="EASEL_", env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", populate_by_name=True
    )

    discord_token: SecretStr | None = Field(
        None, validation_alias=AliasChoices("DISCORD_TOKEN", "discord_token")
    )
    discord_token_file: Path | None = Field(
        None, validation_alias=AliasChoices("DISCORD_TOKEN_FILE", "discord_token_file")
    )
    key: SecretStr | None = None
    """Secret with which processes sign for each other (`storage/secret_key.py`); None: the one in
    `data_dir`.
    """
    key_file: Path | None = None
    discord_url: str = DISCORD_URL
    """Another address of Discord's HTTP API: a test server or a proxy."""

    data_dir: Path = Path(platformdirs.user_data_dir("easel", appauthor=False))
    database_url: SecretStr | None = None
    database_password: SecretStr | None = None
    """Takes the place of the address's, and need not be escaped."""
    broker_url: SecretStr = SecretStr("memory://")
    broker_password: SecretStr | None = None
    """Likewise."""
    images_url: str | None = None
    catalog: Path | None = None
    device: str = "auto"
    """`auto`, `cpu`, or an accelerator of torch's: `cuda` (ROCm's too), `cuda:1`, `xpu`, `mps`, …"""
    memory: Annotated[float, Field(gt=0)] | None = None
    """GiB of the device's memory that a worker may take; None: all of it."""
    compile: Literal["on", "off"] = "on"
    """Compile networks on a GPU; the compiler's results lie in `compiled_dir`."""
    safety: Literal["on", "off"] = "on"
    worker_slots: int = Field(4, ge=1, le=64)
    """Jobs that one worker takes at a time."""
    batch_jobs: int = Field(80, ge=1)
    """Jobs of batches that a member may have waiting at a time."""
    link_hosts: str = ""
    """Hosts of the operator's own network whose pictures members may link, `host` or `host:port`."""
    metrics_port: int | None = Field(None, ge=1, le=65535)
    """Port at which a worker tells Prometheus what it does; None: nowhere."""
    metrics_host: str = "127.0.0.1"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("discord_token_file", "key_file")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                _text(value)
            except OSError as error:
                raise ValueError(f"{value}: {error.strerror}") from None
        return value

    @field_validator("key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < LEAST_KEY_CHARACTERS:
            raise ValueError(f"it has fewer than {LEAST_KEY_CHARACTERS} characters")
        return value

    @field_validator("key_file")
    @classmethod
    def _holds_a_key(cls, value: Path | None) -> Path | None:
        if value is not None and len(_text(value)) < LEAST_KEY_CHARACTERS:
            raise ValueError(f"{value} holds fewer than {LEAST_KEY_CHARACTERS} characters")
        return value

    @field_validator("data_dir")
    @classmethod
    def _home(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("discord_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        _check_scheme(value, ("https", "http"))
        return value

    @field_validator("database_url")
    @classmethod
    def _database_scheme(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        scheme, colon, rest = value.get_secret_value().partition(":")
        if scheme in ("postgres", "postgresql"):
            scheme = "postgresql+psycopg"
        _check_scheme(scheme + colon + rest, DATABASE_SCHEMES)
        if scheme != "sqlite":
            _check_server(scheme + colon + rest)
        return SecretStr(scheme + colon + rest)

    @field_validator("broker_url")
    @classmethod
    def _broker_scheme(cls, value: SecretStr) -> SecretStr:
        _check_scheme(value.get_secret_value(), BROKER_SCHEMES)
        _check_server(value.get_secret_value())
        return value

    @field_validator("images_url")
    @classmethod
    def _images_scheme(cls, value: str | None) -> str | None:
        if value is not None and "://" not in value:
            return Path(value).expanduser().resolve().as_uri()
        if value is not None:
            _check_scheme(value, IMAGE_SCHEMES)
        return value

    @model_validator(mode="after")
    def _fill_from_data_dir(self) -> Config:
        if self.discord_token is None and self.discord_token_file is not None:
            self.discord_token = SecretStr(_text(self.discord_token_file))
        if self.key is None and self.key_file is not None:
            self.key = SecretStr(_text(self.key_file))
        self.broker_url = _with_password(self.broker_url, self.broker_password)
        if self.database_url is not None:
            self.database_url = _with_password(self.database_url, self.database_password)
        else:
            self.database_url = SecretStr(f"sqlite:///{self.data_dir / 'easel.db'}")
        if self.images_url is None:
            self.images_url = (self.data_dir / "images").resolve().as_uri()
        return self

    @property
    def catalog_file(self) -> Path | None:
        """The catalog's file: the one that is named, or else `own_catalog` once it is there; None: what ships
        with Easel.
        """
        return self.catalog or (self.own_catalog if self.own_catalog.is_file() else None)

    @property
    def own_catalog(self) -> Path:
        """The catalog that `easel models add` begins where none is named."""
        return self.data_dir / "catalog.toml"

    @property
    def compiled_dir(self) -> Path | None:
        """The folder that keeps compiled networks between starts; None if nothing is to be compiled."""
        return self.data_dir / "compiled" if self.compile == "on" else None

    @property
    def trusted_link_hosts(self) -> frozenset[str]:
        return frozenset(self.link_hosts.replace(",", " ").split())

    @property
    def database(self) -> str:
        assert self.database_url is not None
        return self.database_url.get_secret_value()

    @property
    def broker(self) -> str:
        return self.broker_url.get_secret_value()

    @property
    def images(self) -> str:
        assert self.images_url is not None
        return self.images_url


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip()


def _with_password(url: SecretStr, password: SecretStr | None) -> SecretStr:
    """The address with the password; one that names no host needs none."""
    parts = urlsplit(url.get_secret_value())
    if password is None or not parts.hostname:
        return url
    host = parts.netloc.rpartition("@")[2]
    secret = quote(password.get_secret_value(), safe="")
    return SecretStr(parts._replace(netloc=f"{parts.username or ''}:{secret}@{host}").geturl())


def _check_scheme(url: str, known: tuple[str, ...]) -> None:
    if url.partition(":")[0].lower() not in known:
        raise ValueError(f"begin the address with {' or '.join(f'{scheme}:' for scheme in known)}")


def _check_server(url: str) -> None:
    """Raises:
    ValueError: a password's own characters divide the address; the text does not repeat them.
    """
    try:
        parts = urlsplit(url)
        whole = parts.port != 0 and parts.netloc.count("@") <= 1 and not parts.fragment
    except ValueError:
        whole = False
    if not whole or "@" in parts.path + parts.query:
        raise ValueError(
            "it is no address of the form scheme://user:password@host:port/name; a password with other "
            "characters than letters and digits goes into a variable of its own, which ends with _PASSWORD"
        )


def load(**settings: object) -> Config:
    """Read the configuration; `settings` (by field name) win over environment and `.env`.

    Raises:
        ConfigError: with one sentence that names the variable and never repeats a secret.
    """
    for name, meant in unread():
        if meant is not None:
            raise ConfigError(
                f"{name} is no setting of Easel's: is {meant} meant? Correct the name, or take it out."
            )
    try:
        return Config(**settings)  # type: ignore[arg-type]
    except UnicodeDecodeError:
        raise ConfigError(f"{ENV_FILE} is not UTF-8 text: save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{ENV_FILE} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        reason = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise ConfigError(f"The configuration cannot be used: {reason}.") from None
        raise ConfigError(f"{variable(str(first['loc'][0]))} cannot be used: {reason}.") from None


def variable(field: str) -> str:
    """The environment variable of a field."""
    name = field.upper()
    return name if name in ("DISCORD_TOKEN", "DISCORD_TOKEN_FILE") else f"EASEL_{name}"


def unread() -> Iterator[tuple[str, str | None]]:
    """Variables that are set for nothing, each with the one that is meant, if that can be told."""
    return variables.unread(map(variable, Config.model_fields), ENV_FILE)
