"""Checks of `easel doctor`: each reaches for one real thing and says, without secrets, what it found."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, url2pathname, urlopen

from sqlalchemy.orm import Session

from easel import logs, memory_fits, start
from easel.invitation import invitation
from generator.inspection import entries
from storage import catalog, secret_key, stores
from storage.catalog_model import ModelEntry
from storage.config import Config
from storage.database import Database
from storage.errors import CatalogError, ConfigError
from storage.images import LEAST_FREE, ImageStore
from storage.private_files import make_private_folder, open_to_others
from storage.workers import alive

T = TypeVar("T")

PATIENCE_S = 5
LITTLE_DISK = 2 * 2**30


@dataclass(frozen=True)
class Finding:
    state: Literal["good", "note", "bad"]
    subject: str
    text: str
    mend: str = ""


def discord_library(_: Config) -> Iterator[Finding]:
    yield _installed("discord.py", "bot")


def simulated_discord(_: Config) -> Iterator[Finding]:
    yield _installed("simcord", "demo")


def drawing(_: Config) -> Iterator[Finding]:
    for package in ("torch", "diffusers", "transformers"):
        yield _installed(package, "worker")


def _installed(package: str, extra: str) -> Finding:
    try:
        return Finding("good", package, version(package))
    except PackageNotFoundError:
        return Finding("bad", package, "is not installed", start.installing(extra))


def token(settings: Config) -> Iterator[Finding]:
    try:
        secret = start.token_of(settings)
    except ConfigError:
        mend = "Copy the bot's token from discord.com/developers/applications into .env."
        yield Finding("bad", "DISCORD_TOKEN", "is not set", mend)
        return
    request = Request(  # noqa: S310  the configuration checks the scheme
        f"{settings.discord_url.rstrip('/')}/oauth2/applications/@me",
        headers={"Authorization": f"Bot {secret}", "User-Agent": "DiscordBot (https://easel.invalid, 1)"},
    )
    try:
        with urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
            application = json.load(answer)
    except HTTPError as error:
        mend = "Copy it again, or reset it on the application's page, under Bot." if error.code == 401 else ""
        yield Finding("bad", "DISCORD_TOKEN", f"Discord answers {error.code} {error.reason}", mend)
    except (URLError, TimeoutError, ValueError) as error:
        reason = getattr(error, "reason", error)
        host = urlsplit(settings.discord_url).netloc
        yield Finding(
            "bad", "Discord", f"{host} cannot be reached: {reason}", "Is the network or the proxy up?"
        )
    else:
        yield Finding("good", "DISCORD_TOKEN", f"is of the application {application.get('name', '?')}")
        yield Finding(
            "note", "invitation", invitation(int(application["id"])), "Opens your server to the bot."
        )


def device(settings: Config) -> Iterator[Finding]:
    try:
        from generator import devices
    except ImportError:
        return
    try:
        chosen = devices.choose(settings.device)
    except CatalogError as error:
        mend = "Install the GPU's driver and a build of torch for it, or set EASEL_DEVICE=auto."
        yield Finding("bad", "EASEL_DEVICE", str(error), mend)
        return
    memory = devices.total_bytes(chosen) / 2**30
    what = devices.name(chosen) if devices.is_gpu(chosen) else f"CPU, {os.cpu_count()} cores"
    yield Finding("good", "device", f"{what}, {memory:.0f} GiB")
    yield from (Finding("note", "device", lack) for lack in devices.lacks(chosen))
    if settings.compile == "on" and devices.abilities(chosen).compiled:
        yield from _compiler()
    if not devices.has_gpu() and sys.platform == "linux" and shutil.which("nvidia-smi"):
        mend = "pip install --force-reinstall torch (the CPU build was installed)."
        version_of_cuda = devices.built_for_cuda()
        if version_of_cuda is not None:
            mend = f"Install a driver for CUDA {version_of_cuda}; in a container, let it see the GPU."
        yield Finding("note", "device", "there is an NVIDIA driver, but torch cannot use it", mend)


def _compiler() -> Iterator[Finding]:
    from generator.compiling import toolchain

    for what, mend in toolchain.missing():
        text = f"{what}: networks stay as slow as they are"
        yield Finding("note", "EASEL_COMPILE", text, f"{mend}, or set EASEL_COMPILE=off.")


def models(settings: Config) -> Iterator[Finding]:
    """Check of a worker's weights."""
    listed = _catalog_of(settings)
    whole = []
    for name, entry in listed.items():
        faults = list(entries.faults(entry))
        if faults:
            yield Finding("bad", f"model {name}", "; ".join(faults), "Mend its entry in the catalog.")
        else:
            whole.append(entry)
            yield Finding("good", f"model {name}", entry.source)
    yield from _memory(settings, whole)
    yield from model_names(settings)


