"""Files of one network each, told by the names and shapes of their tensors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from generator.inspection import bases, checkpoints, lora_files, transformers
from generator.inspection.headers import Header, TensorHeader
from generator.inspection.inspected import Inspection, Kind

Found = dict[str, Any]
"""Facts for an `Inspection`; `kind` and `name` at the least."""


def of_network(source: str, header: Header, layout: str) -> Inspection:
    """Inspect a file of one network; of the kind UNKNOWN if it is like none that is known here."""
    found = next((facts for told in _IN_TURN if (facts := told(header)) is not None), None)
    if found is None and header.has("input_blocks.", "down_blocks.0.resnets.", "down_blocks.0.attentions."):
        return checkpoints.of_unet(source, header, layout)
    return Inspection(
        source=source,
        layout=layout,
        precision=header.precision,
        size_bytes=header.size_bytes,
        parameters=header.parameters,
        calls=header.calls,
        **(found or {"kind": Kind.UNKNOWN, "name": "a file of weights of a kind that Easel does not know"}),
    )


def _image_adapter(header: Header) -> Found | None:
    if not header.has("image_proj.", "ip_adapter."):
        return None
    width = next((tensor.shape[-1] for tensor in _ending(header, "to_k_ip.weight")), None)
    base = bases.of_width(width)
    projection = header.within("image_proj.")
    facts: Found = {"kind": Kind.IP_ADAPTER, "base": base, "name": f"an IP-Adapter for {base.name}"}
    if any("lora" in name for name in header.tensors) or projection.has("norm.", "perceiver_resampler."):
        faceless = "proj.3.weight" in projection.tensors or "proj.weight" in projection.tensors
        if not faceless or any("lora" in name for name in header.tensors):
            return facts | {
                "name": f"an IP-Adapter FaceID for {base.name}",
                "flaw": "it reads what InsightFace says of a face, which Easel has not",
            }
    if projection.has("proj.weight"):
        return facts | {"image_width": projection.shape("proj.weight")[-1]}
    read = projection.shape("proj.0.weight") or projection.shape("proj_in.weight")
    return facts | {"patch_width": read[-1] if read else None}


def _lora(header: Header) -> Found | None:
    if header.has("lora_controlnet", "control_model."):
        return None
    found = lora_files.forms(header)
    if not found:
        return None
    base = lora_files.base(header)
    flaw = None
    if base is not bases.UNKNOWN and base.family is None and base.width is None:
        flaw = f"it changes layers of {base.name}"
    return {
        "kind": Kind.LORA,
        "name": f"{_spoken(found)} for {base.name}",
        "base": base,
        "lora_forms": found,
        "trigger_words": lora_files.trigger_words(header),
        "flaw": flaw,
    }


def _spoken(found: tuple[str, ...]) -> str:
    """The most telling of a LoRA's forms."""
    if "OFT" in found:
        return "an OFT"
    telling = (form for form in ("DoRA", "LoHa", "LoKr", "LoCon", "LoRA") if form in found)
    return f"a {next(telling, 'difference of whole layers')}"


def _control(header: Header) -> Found | None:
    inner = header.within("control_model.") if header.has("control_model.") else header
    if header.has("lllite_"):
        return _refused(Kind.CONTROL, "a ControlNet-LLLite", "Easel has no networks of that kind")
    if header.has("lora_controlnet"):
        return _refused(Kind.CONTROL, "a Control-LoRA", "Easel has no networks of that kind")
    if inner.has("control_all_x_embedder.", "control_layers.", "controlnet_blocks.") and not inner.has(
        "controlnet_cond_embedding."
    ):
        return _refused(Kind.CONTROL, "a ControlNet of a transformer", "Easel draws with UNets")
    if not inner.has("input_hint_block.", "controlnet_cond_embedding.", "controlnet_down_blocks."):
        return None
    base = checkpoints.unet_base(inner)
    if inner.has("task_embedding", "control_add_embedding.", "spatial_ch_projs."):
        return {
            "kind": Kind.CONTROL_UNION,
            "name": f"a ControlNet union for {base.name}",
            "base": base,
            "flaw": UNION,
        }
    return {"kind": Kind.CONTROL, "name": f"a ControlNet for {base.name}", "base": base}


UNION = "it is told by a number which of its kinds is meant, and Easel tells none"


def _refused(kind: Kind, name: str, flaw: str) -> Found:
    return {"kind": kind, "name": name, "flaw": flaw}


def _t2i_adapter(header: Header) -> Found | None:
    inner = header.within("adapter.") if header.has("adapter.body.") else header
    if inner.has("body.0.block1.", "body.0.resnets.0.block1.") and inner.has("conv_in."):
        return _refused(Kind.T2I_ADAPTER, "a T2I-Adapter", "Easel takes those as diffusers folders")
    return None


