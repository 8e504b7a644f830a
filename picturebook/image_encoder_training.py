"""Training of the image encoder on drawn scenes: a picture's numbers are to say what is in it, and how."""

import random
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPVisionModelWithProjection, VisionEncoderDecoderModel

from picturebook.image_encoder import WIDTH, new_image_encoder, save
from picturebook.judge import ATTRIBUTES
from picturebook.judge_training import drawn_batches, labels, worn
from picturebook.progress import TrainingProgress, set_rate
from picturebook.safety import SIDE

PEAK = 6e-4


def begin(describer: VisionEncoderDecoderModel) -> CLIPVisionModelWithProjection:
    """An encoder that sees as the describer does."""
    encoder = new_image_encoder(describer.config.encoder)
    encoder.vision_model.load_state_dict(describer.encoder.state_dict())
    return encoder


def train_image_encoder(
    describer: VisionEncoderDecoderModel, work: Path, folder: Path, steps: int, batch: int = 32
) -> None:
    """Train the encoder and write it to ``folder``; checkpoints lie in ``work``.

    What reads the attributes off its numbers is one linear layer each, and is not kept.
    """
    torch.manual_seed(12)
    encoder = begin(describer)
    heads = nn.ModuleDict({name: nn.Linear(WIDTH, len(values)) for name, values in ATTRIBUTES.items()})
    optimiser = torch.optim.AdamW([*encoder.parameters(), *heads.parameters()], lr=PEAK, weight_decay=0.02)
    parts = {"encoder": encoder, "heads": heads, "optimiser": optimiser}
    progress = TrainingProgress("image encoder", work, steps, parts)
    rng = random.Random(12 + progress.step)
    source = drawn_batches(60, batch, rng)
    for step in progress:
        set_rate(optimiser, step, steps, PEAK, warm=40)
        pictures, scenes = next(source)
        seen = functional.interpolate(worn(pictures, rng), (SIDE, SIDE), mode="bilinear", antialias=True)
        numbers = encoder(pixel_values=seen).image_embeds
        right = labels(scenes)
        losses = [functional.cross_entropy(head(numbers), right[name]) for name, head in heads.items()]
        loss = torch.stack(losses).mean()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimiser.step()
        progress.show(loss=loss.item())
    save(encoder.eval(), folder)
