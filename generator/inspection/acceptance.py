"""The one table of what Easel draws with, and the sentences for everything else."""

from __future__ import annotations

from collections.abc import Mapping

from generator.inspection.bases import Base
from generator.inspection.inspected import Inspection, Kind
from generator.inspection.single_networks import DRAWN

ACCEPTED: Mapping[str, frozenset[Kind]] = {
    "source": frozenset({Kind.MODEL}),
    "inpainting": frozenset({Kind.MODEL}),
    "refiner": frozenset({Kind.REFINER}),
    "unet": frozenset({Kind.DENOISER, Kind.MODEL}),
    "vae": frozenset({Kind.VAE, Kind.MODEL}),
    "loras": frozenset({Kind.LORA, Kind.UNKNOWN}),
    "embeddings": frozenset({Kind.EMBEDDING}),
    "controls": frozenset({Kind.CONTROL, Kind.T2I_ADAPTER}),
    "adapters": frozenset({Kind.IP_ADAPTER}),
    "image_encoder": frozenset({Kind.IMAGE_ENCODER}),
    "upscalers": frozenset({Kind.UPSCALER, Kind.UNKNOWN}),
    "safety_checker": frozenset({Kind.SAFETY_CHECKER, Kind.MODEL}),
    "describer": frozenset({Kind.DESCRIBER, Kind.UNKNOWN}),
    "segmenter": frozenset({Kind.SEGMENTER}),
}
"""Kinds that each of a catalog's keys takes.

Of describers, LoRAs and upscalers there are more than are known by their names here: their loading tells.
"""
LORA_FORMS = frozenset({"LoRA", "LoCon", "LoHa", "LoKr", "full", "norms", "DoRA"})
"""Forms whose arithmetic is done."""
PICKLES: frozenset[str] = frozenset()
"""Keys that take pickled files, which are read without running them."""
MAY_LACK: Mapping[str, frozenset[str]] = {
    "source": frozenset({"VAE", "text encoder"}),
    "inpainting": frozenset({"VAE", "text encoder"}),
    "unet": frozenset({"VAE", "text encoder"}),
    "vae": frozenset({"UNet", "text encoder"}),
}
"""Parts that a file need not have itself. A source's may be beside it, or named: its loading tells."""
_MADE_FOR_ONE = frozenset(
    {Kind.DENOISER, Kind.LORA, Kind.EMBEDDING, Kind.CONTROL, Kind.T2I_ADAPTER, Kind.IP_ADAPTER}
)
"""Kinds that fit models of one base alone."""
_KEYS = {
    Kind.MODEL: "a `source`",
    Kind.REFINER: "the `refiner` of a model",
    Kind.DENOISER: "the `unet` of a model whose `source` has the rest",
    Kind.VAE: "the `vae` of a model",
    Kind.LORA: "one of a model's `loras`",
    Kind.EMBEDDING: "one of a model's `embeddings`",
    Kind.CONTROL: "one of a model's `controls`",
    Kind.T2I_ADAPTER: "one of a model's `controls`",
    Kind.IP_ADAPTER: "one of a model's `adapters`",
    Kind.IMAGE_ENCODER: "the `image_encoder` of an adapter",
    Kind.UPSCALER: "one of a model's `upscalers`",
    Kind.SAFETY_CHECKER: "the `safety_checker` of a model",
    Kind.DESCRIBER: "the `describer` of a model",
    Kind.SEGMENTER: "the `segmenter` of a model",
}
_WANTED = {
    "source": "a whole model",
    "inpainting": "a model for inpainting",
    "refiner": "a Stable Diffusion XL refiner",
    "unet": "a UNet",
    "vae": "a VAE",
    "loras": "a LoRA",
    "embeddings": "a textual inversion",
    "controls": "a ControlNet or a T2I-Adapter",
    "adapters": "an IP-Adapter",
    "image_encoder": "a CLIP image encoder",
    "upscalers": "an upscaler such as Swin2SR or Real-ESRGAN",
    "safety_checker": "a Stable Diffusion safety checker",
    "describer": "a network that describes pictures",
    "segmenter": "a CLIPSeg",
}


