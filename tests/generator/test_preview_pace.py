"""Previews of all jobs together keep to their share of the time, whatever one costs."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import PIL.Image
import pytest
import torch

from generator.companions.safety import CheckerFolder
from generator.engine.running_job import Images, Progress
from generator.worker import progress
from generator.worker.models import Models
from generator.worker.progress import PREVIEW_SHARE, PreviewPace, Pulse, Reporter
from storage.contract import ProgressEvent
from tests.generator.working import Place, wait_for


def test_what_one_took_the_others_wait_for() -> None:
    pace = PreviewPace()
    assert pace.due
    begun = time.monotonic()
    pace.took(0.002)
    pace.took(0.004)
    assert not pace.due
    wait_for(lambda: pace.due, 10)
    assert time.monotonic() - begun >= 0.006 / PREVIEW_SHARE


def test_a_check_of_previews_is_charged_and_another_is_not(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PREVIEW_SHARE", 1e-9)
    images = [PIL.Image.new("RGB", (64, 64))] * 4
    with closing(Models(models._catalog, "cpu")) as own:
        own.safety("plain").check(images)
        assert own.previews.due
        own.preview_check("plain").check(images)
        wait_for(lambda: not own.previews.due, 5)


def test_a_job_is_told_of_without_a_preview_until_one_is_due(place: Place, models: Models) -> None:
    made: list[float] = []

    def preview() -> Images:
        made.append(time.monotonic())
        return [PIL.Image.new("RGB", (32, 32))] * 2

    pace = PreviewPace()
    check: Any = models.safety("plain")
    with place.hearing() as heard:
        reporters = [Reporter(place.backends.events, job, 1, Pulse(), pace) for job in (1, 2)]
        for fraction, reporter in zip((0.2, 0.3), reporters, strict=True):
            reporter.progressed(Progress(fraction, preview))
            reporter.report(check)
            pace.took(10.0)
        wait_for(lambda: len(heard) == 2, 20)
    assert len(made) == 1, "the second job's is not due"
    told = [event for event in heard if isinstance(event, ProgressEvent)]
    assert [event.fraction for event in told] == [0.2, 0.3]
    assert [event.preview is not None for event in told] == [True, False]


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_what_a_call_takes_of_the_device_is_told(models: Models, seconds: float) -> None:
    told: list[float] = []
    models.device_thread.call(lambda: time.sleep(seconds), told.append)
    wait_for(lambda: bool(told), 5)
    assert told[0] >= seconds


def test_the_same_network_is_reached_another_way(models: Models) -> None:
    check = models.safety("plain")
    assert isinstance(check, CheckerFolder)
    calls: list[int] = []

    def counted(function: Any) -> Any:
        calls.append(1)
        return models.device_thread.call(function)

    other = check.reached(counted)
    images = [PIL.Image.new("RGB", (64, 64))]
    assert other.check(images) == check.check(images)
    assert calls == [1]
    assert torch.equal(next(other._network.parameters()), next(check._network.parameters()))
