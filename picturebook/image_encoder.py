"""The image encoder: CLIP's vision model (Radford et al. 2021), very small, for the drawn scenes."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from picturebook.export import save_half
from picturebook.safety import new_processor, prepare

WIDTH = 128
"""Numbers that stand for a picture."""


def new_image_encoder(vision: CLIPVisionConfig) -> CLIPVisionModelWithProjection:
    """An untrained encoder that sees by a network of this form."""
    seeing = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    form = {name: getattr(vision, name) for name in (*seeing, "image_size", "patch_size")}
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**form, projection_dim=WIDTH))


@torch.no_grad()
def embeddings(encoder: CLIPVisionModelWithProjection, pictures: list[Image.Image]) -> Tensor:
    """Embed pictures, (n, WIDTH)."""
    found: Tensor = encoder(pixel_values=prepare(pictures)).image_embeds
    return found


def save(encoder: CLIPVisionModelWithProjection, folder: Path) -> None:
    """Write the folder as transformers reads it, the weights in float16."""
    save_half(encoder, folder)
    new_processor().save_pretrained(folder)
