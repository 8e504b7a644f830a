"""UNets by what they are shown: latents alone, or other things beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DRAWN = {4: "latents", 9: "latents, a mask and the masked picture"}
"""Input channels of the UNets that Easel draws with."""
MASKED = 9
"""Input channels of a UNet that is shown a mask and the masked picture."""
_EDITS, _DEPTH, _ENLARGES = 8, 5, 7
_NAMES = {
    MASKED: "a {} model for inpainting",
    _EDITS: "an InstructPix2Pix model of {}",
    _DEPTH: "a depth-to-image model of {}",
    _ENLARGES: "a Stable Diffusion x4 upscaler",
}
_SHOWN = {
    _EDITS: "the picture that it edits",
    _DEPTH: "a map of depths",
    _ENLARGES: "the small picture that it enlarges",
}
CLASSES = "its UNet reads class embeddings, as a Stable unCLIP model's, and no words alone"


def named_by_channels(base: str, channels: int) -> str:
    """Name of a model of this base whose UNet has as many input channels."""
    return _NAMES.get(channels, "a {} model").format(base)


def flaw_of_channels(channels: int) -> str | None:
    if channels in DRAWN:
        return None
    beside = f" ({_SHOWN[channels]} besides)" if channels in _SHOWN else ""
    return f"its UNet has {channels} input channels{beside}, and Easel draws with 4, or 9 for inpainting"


def flaw_of_config(config: Mapping[str, Any]) -> str | None:
    """Reason for which a UNet that is configured so cannot be drawn with."""
    kind = config.get("_class_name")
    if kind not in (None, "UNet2DConditionModel"):
        return f"its denoiser is of the class {kind}, and Easel draws with UNet2DConditionModel"
    channels = flaw_of_channels(config.get("in_channels", 4))
    if channels is not None:
        return channels
    if config.get("class_embed_type") is not None or config.get("num_class_embeds") is not None:
        return CLASSES
    if config.get("encoder_hid_dim_type") is not None:
        return f"its UNet reads words by a layer of its own ({config['encoder_hid_dim_type']})"
    if config.get("addition_embed_type") not in (None, "text_time"):
        return f"its UNet reads {config['addition_embed_type']} beside the words"
    return None
