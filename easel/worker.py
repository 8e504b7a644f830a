"""`easel worker`: the process that draws. Needs no Discord token."""

from __future__ import annotations

from contextlib import closing

import typer

from easel import start
from easel.profile import ProfileFile


def worker(profile: ProfileFile = None) -> None:
    """Draw what is asked for; start as many as there are GPUs, on as many machines as you like."""
    settings = start.configure()
    start.require("worker", "torch", "diffusers", "transformers", "prometheus_client")
    from easel import metrics

    with start.backends(settings) as backends, metrics.served(settings) as registry:
        # Torch takes seconds to import; what is wrong with the database is said before.
        from easel import live
        from generator.worker.models import Models
        from generator.worker.worker import Worker

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
            registry.register(metrics.Figures(worker, backends.database))
            if profile is not None:
                worker.device_thread.trace(profile)
            with live.shown(worker.device_thread.meter, lacks=lambda: worker.lacks):
                status = worker.run_forever()
    raise typer.Exit(status)
