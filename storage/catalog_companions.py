"""Tables of what a catalog names beside a model: smaller networks, LoRAs, controls and image adapters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from storage.catalog_values import CatalogTable, File, Guidance, Source, Steps, resolve_file
from storage.contract import HEAVIEST_LORA
from storage.samplers import NAMES as SAMPLER_NAMES

SamplerName = Literal[SAMPLER_NAMES]  # type: ignore[valid-type]

LoraWeight = Annotated[float, Field(ge=-HEAVIEST_LORA, le=HEAVIEST_LORA)]


class CompanionEntry(CatalogTable):
    """A smaller network that does something for a model."""

    source: Source
    """Folder, Hugging Face id, or for an upscaler a `.safetensors` file."""


class LoraEntry(CatalogTable):
    """Small weights that are added to a model's own: a look or a subject that it was taught later."""

    source: Source
    """`.safetensors` file, folder or Hugging Face id, of any kind and layout."""
    file: File | None = None
    """File of the folder or id, where it has several."""
    trigger: str = ""
    """Words that it was taught with; they are read behind every prompt that lacks them."""
    sample: Annotated[str, AfterValidator(resolve_file)] | None = None
    """A picture that was drawn with it, for members to see."""


class AlwaysLoraEntry(LoraEntry):
    """A LoRA that is part of a model: added when it is loaded, to every picture."""

    weight: LoraWeight = 1.0


class DraftEntry(CatalogTable):
    """A model's quick way of drawing, which `--draft` asks for."""

    num_inference_steps: Steps
    guidance_scale: Guidance | None = None
    """None: the model's own, as with the sampler."""
    scheduler: SamplerName | None = None
    loras: dict[str, LoraWeight] = Field(default_factory=dict)
    """Weights of some of the model's `loras`, by name."""


class EmbeddingEntry(CatalogTable):
    """A Textual Inversion: vectors that the text encoders read for its name."""

    source: Source
    """`.safetensors` file, folder or Hugging Face id."""
    file: File | None = None
    """File of the folder or id, where it has several."""


class ControlEntry(CatalogTable):
    """A ControlNet or T2I-Adapter: edges, depth or the like of a picture say where things are drawn."""

    source: Source
    """`.safetensors` file of a ControlNet, or folder or Hugging Face id in diffusers' layout."""
    reads: Literal["edges", "picture"] = "picture"
    """Form in which it is shown the picture: its edges by Canny, or as it is."""
    global_pool_conditions: bool | None = None
    """True for a ControlNet that says one thing for the whole picture (shuffle); None: as its config.json
    says, and of a single file if `shuffle` is in its name.
    """


class AdapterEntry(CatalogTable):
    """An IP-Adapter: pictures are read beside the words."""

    source: Source
    """`.safetensors` file, folder or Hugging Face id."""
    file: File | None = None
    """File of the folder or id, with its subfolder."""
    image_encoder: Source
    """Folder or Hugging Face id of a CLIP vision model."""
    scale: Annotated[float, Field(gt=0, le=2)] = 1.0
    """Strength where its flag has its default."""
    blocks: dict[str, dict[str, list[float]]] | None = None
    """Blocks of the UNet that read it, as diffusers' `set_ip_adapter_scale` takes them; None: all."""
