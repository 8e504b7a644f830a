"""Growth of Picturebook's scenes: forty zooms, pans and squares, half of them of fresh scenes at every run.

    python -m benchmarks.growing [--sheet docs/growing.webp] [--pairs 20] [--seed N]

Each row of the sheet is pictures and what they grew to. The seam is the mean step across the old border, in
those of the parallel lines 8 pixels away on both sides. The jump is the same from beyond the feather to the
new picture, which no feather hides; where the old picture has a frame of paper, that is in it too. A second
subject is what the segmenter finds by any of the first one's nouns in the new area, in the whole picture or
where it sees the new area alone.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import torch
from rich.console import Console
from rich.table import Table

from actions import canvas as canvases
from actions.canvas import Box, Canvas, Direction
from actions.derivation import CONTINUED
from generator.companions.safety import CheckerFolder, checker_source
from generator.companions.segment import Segmenter
from generator.conditioning import compositing, surroundings
from generator.engine.engine import Engine
from picturebook import captions, scenes, words
from storage import catalog
from storage.catalog_model import ModelEntry
from storage.catalog_values import Size
from storage.contract import GenerationRequest, RequestChanges, Task

Picture = PIL.Image.Image

KINDS = ("zoom 2×", "left", "up", "square", "zoom 1.5×", "right", "down", "left twice")
SIZES: tuple[Size, ...] = ((128, 128), (152, 112), (168, 112), (112, 152))
AWAY = 8
"""Pixels between the border and the lines that its step is compared with."""
MOST_SEAM = 1.5
SECOND = 0.05
"""The part of the new area in which a subject is found beyond what is found of it in the undrawn canvas."""
SECOND_ALONE = 0.1
"""The same of one side of it that is seen by itself."""
SEEN_ALONE = 24
"""Pixels across which a side of the new area is looked at by itself; no subject fits into less."""
FIXED = 0
GAP = 6


@dataclass(frozen=True)
class Growth:
    kind: str
    before: Picture
    after: Picture
    canvas: Canvas
    """The picture before it, as it lies on the last canvas."""
    seam: float
    jump: float
    second: bool
    withheld: bool
    inherited: bool
    """True where the picture before is withheld itself."""


class _Start(NamedTuple):
    nouns: tuple[str, ...]
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
        images = [future.result()[0] for future in futures]
        made: list[tuple[_Start, Picture, str, Canvas]] = []
        firsts: list[tuple[_Start, Picture, str]] = []
        for index, (start, image) in enumerate(zip(starts, images, strict=True)):
            firsts += [(start, image, KINDS[(2 * index + turn) % len(KINDS)]) for turn in (0, 1)]
        twice = [(start, image) for start, image, kind in firsts if kind == "left twice"]
        wider = iter(
            self._grown([(start, image, self._canvas("left", image.size)) for start, image in twice])
        )
        for start, image, kind in firsts:
            before = next(wider) if kind == "left twice" else image
            made.append((start, before, kind, self._canvas(kind, before.size)))
        afters = self._grown([(start, image, canvas) for start, image, _, canvas in made])
        return [self._measured(*each, after) for each, after in zip(made, afters, strict=True)]

    def _canvas(self, kind: str, size: Size) -> Canvas:
        if kind.startswith("zoom"):
            return canvases.zoomed(size, size, 2.0 if kind == "zoom 2×" else 1.5)
        if kind == "square":
            return canvases.squared(size, self._entry)
        return canvases.panned(size, self._entry, Direction[kind.split()[0].upper()])

    def _grown(self, starts: Sequence[tuple[_Start, Picture, Canvas]]) -> list[Picture]:
        composed, futures = [], []
        for start, picture, canvas in starts:
            init_image, mask = canvas.compose(picture)
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
            request = surroundings.of(whole, init_image, mask, self._segmenter.see)
            composed.append((init_image, mask))
            futures.append(self._engine.submit(request, image=init_image, mask=compositing.grow_mask(mask)))
        drawn = [future.result()[0] for future in futures]
        return [
            compositing.composite(image, init_image, mask)
            for image, (init_image, mask) in zip(drawn, composed, strict=True)
        ]

    def _measured(self, start: _Start, before: Picture, kind: str, canvas: Canvas, after: Picture) -> Growth:
        before_check, after_check = self._check.check([before, after])
        second = self.has_second(before, after, canvas, start.nouns)
        return Growth(
            kind, before, after, canvas, seam(after, canvas), jump(after, canvas), second,
            after_check.unsafe, before_check.unsafe,
        )  # fmt: skip

    def has_second(self, before: Picture, after: Picture, canvas: Canvas, nouns: Sequence[str]) -> bool:
        """True where the new area shows one of the nouns: in the whole, or by itself, seen larger.

        Even bare ground is taken for a little of one: so much as the undrawn canvas has is none.
        """
        undrawn, _ = canvas.compose(before)
        left, top, right, bottom = canvas.box
        new = np.ones((after.height, after.width), bool)
        # What is cut by the border goes on behind it, and the segmenter's own border is soft.
        new[max(0, top - AWAY) : bottom + AWAY, max(0, left - AWAY) : right + AWAY] = False
        whole, before_it = (self._found(image, nouns)[new].mean() for image in (after, undrawn))
        more = [
            self._found(after.crop(side), nouns).mean() - self._found(undrawn.crop(side), nouns).mean()
            for side in sides(canvas)
        ]
        return whole - before_it >= SECOND or max(more, default=0) >= SECOND_ALONE

    def _found(self, image: Picture, nouns: Sequence[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        where = self._segmenter.see(image, nouns).any(axis=0)
        return np.asarray(PIL.Image.fromarray(where).resize(image.size))


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
        yield _Start(tuple(words.SUBJECTS[scene.subject]), request)


def sides(canvas: Canvas) -> list[Box]:
    """The parts of the canvas beside, above and below the picture in which a subject has room."""
    (left, top, right, bottom), (width, height) = canvas.box, canvas.size
    boxes = [
        (0, 0, left - AWAY, height),
        (right + AWAY, 0, width, height),
        (0, 0, width, top - AWAY),
        (0, bottom + AWAY, width, height),
    ]
    return [box for box in boxes if min(box[2] - box[0], box[3] - box[1]) >= SEEN_ALONE]


def seam(image: Picture, canvas: Canvas) -> float:
    """The mean step across the sides beyond which the picture grew, in those of parallel lines beside it."""
    return _step(image, canvas, 1, AWAY)


def jump(image: Picture, canvas: Canvas) -> float:
    """The same between the new picture and the old one beyond the feather, in steps as long beside it."""
    over = compositing.feather(image.size) + 1
    return _step(image, canvas, over, over)


def _step(image: Picture, canvas: Canvas, over: int, away: int) -> float:
    """The mean difference `over` so many pixels, from the border inwards, in those `away` on both sides."""
    values = np.asarray(image.convert("RGB"), float)
    left, top, right, bottom = canvas.box
    width, height = canvas.size
    inside = slice(max(0, left), right), slice(max(0, top), bottom)
    across, beside = [], []
    for axis, borders, side in (
        (1, (left - 1, right - over), width),
        (0, (top - 1, bottom - over), height),
    ):
        within = values[inside[1]] if axis == 1 else values[:, inside[0]]
        within = np.moveaxis(within, axis, 0)
        steps = np.abs(within[over:] - within[:-over]).mean(axis=(1, 2))
        for border, line in zip(borders, (borders[0], borders[1] + over - 1), strict=True):
            if 0 <= line < side - 1:
                across.append(steps[border])
                lines = [each for each in (border - away, border + away) if 0 <= each < len(steps)]
                beside.append(statistics.mean(steps[lines]))
    return float(statistics.mean(across) / statistics.mean(beside))


def sheet_of(growths: Sequence[Growth], columns: int = 4) -> Picture:
    """All of them, each behind what it grew from."""
    pairs = [(each.before, each.after) for each in growths]
    wide = max(before.width + after.width for before, after in pairs) + 3 * GAP
    rows = [pairs[begin : begin + columns] for begin in range(0, len(pairs), columns)]
    heights = [max(image.height for pair in row for image in pair) + GAP for row in rows]
    sheet = PIL.Image.new("RGB", (wide * columns, sum(heights)), "white")
    y = 0
    for row, height in zip(rows, heights, strict=True):
        for column, (before, after) in enumerate(row):
            sheet.paste(before, (column * wide, y))
            sheet.paste(after, (column * wide + before.width + GAP, y))
        y += height
    return sheet


def table(growths: Sequence[Growth]) -> Table:
    made = Table(
        "kind",
        "count",
        "seam, mean",
        "seam, most",
        "jump, median",
        "jump, most",
        "second subjects",
        "withheld",
        "inherited",
    )
    for kind in (*KINDS, "all"):
        chosen = [each for each in growths if kind in (each.kind, "all")]
        if chosen:
            made.add_row(
                kind,
                str(len(chosen)),
                f"{statistics.mean(each.seam for each in chosen):.2f}",
                f"{max(each.seam for each in chosen):.2f}",
                f"{statistics.median(each.jump for each in chosen):.2f}",
                f"{max(each.jump for each in chosen):.2f}",
                str(sum(each.second for each in chosen)),
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
