"""Checkpoints: whole models in one file, in the first Stable Diffusion's layout, and UNets out of them."""

from __future__ import annotations

from generator.inspection import bases
from generator.inspection.bases import Base
from generator.inspection.headers import Header
from generator.inspection.inspected import Inspection, Kind, Prediction
from generator.inspection.unets import CLASSES, MASKED, flaw_of_channels, named_by_channels

UNET = "model.diffusion_model."
_UNETS = (f"{UNET}input_blocks.", f"{UNET}down_blocks.")
_VAES = ("first_stage_model.", "vae.")
_FIRST, _SECOND = "cond_stage_model.", "conditioner.embedders.0.transformer."
_REFINERS = "conditioner.embedders.0.model."
_WORDS = "attn2.to_k.weight"
_EDM = {"edm_mean": "Playground 2.5", "edm_std": "Playground 2.5", "edm_vpred.sigma_max": "CosXL"}
"""Tensors by which files of an EDM noise schedule are known, and the models that people know them of."""
_V = "v_prediction"


def is_checkpoint(header: Header) -> bool:
    """True for a UNet in this layout with text encoders or a VAE, or for these two without the UNet."""
    parts = (header.has(*_UNETS), header.has(*_VAES), header.has(_FIRST, _SECOND, _REFINERS))
    return sum(parts) > 1 or (parts[0] and header.has("edm_", "v_pred"))


def of_checkpoint(source: str, header: Header, layout: str) -> Inspection:
    unet = header.within(UNET)
    base = _base(header, unet)
    channels = (unet.shape("input_blocks.0.0.weight") or (0, 4))[1]
    is_refiner = (header.has(_REFINERS) and not header.has(_SECOND)) or base.width == 1280
    edm = next((name for mark, name in _EDM.items() if mark in header.tensors), None)
    name = named_by_channels(base.name, channels)
    if is_refiner:
        name = "a Stable Diffusion XL refiner"
    elif edm is not None:
        name = f"a {edm} model"
    missing = [
        part
        for part, beginnings in {
            "UNet": _UNETS,
            "VAE": _VAES,
            "text encoder": (_FIRST, _SECOND, _REFINERS),
        }.items()
        if not header.has(*beginnings)
    ]
    return Inspection(
        source=source,
        kind=Kind.REFINER if is_refiner else Kind.MODEL,
        name=name,
        layout=layout,
        base=base,
        prediction=prediction(header, base),
        zero_snr="ztsnr" in header.tensors,
        reads_mask=channels == MASKED,
        precision=header.precision,
        size_bytes=header.size_bytes,
        parameters=header.parameters,
        missing=tuple(missing),
        flaw=_flaw(header, unet, base, channels, edm),
    )


def of_unet(source: str, header: Header, layout: str) -> Inspection:
    """A UNet alone in this layout or in diffusers'; its tensors' names begin with nothing else."""
    base = unet_base(header)
    first = header.shape("input_blocks.0.0.weight") or header.shape("conv_in.weight") or (0, 4)
    return Inspection(
        source=source,
        kind=Kind.DENOISER,
        name=f"the UNet of {named_by_channels(base.name, first[1])}",
        layout=layout,
        base=base,
        prediction=prediction(header, base),
        zero_snr="ztsnr" in header.tensors,
        precision=header.precision,
        size_bytes=header.size_bytes,
        parameters=header.parameters,
        missing=("VAE", "text encoder"),
        flaw=flaw_of_channels(first[1]) or _flaw_of_weights(header),
    )


def unet_base(unet: Header) -> Base:
    """The base of a UNet, by what it reads of words and sizes."""
    width = next((shape[-1] for shape in unet.shapes(_WORDS)), None)
    deep = any("transformer_blocks.1." in name for name in unet.tensors)
    return bases.of_width(width, "sdxl" if deep or unet.has("add_embedding.") else "sd")


def prediction(header: Header, base: Base) -> Prediction | None:
    """Prediction that it says itself; None for a silent Stable Diffusion 2.x: there are both kinds."""
    told = header.metadata.get("modelspec.prediction_type", "").lower()
    version = header.metadata.get("ss_base_model_version", "")
    if "v_pred" in header.tensors or "edm_vpred.sigma_max" in header.tensors:
        return Prediction(_V, "its tensor `v_pred`" if "v_pred" in header.tensors else "its EDM tensors")
    if told in ("v", "v_prediction", "v-prediction", "epsilon"):
        return Prediction("epsilon" if told == "epsilon" else _V, "its `modelspec.prediction_type`")
    if version.endswith("_v") or header.metadata.get("ss_v_parameterization") == "True":
        return Prediction(_V, "what kohya's scripts wrote beside it")
    if base.width == 1024:
        return None
    return Prediction("epsilon", "nothing in it that says otherwise")


def _base(header: Header, unet: Header) -> Base:
    found = unet_base(unet)
    if header.has(_SECOND, _REFINERS):
        return bases.of_width(found.width, "sdxl")
    return bases.of_width(found.width, "sd") if header.has(_FIRST) else found


def _flaw(header: Header, unet: Header, base: Base, channels: int, edm: str | None) -> str | None:
    if edm is not None:
        return f"it was trained with an EDM noise schedule ({edm}), and Easel has none of that kind"
    if base.family == "sd" and unet.has("label_emb."):
        return flaw_of_channels(channels) or CLASSES
    return flaw_of_channels(channels) or _flaw_of_weights(header)


def _flaw_of_weights(header: Header) -> str | None:
    if header.is_scaled:
        return (
            "its weights are scaled fp8 (ComfyUI's), which mean nothing without the factors beside them: take"
            " the fp16 or plain fp8 file of it"
        )
    return None
