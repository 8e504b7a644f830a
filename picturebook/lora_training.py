"""Training of a LoRA (Hu et al. 2021): a look for the denoiser, in weights small enough to send by letter."""

import random
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import nn
from transformers import CLIPTextModel

from picturebook.captions import caption
from picturebook.dataset import Look, draw_groups
from picturebook.denoiser_training import UNCONDITIONAL, Exercise, descend, new_scheduler
from picturebook.progress import TrainingProgress, set_rate
from picturebook.text_training import tokens_of
from picturebook.tokenizer import new_tokenizer

RANK = 4
LAYERS = (
    *("to_q", "to_k", "to_v", "to_out.0"),
    # What the attentions, which see the picture small, cannot draw: lines and flat colours.
    *("conv_in", "conv_out", "down_blocks.0.resnets.0.conv1", "down_blocks.0.resnets.0.conv2"),
    *(f"up_blocks.{block}.resnets.{index}.conv{n}" for block in (1, 2) for index in (0, 1) for n in (1, 2)),
)
PEAK = 4e-3
SCENES = 320
"""Scenes that are drawn for it."""


def train_lora(
    vae: AutoencoderKL,
    text_encoder: CLIPTextModel,
    unet: UNet2DConditionModel,
    look: Look,
    work: Path,
    file: Path,
    steps: int,
    batch: int = 6,
) -> None:
    """Teach the denoiser one look beside all that it knows, and write what that takes to ``file``."""
    tokenizer, scheduler = new_tokenizer(), new_scheduler()
    torch.manual_seed(9)
    unet.requires_grad_(False)
    unet.add_adapter(
        LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=list(LAYERS))
    )
    adapter = nn.ParameterList(weight for weight in unet.parameters() if weight.requires_grad)
    optimiser = torch.optim.AdamW(adapter, lr=PEAK, betas=(0.9, 0.99), weight_decay=0.01)
    progress = TrainingProgress("lora", work, steps, {"adapter": adapter, "optimiser": optimiser})
    rng = random.Random(9)
    groups = draw_groups(vae, SCENES, rng, look)
    for step in progress:
        set_rate(optimiser, step, steps, PEAK, warm=30)
        group = rng.choices(groups, [len(group.scenes) for group in groups])[0]
        chosen = rng.sample(range(len(group.scenes)), batch)
        texts = [
            "" if rng.random() < UNCONDITIONAL else caption(group.scenes[index], rng) for index in chosen
        ]
        clean = group.latents[chosen]
        exercise = Exercise(clean, scheduler)
        with torch.no_grad():
            words = text_encoder(tokens_of(tokenizer, texts)).last_hidden_state
        loss = exercise.loss(unet(exercise.noisy, exercise.times, words).sample)
        descend(loss, adapter, optimiser)
        progress.show(loss=loss.item())
    _write(unet, file)


def _write(unet: UNet2DConditionModel, file: Path) -> None:
    """The adapter's weights in float16, in diffusers' layout, which names layers as peft does."""
    layers = get_peft_model_state_dict(unet)
    fresh = file.with_suffix(".fresh")
    StableDiffusionPipeline.save_lora_weights(
        fresh, unet_lora_layers={name: weight.half().contiguous() for name, weight in layers.items()}
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    (fresh / "pytorch_lora_weights.safetensors").replace(file)
    shutil.rmtree(fresh)
