"""Tables of what a catalog names beside a model: smaller networks, LoRAs, controls and image adapters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from storage.catalog_values import CatalogTable, File, Source, resolve_file


class CompanionEntry(CatalogTable):
    """A smaller network that does something for a model."""

    source: Source
    """Folder or Hugging Face id."""


class LoraEntry(CatalogTable):
    """Small weights that are added to a model's own: a look or a subject that it was taught later."""

    source: Source
    """`.safetensors` file, folder or Hugging Face id, in diffusers' or kohya's layout."""
    file: File | None = None
    """File of the folder or id, where it has several."""
    trigger: str = ""
    """Words that it was taught with; they are read behind every prompt that lacks them."""
    sample: Annotated[str, AfterValidator(resolve_file)] | None = None
    """A picture that was drawn with it, for members to see."""


class ControlEntry(CatalogTable):
    """A control network: its edges, depth or the like of a member's picture say where things are drawn."""

    source: Source
    """Folder or Hugging Face id, in diffusers' layout."""
    reads: Literal["edges", "picture"] = "picture"
    """Form in which it is shown the picture: its edges by Canny, or as it is."""


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