def _memory(settings: Config, entries: Iterable[ModelEntry]) -> Iterator[Finding]:
    """Check that each model fits into its device's memory, where that is known."""
    try:
        fits = memory_fits.fits(settings)
        for entry in entries:
            fit = fits(entry)
            if fit is not None:
                state: Literal["good", "note"] = "good" if fit.fits else "note"
                mend = "" if fit.fits else "See docs/operating.md, “Memory”, for what takes less."
                yield Finding(state, f"memory of {entry.name}", fit.sentence(), mend)
    except CatalogError as error:
        yield Finding("bad", "memory", str(error))


def model_names(settings: Config) -> Iterator[Finding]:
    """Check of the bot's catalog, not of the weights."""
    try:
        loaded = catalog.load(settings.catalog_file)
    except CatalogError as error:
        yield Finding("bad", "EASEL_CATALOG", str(error), "See docs/operating.md, “The catalog”.")
        return
    yield Finding("good", "catalog", f"{', '.join(loaded.models)}; by default {loaded.default}")
    if settings.safety == "off":
        mend = "Only age-restricted channels are served; set it to on for all others."
        yield Finding("note", "EASEL_SAFETY", "off: pictures are not checked", mend)


def _catalog_of(settings: Config) -> dict[str, ModelEntry]:
    try:
        return catalog.load(settings.catalog_file).models
    except CatalogError:
        return {}


def database(settings: Config) -> Iterator[Finding]:
    name = urlsplit(settings.database).scheme
    opened = None
    try:
        with start.reachable(settings):
            opened = Database(settings.database)
            differences = opened.check()
    except ConfigError as error:
        mend = "Is the server up, and are host, user and password right?"
        if name == "sqlite":
            mend = "Is it a database of Easel's, may this user write to it and its folder, and is there room?"
        yield Finding("bad", "EASEL_DATABASE_URL", str(error), mend)
        return
    finally:
        if opened is not None:
            opened.close()
    if differences:
        text = f"{name} answers, but its tables are not of this version"
        yield Finding(
            "note", "database", text, "easel db upgrade (`easel run` and `easel demo` do it themselves)"
        )
    else:
        yield Finding("good", "database", f"{name} answers, with the tables of this version")


def shared_broker(settings: Config) -> Iterator[Finding]:
    if urlsplit(settings.broker).scheme == "memory":
        mend = "Set EASEL_BROKER_URL to redis:// or amqp://, the same for the bot and all workers."
        yield Finding(
            "note", "EASEL_BROKER_URL", "memory:// does not leave the process: no progress is shown", mend
        )
    else:
        yield from broker(settings)


def broker(settings: Config) -> Iterator[Finding]:
    from kombu.connection import Connection
    from kombu.exceptions import OperationalError

    scheme = urlsplit(settings.broker).scheme
    try:
        with Connection(settings.broker, connect_timeout=PATIENCE_S) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=PATIENCE_S)
    except (OperationalError, OSError, ValueError) as error:
        reason = str(error)
        for secret in logs.secrets_of(settings):
            reason = reason.replace(secret, "***")
        mend = "Jobs are taken meanwhile, a second late and without progress."
        yield Finding("note", "EASEL_BROKER_URL", f"{scheme} does not answer: {reason}", mend)
    else:
        yield Finding("good", "broker", f"{scheme} answers")


