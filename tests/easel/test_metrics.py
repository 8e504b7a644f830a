"""The figures as Prometheus gets them: from a real worker, by HTTP, parsed by Prometheus' own parser."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from easel import checkups, metrics
from storage.config import Config
from storage.contract import JobState
from storage.database import Database
from storage.errors import ConfigError
from tests.generator.working import LONG, Place, make_catalog, wait_for

Samples = dict[tuple[str, str], float]


@pytest.fixture(scope="module")
def catalog_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_catalog(tmp_path_factory.mktemp("catalog"))


@pytest.fixture
def place(tmp_path: Path, catalog_file: Path, unused_tcp_port: int) -> Iterator[Place]:
    config = Config(
        data_dir=tmp_path,
        catalog=catalog_file,
        broker_url=SecretStr("memory://"),
        metrics_port=unused_tcp_port,
    )
    database = Database(config.database)
    database.upgrade()
    database.close()
    place = Place(config)
    yield place
    place.close()


def scrape(config: Config) -> Samples:
    """Every sample by its name and its only label's value, if it has one."""
    with urlopen(f"http://{config.metrics_host}:{config.metrics_port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_workers_figures_are_what_it_did(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # The failing job is tried three times: look for it at once.
    monkeypatch.setattr("generator.worker.worker._LOOK_SECONDS", 0.05)
    monkeypatch.setattr("storage.attempts.PAUSES_MS", (0,))
    with metrics.served(place.config) as registry, place.working(slots=2) as worker:
        registry.register(metrics.Figures(worker, place.backends.database))
        before = scrape(place.config)
        assert before["easel_unet_calls_total", ""] == 0
        assert before["easel_jobs_finished_total", "succeeded"] == 0
        requests: list[dict[str, Any]] = [{}, {"model": "strict"}, {"scheduler": "no such sampler"}]
        for request in requests:
            place.wait(place.ask(num_inference_steps=5, num_images_per_prompt=2, **request))
        running = place.ask(num_inference_steps=LONG, num_images_per_prompt=1)
        place.ask(num_inference_steps=LONG, num_images_per_prompt=1)
        waiting = place.ask(num_inference_steps=LONG)
        wait_for(lambda: worker.device_thread.meter.read().running == 2, 20)
        during = scrape(place.config)
        assert place.job(running).state == JobState.RUNNING
        assert place.job(waiting).state == JobState.QUEUED
    assert during["easel_queue_jobs", ""] == 1
    assert during["easel_batch_jobs", "running"] == 2
    assert during["easel_batch_jobs", "waiting"] == 0
    assert during["easel_jobs_finished_total", "succeeded"] == 1
    assert during["easel_jobs_finished_total", "withheld"] == 1
    assert during["easel_jobs_finished_total", "failed"] == 1, "a job is counted once, not each attempt"
    assert during["easel_jobs_finished_total", "cancelled"] == 0
    calls = during["easel_unet_calls_total", ""]
    assert calls > 10
    assert during["easel_unet_call_rows_count", ""] == during["easel_unet_call_rows_bucket", "+Inf"] == calls
    assert during["easel_unet_call_rows_bucket", "4.0"] >= 10, "two guided pictures are four rows"
    assert during["easel_tick_seconds_count", ""] == pytest.approx(calls, abs=1)
    assert 0 < during["easel_network_seconds_total", ""] < during["easel_busy_seconds_total", ""]
    weights = sum(place.models.engine(name).family.size_bytes for name in ("plain", "strict"))
    weights += sum(companion.size_bytes for companion in place.models._companions.values())
    assert during["easel_memory_bytes", "weights"] == weights
    assert during["easel_memory_bytes", "peak"] >= during["easel_memory_bytes", "taken"] > weights


def test_two_workers_in_one_process_count_for_themselves(place: Place) -> None:
    with place.working(name="first") as first:
        place.wait(place.ask())
        wait_for(lambda: first.outcomes()[JobState.SUCCEEDED] == 1, 5)
        with place.working(name="second") as second:
            values = []
            for worker in (first, second):
                registry = CollectorRegistry()
                registry.register(metrics.Figures(worker, place.backends.database))
                values.append(registry.get_sample_value("easel_jobs_finished_total", {"state": "succeeded"}))
    assert values == [1, 0]


def test_a_database_that_is_away_takes_only_the_queue_with_it(place: Place, tmp_path: Path) -> None:
    gone = Database(f"sqlite:///{tmp_path}/nowhere/easel.db")
    with place.working() as worker:
        registry = CollectorRegistry()
        registry.register(metrics.Figures(worker, gone))
        names = {family.name for family in registry.collect()}
    gone.close()
    assert "easel_queue_jobs" not in names
    assert {"easel_unet_calls", "easel_tick_seconds", "easel_memory_bytes"} <= names


def test_without_a_port_nobody_listens(tmp_path: Path) -> None:
    with metrics.served(Config(data_dir=tmp_path)) as registry:
        assert list(registry.collect()) == []


def test_a_port_in_use_is_named_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = Config(data_dir=tmp_path, metrics_port=taken.getsockname()[1])
        sentence = r"^EASEL_METRICS_PORT: port \d+ of 127.0.0.1 cannot be used: "
        with pytest.raises(ConfigError, match=sentence), metrics.served(config):
            pass
        (finding,) = checkups.metrics(config)
        assert (finding.state, finding.subject) == ("note", "EASEL_METRICS_PORT")
    (finding,) = checkups.metrics(config)
    assert finding.state == "good"


def test_the_port_is_free_again_afterwards(tmp_path: Path, unused_tcp_port: int) -> None:
    config = Config(data_dir=tmp_path, metrics_port=unused_tcp_port)
    for _ in range(2):
        with metrics.served(config):
            assert scrape(config) == {}
