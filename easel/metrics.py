"""A worker's figures for Prometheus, read from its meter when somebody asks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from sqlalchemy.exc import SQLAlchemyError

from storage import jobs
from storage.config import Config
from storage.database import Database
from storage.errors import ConfigError

if TYPE_CHECKING:
    # They load torch, and a port that is in use is said before.
    from generator.engine.meter import Histogram, MeterReading
    from generator.worker.worker import Worker

log = logging.getLogger(__name__)


@contextmanager
def served(settings: Config) -> Iterator[CollectorRegistry]:
    """A registry, served at `EASEL_METRICS_PORT`; without a port nobody hears of it.

    Raises:
        ConfigError: the port cannot be had.
    """
    registry = CollectorRegistry()
    if settings.metrics_port is None:
        yield registry
        return
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigError(
            f"EASEL_METRICS_PORT: port {port} of {host} cannot be used: {error.strerror}."
        ) from None
    log.info("metrics at http://%s:%s/metrics", host, port)
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Figures(Collector):
    """One worker's figures, and how many jobs wait for any."""

    def __init__(self, worker: Worker, database: Database) -> None:
        self._worker = worker
        self._database = database

    def collect(self) -> Iterator[Metric]:
        reading = self._worker.device_thread.meter.read()
        yield self._jobs_finished()
        yield self._lacks()
        yield from _drawing(reading)
        yield from _device(reading)
        queued = self._queued()
        if queued is not None:
            yield GaugeMetricFamily("easel_queue_jobs", "Jobs that wait for a worker, any.", queued)

    def _jobs_finished(self) -> Metric:
        finished = CounterMetricFamily(
            "easel_jobs_finished", "Jobs that ended here, by what they became.", labels=["state"]
        )
        for state, count in self._worker.outcomes().items():
            finished.add_metric([state.value], count)
        return finished

    def _lacks(self) -> Metric:
        lacks = GaugeMetricFamily(
            "easel_lacks_room", "1 while no job is taken for want of this room.", labels=["of"]
        )
        for kind in ("pictures", "memory"):
            lacks.add_metric([kind], self._worker.lacks == kind)
        return lacks

    def _queued(self) -> int | None:
        try:
            with self._database.reading() as session:
                return jobs.waiting(session)
        except SQLAlchemyError as error:
            log.warning("the queue cannot be counted: %s", error)
            return None


def _drawing(reading: MeterReading) -> Iterator[Metric]:
    yield CounterMetricFamily("easel_unet_calls", "UNet calls.", reading.calls)
    yield _histogram("easel_unet_call_rows", "Rows of each UNet call.", reading.rows_a_call)
    yield _histogram("easel_tick_seconds", "Seconds that each tick took.", reading.tick_seconds)
    batch = GaugeMetricFamily(
        "easel_batch_jobs", "Jobs in the running batches: in the last UNet call, or not.", labels=["state"]
    )
    batch.add_metric(["running"], reading.running)
    batch.add_metric(["waiting"], reading.waiting)
    yield batch


def _device(reading: MeterReading) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "easel_busy_seconds", "Seconds in which the device's thread had work.", reading.busy_seconds
    )
    yield CounterMetricFamily(
        "easel_network_seconds", "Seconds in which the UNet computed.", reading.network_seconds
    )
    memory = GaugeMetricFamily(
        "easel_memory_bytes", "The GPU's memory, or without one the process's.", labels=["kind"]
    )
    for kind in ("weights", "taken", "peak"):
        memory.add_metric([kind], getattr(reading.memory, kind))
    yield memory


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    bounds = [*map(floatToGoString, histogram.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=histogram.total)
