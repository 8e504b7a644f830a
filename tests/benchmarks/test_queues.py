"""Both ways draw the same queue, and what is said of it is so."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from benchmarks import queues
from benchmarks.measure import Sides
from benchmarks.queues import Run
from benchmarks.unet_calls import Total, UNetCalls
from benchmarks.workload import Arrival, Mix, mixed_queue, spread, work

MIX = Mix("tiny", 64, 2, 4)


def _ways(sides: Sides) -> dict[str, queues.Way]:
    return {
        "diffusers": partial(queues.one_after_another, sides.pipeline, sides.pipeline_calls),
        "easel": partial(queues.through_engine, sides.engine, sides.engine_calls),
    }


def test_both_ways_draw_as_many_rows(sides: Sides) -> None:
    arrivals = spread(mixed_queue(MIX, 5, 0), 0.05)
    runs = queues.by_turns(_ways(sides), arrivals, 2)
    rows = sum(work(arrival.request) for arrival in arrivals)
    for name in ("diffusers", "easel"):
        for run in runs[name]:
            assert run.unet.rows == rows
            assert 0 < run.unet.seconds < run.seconds
            assert len(run.latencies) == len(arrivals)
            assert all(0 < latency <= run.seconds for latency in run.latencies)
    steps = sum(arrival.request.num_inference_steps for arrival in arrivals)
    assert all(run.unet.calls == steps for run in runs["diffusers"])
    assert all(run.unet.calls <= steps for run in runs["easel"])


def test_nobody_draws_before_the_arrival(sides: Sides) -> None:
    late = [Arrival(0.3, MIX.request(0, 2), short=True)]
    for way in _ways(sides).values():
        run = way(late)
        assert run.seconds > 0.3
        assert run.latencies[0] == pytest.approx(run.seconds - 0.3)


def test_who_begins_changes() -> None:
    begun: list[str] = []

    def way(name: str) -> queues.Way:
        def draw(_: object) -> Run:
            begun.append(name)
            return Run(1.0, (), Total(1, 1, 1.0))

        return draw

    runs = queues.by_turns({"a": way("a"), "b": way("b")}, [], 3)
    assert "".join(begun) == "abbaab"
    assert len(runs["a"]) == len(runs["b"]) == 3


def test_figures() -> None:
    arrivals = [
        Arrival(0.0, MIX.request(0, 4), short=False),
        Arrival(1.0, MIX.request(1, 2), short=True),
        Arrival(2.0, MIX.request(2, 4), short=False),
    ]
    run = Run(12.0, (2.0, 3.0, 10.0), Total(5, 40, 6.0))
    found = queues.figures([run, run], arrivals)
    assert found["images_a_minute"] == 60
    assert found["median_latency"] == 3
    assert found["p95_latency"] == 10
    assert found["short_p95_latency"] == 3
    assert (found["unet_calls"], found["rows_a_call"], found["unet_share"]) == (5, 8, 0.5)
    assert found["unet_rows_a_second"] == pytest.approx(40 / 6)


def test_percentile_lies_between() -> None:
    assert queues.percentile(range(101), 95) == 95
    assert queues.percentile([1.0], 95) == 1


def test_silence_is_an_error() -> None:
    class Network:
        def forward(self, latents: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
            return latents * timesteps

    network = Network()
    calls = UNetCalls(network, "forward", torch.device("cpu"))
    network.forward(torch.ones(3), torch.tensor(2.0))
    total = calls.take()
    assert (total.calls, total.rows) == (1, 3)
    with pytest.raises(RuntimeError, match="not called where the benchmark listens"):
        calls.take()
