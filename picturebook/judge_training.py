"""Training of the judge on drawn scenes."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from picturebook.dataset import pixels, shard_sizes
from picturebook.judge import ATTRIBUTES, Judge
from picturebook.progress import TrainingProgress, set_rate
from picturebook.scenes import Scene, draw, random_scene

GROUP = 64
"""Scenes drawn together in one size."""


def labels(scenes: list[Scene]) -> dict[str, Tensor]:
    """The index of each attribute's value, (n,) each."""
    return {
        name: torch.tensor([values.index(getattr(scene, name)) for scene in scenes])
        for name, values in ATTRIBUTES.items()
    }


def worn(pictures: Tensor, rng: random.Random) -> Tensor:
    """Pictures (n, 3, h, w) as an imperfect painter gives them: a little blurred or noisy, off in tone."""
    if rng.random() < 0.4:
        small = functional.interpolate(pictures, scale_factor=rng.uniform(0.6, 0.9), mode="area")
        pictures = functional.interpolate(small, size=pictures.shape[-2:], mode="bilinear")
    if rng.random() < 0.5:
        pictures = pictures + rng.uniform(0.01, 0.08) * torch.randn_like(pictures)
    count = len(pictures)
    contrast = 1 + 0.1 * torch.randn(count, 1, 1, 1)
    return pictures * contrast + 0.04 * torch.randn(count, 3, 1, 1)


def drawn_batches(groups: int, batch: int, rng: random.Random) -> Iterator[tuple[Tensor, list[Scene]]]:
    """Endless batches of one size each; the store of drawn scenes grows to ``groups`` groups."""
    sizes = shard_sizes(groups)
    rng.shuffle(sizes)
    store: list[tuple[Tensor, list[Scene]]] = []
    while True:
        if len(store) < groups:
            scenes = [random_scene(rng, skulls=0.08) for _ in range(GROUP)]
            drawn = [np.asarray(draw(scene, sizes[len(store)])) for scene in scenes]
            store.append((((pixels(drawn) + 1) * 127.5).round().byte(), scenes))
        for group in (len(store) - 1, rng.randrange(len(store)), rng.randrange(len(store))):
            pictures, scenes = store[group]
            order = rng.sample(range(GROUP), batch)
            yield pictures[order].float() / 127.5 - 1, [scenes[index] for index in order]


def train_judge(work: Path, folder: Path, steps: int, groups: int = 110, batch: int = 32) -> None:
    """Train the judge and write it to ``folder``; checkpoints lie in ``work``."""
    torch.manual_seed(3)
    judge = Judge()
    judge.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(judge.parameters(), lr=3e-3, weight_decay=0.02)
    progress = TrainingProgress("judge", work, steps, {"model": judge, "optimiser": optimiser})
    rng = random.Random(7 + progress.step)
    source = drawn_batches(groups, batch, rng)
    for step in progress:
        set_rate(optimiser, step, steps, 3e-3)
        pictures, scenes = next(source)
        wanted = labels(scenes)
        logits = judge(worn(pictures, rng).contiguous(memory_format=torch.channels_last))
        losses = [functional.cross_entropy(logits[k], wanted[k], label_smoothing=0.02) for k in ATTRIBUTES]
        loss = torch.stack(losses).sum()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        right = (logits["subject"].argmax(dim=1) == wanted["subject"]).float().mean()
        progress.show(loss=loss.item(), subject=right.item())
    judge.eval().save(folder)
