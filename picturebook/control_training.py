"""Training of a control network (Zhang et al. 2023): its control images are a picture's edges."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from PIL import Image
from torch import Tensor
from transformers import CLIPTextModel

from picturebook.autoencoder import SHRINK
from picturebook.captions import caption
from picturebook.dataset import Look, draw_groups
from picturebook.denoiser_training import Exercise, descend, new_scheduler
from picturebook.export import save_half
from picturebook.progress import TrainingProgress, set_rate
from picturebook.text_training import tokens_of
from picturebook.tokenizer import new_tokenizer

PEAK = 5e-4
SCENES = 2400
"""Scenes that are drawn for it."""
WORDLESS = 0.3
"""Share of captions that are emptied: what is drawn then has to be read off the outlines."""
CONDITION_CHANNELS = (16, 32, 64)
"""One more than the halvings between a pixel and a latent."""
assert 2 ** (len(CONDITION_CHANNELS) - 1) == SHRINK


def new_control(unet: UNet2DConditionModel) -> ControlNetModel:
    """A control network that begins as the denoiser's own first half, and changes nothing yet."""
    return ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=CONDITION_CHANNELS)


def conditions(pictures: Sequence[Image.Image]) -> Tensor:
    """Maps of one size as the control network reads them, (n, 3, height, width) of 0..1."""
    return torch.from_numpy(np.stack([np.asarray(each) for each in pictures])).permute(0, 3, 1, 2) / 255


def train_control(
    vae: AutoencoderKL,
    text_encoder: CLIPTextModel,
    unet: UNet2DConditionModel,
    control_map: Look,
    work: Path,
    folder: Path,
    steps: int,
    batch: int = 8,
) -> None:
    """Teach a control network such maps, and write it to ``folder``; checkpoints lie in ``work``."""
    tokenizer, scheduler = new_tokenizer(), new_scheduler()
    torch.manual_seed(11)
    unet.requires_grad_(False)
    control = new_control(unet)
    for network in (unet, control):
        network.to(memory_format=torch.channels_last)
        network.set_attn_processor(AttnProcessor())
    optimiser = torch.optim.AdamW(
        control.parameters(), lr=PEAK, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    progress = TrainingProgress("control", work, steps, {"control": control, "optimiser": optimiser})
    rng = random.Random(11 + progress.step)
    groups = draw_groups(vae, SCENES, rng)
    maps = [conditions([control_map(picture) for picture in group.pictures]).half() for group in groups]
    for step in progress:
        set_rate(optimiser, step, steps, PEAK)
        place = rng.choices(range(len(groups)), [len(group.scenes) for group in groups])[0]
        group = groups[place]
        chosen = rng.sample(range(len(group.scenes)), batch)
        texts = ["" if rng.random() < WORDLESS else caption(group.scenes[index], rng) for index in chosen]
        clean, shown = group.latents[chosen], maps[place][chosen].float()
        exercise = Exercise(clean, scheduler)
        noisy, times = exercise.noisy, exercise.times
        with torch.no_grad():
            words = text_encoder(tokens_of(tokenizer, texts)).last_hidden_state
        down, middle = control(noisy, times, words, shown, return_dict=False)
        drawn = unet(
            noisy, times, words, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample
        loss = exercise.loss(drawn)
        descend(loss, control.parameters(), optimiser)
        progress.show(loss=loss.item())
    save_half(control, folder)
