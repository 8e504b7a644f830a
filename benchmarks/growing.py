"""How Picturebook's scenes grow: forty zooms, pans and squares, half of them of fresh scenes at every run.

    python -m benchmarks.growing [--sheet docs/growing.webp] [--pairs 20] [--seed N]

Each row of the sheet is a picture and what it grew to, twice. The seam is the mean step across the old
border, in those of the parallel lines 8 pixels away on both sides; a second subject is what the segmenter
finds of the first one's noun in the new area.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
import torch
from rich.console import Console
from rich.table import Table

from bot import canvases
from bot.canvases import Canvas, Direction
from bot.redrawn import CONTINUED
from generator import pasting, surroundings
from generator.engine import Engine
from generator.safety import CheckerFolder, checker_source
from generator.segment import Segmenter
from picturebook import captions, scenes, words
from storage import catalog
from storage.catalog import ModelEntry, Size
from storage.contract import GenerationRequest, RequestChanges, Task

Picture = PIL.Image.Image

KINDS = ("zoom 2×", "left", "up", "square", "zoom 1.5×", "right", "down", "left twice")
SIZES: tuple[Size, ...] = ((128, 128), (152, 112), (168, 112), (112, 152))
AWAY = 8
"""Pixels between the border and the lines that its step is compared with."""
MOST_SEAM = 1.5
SECOND = 0.02
"""The part of the new area that a second subject covers."""
FIXED = 0
GAP = 6


@dataclass(frozen=True)
class Growth:
    kind: str
    noun: str
    before: Picture
    after: Picture
    canvas: Canvas
    """Where on the last sheet the picture before it lies."""
    seam: float
    second: float
    """The part of the new area that the segmenter takes for the subject."""
    withheld: bool
    inherited: bool
    """Whether the picture before is withheld itself."""

    @property
    def is_good(self) -> bool:
        return self.second < SECOND


class _Start(NamedTuple):
    noun: str
    request: GenerationRequest


class Nursery:
    """Draws scenes and lets them grow as a worker does."""

    def __init__(self, engine: Engine, entry: ModelEntry) -> None:
        assert entry.segmenter is not None
        cpu = torch.device("cpu")
        self._engine = engine
        self._entry = entry
        self._segmenter = Segmenter.load(entry.segmenter.source, cpu)
        self._check = CheckerFolder.load(checker_source(entry), cpu)

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Nursery]:
        entry = catalog.load()["picturebook"]
        with Engine.open(entry.source, device="cpu", entry=entry) as engine:
            yield cls(engine, entry)

    def growths(self, seed: int, pairs: int) -> list[Growth]:
        """Two of each of so many scenes, which the seed chooses."""
        starts = list(_starts(self._entry, random.Random(seed), pairs))
        futures = [self._engine.submit(start.request) for start in starts]
        pictures = [future.result()[0] for future in futures]
        made: list[tuple[_Start, Picture, str, Canvas]] = []
        firsts: list[tuple[_Start, Picture, str]] = []
        for index, (start, picture) in enumerate(zip(starts, pictures, strict=True)):
            firsts += [(start, picture, KINDS[(2 * index + turn) % len(KINDS)]) for turn in (0, 1)]
        twice = [(start, picture) for start, picture, kind in firsts if kind == "left twice"]
        wider = iter(
            self._grown([(start, picture, self._canvas("left", picture.size)) for start, picture in twice])
        )
        for start, picture, kind in firsts:
            before = next(wider) if kind == "left twice" else picture
            made.append((start, before, kind, self._canvas(kind, before.size)))
        afters = self._grown([(start, picture, canvas) for start, picture, _, canvas in made])
        return [self._measured(*each, after) for each, after in zip(made, afters, strict=True)]

    def _canvas(self, kind: str, size: Size) -> Canvas:
        if kind.startswith("zoom"):
            return canvases.zoomed(size, size, 2.0 if kind == "zoom 2×" else 1.5)
        if kind == "square":
            return canvases.squared(size, self._entry)
        return canvases.panned(size, self._entry, Direction[kind.split()[0].upper()])

    def _grown(self, wishes: Sequence[tuple[_Start, Picture, Canvas]]) -> list[Picture]:
        sheets, futures = [], []
        for start, picture, canvas in wishes:
            sheet, mask = canvas.compose(picture)
            changes: RequestChanges = {
                "task": Task.INPAINTING,
                "source_key": "sheet.png",
                "mask_key": "mask.png",
                "strength": CONTINUED,
                "continues": True,
                "width": canvas.size[0],
                "height": canvas.size[1],
                "seed": start.request.seed + 1,
            }
            whole = start.request.changed(**changes)
            request = surroundings.of(whole, sheet, mask, self._segmenter.see)
            sheets.append((sheet, mask))
            futures.append(self._engine.submit(request, image=sheet, mask=pasting.to_draw(mask)))
        drawn = [future.result()[0] for future in futures]
        return [
            pasting.pasted(image, sheet, mask) for image, (sheet, mask) in zip(drawn, sheets, strict=True)
        ]

    def _measured(self, start: _Start, before: Picture, kind: str, canvas: Canvas, after: Picture) -> Growth:
        before_check, after_check = self._check.check([before, after])
        second = self._second(after, canvas, start.noun)
        return Growth(
            kind, start.noun, before, after, canvas, seam(after, canvas), second,
            after_check.unsafe, before_check.unsafe,
        )  # fmt: skip

    def _second(self, after: Picture, canvas: Canvas, noun: str) -> float:
        (where,) = self._segmenter.see(after, [noun])
        found = np.asarray(PIL.Image.fromarray(where).resize(after.size))
        new = np.ones(found.shape, bool)
        left, top, right, bottom = canvas.box
        # What is cut by the border goes on behind it, and the segmenter's own border is soft.
        new[max(0, top - AWAY) : bottom + AWAY, max(0, left - AWAY) : right + AWAY] = False
        return float(found[new].mean())


def _starts(entry: ModelEntry, rng: random.Random, count: int) -> Iterator[_Start]:
    for index in range(count):
        scene = scenes.random_scene(rng, skulls=0)
        width, height = SIZES[index % len(SIZES)]
        request = GenerationRequest(
            prompt=captions.full_caption(scene),
            seed=rng.randrange(2**31),
            width=width,
            height=height,
            num_images_per_prompt=1,
            num_inference_steps=entry.num_inference_steps,
            guidance_scale=entry.guidance_scale,
            scheduler=entry.scheduler,
            stylize=entry.stylize,
        )
        yield _Start(words.SUBJECTS[scene.subject][0], request)


def seam(picture: Picture, canvas: Canvas) -> float:
    """The mean step across the sides beyond which the picture grew, in those of parallel lines beside it."""
    values = np.asarray(picture.convert("RGB"), float)
    left, top, right, bottom = canvas.box
    width, height = canvas.size
    inside = slice(max(0, left), right), slice(max(0, top), bottom)
    across, beside = [], []
    for axis, borders, side in ((1, (left, right), width), (0, (top, bottom), height)):
        within = values[inside[1]] if axis == 1 else values[:, inside[0]]
        steps = np.abs(np.diff(within, axis=axis)).mean(axis=(1 - axis, 2))
        for border in borders:
            if 0 < border < side:
                across.append(steps[border - 1])
                lines = (border - 1 - AWAY, border - 1 + AWAY)
                beside += [statistics.mean(steps[line] for line in lines if 0 <= line < len(steps))]
    return float(statistics.mean(across) / statistics.mean(beside))


def sheet_of(growths: Sequence[Growth], columns: int = 4) -> Picture:
    """All of them, each behind what it grew from."""
    pairs = [(each.before, each.after) for each in growths]
    wide = max(before.width + after.width for before, after in pairs) + 3 * GAP
    rows = [pairs[begin : begin + columns] for begin in range(0, len(pairs), columns)]
    heights = [max(picture.height for pair in row for picture in pair) + GAP for row in rows]
    sheet = PIL.Image.new("RGB", (wide * columns, sum(heights)), "white")
    y = 0
    for row, height in zip(rows, heights, strict=True):
        for column, (before, after) in enumerate(row):
            sheet.paste(before, (column * wide, y))
            sheet.paste(after, (column * wide + before.width + GAP, y))
        y += height
    return sheet


def table(growths: Sequence[Growth]) -> Table:
    made = Table("kind", "count", "seam, mean", "seam, most", "second subjects", "withheld", "inherited")
    for kind in (*KINDS, "all"):
        chosen = [each for each in growths if kind in (each.kind, "all")]
        if chosen:
            made.add_row(
                kind,
                str(len(chosen)),
                f"{statistics.mean(each.seam for each in chosen):.2f}",
                f"{max(each.seam for each in chosen):.2f}",
                str(sum(not each.is_good for each in chosen)),
                str(sum(each.withheld and not each.inherited for each in chosen)),
                str(sum(each.withheld and each.inherited for each in chosen)),
            )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="of the fresh half")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(2**31) if asked.seed is None else asked.seed
    with Nursery.open() as nursery:
        growths = nursery.growths(FIXED, asked.pairs // 2) + nursery.growths(seed, asked.pairs // 2)
    Console().print(table(growths))
    print(f"Fresh seed: {seed}")
    if asked.sheet is not None:
        sheet_of(growths).save(asked.sheet, quality=80)


if __name__ == "__main__":
    main()
