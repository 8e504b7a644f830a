"""Distance of each sampler from a given picture: ``python -m benchmarks.begun_samplers [lms …]``.

Picturebook's pictures are varied, redrawn at creativity, and drawn anew in their right half. What is told is
the mean difference from the picture that was given (0–255; in the kept half for the last), beside euler's.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence

import numpy as np
import PIL.Image
from rich.console import Console
from rich.table import Table

from benchmarks.flag_studio import SIDE, Picture, Studio, pixels, subject_of
from generator.families import schedulers
from storage.contract import Task

REFERENCE = "euler"
STRENGTHS = {"--iw 3": 0.1, "Creative": 0.3, "Vary (Subtle)": 0.55, "Vary (Strong)": 0.85}
REDRAWN = "half anew"
MOST = 1.5
"""Times euler's difference: samplers with chance stray further than those without, noise much further."""


def differences(studio: Studio, sampler: str, images: Sequence[Picture]) -> dict[str, float]:
    """The mean difference from what was given, by the way in which a picture is given."""
    found = {
        way: _mean(studio, images, task=Task.IMAGE_TO_IMAGE, strength=strength, scheduler=sampler)
        for way, strength in STRENGTHS.items()
    }
    mask = PIL.Image.new("L", (SIDE, SIDE), 0)
    mask.paste(255, (SIDE // 2, 0, SIDE, SIDE))
    changes = {"task": Task.INPAINTING, "mask_key": "mask.png", "scheduler": sampler}
    return found | {REDRAWN: _mean(studio, images, mask, slice(0, SIDE // 2 - 16), **changes)}


def _mean(
    studio: Studio,
    images: Sequence[Picture],
    mask: Picture | None = None,
    columns: slice = slice(None),
    **changes: object,
) -> float:
    futures = [
        studio.engine.submit(
            studio.asked(f"a {subject_of(seed)}", seed, source_key="given.png", **changes),
            image=given,
            mask=mask,
        )
        for seed, given in enumerate(images)
    ]
    pairs = zip((future.result()[0] for future in futures), images, strict=True)
    return statistics.mean(
        float(np.abs(pixels(drawn) - pixels(given))[:, columns].mean()) for drawn, given in pairs
    )


def strayed(found: Mapping[str, float], reference: Mapping[str, float]) -> list[str]:
    """The ways in which a sampler is further from the picture than it may be."""
    return [way for way, difference in found.items() if difference > MOST * reference[way]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("samplers", nargs="*", choices=[[], *schedulers.TABLE], default=[])
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--steps", type=int, default=25)
    chosen = parser.parse_args()
    made = Table("sampler", *STRENGTHS, REDRAWN, "too far")
    with Studio.open(chosen.steps) as studio:
        images = studio.pairs(chosen.pictures)
        reference = differences(studio, REFERENCE, images)
        for sampler in chosen.samplers or schedulers.TABLE:
            found = differences(studio, sampler, images)
            far = ", ".join(strayed(found, reference))
            made.add_row(sampler, *(f"{difference:.1f}" for difference in found.values()), far)
    Console().print(made)


if __name__ == "__main__":
    main()
