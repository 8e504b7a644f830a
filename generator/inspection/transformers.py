"""Denoisers that are no UNet, told by the names of their tensors as they are published."""

from __future__ import annotations

from generator.inspection.gguf_files import ARCHITECTURE
from generator.inspection.headers import Header

_MARKS: tuple[tuple[str, str], ...] = (
    ("early_stream_modulations.", "a FLUX.3 transformer"),
    ("double_stream_modulation_img.", "a FLUX.2 transformer"),
    ("single_stream_modulation.", "a FLUX.2 transformer"),
    ("distilled_guidance_layer.", "a Chroma transformer"),
    ("txt_in.individual_token_refiner.", "a HunyuanVideo transformer"),
    ("double_blocks.0.img_attn", "a FLUX.1 transformer"),
    ("joint_transformer_blocks.", "an AuraFlow transformer"),
    ("single_transformer_blocks.", "a FLUX.1 transformer"),
    ("joint_blocks.", "a Stable Diffusion 3 transformer"),
    ("txt_in.text_norm.", "a Qwen-Image 2 transformer"),
    ("transformer_blocks.0.img_mod.", "a Qwen-Image transformer"),
    ("cond_seq_linear.", "an AuraFlow transformer"),
    ("context_embedder.", "a Stable Diffusion 3 transformer"),
    ("layers.0.adaLN_modulation.0.", "a Z-Image transformer"),
    ("all_x_embedder.", "a Z-Image transformer"),
    ("cap_embedder.", "a Lumina 2 transformer"),
    ("clip_txt_mapper.", "a Stable Cascade prior"),
    ("down_blocks.1.0.channelwise.", "a Stable Cascade decoder"),
    ("mlp_t5.", "a Hunyuan-DiT transformer"),
    ("attention_y_norm.", "a Sana transformer"),
    ("caption_norm.", "a Sana transformer"),
    ("t_block.", "a PixArt transformer"),
    ("caption_projection.linear_1.", "a PixArt transformer"),
    ("double_stream_blocks.", "a HiDream transformer"),
    ("txtfusion.", "a Krea 2 transformer"),
    ("patchify_proj.", "an LTX-Video transformer"),
    ("head.modulation", "a Wan video transformer"),
    ("net.x_embedder.", "a Cosmos transformer"),
    ("blocks.0.attn.qkv_x.", "a Mochi transformer"),
    ("image_index_embedding", "an OmniGen 2 transformer"),
    ("time_caption_embed.", "a Lumina 2 transformer"),
    ("text_embedding_padding", "a Hunyuan-DiT transformer"),
)
_BY_ARCHITECTURE = {
    "flux": "a FLUX.1 transformer",
    "flux2": "a FLUX.2 transformer",
    "chroma": "a Chroma transformer",
    "sd3": "a Stable Diffusion 3 transformer",
    "sd1": "the UNet of a Stable Diffusion 1.x model",
    "sdxl": "the UNet of a Stable Diffusion XL model",
    "qwen_image": "a Qwen-Image transformer",
    "lumina2": "a Lumina 2 or Z-Image transformer",
    "z_image": "a Z-Image transformer",
    "aura": "an AuraFlow transformer",
    "hidream": "a HiDream transformer",
    "wan": "a Wan video transformer",
    "ltxv": "an LTX-Video transformer",
    "hyvid": "a HunyuanVideo transformer",
    "cosmos": "a Cosmos transformer",
    "t5": "a T5 text encoder",
    "t5encoder": "a T5 text encoder",
    "clip": "a CLIP network",
}
"""By `general.architecture` of GGUF files; everything else there is a language model."""


def of_names(header: Header) -> str | None:
    """The transformer that has tensors of these names, in the field's words; None if none is known."""
    return next((name for mark, name in _MARKS if header.has(mark)), None)


def of_gguf(header: Header) -> str:
    """The network of a GGUF file."""
    told = header.metadata.get(ARCHITECTURE)
    by_names = of_names(header)
    if told is None or by_names is not None:
        return by_names or "a network"
    return _BY_ARCHITECTURE.get(told, f"a language model ({told})")
