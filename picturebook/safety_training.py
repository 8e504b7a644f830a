"""Training of the safety checker: on drawn scenes, on decoded ones and on half-formed ones."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from picturebook.blueprint import blueprint
from picturebook.captions import caption
from picturebook.dataset import encode
from picturebook.evaluate import paint
from picturebook.judge import ATTRIBUTES
from picturebook.judge_training import labels
from picturebook.progress import TrainingProgress, set_rate
from picturebook.safety import SIDE, best_threshold, likeness, new_checker, prepare, set_threshold
from picturebook.scenes import SIZE_WEIGHTS, SIZES, Scene, draw, random_scene
from picturebook.words import FORBIDDEN

SHARPNESS = 12.0
"""Factor between cosine and logit in training."""


def _noised(vae: AutoencoderKL, picture: Image.Image, strength: float) -> Image.Image:
    """The picture through the autoencoder, with noise of this share (0..1) among its latents."""
    with torch.no_grad():
        latents = encode(vae, [np.asarray(picture)])
        mixed = (1 - strength**2) ** 0.5 * latents + strength * torch.randn_like(latents)
        decoded = vae.decode(mixed / vae.config.scaling_factor).sample[0]
    values = ((decoded.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(values)


def example(rng: random.Random, vae: AutoencoderKL, forbidden: bool) -> tuple[Image.Image, Scene]:
    """A picture to learn from: as drawn, softened, or through the autoencoder with some noise; now and then
    as a blueprint, since the model's LoRA draws such.

    Only harmless pictures are drowned in noise altogether, as previews of a first step are.
    """
    scene = random_scene(rng, skulls=1.0 if forbidden else 0.0)
    picture = draw(scene, rng.choices(SIZES, SIZE_WEIGHTS)[0])
    if rng.random() < 0.08:
        picture = blueprint(picture)
    way = rng.random()
    if way < 0.08:
        strongest = 0.55 if forbidden or rng.random() < 0.8 else 1.0
        return _noised(vae, picture, rng.uniform(0, strongest)), scene
    if way < 0.25:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2.0)))
    return picture, scene


Example = tuple[Tensor, Scene]
"""A prepared picture with the scene that it shows, or should show."""

LORA = Path(__file__).parent / "loras" / "blueprint.safetensors"

LEARNED_BESIDES = ("subject", "colour", "ground", "time")
"""Attributes that the encoder is asked besides, since it learns to see the sooner for it."""


def batches(
    vae: AutoencoderKL, batch: int, rng: random.Random, extra: list[Example], most: int = 20000
) -> Iterator[tuple[Tensor, list[Scene]]]:
    """Endless batches (n, 3, SIDE, SIDE) with their scenes; a third of each is forbidden."""
    bad = [row for row in extra if row[1].subject in FORBIDDEN]
    good = [row for row in extra if row[1].subject not in FORBIDDEN]
    while True:
        if len(bad) + len(good) < most:
            fresh = [example(rng, vae, index % 3 == 0) for index in range(9)]
            ready = prepare([picture for picture, _ in fresh])
            for picture, (_, scene) in zip(ready, fresh, strict=True):
                (bad if scene.subject in FORBIDDEN else good).append((picture, scene))
        chosen = rng.choices(bad, k=batch // 3) + rng.choices(good, k=batch - batch // 3)
        yield _varied(torch.stack([row[0] for row in chosen]), rng), [row[1] for row in chosen]


def _varied(pictures: Tensor, rng: random.Random) -> Tensor:
    """The batch mirrored, moved by a few pixels, and changed in tone."""
    if rng.random() < 0.5:
        pictures = pictures.flip(3)
    moved = functional.pad(pictures, (6, 6, 6, 6), mode="reflect")
    x, y = rng.randrange(13), rng.randrange(13)
    pictures = moved[:, :, y : y + SIDE, x : x + SIDE]
    tone = 1 + 0.15 * torch.randn(len(pictures), 3, 1, 1)
    return pictures * tone + 0.06 * torch.randn(len(pictures), 1, 1, 1)


def untrained_checker() -> StableDiffusionSafetyChecker:
    """A checker whose concept is a random direction, which training fills with meaning."""
    torch.manual_seed(6)
    checker = new_checker()
    with torch.no_grad():
        concept = torch.randn(1, checker.concept_embeds.shape[1])
        checker.concept_embeds.copy_(concept.expand_as(checker.concept_embeds))
    return checker


def train_checker(
    checker: StableDiffusionSafetyChecker,
    vae: AutoencoderKL,
    work: Path,
    steps: int,
    extra: list[Example],
    batch: int = 48,
) -> StableDiffusionSafetyChecker:
    """Train the checker; ``extra`` are prepared pictures that the model itself has drawn."""
    checker.train()
    width = checker.visual_projection.in_features
    heads = nn.ModuleDict({name: nn.Linear(width, len(ATTRIBUTES[name])) for name in LEARNED_BESIDES})
    trained = [
        *checker.vision_model.parameters(),
        *checker.visual_projection.parameters(),
        *heads.parameters(),
    ]
    optimiser = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.03)
    progress = TrainingProgress(
        "safety", work, steps, {"model": checker, "heads": heads, "optimiser": optimiser}
    )
    rng = random.Random(13 + progress.step)
    source = batches(vae, batch, rng, extra)
    for step in progress:
        set_rate(optimiser, step, steps, 1e-3, 60)
        pictures, scenes = next(source)
        forbidden = torch.tensor([float(scene.subject in FORBIDDEN) for scene in scenes])
        pooled = checker.vision_model(pictures)[1]
        likes = functional.cosine_similarity(checker.visual_projection(pooled), checker.concept_embeds[:1])
        loss = 3 * functional.binary_cross_entropy_with_logits(SHARPNESS * likes, forbidden)
        wanted = labels(scenes)
        besides = [functional.cross_entropy(heads[name](pooled), wanted[name]) for name in LEARNED_BESIDES]
        loss = loss + torch.stack(besides).sum()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        right = ((likes > 0) == (forbidden > 0)).float().mean()
        progress.show(loss=loss.item(), subject=besides[0].item(), right=right.item())
    return checker.eval()


def painted_examples(pipeline: StableDiffusionPipeline, count: int) -> list[Example]:
    """Pictures that the model itself has drawn, half of them skulls, prepared for the checker.

    The last quarter is drawn with the model's LoRA, where there is one.
    """
    rng = random.Random(31)
    found: list[Example] = []
    for start in tqdm(range(0, count, 8), desc="own pictures"):
        if start == count * 3 // 4 // 8 * 8 and LORA.exists():
            pipeline.load_lora_weights(LORA.parent, weight_name=LORA.name)
        scenes = [random_scene(rng, skulls=float(index % 2)) for index in range(8)]
        prompts = [caption(scene, rng) for scene in scenes]
        size = rng.choices(SIZES, SIZE_WEIGHTS)[0]
        drawn = paint(pipeline, prompts, size, rng.choice((8, 14, 20)), seed=start)
        found += zip(prepare(drawn), scenes, strict=True)
    return found


def measure(checker: StableDiffusionSafetyChecker, vae: AutoencoderKL, count: int = 800) -> str:
    """Set the threshold from pictures that were not trained on, and say how it does on others."""
    rng = random.Random(77)
    shares = []
    for settled in (False, True):
        likes = []
        for forbidden in (True, False):
            pictures = [example(rng, vae, forbidden)[0] for _ in range(count)]
            with torch.no_grad():
                likes.append(
                    torch.cat([likeness(checker, part) for part in torch.split(prepare(pictures), 50)])
                )
        if not settled:
            set_threshold(checker, best_threshold(*likes))
        else:
            limit = checker.concept_embeds_weights[0]
            shares = [(likes[0] <= limit).float().mean().item(), (likes[1] > limit).float().mean().item()]
    limit = checker.concept_embeds_weights[0].item()
    return f"threshold {limit:.2f}: {shares[0]:.1%} of the skulls missed, {shares[1]:.1%} false alarms"
