"""Training of the upscaler: Swin2SR (Conde et al. 2022), four times larger."""

import random
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution, Swin2SRImageProcessor

from picturebook.dataset import encode
from picturebook.export import save_half
from picturebook.progress import TrainingProgress, set_rate
from picturebook.scenes import draw, random_scene

FACTOR = 4
CROP = 32
"""Side of the small crops, in pixels."""

BORDER = 4
"""Pixels along a crop's sides that are not trained on."""


def new_upscaler(kernel: Tensor) -> Swin2SRForImageSuperResolution:
    """An upscaler that is quick enough for a CPU, and that starts out as a linear enlarging.

    ``kernel`` (16, 5, 5) gives the 4×4 parts of a pixel from the 5×5 pixels around it.
    """
    model = Swin2SRForImageSuperResolution(
        Swin2SRConfig(
            image_size=128,
            embed_dim=48,
            depths=[2, 2],
            num_heads=[4, 4],
            window_size=8,
            mlp_ratio=2.0,
            upscale=FACTOR,
            upsampler="pixelshuffledirect",
            resi_connection="1conv",
        )
    )
    first, last, head = model.swin2sr.first_convolution, model.swin2sr.conv_after_body, model.upsample.conv
    with torch.no_grad():
        for weight in (last.weight, last.bias, head.weight, head.bias):
            weight.zero_()
        for row, column, colour in product(range(3), range(3), range(3)):
            channel = (row * 3 + column) * 3 + colour
            first.weight[channel] = 0
            first.weight[channel, colour, row, column] = 1
            first.bias[channel] = 0
        for y, x, colour in product(range(5), range(5), range(3)):
            row, column = min(y, 2), min(x, 2)
            channel = (row * 3 + column) * 3 + colour
            parts = slice(colour * FACTOR**2, (colour + 1) * FACTOR**2)
            head.weight[parts, channel, y - row, x - column] = kernel[:, y, x]
    return model


def best_kernel(pairs: list[tuple[np.ndarray, np.ndarray]]) -> Tensor:
    """The linear enlarging (16, 5, 5) that errs least on these pairs of pictures."""
    around, parts = [], []
    for small, large in pairs:
        colours = _unit([small])[0].unsqueeze(1)
        patches = functional.unfold(colours, 5).permute(0, 2, 1).reshape(-1, 25)
        inner = _unit([large])[0].unsqueeze(1)[:, :, 2 * FACTOR : -2 * FACTOR, 2 * FACTOR : -2 * FACTOR]
        wanted = functional.unfold(inner, FACTOR, stride=FACTOR).permute(0, 2, 1).reshape(-1, FACTOR**2)
        around.append(patches)
        parts.append(wanted)
    inputs, outputs = torch.cat(around).double(), torch.cat(parts).double()
    square = inputs.T @ inputs + 1e-3 * torch.eye(25, dtype=torch.float64)
    solved = torch.linalg.solve(square, inputs.T @ outputs)
    kernel: Tensor = (solved / solved.sum(dim=0)).T.reshape(FACTOR**2, 5, 5).float()
    return kernel


def pair(seed: int, vae: AutoencoderKL | None) -> tuple[np.ndarray, np.ndarray]:
    """A scene small and four times larger; with an autoencoder the small one has passed through it."""
    scene = random_scene(random.Random(seed))
    large = draw(scene, scale=FACTOR)
    small = np.asarray(draw(scene))
    if vae is not None:
        with torch.no_grad():
            decoded = vae.decode(encode(vae, [small]) / vae.config.scaling_factor).sample[0]
        small = ((decoded.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    return small, np.asarray(large)


def crops(batch: int, seed: int, vae: AutoencoderKL, count: int = 100) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless pairs of crops in 0..1: (n, 3, CROP, CROP) and (n, 3, 4 CROP, 4 CROP)."""
    rng = random.Random(seed)
    store: list[tuple[np.ndarray, np.ndarray]] = []
    while True:
        if len(store) < count:
            store.append(pair(rng.randrange(2**31), vae if rng.random() < 0.1 else None))
        small_crops, large_crops = [], []
        for _ in range(batch):
            small, large = rng.choice(store)
            x, y = rng.randrange(small.shape[1] - CROP), rng.randrange(small.shape[0] - CROP)
            small_crops.append(small[y : y + CROP, x : x + CROP])
            low, left, side = y * FACTOR, x * FACTOR, CROP * FACTOR
            large_crops.append(large[low : low + side, left : left + side])
        yield _unit(small_crops), _unit(large_crops)


def _unit(pictures: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def _inner(large: Tensor) -> Tensor:
    """Enlarged crops without their border, where the network cannot see what it would see in a picture."""
    border = BORDER * FACTOR
    return large[:, :, border:-border, border:-border]


def train_upscaler(vae: AutoencoderKL, work: Path, folder: Path, steps: int, batch: int = 6) -> None:
    """Train the upscaler and write it to ``folder``; checkpoints lie in ``work``."""
    torch.manual_seed(5)
    model = new_upscaler(best_kernel([pair(seed, None) for seed in range(24)]))
    model.swin2sr.first_convolution.requires_grad_(False)
    # The head enlarges well from the start; at the body's rate it would first forget that.
    body = [weight for weight in model.swin2sr.parameters() if weight.requires_grad]
    head = list(model.upsample.parameters())
    trained = [*body, *head]
    groups: list[dict[str, Any]] = [{"params": body}, {"params": head, "share": 0.05}]
    optimiser = torch.optim.AdamW(groups, lr=6e-4, betas=(0.9, 0.98), weight_decay=1e-4)
    progress = TrainingProgress("upscaler", work, steps, {"model": model, "optimiser": optimiser})
    source = crops(batch, 11 + progress.step, vae)
    for step in progress:
        set_rate(optimiser, step, steps, 6e-4, 30)
        small, large = next(source)
        base = _inner(functional.interpolate(small, scale_factor=FACTOR, mode="bicubic"))
        drawn, large = _inner(model(small).reconstruction), _inner(large)
        edges = functional.l1_loss(drawn.diff(dim=3), large.diff(dim=3))
        edges = edges + functional.l1_loss(drawn.diff(dim=2), large.diff(dim=2))
        error = functional.l1_loss(drawn, large)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(error + 0.5 * edges)
        torch.nn.utils.clip_grad_norm_(trained, 0.5)
        optimiser.step()
        progress.show(error=error.item(), bicubic=functional.l1_loss(base, large).item())
    save_half(model.eval(), folder)
    Swin2SRImageProcessor(size_divisor=8).save_pretrained(folder)


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two pictures of bytes, in decibels."""
    error = np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / np.maximum(error, 1e-9)))


def compare(enlarge: Callable[[Image.Image], Image.Image], seeds: range) -> tuple[float, float]:
    """Mean PSNR in decibels on drawn scenes: of an upscaler and of bicubic interpolation."""
    ours, bicubic = [], []
    for seed in seeds:
        small, large = pair(seed, None)
        picture = Image.fromarray(small)
        smooth = picture.resize((large.shape[1], large.shape[0]), Image.Resampling.BICUBIC)
        ours.append(psnr(np.asarray(enlarge(picture)), large))
        bicubic.append(psnr(np.asarray(smooth), large))
    return float(np.mean(ours)), float(np.mean(bicubic))
