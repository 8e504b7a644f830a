"""Stable Diffusion's published architectures with random weights: nothing to download, and just as slow.

The numbers are those of the config files in `stable-diffusion-v1-5`, `stabilityai/stable-diffusion-2-1` and
`stabilityai/stable-diffusion-xl-base-1.0`; what is diffusers' or transformers' default is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from storage import catalog

Kwargs = Mapping[str, Any]


@dataclass(frozen=True)
class Architecture:
    """Arguments of the classes that make one model; `pixels` is the side of the pictures it was made for."""

    title: str
    family: Literal["sd", "sdxl"]
    pixels: int
    unet: Kwargs
    text_encoders: Sequence[Kwargs]
    scheduler: type[Any]
    vae: Kwargs = field(default_factory=dict)
    scheduler_config: Kwargs = field(default_factory=dict)


_CLIP_L = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "quick_gelu",
    "projection_dim": 768,
}
_OPENCLIP_H = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "hidden_act": "gelu",
    "projection_dim": 512,
}
_OPENCLIP_BIGG = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
    "projection_dim": 1280,
}

ARCHITECTURES: dict[str, Architecture] = {
    "sd15": Architecture(
        title="Stable Diffusion 1.5",
        family="sd",
        pixels=512,
        unet={"cross_attention_dim": 768, "attention_head_dim": 8},
        text_encoders=[_CLIP_L],
        scheduler=PNDMScheduler,
        scheduler_config={"skip_prk_steps": True, "set_alpha_to_one": False},
    ),
    "sd21": Architecture(
        title="Stable Diffusion 2.1",
        family="sd",
        pixels=768,
        unet={
            "cross_attention_dim": 1024,
            "attention_head_dim": (5, 10, 20, 20),
            "use_linear_projection": True,
            "upcast_attention": True,
        },
        text_encoders=[_OPENCLIP_H],
        scheduler=DDIMScheduler,
        scheduler_config={
            "prediction_type": "v_prediction",
            "clip_sample": False,
            "set_alpha_to_one": False,
        },
    ),
    "sdxl": Architecture(
        title="Stable Diffusion XL",
        family="sdxl",
        pixels=1024,
        unet={
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 10),
            "cross_attention_dim": 2048,
            "attention_head_dim": (5, 10, 20),
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        vae={"scaling_factor": 0.13025},
        text_encoders=[_CLIP_L, _OPENCLIP_BIGG],
        scheduler=EulerDiscreteScheduler,
        scheduler_config={"timestep_spacing": "leading"},
    ),
}


def unet(architecture: Architecture) -> UNet2DConditionModel:
    return UNet2DConditionModel(sample_size=architecture.pixels // 8, **architecture.unet).eval()


def vae(architecture: Architecture) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        sample_size=architecture.pixels,
        **architecture.vae,
    ).eval()


def text_encoder(config: Kwargs, *, projection: bool = False) -> Any:
    kind = CLIPTextModelWithProjection if projection else CLIPTextModel
    return kind(CLIPTextConfig(vocab_size=49408, max_position_embeddings=77, **config)).eval()


def pipeline(architecture: Architecture, dtype: torch.dtype, device: torch.device) -> Any:
    """diffusers' pipeline; on one device the same weights every time.

    The tokens are Picturebook's: how long a prompt takes does not depend on its words.
    """
    torch.manual_seed(0)
    tokens = CLIPTokenizer.from_pretrained(catalog.shipped_catalog().parent / Path("model/tokenizer"))
    with device:
        first, *second = architecture.text_encoders
        networks = {
            "unet": unet(architecture),
            "vae": vae(architecture),
            "text_encoder": text_encoder(first),
        }
        if second:
            networks["text_encoder_2"] = text_encoder(second[0], projection=True)
    for network in networks.values():
        network.to(dtype)
    if architecture.family == "sdxl":
        return StableDiffusionXLPipeline(
            **networks,
            tokenizer=tokens,
            tokenizer_2=tokens,
            scheduler=_scheduler(architecture),
            add_watermarker=False,
        )
    return StableDiffusionPipeline(
        **networks,
        tokenizer=tokens,
        scheduler=_scheduler(architecture),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _scheduler(architecture: Architecture) -> Any:
    return architecture.scheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        **architecture.scheduler_config,
    )
