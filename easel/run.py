"""`easel run`: bot and worker in one process, with a database and a queue of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import typer

from easel import start, tenancy
from easel.profile import ProfileFile
from storage.backends import Backends

if TYPE_CHECKING:
    from generator.worker.worker import Worker


def run(profile: ProfileFile = None) -> None:
    """Everything in one process: needs DISCORD_TOKEN and nothing else."""
    settings = start.configure()
    token = start.token_of(settings)
    start.require("demo", "discord", "torch", "diffusers", "transformers", "prometheus_client")
    from bot.client import EaselBot
    from easel import live, metrics
    from easel.serving import serve

    with (
        tenancy.alone(settings.data_dir, "easel run"),
        start.backends(settings, migrate=True) as backends,
        metrics.served(settings) as registry,
        embedded_worker(backends) as worker,
    ):
        registry.register(metrics.Figures(worker, backends.database))
        if profile is not None:
            worker.device_thread.trace(profile)
        with live.shown(worker.device_thread.meter, lacks=lambda: worker.lacks):
            asyncio.run(serve(lambda: EaselBot(backends), token, worker.broken))
    if worker.broken.is_set():
        raise typer.Exit(1)


@contextmanager
def embedded_worker(backends: Backends) -> Iterator[Worker]:
    """A worker on threads of this process, which hands its jobs back at the end."""
    from generator.worker.models import Models
    from generator.worker.worker import Worker

    settings = backends.config
    start.require_drawable(settings, backends.catalog)
    models = Models(
        backends.catalog,
        settings.device,
        settings.safety,
        memory_limit=settings.memory,
        compiled_dir=settings.compiled_dir,
    )
    with closing(models):
        worker = Worker(backends, models)
        worker.start()
        try:
            yield worker
        finally:
            worker.stop()
