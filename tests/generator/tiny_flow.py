"""Diffusers folders of flow-matching models: the real classes with tiny random weights.

The weights are scaled up so that prompt, guidance and seed all move the picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
)

MARKS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>", "<|vision_pad|>",
)  # fmt: skip
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
        vocab=vocab, merges=[], additional_special_tokens=list(MARKS[1:7]), pad_token=MARKS[0]
    )
    made.chat_template = TEMPLATE
    return made


def qwen3(layers: int, kind: Any = Qwen3Model) -> Any:
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
    return kind(config).eval()


def autoencoder(kind: Any = AutoencoderKL, **more: Any) -> Any:
    torch.manual_seed(0)
    return kind(
        block_out_channels=(8, 8, 8, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=4,
        sample_size=64,
        **more,
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
        vae=autoencoder(
            scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False
        ),
        text_encoder=qwen3(3),
        tokenizer=tokenizer(),
        transformer=loud(transformer),
    )
    pipeline.save_pretrained(folder)
    return folder


def make_klein(folder: Path, *, distilled: bool = False) -> Path:
    transformer = Flux2Transformer2DModel(
        patch_size=1,
        in_channels=4 * LATENT_CHANNELS,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * TEXT_WIDTH,
        timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    vae = autoencoder(AutoencoderKLFlux2)
    rng = torch.Generator().manual_seed(2)
    vae.bn.running_mean.copy_(torch.randn(4 * LATENT_CHANNELS, generator=rng) * 0.1)
    vae.bn.running_var.copy_(torch.rand(4 * LATENT_CHANNELS, generator=rng) + 0.5)
    pipeline = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, shift=3.0, base_shift=0.5, max_shift=1.15
        ),
        vae=vae,
        text_encoder=qwen3(28, Qwen3ForCausalLM),
        tokenizer=tokenizer(),
        transformer=loud(transformer),
        is_distilled=distilled,
    )
    pipeline.save_pretrained(folder)
    return folder


def make_qwen(folder: Path) -> Path:
    words = tokenizer()
    ids = {name: words.convert_tokens_to_ids(f"<|{name}|>") for name in ("image_pad", "video_pad")}
    edges = {name: words.convert_tokens_to_ids(f"<|{name}|>") for name in ("vision_start", "vision_end")}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": 300,
            "hidden_size": TEXT_WIDTH,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "max_position_embeddings": 4096,
            "initializer_range": 0.3,
            "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2], "rope_type": "default"},
        },
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": TEXT_WIDTH,
            "patch_size": 14,
        },
        image_token_id=ids["image_pad"],
        video_token_id=ids["video_pad"],
        vision_start_token_id=edges["vision_start"],
        vision_end_token_id=edges["vision_end"],
    )
    torch.manual_seed(0)
    encoder = Qwen2_5_VLForConditionalGeneration(config).eval()
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=4 * LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=TEXT_WIDTH,
        axes_dims_rope=(4, 4, 8),
    )
    torch.manual_seed(0)
    vae = AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=LATENT_CHANNELS,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        attn_scales=[],
        temperal_downsample=[False, True, True],
        latents_mean=[0.1, -0.2, 0.3, 0.0],
        latents_std=[1.1, 0.9, 1.2, 1.0],
    ).eval()
    pipeline = QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True,
            base_shift=0.5,
            max_shift=0.9,
            base_image_seq_len=256,
            max_image_seq_len=8192,
            shift_terminal=0.02,
            time_shift_type="exponential",
        ),
        vae=vae,
        text_encoder=encoder,
        tokenizer=words,
        transformer=loud(transformer),
    )
    pipeline.save_pretrained(folder)
    return folder