def _embedding(header: Header) -> Found | None:
    tensors = {name: tensor for name, tensor in header.tensors.items() if tensor.shape}
    vectors = {
        name: tensor
        for name, tensor in tensors.items()
        if len(tensor.shape) <= 2 and re.fullmatch(r"emb_params|clip_[lg]|string_to_param\..+|<[^>]+>", name)
    }
    alone = len(tensors) == 1 and all(
        len(each.shape) <= 2 and "." not in name for name, each in tensors.items()
    )
    if not vectors and not alone:
        return None
    width = sum(tensor.shape[-1] for tensor in (vectors or tensors).values())
    base = bases.of_width(width)
    return {"kind": Kind.EMBEDDING, "name": f"a textual inversion for {base.name}", "base": base}


def _vae(header: Header) -> Found | None:
    inner = next(
        (header.within(begin) for begin in ("first_stage_model.", "vae.") if header.has(begin)), header
    )
    if inner.has("encoder.layers.1.conv.", "decoder.layers.2.conv.", "1.conv.0.", "taesd_"):
        return _refused(Kind.VAE, "a TAESD", TAESD)
    if not inner.has("decoder.conv_in."):
        return None
    latents = inner.shape("decoder.conv_in.weight")[1:2]
    if latents != (4,):
        channels = latents[0] if latents else "other"
        return _refused(
            Kind.VAE, f"a VAE of {channels} latent channels", "Stable Diffusion's latents have 4 channels"
        )
    return {"kind": Kind.VAE, "name": "a VAE"}


TAESD = "it is made for previews, and says no distribution of latents as an AutoencoderKL does"


def _encoder(header: Header) -> Found | None:
    inner = header.within("conditioner.embedders.0.") if header.has("conditioner.embedders.0.") else header
    if inner.has("vision_model."):
        patches = inner.shape("vision_model.embeddings.class_embedding") or (None,)
        whole = inner.shape("visual_projection.weight") or (None,)
        return {
            "kind": Kind.IMAGE_ENCODER,
            "name": "a CLIP image encoder",
            "patch_width": patches[0],
            "image_width": whole[0],
        }
    if any("text_model." in name or "transformer.resblocks." in name for name in inner.tensors):
        return {"kind": Kind.TEXT_ENCODER, "name": "a CLIP text encoder"}
    if inner.has("encoder.block.0.layer.0.SelfAttention."):
        return _refused(Kind.TEXT_ENCODER, "a T5 text encoder", "Easel reads prompts with CLIP")
    return None


def _upscaler(header: Header) -> Found | None:
    inner = next((header.within(begin) for begin in ("params_ema.", "params.") if header.has(begin)), header)
    for marks, name in _UPSCALERS:
        if all(inner.has(mark) for mark in marks):
            return {"kind": Kind.UPSCALER, "name": f"an upscaler ({name})"}
    return None


_UPSCALERS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("swin2sr.",), "Swin2SR"),
    (("conv_first.", "body.0.rdb1."), "Real-ESRGAN"),
    (("model.0.weight", "model.1.sub.0.RDB1."), "ESRGAN"),
    (("conv_first.", "RRDB_trunk."), "ESRGAN"),
    (("body.0.weight", "body.1.weight", "body.2.weight"), "Real-ESRGAN, compact"),
    (("conv_first.", "layers.0.residual_group."), "SwinIR, HAT or the like"),
    (("conv_first.", "layers.0.blocks."), "DAT or the like"),
    (("before_RG.", "layers.0."), "DAT"),
)


def _transformer(header: Header) -> Found | None:
    inner = header.within(checkpoints.UNET) if header.has(checkpoints.UNET) else header
    if header.container == "GGUF":
        name = f"{transformers.of_gguf(inner)} ({header.precision})"
        return _refused(Kind.DENOISER, name, f"{NO_FILE}, and not from GGUF")
    found = transformers.of_names(inner)
    if found is not None:
        return _refused(Kind.DENOISER, found, NO_FILE)
    if header.has("motion_modules.", "down_blocks.0.motion_modules."):
        return _refused(Kind.UNKNOWN, "an AnimateDiff motion module", "Easel draws pictures, not films")
    return None


DRAWN = "Stable Diffusion 1.x, 2.x and XL, Z-Image, FLUX.2 klein and Qwen-Image"
NOT_DRAWN = f"Easel draws with {DRAWN}"
NO_FILE = "Easel draws with single files of Stable Diffusion, and with other models as diffusers folders"

_IN_TURN: tuple[Callable[[Header], Found | None], ...] = (
    *(_image_adapter, _control, _lora, _t2i_adapter, _transformer, _upscaler, _embedding),
    *(_vae, _encoder),
)


def _ending(header: Header, end: str) -> list[TensorHeader]:
    return [each for name, each in header.tensors.items() if name.endswith(end)]
