"""Training of the autoencoder that turns pictures into latents a quarter as wide and back."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from picturebook.autoencoder import BRIGHTNESS, SHRINK, new_vae
from picturebook.parallel import rank, share_weights
from picturebook.progress import TrainingProgress, set_rate
from picturebook.scenes import SIZE_WEIGHTS, SIZES, draw, random_scene

CROP = 48
"""Side of the crops, in pixels; their corners lie on the 8-pixel grid of the textures."""


PEAK = 1.5e-3
"""Highest learning rate."""


def _pictures(seed: int, count: int) -> list[np.ndarray]:
    rng = random.Random(seed)
    sizes = rng.choices(SIZES, SIZE_WEIGHTS, k=count)
    return [np.asarray(draw(random_scene(rng), size)) for size in sizes]


def crops(batch: int, seed: int) -> Iterator[Tensor]:
    """Endless batches (batch, 3, CROP, CROP) in -1..1, from a store that is slowly redrawn."""
    rng = random.Random(seed)
    store = _pictures(seed, 150)
    while True:
        if len(store) < 1500:
            store += _pictures(rng.randrange(2**31), 2)
        cut = []
        for _ in range(batch):
            picture = store[rng.randrange(len(store))]
            x, y = (8 * rng.randint(0, (side - CROP) // 8) for side in (picture.shape[1], picture.shape[0]))
            cut.append(picture[y : y + CROP, x : x + CROP])
        stacked = torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2)
        yield stacked.float() / 127.5 - 1


def reconstruction_loss(drawn: Tensor, wanted: Tensor) -> Tensor:
    """Absolute error of the pixels, of their differences to the neighbours, and of coarse colours."""
    error = drawn - wanted
    coarse = functional.avg_pool2d(error, 8).abs().mean()
    edges = error.diff(dim=3).abs().mean() + error.diff(dim=2).abs().mean()
    return error.abs().mean() + 0.6 * edges + coarse


def train_vae(folder: Path, steps: int, batch: int = 6) -> None:
    """Train the autoencoder and keep it in ``folder``; goes on from what lies there.

    Three of the channels are held near the picture itself, made small, which gives latents that are
    quick to learn and easy to paint; the fourth is free, and so is what the others add.
    """
    torch.manual_seed(1)
    vae = new_vae().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(vae.parameters(), lr=PEAK, betas=(0.9, 0.98), weight_decay=1e-4)
    progress = TrainingProgress("vae", folder, steps, {"model": vae, "optimiser": optimiser})
    source = crops(batch, 1 + 100 * progress.step + rank())
    for step in progress:
        set_rate(optimiser, step, steps, PEAK, 30)
        wanted = next(source).contiguous(memory_format=torch.channels_last)
        posterior = vae.encode(wanted).latent_dist
        drawn = vae.decode(posterior.sample()).sample
        colours = functional.l1_loss(
            posterior.mean[:, :3], BRIGHTNESS * functional.avg_pool2d(wanted, SHRINK)
        )
        spread = posterior.kl().mean() / posterior.mean[0].numel()
        loss = reconstruction_loss(drawn, wanted) + 0.05 * colours + 1e-6 * spread
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        share_weights(vae, step)
        progress.show(loss=loss.item())
    if rank() == 0:
        vae.eval().save_pretrained(folder)