def key(settings: Config) -> Iterator[Finding]:
    if settings.key is not None:
        yield Finding("good", "key", "EASEL_KEY is set; it must be the same for the bot and all workers")
    elif urlsplit(settings.broker).scheme != "memory":
        kept = secret_key.kept_in(settings.data_dir)
        mend = "On several machines: set EASEL_KEY alike for bot and workers, or copy this file to each."
        yield Finding("note", "EASEL_KEY", f"is not set: this machine's own is used, {kept}", mend)


def private_folder(settings: Config) -> Iterator[Finding]:
    folder = settings.data_dir
    for path, mode in ((folder, 700), (secret_key.kept_in(folder), 600)):
        try:
            open_ = path.exists() and open_to_others(path)
        except OSError as error:
            mend = "Let it be this user's, or set another folder."
            yield Finding("bad", "EASEL_DATA_DIR", f"{path} cannot be read: {error.strerror}", mend)
            return
        if open_:
            text = f"{path} is open to other users of this machine"
            yield Finding("note", "EASEL_DATA_DIR", text, f"chmod {mode} {path}")


def pictures(settings: Config) -> Iterator[Finding]:
    folder = Path(url2pathname(urlsplit(settings.images).path))
    try:
        make_private_folder(folder)
        probe = folder / f".doctor-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        yield Finding(
            "bad", "EASEL_IMAGES_URL", f"{folder} cannot be written: {error.strerror}", "Mend its rights."
        )
        return
    fault = _read(settings, lambda session: stores.mismatch(session, ImageStore(settings.images)))
    if fault:
        yield Finding("bad", "EASEL_IMAGES_URL", "names another folder than the database knows", fault)
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        text = f"{folder}: only {free / 2**20:.0f} MiB are free: workers take no jobs"
        yield Finding("bad", "pictures", text, "Make room; they go on by themselves.")
    elif free < LITTLE_DISK:
        yield Finding("note", "pictures", f"{folder}: {free / 2**20:.0f} MiB are free", "Make room soon.")
    else:
        yield Finding("good", "pictures", f"{folder}, {free / 2**30:.0f} GiB free")


def metrics(settings: Config) -> Iterator[Finding]:
    host, port = settings.metrics_host, settings.metrics_port
    if port is None:
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        mend = "Does a worker run already? Else choose another port."
        yield Finding("note", "EASEL_METRICS_PORT", f"{port} of {host}: {error.strerror}", mend)
    else:
        yield Finding("good", "metrics", f"port {port} of {host} is free")


def workers(settings: Config) -> Iterator[Finding]:
    names = _read(settings, lambda session: [worker.name for worker in alive(session)])
    if names:
        yield Finding("good", "workers", ", ".join(names))
    elif names is not None:
        yield Finding("note", "workers", "none is running: jobs will wait", "Start one with `easel worker`.")


def room(settings: Config) -> Iterator[Finding]:
    """Check that the workers that run now take jobs."""
    for worker in _read(settings, alive) or []:
        if worker.lacks is not None:
            text = f"takes no jobs: it has too little room ({worker.lacks})"
            mend = "Make room on its disk." if worker.lacks == "pictures" else "Is its memory used by others?"
            yield Finding("note", f"worker {worker.name}", text, f"{mend} It goes on by itself.")


def _read(settings: Config, query: Callable[[Session], T]) -> T | None:
    """Ask the database; None where it cannot be asked, which `database` tells of."""
    try:
        with start.reachable(settings), closing(Database(settings.database)) as opened:
            if opened.check():
                return None
            with opened.reading() as session:
                return query(session)
    except ConfigError:
        return None
