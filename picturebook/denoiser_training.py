"""Training of the denoiser on cached latents, with a text encoder that can read already."""

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import CLIPTextModel

from picturebook.autoencoder import SHRINK
from picturebook.captions import caption
from picturebook.dataset import batches
from picturebook.parallel import rank, share_weights
from picturebook.progress import Stateful, TrainingProgress, set_rate
from picturebook.scenes import SIZES
from picturebook.text_training import HIDDEN, tokens_of
from picturebook.tokenizer import new_tokenizer

UNCONDITIONAL = 0.1
"""Share of captions that are emptied, so that guidance can be used (Ho and Salimans 2022)."""

GAMMA = 5.0
"""Bound of the min-SNR weighting (Hang et al. 2023)."""


EMA = 0.97
"""Share of the average that stays at each exchange of weights."""


def new_unet() -> UNet2DConditionModel:
    """An untrained denoiser."""
    return UNet2DConditionModel(
        sample_size=SIZES[0][0] // SHRINK,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(48, 96, 192),
        layers_per_block=1,
        cross_attention_dim=HIDDEN,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def new_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise schedule, for a model that predicts the velocity."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def velocity_loss(drawn: Tensor, wanted: Tensor, signal: Tensor) -> Tensor:
    """Squared error of the velocity; ``signal`` is alpha-bar, of shape (n,).

    The weight is that of min-SNR with one added to the ratio, so that steps of almost pure noise,
    where the composition is decided, count fully.
    """
    ratio = signal / (1 - signal) + 1
    weight = ratio.clamp(max=GAMMA) / ratio
    return (weight * (drawn - wanted).square().mean(dim=(1, 2, 3))).mean()


class Exercise:
    """Clean latents (n, 4, height, width) with noise of some strength, and how good an answer is."""

    def __init__(self, clean: Tensor, scheduler: DDIMScheduler) -> None:
        """Noises by chance; the strengths are spread evenly over the batch."""
        count = len(clean)
        self.times = ((torch.arange(count) + torch.rand(count)) * (1000 / count)).long().clamp(max=999)
        noise = torch.randn_like(clean)
        noisy = scheduler.add_noise(clean, noise, self.times)
        self.noisy: Tensor = noisy.contiguous(memory_format=torch.channels_last)
        self._wanted = scheduler.get_velocity(clean, noise, self.times)
        self._signal = scheduler.alphas_cumprod[self.times]

    def loss(self, drawn: Tensor) -> Tensor:
        """Of the predicted velocity."""
        return velocity_loss(drawn, self._wanted, self._signal)


def descend(loss: Tensor, weights: Iterable[nn.Parameter], optimiser: torch.optim.Optimizer) -> None:
    """One step of the optimiser down the loss."""
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(weights, 1.0)
    optimiser.step()


def train_denoiser(
    text_encoder: CLIPTextModel,
    unet: UNet2DConditionModel,
    latents: Path,
    folder: Path,
    steps: int,
    batch: int,
    peak: float,
) -> None:
    """Train the denoiser on the latents and keep checkpoints in ``folder``; goes on from what lies there."""
    tokenizer, scheduler = new_tokenizer(), new_scheduler()
    unet.train().to(memory_format=torch.channels_last)
    # On a CPU the backward pass of the fused attention takes longer than all its parts.
    unet.set_attn_processor(AttnProcessor())
    average = AveragedModel(unet, multi_avg_fn=_averaging())
    optimiser = torch.optim.AdamW(
        unet.parameters(), lr=peak, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    parts: dict[str, Stateful] = {"model": unet, "average": average, "optimiser": optimiser}
    progress = TrainingProgress("denoiser", folder, steps, parts)
    rng = random.Random(100 * progress.step + rank())
    torch.manual_seed(100 * progress.step + rank())
    source = batches(latents, batch, rng)
    # A CPU without instructions of its own for it is three times slower with it than without.
    bfloat16 = torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001  it has no other name
    for step in progress:
        set_rate(optimiser, step, steps, peak)
        scenes, clean = next(source)
        texts = ["" if rng.random() < UNCONDITIONAL else caption(scene, rng) for scene in scenes]
        exercise = Exercise(clean, scheduler)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            with torch.no_grad():
                words = text_encoder(tokens_of(tokenizer, texts)).last_hidden_state
            drawn = unet(exercise.noisy, exercise.times, words).sample
        loss = exercise.loss(drawn.float())
        descend(loss, unet.parameters(), optimiser)
        if share_weights(unet, step) and rank() == 0:
            average.update_parameters(unet)
        progress.show(loss=loss.item())


def _averaging() -> Callable[[Any, Any, Any], Any]:
    keep: Callable[[Any, Any, Any], Any] = get_ema_multi_avg_fn(EMA)  # type: ignore[no-untyped-call]
    return keep


def load_unet(folder: Path) -> UNet2DConditionModel:
    """The averaged denoiser of a checkpoint."""
    unet = new_unet()
    stored = torch.load(folder / "checkpoint.pt", weights_only=True)["average"]
    prefix = "module."
    unet.load_state_dict({k.removeprefix(prefix): v for k, v in stored.items() if k.startswith(prefix)})
    return unet.eval()
