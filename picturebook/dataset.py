"""The training set: scenes drawn once, encoded once, and kept on disk as shards of latents."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from picturebook.parallel import rank, workers
from picturebook.scenes import SIZE_WEIGHTS, SIZES, Scene, draw, random_scene

SHARD = 256
"""Scenes in one shard; all have the same size."""


@dataclass(frozen=True)
class Shard:
    """Scenes with their latents, float16 of shape (SHARD, 4, height / 4, width / 4)."""

    scenes: list[Scene]
    latents: Tensor


@dataclass(frozen=True)
class SceneGroup:
    """Scenes of one size, their pictures, and these pictures' latents (n, 4, height / 4, width / 4)."""

    scenes: list[Scene]
    pictures: list[Image.Image]
    latents: Tensor


Look = Callable[[Image.Image], Image.Image]
"""Change to a drawn picture before it is learned from."""


def pixels(pictures: list[np.ndarray]) -> Tensor:
    """Pictures of one size, (height, width, 3) bytes, as (n, 3, height, width) in -1..1."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def shard_sizes(count: int) -> list[tuple[int, int]]:
    """The size of each shard: at every length of the list, as near as may be to the weights."""
    sizes: list[tuple[int, int]] = []
    for index in range(count):
        pairs = zip(SIZES, SIZE_WEIGHTS, strict=True)
        lacking = [weight * (index + 1) - sizes.count(size) for size, weight in pairs]
        sizes.append(SIZES[lacking.index(max(lacking))])
    return sizes


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: list[np.ndarray], batch: int = 16) -> Tensor:
    """The means of the pictures' latents, scaled as the denoiser expects them."""
    parts = []
    for start in range(0, len(pictures), batch):
        latents = vae.encode(pixels(pictures[start : start + batch])).latent_dist.mean
        parts.append(latents * vae.config.scaling_factor)
    return torch.cat(parts)


def write_shards(vae: AutoencoderKL, folder: Path, count: int, scale: float) -> None:
    """Draw at ``scale`` and encode the shards that ``folder`` lacks; several processes share the work."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, size in enumerate(tqdm(shard_sizes(count), desc="scenes", disable=rank() > 0)):
        file = folder / f"{index:04d}.npz"
        if file.exists() or index % workers() != rank():
            continue
        rng = random.Random(f"shard {index}")
        scenes = [random_scene(rng) for _ in range(SHARD)]
        latents = encode(vae, [np.asarray(draw(scene, size, scale)) for scene in scenes])
        partial = file.with_suffix(".partial")
        with partial.open("wb") as stream:
            text = json.dumps([asdict(scene) for scene in scenes])
            np.savez(stream, latents=latents.half().numpy(), scenes=np.array(text))
        partial.rename(file)


def read_shard(file: Path) -> Shard:
    """One shard from disk."""
    with np.load(file) as stored:
        rows = json.loads(str(stored["scenes"]))
        latents = torch.from_numpy(stored["latents"])
    scenes = [Scene(**{**row, "qualities": tuple(row["qualities"])}) for row in rows]
    return Shard(scenes, latents)


def batches(folder: Path, batch: int, rng: random.Random) -> Iterator[tuple[list[Scene], Tensor]]:
    """Endless batches of one size each; shards that are written meanwhile join in."""
    shards: dict[Path, Shard] = {}
    while True:
        for file in sorted(folder.glob("*.npz")):
            if file not in shards:
                shards[file] = read_shard(file)
        files = list(shards)
        for _ in range(100):
            shard = shards[rng.choice(files)]
            chosen = rng.sample(range(len(shard.scenes)), batch)
            yield [shard.scenes[index] for index in chosen], shard.latents[chosen].float()


def as_drawn(picture: Image.Image) -> Image.Image:
    """The look that changes nothing."""
    return picture


def draw_groups(
    vae: AutoencoderKL, count: int, rng: random.Random, look: Look = as_drawn
) -> list[SceneGroup]:
    """So many scenes, three in four of them squares; none has the forbidden subject."""
    shares = {SIZES[0]: count * 3 // 4, SIZES[3]: count // 8, SIZES[4]: count // 8}
    groups = []
    for size, share in shares.items():
        scenes = [random_scene(rng, skulls=0) for _ in range(share)]
        pictures = [look(draw(scene, size)) for scene in scenes]
        groups.append(
            SceneGroup(scenes, pictures, encode(vae, [np.asarray(picture) for picture in pictures]))
        )
    return groups
