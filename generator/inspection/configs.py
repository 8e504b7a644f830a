"""Folders of one network each, told by their `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from generator.inspection import bases
from generator.inspection.inspected import Kind
from generator.inspection.single_networks import NO_FILE, TAESD, UNION, Found
from generator.inspection.unets import flaw_of_config, named_by_channels

Config = Mapping[str, Any]

_TRANSFORMERS = {
    "Flux2": "a FLUX.2 transformer", "Flux": "a FLUX.1 transformer",
    "SD3": "a Stable Diffusion 3 transformer",
    "QwenImage": "a Qwen-Image transformer", "ZImage": "a Z-Image transformer", "Sana": "a Sana transformer",
    "PixArt": "a PixArt transformer", "Lumina2": "a Lumina 2 transformer", "Chroma": "a Chroma transformer",
    "AuraFlow": "an AuraFlow transformer", "HunyuanDiT": "a Hunyuan-DiT transformer",
    "StableCascade": "a Stable Cascade UNet", "Wan": "a Wan video transformer",
}  # fmt: skip
_BY_MODEL_TYPE = {
    "clip_text_model": (Kind.TEXT_ENCODER, "a CLIP text encoder"),
    "clip_vision_model": (Kind.IMAGE_ENCODER, "a CLIP image encoder"),
    "siglip_vision_model": (Kind.IMAGE_ENCODER, "a SigLIP image encoder"),
    "clip": (Kind.UNKNOWN, "a whole CLIP"),
    "clipseg": (Kind.SEGMENTER, "a CLIPSeg"),
    "blip": (Kind.DESCRIBER, "a BLIP, which describes pictures"),
    "git": (Kind.DESCRIBER, "a GIT, which describes pictures"),
    "vision-encoder-decoder": (Kind.DESCRIBER, "a network that describes pictures"),
    "t5": (Kind.TEXT_ENCODER, "a T5 text encoder"),
    "bert": (Kind.TEXT_ENCODER, "a BERT text encoder"),
}


def of_config(config: Config) -> Found:
    """Facts of a network that is configured so."""
    kind = config.get("_class_name")
    if isinstance(kind, str):
        return _of_diffusers(kind, config)
    return _of_transformers(config)


def _of_diffusers(kind: str, config: Config) -> Found:
    if kind.startswith("UNet"):
        base = unet_base(config)
        channels = config.get("in_channels", 4)
        name = f"the UNet of {named_by_channels(base.name, channels)}"
        return {"kind": Kind.DENOISER, "name": name, "base": base, "flaw": flaw_of_config(config)}
    if "ControlNet" in kind and "Union" in kind:
        base = unet_base(config)
        return {
            "kind": Kind.CONTROL_UNION,
            "name": f"a ControlNet union for {base.name}",
            "base": base,
            "flaw": UNION,
        }
    if kind == "ControlNetModel":
        base = unet_base(config)
        return {"kind": Kind.CONTROL, "name": f"a ControlNet for {base.name}", "base": base}
    if "ControlNet" in kind:
        return {
            "kind": Kind.CONTROL,
            "name": f"a ControlNet of another kind ({kind})",
            "flaw": "Easel draws with UNets",
        }
    if "T2IAdapter" in kind:
        base = bases.of_width(None, "sdxl" if config.get("adapter_type") == "full_adapter_xl" else "sd")
        return {"kind": Kind.T2I_ADAPTER, "name": f"a T2I-Adapter for {base.name}", "base": base}
    if kind.startswith(("Autoencoder", "AsymmetricAutoencoder", "ConsistencyDecoder", "VQModel")):
        return _vae(kind, config)
    for begin, name in _TRANSFORMERS.items():
        if kind.startswith(begin):
            return {"kind": Kind.DENOISER, "name": name, "flaw": NO_FILE}
    return {"kind": Kind.UNKNOWN, "name": f"a network of diffusers' class {kind}"}


def _vae(kind: str, config: Config) -> Found:
    if kind == "AutoencoderTiny":
        return {"kind": Kind.VAE, "name": "a TAESD", "flaw": TAESD}
    return {"kind": Kind.VAE, "name": "a VAE", "flaw": flaw_of_vae(kind, config)}


def flaw_of_vae(kind: str, config: Config) -> str | None:
    """Reason for which latents of an autoencoder that is configured so cannot be drawn."""
    if kind == "AutoencoderTiny":
        return f"its VAE is a TAESD: {TAESD}"
    if kind != "AutoencoderKL":
        return f"its VAE is of the class {kind}, and Easel decodes with AutoencoderKL"
    if config.get("latents_mean") is not None:
        return "its VAE has statistics of its own for latents, as Playground 2.5's, and Easel uses none"
    channels = config.get("latent_channels", 4)
    if channels != 4:
        return f"its VAE has {channels} latent channels, and Stable Diffusion's have 4"
    return None


def _of_transformers(config: Config) -> Found:
    kind, made_by = config.get("model_type"), config.get("architectures") or []
    if "StableDiffusionSafetyChecker" in made_by:
        return {"kind": Kind.SAFETY_CHECKER, "name": "a Stable Diffusion safety checker"}
    if kind == "swin2sr":
        times = config.get("upscale", 2)
        return {"kind": Kind.UPSCALER, "name": f"an upscaler (Swin2SR ×{times})", "enlarges": times}
    if not isinstance(kind, str):
        return {"kind": Kind.UNKNOWN, "name": "a network that does not say of what kind it is"}
    place, name = _BY_MODEL_TYPE.get(kind, (Kind.UNKNOWN, f"a network of transformers' kind {kind}"))
    found: Found = {"kind": place, "name": name}
    if place is Kind.IMAGE_ENCODER:
        found |= {"patch_width": config.get("hidden_size"), "image_width": config.get("projection_dim")}
    return found


def unet_base(config: Config) -> bases.Base:
    """The base of a UNet, or of a control network, that is configured so."""
    width = config.get("cross_attention_dim")
    if isinstance(width, list):
        width = max((each for each in width if isinstance(each, int)), default=None)
    family = "sdxl" if config.get("addition_embed_type") == "text_time" else "sd"
    return bases.of_width(width if isinstance(width, int) else None, family)