def key_of(found: Inspection) -> str | None:
    """The catalog's key that takes it, as far as its kind goes."""
    return next((key for key, kinds in ACCEPTED.items() if found.kind in kinds - {Kind.UNKNOWN}), None)


def refusal(found: Inspection, key: str, family: str | None = None) -> str | None:
    """Reason for which Easel does not take it for this key of the catalog; None if it does.

    `family` is what the catalog states for a model whose class is unknown.
    """
    if key == "safety_checker" and found.kind is Kind.MODEL:
        return None  # its checker is meant, whatever is drawn with the rest
    return (
        _of_kind(found, key)
        or _of_flaw(found)
        or _of_container(found, key)
        or _of_class(found, family)
        or _of_forms(found)
        or _of_parts(found, key)
        or _of_mask(found, key)
    )


def misfit(found: Inspection, model: Base, key: str | None = None) -> str | None:
    """Reason for which something beside a model cannot be used with it, for this key of the catalog; None if
    nothing is against it.
    """
    made_for_one = found.kind in _MADE_FOR_ONE or key == "unet"
    if not made_for_one or found.base.fits(model):
        return None
    return f"it is {found.name}, and the model is {model.name}"


def unread(adapter: Inspection, encoder: Inspection) -> str | None:
    """Reason for which an IP-Adapter cannot read what an image encoder says of pictures."""
    for wanted, said in (
        (adapter.image_width, encoder.image_width),
        (adapter.patch_width, encoder.patch_width),
    ):
        if wanted and said and wanted != said:
            return (
                f"it was trained with another image encoder: it reads pictures as {wanted} numbers, and"
                f" {encoder.source} says {said}"
            )
    return None


def sentence(found: Inspection) -> str:
    """The one sentence about it: its name, and its use or the reason why it has none."""
    key = key_of(found) or "source"
    reason = refusal(found, key)
    if reason is None:
        return f"{found.source} is {found.name}; Easel takes it as {_KEYS[found.kind]}."
    return f"{found.source} cannot be used: {reason}."


def _of_flaw(found: Inspection) -> str | None:
    return f"it is {found.name}: {found.flaw}" if found.flaw else None


def _of_kind(found: Inspection, key: str) -> str | None:
    if found.kind in ACCEPTED[key]:
        return None
    if found.flaw and key == "source":
        return _of_flaw(found)
    elsewhere = "" if found.flaw or found.kind not in _KEYS else f": name it as {_KEYS[found.kind]}"
    return f"it is {found.name}, and this is to be {_WANTED[key]}{elsewhere}"


def _of_container(found: Inspection, key: str) -> str | None:
    if found.layout != "pickle" or key in PICKLES:
        return None
    runs = f" (this one calls {found.calls[0]})" if found.calls else ""
    return (
        f"it is {found.name}, pickled, which may run code when it is read{runs}: make a .safetensors file of"
        f" it with `easel models convert {found.source}`"
    )


def _of_class(found: Inspection, family: str | None) -> str | None:
    if not found.is_unnamed or family is not None:
        return None
    return (
        f"it is {found.name}, which Easel does not know: it draws with {DRAWN} (if it is one of them all the"
        " same, say so with `family`)"
    )


def _of_forms(found: Inspection) -> str | None:
    other = next((form for form in found.lora_forms if form not in LORA_FORMS), None)
    if other is not None:
        return f"it is {found.name}: Easel does not add the form {other}"
    if found.enlarges is not None and found.enlarges < 2:
        return f"it is {found.name}: it enlarges nothing"
    return None


def _of_mask(found: Inspection, key: str) -> str | None:
    if key != "inpainting" or found.reads_mask:
        return None
    return (
        f"it is {found.name}, whose UNet reads no mask: leave `inpainting` out, for the model's own draws"
        " regions, zooms and pans as well"
    )


def _of_parts(found: Inspection, key: str) -> str | None:
    lacks = [part for part in found.missing if part not in MAY_LACK.get(key, frozenset())]
    if not lacks:
        return None
    return f"it holds no {' and no '.join(lacks)}" + (
        f", so it is no whole {DRAWN}" if key == "source" else ""
    )
