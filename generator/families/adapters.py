"""Image adapters (IP-Adapter, Ye et al. 2023): a UNet that reads pictures beside the words."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import PIL.Image
import torch
from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
from diffusers.models.embeddings import ImageProjection
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from generator import pretrained
from generator.device_errors import OF_THE_DEVICE
from generator.families import adapter_files
from generator.families.auxiliary import reading
from generator.families.weight_sharing import clone_sharing_weights
from generator.inspection.admission import admit
from storage.catalog_companions import AdapterEntry
from storage.errors import CatalogError

# It says of every UNet that none of its modules has to stay in full precision.
logging.getLogger("diffusers.models.modeling_utils").addFilter(
    lambda record: "should be kept in float32: []" not in record.getMessage()
)
# It warns that no encoder comes with the adapter: ours is loaded apart, since several adapters share it.
logging.getLogger("diffusers.loaders.ip_adapter").setLevel(logging.ERROR)


class ImageEncoder:
    """A CLIP vision model on a device. Only the device's thread calls what computes."""

    def __init__(self, source: str, device: torch.device, dtype: torch.dtype) -> None:
        """Raises:
        CatalogError: it cannot be loaded; the text names the source and the reason.
        """
        admit("image encoder", source, "image_encoder")
        with reading("image encoder", source):
            network = pretrained.network(CLIPVisionModelWithProjection, source, dtype=dtype)
            self._processor = _processor(source, network.config.image_size)
        self.network = network.to(device).eval()

    def read(self, images: Sequence[PIL.Image.Image], *, whole: bool) -> tuple[Tensor, Tensor]:
        """Encode the pictures, and none: (1, pictures, …) each, as diffusers' pipelines have it.

        `whole` is one vector a picture; else it is the states of all its patches.
        """
        pixels = self._processor(list(images), return_tensors="pt").pixel_values
        pixels = pixels.to(self.network.device, self.network.dtype)
        if whole:
            found = self.network(pixel_values=pixels).image_embeds
            return found[None], torch.zeros_like(found)[None]
        states, empty = (
            self.network(pixel_values=each, output_hidden_states=True).hidden_states[-2]
            for each in (pixels, torch.zeros_like(pixels))
        )
        return states[None], empty[None]


def _processor(source: str, side: int) -> Any:
    try:
        return pretrained.beside(CLIPImageProcessor, source)
    except OSError:  # published encoders often come without
        return CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})


def with_adapters(pipeline: Any, entries: Sequence[AdapterEntry], encoders: Sequence[ImageEncoder]) -> Any:
    """A pipeline of the same parts, but with a UNet that reads pictures by these adapters, in their order.

    `encoders` are those by which they see.

    The two UNets share their weights; what is new is the adapters' own.

    Raises:
        CatalogError: one cannot be read, or does not fit the model; the text names it and the reason.
    """
    found = copy.copy(pipeline)
    found.unet = clone_sharing_weights(pipeline.unet)
    found.feature_extractor = found.feature_extractor or object()  # else one is made for the encoder
    places = [_place(entry) for entry in entries]
    words = found.unet.config.cross_attention_dim
    for entry in entries:
        admit(
            "image adapter",
            entry.source,
            "adapters",
            entry.file,
            unet=pipeline.unet.config,
            encoder=entry.image_encoder,
        )
    try:
        for place, encoder in zip(places, encoders, strict=True):
            adapter_files.check(pretrained.local_file(*place), encoder.network.config, words)
        pretrained.add_image_adapters(found, places)
    except OF_THE_DEVICE:
        raise
    except pretrained.UNREADABLE as error:
        named = ", ".join("/".join(filter(None, place)) for place in places)
        raise CatalogError(
            f"The image adapter at {named} cannot be used: {pretrained.reason(named, error)}"
        ) from error
    found.set_ip_adapter_scale([_scale(entry) for entry in entries])
    _let_rows_weigh(found.unet)
    return found


class RowWeights:
    """Strength of the pictures of each of a call's rows: (rows, 1, 1) for each adapter of one UNet."""

    def __init__(self) -> None:
        self.now: Sequence[Tensor] = ()

    @contextmanager
    def during(self, weights: Sequence[Tensor]) -> Iterator[None]:
        """Only within it the UNet may be called, on one thread at a time."""
        self.now = weights
        try:
            yield
        finally:
            self.now = ()


class _RowScale:
    """A factor for each row, by which diffusers multiplies what a layer read of an adapter's images."""

    def __init__(self, rows: RowWeights, place: int, scale: float) -> None:
        self._rows = rows
        self._place = place
        self._scale = scale

    def __eq__(self, other: object) -> bool:
        return False  # to 0, at which it would leave the pictures out for all rows

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._scale)

    def __mul__(self, read: Tensor) -> Tensor:
        return (self._rows.now[self._place] * self._scale).to(read.dtype) * read


def _let_rows_weigh(unet: Any) -> None:
    """From now on its adapters work as strongly as `unet.row_weights` say, times their own scales."""
    unet.row_weights = rows = RowWeights()
    for layer in unet.modules():
        if isinstance(layer, IPAdapterAttnProcessor2_0):
            layer.scale = [
                _RowScale(rows, place, scale) if scale else scale for place, scale in enumerate(layer.scale)
            ]


def reads_whole(unet: Any, place: int) -> bool:
    """True if the adapter at this place wants one vector a picture, and not the states of its patches."""
    return isinstance(unet.encoder_hid_proj.image_projection_layers[place], ImageProjection)


def _scale(entry: AdapterEntry) -> Any:
    if entry.blocks is None:
        return entry.scale
    return {
        side: {block: [entry.scale * part for part in parts] for block, parts in blocks.items()}
        for side, blocks in entry.blocks.items()
    }


def _place(entry: AdapterEntry) -> tuple[str, str, str]:
    """Folder or id, subfolder and file."""
    if entry.file is None and not entry.source.endswith(".safetensors"):
        raise CatalogError(f"The image adapter at {entry.source}: say with `file` which of its files it is.")
    if entry.file is None:
        return str(Path(entry.source).parent), "", Path(entry.source).name
    file = Path(entry.file)
    return entry.source, str(file.parent).removeprefix("."), file.name
