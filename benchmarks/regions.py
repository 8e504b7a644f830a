"""Regions of Picturebook's scenes drawn anew, found by words and painted as boxes.

    python -m benchmarks.regions [--count 20] [--seed 0] [--sheet regions.webp]

The scenes are painted as the training pictures are, so that where a subject truly is, is known. In the region
comes its subject again, another subject, or a scene of other ground, time and style, which can never fit.
*Subject* and *region* are their parts of the picture, *changed* is the part that differs by more than 8 of
255, *outside* the same of what lies beyond the feather. *Step* is the mean step across the region's border in
those of the parallel lines 8 pixels away on both sides.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from rich.console import Console
from rich.table import Table

from generator.companions.segment import Segmenter
from generator.conditioning import compositing
from generator.engine.engine import Engine
from picturebook import captions, scenes, words
from picturebook.scenes import Scene, masks
from storage import catalog
from storage.contract import GenerationRequest, Task

Picture = PIL.Image.Image
Mask = np.ndarray[Any, np.dtype[np.bool_]]

AWAY = 8
"""Pixels between the border and the lines that its step is compared with."""
SAME = 8
"""Levels of 255 by which a pixel may differ and count as unchanged."""
CONTENTS = ("the same", "another subject", "nothing that fits")
MARKS = ("words", "box")


@dataclass(frozen=True)
class Region:
    marked: str
    content: str
    before: Picture
    after: Picture
    mask: Picture
    subject: float
    region: float
    changed: float
    outside: float
    step: float


def regions(seed: int, count: int) -> list[Region]:
    """Of so many scenes, each marked in both ways and filled in three."""
    entry = catalog.load()["picturebook"]
    assert entry.segmenter is not None
    segmenter = Segmenter.load(entry.segmenter.source, torch.device("cpu"))
    rng = random.Random(seed)
    made = []
    with Engine.open(entry.source, device="cpu", entry=entry) as engine:
        for scene in (scenes.random_scene(rng, skulls=0) for _ in range(count)):
            size = rng.choice(scenes.SIZES[:5])
            before, true = scenes.draw(scene, size), scenes_mask(scene, size)
            for marked, mask in zip(
                MARKS, (segmenter.find(before, f"the {scene.subject}"), box(true)), strict=True
            ):
                for content, other in zip(CONTENTS, (scene, *_others(scene, rng)), strict=True):
                    request = GenerationRequest(
                        task=Task.INPAINTING,
                        parent_image_id=1,
                        mask_words="it",
                        prompt=captions.full_caption(other),
                        seed=rng.randrange(2**31),
                        width=size[0],
                        height=size[1],
                        num_images_per_prompt=1,
                        num_inference_steps=entry.num_inference_steps,
                        guidance_scale=entry.guidance_scale,
                        scheduler=entry.scheduler,
                        stylize=entry.stylize,
                    )
                    future = engine.submit(request, image=before, mask=compositing.soft_mask(mask))
                    made.append((marked, content, before, mask, true, future))
        return [
            measured(marked, content, before, mask, true, future.result()[0])
            for marked, content, before, mask, true, future in made
        ]


def _others(scene: Scene, rng: random.Random) -> Iterator[Scene]:
    """The scene with another subject, and another scene that shares nothing with it."""

    def another(table: dict[str, Any], present: str) -> str:
        return rng.choice([name for name in table if name != present])

    subject = another(words.SUBJECTS, scene.subject)
    yield replace(scene, subject=subject, colour=another(words.COLOURS, scene.colour))
    yield replace(
        scene,
        subject=subject,
        ground=another(words.GROUNDS, scene.ground),
        time=another(words.TIMES, scene.time),
        style=another(words.STYLES, scene.style),
    )


def scenes_mask(scene: Scene, size: tuple[int, int]) -> Picture:
    """White where the scene's subject is."""
    return masks(scene, size, size)["subject"]


def box(mask: Picture) -> Picture:
    """White within the smallest box around what is white, as a member would paint it."""
    painted = PIL.Image.new("L", mask.size)
    painted.paste(255, mask.point(lambda level: 255 * (level > 127)).getbbox())
    return painted


def measured(
    marked: str, content: str, before: Picture, mask: Picture, true: Picture, drawn: Picture
) -> Region:
    after = compositing.composite(drawn, before, mask, soft=True)
    differs = np.abs(np.asarray(after, int) - np.asarray(before, int)).max(axis=-1) > SAME
    beyond = ~white(compositing.grown(mask, compositing.soft_feather(mask.size)))
    return Region(
        marked, content, before, after, mask,
        subject=float(white(true).mean()), region=float(white(mask).mean()),
        changed=float(differs.mean()), outside=float((differs & beyond).mean()),
        step=step(after, mask),
    )  # fmt: skip


def step(image: Picture, mask: Picture) -> float:
    """The mean step across the mask's border, in those across the same border 8 pixels out and in."""
    inverted = PIL.Image.eval(mask, lambda level: 255 - level)
    out, inwards = (
        compositing.grown(mask, AWAY),
        PIL.Image.eval(compositing.grown(inverted, AWAY), lambda level: 255 - level),
    )
    beside = [value for each in (out, inwards) if (value := _across(image, white(each))) is not None]
    return (_across(image, white(mask)) or 0.0) / statistics.mean(beside)


def _across(image: Picture, inside: Mask) -> float | None:
    """The mean difference of neighbours of which one is inside; None where there are none."""
    values = np.asarray(image.convert("RGB"), float)
    steps = [np.abs(np.diff(values, axis=axis)).mean(axis=-1)[np.diff(inside, axis=axis)] for axis in (0, 1)]
    whole = np.concatenate(steps)
    return float(whole.mean()) if len(whole) else None


def white(mask: Picture) -> Mask:
    found: Mask = np.asarray(mask) > 127
    return found


def sheet_of(made: Sequence[Region], columns: int = 6) -> Picture:
    """Each picture before, its region, and the picture after."""
    wide, high = (max(each.before.size[axis] for each in made) for axis in (0, 1))
    sheet = PIL.Image.new("RGB", (3 * wide * columns, high * -(-len(made) // columns)), "white")
    for index, each in enumerate(made):
        for turn, image in enumerate((each.before, each.mask, each.after)):
            place = (3 * (index % columns) + turn) * wide, index // columns * high
            sheet.paste(image.convert("RGB"), place)
    return sheet


def table(made: Sequence[Region]) -> Table:
    figures = ("subject", "region", "changed", "outside", "step")
    rows = Table("marked by", "drawn into it", "count", *figures, "step, most")
    for marked in MARKS:
        for content in CONTENTS:
            chosen = [each for each in made if (each.marked, each.content) == (marked, content)]
            means = [f"{statistics.mean(getattr(each, figure) for each in chosen):.2f}" for figure in figures]
            rows.add_row(
                marked, content, str(len(chosen)), *means, f"{max(each.step for each in chosen):.2f}"
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path)
    asked = parser.parse_args()
    made = regions(asked.seed, asked.count)
    Console(width=120).print(table(made))
    if asked.sheet is not None:
        sheet_of(made).save(asked.sheet, quality=80)


if __name__ == "__main__":
    main()
