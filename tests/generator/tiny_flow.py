"""Diffusers folders of flow-matching models: the real classes with tiny random weights.

The weights are scaled up so that prompt, guidance and seed all move the picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers.pre_tokenizers import ByteLevel
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3Model

MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT_WIDTH = 16
LATENT_CHANNELS = 4


def tokenizer() -> Qwen2Tokenizer:
    """Qwen's byte-level BPE without merges: every byte is a token."""
    vocab = {letter: index for index, letter in enumerate(sorted(ByteLevel.alphabet()))}
    vocab |= {mark: len(vocab) + index for index, mark in enumerate(MARKS)}
    made = Qwen2Tokenizer(
        vocab=vocab, merges=[], additional_special_tokens=list(MARKS[1:]), pad_token=MARKS[0]
    )
    made.chat_template = TEMPLATE
    return made


def qwen3(layers: int) -> Qwen3Model:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=300,
        hidden_size=TEXT_WIDTH,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        initializer_range=0.3,
        max_position_embeddings=1024,
    )
    return Qwen3Model(config).eval()


def autoencoder() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=4,
        sample_size=64,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()


def loud(network: Any, scale: float = 0.15) -> Any:
    """The network with matrices of this standard deviation."""
    rng = torch.Generator().manual_seed(1)
    for name, weight in network.named_parameters():
        if weight.ndim > 1:
            weight.data = torch.randn(weight.shape, generator=rng) * scale
        elif "norm" in name and name.endswith("weight"):
            weight.data = torch.ones_like(weight)
        else:
            weight.data = torch.randn(weight.shape, generator=rng) * 0.02
    return network.eval()


def make_zimage(folder: Path, *, dynamic: bool = True) -> Path:
    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=LATENT_CHANNELS,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=TEXT_WIDTH,
        axes_dims=[4, 4, 8],
        axes_lens=[1024, 64, 64],
    )
    pipeline = ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=dynamic),
        vae=autoencoder(),
        text_encoder=qwen3(3),
        tokenizer=tokenizer(),
        transformer=loud(transformer),
    )
    pipeline.save_pretrained(folder)
    return folder
