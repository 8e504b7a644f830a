"""Measurements as a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rich.table import Table

from benchmarks.likeness import LEAST_DB

IMAGES_GOALS = {"sd15": "≥ 5", "sd21": "≥ 3.5", "sdxl": "≥ 2.5"}
ALONE_GOALS = {"sd15": "≥ 1.9", "sdxl": "≥ 1.45"}
"""On a GPU, in times better."""


class TableRow(NamedTuple):
    label: str
    diffusers: float | None
    easel: float | None
    digits: int = 2
    better: float | None = None
    """Ratio by which Easel is better; below one it is worse."""
    goal: str = ""


def table(result: Mapping[str, Any], on_gpu: bool) -> Table:
    """One model's figures: both ways beside each other."""
    queue = result["queue"]
    sizes = f"{result['pixels']} pixels, {result['jobs']} jobs of four, {result['rounds']} rounds"
    made = Table(
        title=f"{result['title']}, {sizes}", caption=f"jobs arrive within {queue['arrival_seconds']:.1f} s"
    )
    made.add_column()
    for heading in ("diffusers", "Easel", "times better"):
        made.add_column(heading, justify="right")
    made.add_column("goal")
    for line in (*_queue(result, on_gpu), *_moments(result, on_gpu), *_likeness(result, on_gpu)):
        figures = (_number(value, line.digits) for value in (line.diffusers, line.easel))
        made.add_row(line.label, *figures, _number(line.better, 2), line.goal)
    return made


def _queue(result: Mapping[str, Any], on_gpu: bool) -> Iterator[TableRow]:
    queue = result["queue"]

    def line(label: str, name: str, digits: int = 2, *, less: bool | None = None, goal: str = "") -> TableRow:
        bare, easel = queue["diffusers"][name], queue["easel"][name]
        better = None if less is None else bare / easel if less else easel / bare
        return TableRow(label, bare, easel, digits, better, goal)

    goal = IMAGES_GOALS.get(result["model"], "") if on_gpu else "≥ 1"
    yield line("images a minute", "images_a_minute", 1, less=False, goal=goal)
    yield line("latency, median, s", "median_latency", less=True)
    yield line("latency, 95th percentile, s", "p95_latency", less=True)
    goal = "" if on_gpu else "≥ 3"
    yield line("the same, short jobs beside long ones, s", "short_p95_latency", less=True, goal=goal)
    yield line("UNet calls", "unet_calls", 0)
    yield line("rows a call", "rows_a_call", 1)
    yield line("share of time inside the UNet", "unet_share")
    if on_gpu:
        yield line("UNet TFLOP/s", "unet_tflops", 0, less=False)
        yield line("share of the GPU's matmul rate, in the UNet", "peak_share")
        yield line("share of the GPU's matmul rate, whole queue", "whole_peak_share")


def _moments(result: Mapping[str, Any], on_gpu: bool) -> Iterator[TableRow]:
    goals = (ALONE_GOALS.get(result["model"], ""), "≥ 0.83") if on_gpu else ("", "")
    labels = {"alone": "one job alone, s", "first_picture": "start to first grid, s"}
    for (name, label), goal in zip(labels.items(), goals, strict=True):
        seconds = result.get(name)
        if seconds is not None:
            bare, easel = seconds["diffusers"], seconds["easel"]
            yield TableRow(label, bare, easel, 2, bare / easel, goal)
    ticks = result.get("first_tick")
    if ticks is not None:
        goal = "≤ 50" if on_gpu else ""
        yield TableRow("newcomer's first tick begins, ms", None, 1000 * ticks["begun"], 0, None, goal)
        yield TableRow("newcomer's first tick is done, ms", None, 1000 * ticks["done"], 0)
    previews = result.get("previews")
    if previews is not None:
        yield TableRow("previews add, %", None, 100 * previews["cost"], 1, None, "≤ 2")


def _likeness(result: Mapping[str, Any], on_gpu: bool) -> Iterator[TableRow]:
    like = result.get("likeness")
    if like is not None:
        goal = f"≥ {LEAST_DB:.0f}" if on_gpu else ""
        yield TableRow("alone, like the pipeline's, dB", None, like["pipeline_db"], 1, None, goal)
        yield TableRow("among strangers, like alone, dB", None, like["strangers_db"], 1, None, goal)
        label = "samplers to the last bit alike in calls of one size"
        yield TableRow(label, None, like["identical"], 0, None, str(like["of"]))
    around = result.get("around")
    if around is None:
        return
    yield TableRow("a prompt by itself, ms", None, around["prompt_alone"])
    yield TableRow("a prompt in a shared call, ms", None, around["prompt_shared"])
    yield TableRow("a picture decoded by itself, ms", None, around["picture_alone"], 1)
    yield TableRow("a picture decoded in a shared call, ms", None, around["picture_shared"], 1)
    yield TableRow("such a call, ms", None, around["decoding_call"], 1)
    steps = sorted(around["steps"].values())
    yield TableRow("a job's scheduler step, the median sampler's, ms", None, steps[len(steps) // 2])
    yield TableRow("a job's scheduler step, the slowest sampler's, ms", None, steps[-1])


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
