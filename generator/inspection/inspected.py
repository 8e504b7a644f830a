"""Facts that an inspection finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from generator.inspection import bases
from generator.inspection.bases import Base


class Kind(StrEnum):
    MODEL = "model"
    REFINER = "refiner"
    DENOISER = "denoiser alone"
    VAE = "VAE"
    TEXT_ENCODER = "text encoder"
    LORA = "LoRA"
    CONTROL = "control network"
    CONTROL_UNION = "control network of several kinds"
    T2I_ADAPTER = "T2I-Adapter"
    IP_ADAPTER = "IP-Adapter"
    IMAGE_ENCODER = "image encoder"
    EMBEDDING = "textual inversion"
    UPSCALER = "upscaler"
    SAFETY_CHECKER = "safety checker"
    DESCRIBER = "describer"
    SEGMENTER = "segmenter"
    UNKNOWN = "unknown"


class Prediction(NamedTuple):
    """A model's prediction type (`epsilon`, `v_prediction`, `sample`), and by what that is known."""

    type: str
    told_by: str


@dataclass(frozen=True)
class Inspection:
    source: str
    kind: Kind
    name: str
    """In the field's words, with its article: "a FLUX.1 transformer"."""
    layout: str
    """`diffusers folder`, `safetensors`, `pickle` or `GGUF`."""
    base: Base = bases.UNKNOWN
    """The model that it is, or that it was made for."""
    prediction: Prediction | None = None
    zero_snr: bool = False
    """True if it was trained down to a signal of zero."""
    reads_mask: bool = False
    """True for a model made for inpainting."""
    precision: str = ""
    size_bytes: int = 0
    parameters: int = 0
    missing: tuple[str, ...] = ()
    """Parts that a whole one has."""
    trigger_words: tuple[str, ...] = ()
    lora_forms: tuple[str, ...] = ()
    """A LoRA's: `LoRA`, `LoCon`, `LoHa`, `LoKr`, `full`, `norms`, `DoRA`, `OFT`."""
    image_width: int | None = None
    """Numbers of a picture: read by an IP-Adapter, or said by an image encoder's last layer."""
    patch_width: int | None = None
    """The same of each of a picture's patches."""
    enlarges: int | None = None
    """Factor of an upscaler."""
    flaw: str | None = None
    """Reason for which Easel draws with none of this kind, as the rest of "because …"."""
    is_unnamed: bool = False
    """True for a model whose pipeline class is of nobody that is known."""
    calls: tuple[str, ...] = ()
    """Functions that a pickle would call when it is loaded."""
