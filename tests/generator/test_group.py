"""Whose turn it is within a batch group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from generator.engine.batch_group import BatchGroup
from generator.engine.clock import HostClock
from generator.engine.meter import Meter
from generator.engine.running_job import DrawRequest, RunningJob
from generator.families import loading
from generator.families.base import Family
from storage.contract import GenerationRequest

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def family(sd_folder: Path) -> Family:
    return loading.load(str(sd_folder), CPU)


@pytest.fixture
def group(family: Family) -> Iterator[BatchGroup]:
    """One in which two guided grids fit into a tick."""
    with torch.inference_mode():
        yield BatchGroup(family, 64, 0.0, HostClock(CPU), Meter(CPU))


def grid(group: BatchGroup, family: Family, steps: int) -> RunningJob:
    """A guided grid of four that has joined the group."""
    request = GenerationRequest(prompt="a fox", width=64, height=64, seed=1, num_inference_steps=steps)
    rows = RunningJob(family, DrawRequest(request))
    rows.start()
    group.join(rows)
    return rows


def ticks_until(group: BatchGroup, rows: RunningJob) -> int:
    ticks = 0
    while not rows.finished:
        group.tick()
        ticks += 1
    return ticks


def test_a_short_job_is_not_held_up_by_long_ones(group: BatchGroup, family: Family) -> None:
    long = [grid(group, family, 12) for _ in range(4)]
    group.tick()
    group.tick()
    assert [rows.calls_done for rows in long] == [1] * 4
    assert ticks_until(group, grid(group, family, 3)) == 3


def test_everybody_is_begun_at_once(group: BatchGroup, family: Family) -> None:
    grid(group, family, 2)
    grid(group, family, 2)
    group.tick()
    newcomer = grid(group, family, 40)
    group.tick()
    assert newcomer.calls_done == 1


def test_a_long_job_is_never_put_off_for_ever(group: BatchGroup, family: Family) -> None:
    long = grid(group, family, 6)
    short = [grid(group, family, 2) for _ in range(4)]
    ticks = 0
    while not long.finished and ticks < 300:
        group.tick()
        ticks += 1
        for rows in [rows for rows in short if rows.finished]:
            short.remove(rows)
            short.append(grid(group, family, 2))
    assert 20 < ticks < 100


def test_a_group_ends_with_its_last_job(group: BatchGroup, family: Family) -> None:
    ends = [grid(group, family, steps) for steps in (1, 2, 3)]
    assert len(group) == 3
    assert [ticks_until(group, rows) for rows in ends] == [1, 1, 2]
    assert len(group) == 0
