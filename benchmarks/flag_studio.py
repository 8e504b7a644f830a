"""Pictures that Picturebook drew, and measures of what is to be seen in them."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageFilter
import torch

from generator.conditioning.control_maps import edges
from generator.engine.engine import Engine
from picturebook.judge import ATTRIBUTES, Judge
from storage import catalog
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest

SUBJECTS = ("castle", "house", "boat", "tree", "cat", "rocket", "mushroom", "balloon")
SIDE = 128

Picture = PIL.Image.Image
Pixels = np.ndarray[Any, Any]


class Studio:
    """Draws with Picturebook, and reads what was drawn. Nothing is drawn twice."""

    def __init__(self, engine: Engine, entry: ModelEntry, steps: int = 12) -> None:
        self.engine = engine
        self.entry = entry
        self._steps = steps
        self._judge = Judge.load(Path(entry.source).with_name("judge"))
        self._drawn: dict[str, list[Picture]] = {}
        self.brought: dict[str, Picture] = {}
        """Control images and references of requests, by their keys."""

    @classmethod
    @contextmanager
    def open(cls, steps: int = 12) -> Iterator[Studio]:
        entry = catalog.load()["picturebook"]
        with Engine.open(entry.source, device="cpu", entry=entry) as engine:
            yield cls(engine, entry, steps)

    def asked(self, prompt: str, seed: int, **changes: Any) -> GenerationRequest:
        fields = {
            "prompt": prompt,
            "seed": seed,
            "width": SIDE,
            "height": SIDE,
            "num_images_per_prompt": 1,
            "num_inference_steps": self._steps,
            "guidance_scale": self.entry.guidance_scale,
            "scheduler": self.entry.scheduler,
        }
        return GenerationRequest.model_validate(fields | changes)

    def grids(self, requests: Sequence[GenerationRequest]) -> list[list[Picture]]:
        """All of them drawn together."""
        keys = [request.model_dump_json() for request in requests]
        futures = {
            key: self.engine.submit(
                request,
                control=None if request.control is None else self.brought[str(request.control.key)],
                references={
                    each.role: [self.brought[key] for key in each.keys] for each in request.references
                },
            )
            for key, request in zip(keys, requests, strict=True)
            if key not in self._drawn
        }
        self._drawn |= {key: future.result() for key, future in futures.items()}
        return [self._drawn[key] for key in keys]

    def pairs(self, count: int, prompt: str = "a {}", **changes: Any) -> list[Picture]:
        """One picture of each seed; seed and subject (`{}` in the prompt) are those of any other call."""
        requests = [self.asked(prompt.format(subject_of(seed)), seed, **changes) for seed in range(count)]
        return [grid[0] for grid in self.grids(requests)]

    def conditioned(self, prompt: str, changes: Sequence[Mapping[str, Any]]) -> list[Picture]:
        """As `pairs`, each with changes of its own to the request."""
        requests = [
            self.asked(prompt.format(subject_of(seed)), seed, **each) for seed, each in enumerate(changes)
        ]
        return [grid[0] for grid in self.grids(requests)]

    def likelihoods(self, images: Sequence[Picture], attribute: str, value: str) -> list[float]:
        """0–1 for each picture: how surely the judge sees `value` in it."""
        with torch.inference_mode():
            logits = self._judge(_tensor(images))[attribute]
        column: list[float] = logits.softmax(dim=1)[:, ATTRIBUTES[attribute].index(value)].tolist()
        return column

    def right_subjects(self, images: Sequence[Picture]) -> float:
        """The share of pictures, in order of their seeds, that show their subject."""
        read = self._judge.read(_tensor(images))
        return statistics.mean(each["subject"] == subject_of(seed) for seed, each in enumerate(read))

    def distinct(self, grid: Sequence[Picture]) -> int:
        """Number of different settings in a grid."""
        read = self._judge.read(_tensor(grid))
        return len({(each["ground"], each["time"], each["style"]) for each in read})


def subject_of(seed: int) -> str:
    return SUBJECTS[seed % len(SUBJECTS)]


def _tensor(images: Sequence[Picture]) -> torch.Tensor:
    stacked = np.stack([np.asarray(image.convert("RGB"), np.float32) for image in images])
    return torch.from_numpy(stacked).movedim(-1, 1) / 127.5 - 1


def pixels(image: Picture) -> Pixels:
    """(height, width, 3), 0–255."""
    return np.asarray(image.convert("RGB"), float)


def distance(image: Picture, other: Picture) -> float:
    """Root mean square over pixels, 0–255."""
    return float(np.sqrt(np.square(pixels(image) - pixels(other)).mean()))


def distances(images: Sequence[Picture], others: Sequence[Picture]) -> list[float]:
    return [distance(image, other) for image, other in zip(images, others, strict=True)]


def sharpness(image: Picture) -> float:
    """The variance of the Laplacian."""
    grey = np.asarray(image.convert("L"), float)
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * grey[1:-1, 1:-1]).var())


def outlines_met(leading: Picture, drawn: Picture) -> float:
    """The share of a picture's outlines beside which, within two pixels, another has one too."""
    wanted, found = (np.asarray(edges(each).convert("L")) > 0 for each in (leading, drawn))
    near = np.asarray(PIL.Image.fromarray(found).convert("L").filter(PIL.ImageFilter.MaxFilter(5))) > 0
    return float((wanted & near).sum() / wanted.sum())


def spread(grid: Sequence[Picture]) -> float:
    """The mean distance between two of a grid."""
    return statistics.mean(itertools.starmap(distance, itertools.combinations(grid, 2)))


def seam(image: Picture, at: Sequence[int], axis: int, within: slice = slice(None)) -> float:
    """The mean step at some lines (axis 0) or columns (1), in 95th percentiles of all such steps.

    A step is between a line and the next; the last line's next is the first one.
    """
    values = pixels(image)
    values = values[:, within] if axis == 0 else values[within]
    steps = np.abs(np.roll(values, -1, axis=axis) - values).mean(axis=(1 - axis, 2))
    inner = np.percentile(steps[:-1], 95)
    return float(max(steps[list(at)]) / inner)
