"""The segmenter: CLIPSeg (Lüddecke and Ecker 2022), very small, for the world of the drawn scenes."""

from pathlib import Path

from torch import nn
from transformers import (
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    CLIPSegProcessor,
    CLIPTextConfig,
    CLIPVisionConfig,
    ViTImageProcessor,
)

from picturebook.export import save_half
from picturebook.safety import SIDE
from picturebook.tokenizer import new_tokenizer


def new_segmenter(vision: CLIPVisionConfig, text: CLIPTextConfig) -> CLIPSegForImageSegmentation:
    """An untrained segmenter that sees and reads by networks of these forms."""
    seeing = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    reading = ("vocab_size", "max_position_embeddings", "bos_token_id", "eos_token_id", "pad_token_id")
    config = CLIPSegConfig(
        vision_config={name: getattr(vision, name) for name in (*seeing, "image_size", "patch_size")},
        text_config={name: getattr(text, name) for name in (*seeing, *reading)},
        projection_dim=128,
        extract_layers=[0, 1, 3],
        reduce_dim=64,
        decoder_intermediate_size=256,
    )
    model = CLIPSegForImageSegmentation(config)
    # As transformers begins it, the decoder's weights are a hundred times too large to be learned from.
    for layer in model.decoder.modules():
        if isinstance(layer, nn.Linear | nn.ConvTranspose2d):
            layer.reset_parameters()
    return model


def new_processor() -> CLIPSegProcessor:
    """Pictures are squeezed whole into a square; words are read as the model's prompts are."""
    image_processor = ViTImageProcessor(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5]
    )
    return CLIPSegProcessor(image_processor, new_tokenizer())


def save(model: CLIPSegForImageSegmentation, folder: Path) -> None:
    """Write the folder as transformers reads it, the weights in float16."""
    save_half(model, folder)
    new_processor().save_pretrained(folder)
