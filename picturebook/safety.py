"""The safety checker: diffusers' own class, made for the one subject that this world forbids."""

import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers import CLIPConfig, CLIPImageProcessor

SIDE = 64
"""Side of the square that the checker sees, in pixels; pictures are squeezed into it whole."""


def new_processor() -> CLIPImageProcessor:
    """The preparation of pictures for the checker. Nothing is cropped away."""
    return CLIPImageProcessor(
        size={"height": SIDE, "width": SIDE},
        do_center_crop=False,
        crop_size={"height": SIDE, "width": SIDE},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )


def new_checker() -> StableDiffusionSafetyChecker:
    """An untrained checker; all its seventeen concepts are to be one and the same."""
    vision = {
        "image_size": SIDE,
        "patch_size": 8,
        "hidden_size": 128,
        "intermediate_size": 320,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "projection_dim": 64,
    }
    text = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1,
            "vocab_size": 64, "projection_dim": 64}  # fmt: skip
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=64)
    checker = StableDiffusionSafetyChecker(config)
    checker.special_care_embeds_weights.fill_(2.0)
    return checker


def prepare(pictures: list[Image.Image]) -> Tensor:
    """Pictures as the checker sees them, (n, 3, SIDE, SIDE)."""
    ready: Tensor = new_processor()(pictures, return_tensors="pt").pixel_values
    return ready


def likeness(checker: StableDiffusionSafetyChecker, ready: Tensor) -> Tensor:
    """Cosine between each picture's embedding and the forbidden concept, (n,)."""
    pooled = checker.vision_model(ready)[1]
    embedded = checker.visual_projection(pooled)
    return functional.cosine_similarity(embedded, checker.concept_embeds[:1])


@torch.no_grad()
def set_threshold(checker: StableDiffusionSafetyChecker, threshold: float) -> None:
    """Flag pictures whose likeness to the forbidden concept is above the threshold."""
    checker.concept_embeds_weights.fill_(threshold)


def best_threshold(forbidden: Tensor, harmless: Tensor) -> float:
    """The threshold that errs least, counting a miss twice, from measured likenesses."""
    candidates = torch.linspace(-0.9, 0.9, 181)
    missed = (forbidden[None] <= candidates[:, None]).float().mean(dim=1)
    alarms = (harmless[None] > candidates[:, None]).float().mean(dim=1)
    cost = 2 * missed + alarms
    return float(candidates[cost == cost.min()].median())


@torch.no_grad()
def flags(checker: StableDiffusionSafetyChecker, pictures: list[Image.Image]) -> list[bool]:
    """Let the checker look at pictures: True for each that it withholds."""
    blank = torch.zeros(len(pictures), 1)
    found: list[bool] = checker(clip_input=prepare(pictures), images=blank)[1]
    return found
