"""Single files of weights: what one holds, and which layout describes its networks. Told from headers alone.

Names of tensors are those of the first Stable Diffusion, which nearly all files that are passed around have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from generator.families import sources
from generator.families.sources import unusable
from storage import noise_levels, weights_header
from storage.noise_levels import V_PREDICTION, NoiseMarkers
from storage.weights_header import WeightsHeader

LAYOUTS = Path(__file__).with_name("layouts")
"""diffusers folders without weights, one for each kind of checkpoint, that ship with Easel."""

UNET = "model.diffusion_model."
OLD_CLIP = "cond_stage_model.transformer."
_BLOCKS = re.compile(
    rf"{re.escape(UNET)}(input_blocks|middle_block|output_blocks|time_embed|label_emb|out)\."
)
_VAE = ("first_stage_model.", "vae.")
_TEXT_ENCODERS: dict[str, tuple[str, str]] = {
    "conditioner.embedders.0.model.": ("sdxl-refiner", "text_encoder_2"),
    "conditioner.embedders.0.transformer.": ("sdxl", "text_encoder"),
    "conditioner.embedders.1.model.": ("sdxl", "text_encoder_2"),
    "cond_stage_model.model.": ("sd-2", "text_encoder"),
    "cond_stage_model.transformer.": ("sd-1", "text_encoder"),
}
"""Prefixes of the names of a text encoder's tensors, with the kind of model and the part that it is."""
_LAYOUTS = {"sd-1": "sd-1.5", "sd-2": "sd-2.1-768", "sdxl": "sdxl-base", "sdxl-refiner": "sdxl-refiner"}
_INPAINTING = {"sd-1": "sd-1.5-inpainting", "sd-2": "sd-2-inpainting", "sdxl": "sdxl-inpainting"}
_INPAINTING_CHANNELS = 9
"""Input channels of a UNet that also sees a mask and the masked picture."""


@dataclass(frozen=True)
class Checkpoint:
    """A single file by its header."""

    kind: str
    """`sd-1`, `sd-2`, `sdxl` or `sdxl-refiner`."""
    parts: frozenset[str]
    """Names of the pipeline's networks that it holds."""
    inpaints: bool
    told: NoiseMarkers
    unet_tensors: int
    has_old_names: bool
    """True if its text encoder's tensors are named as they were in 2022, which diffusers does not know."""

    @property
    def family(self) -> str:
        return self.kind[:-2] if self.kind in {"sd-1", "sd-2"} else "sdxl"

    def layout(self, prediction_type: str | None) -> Path:
        """The layout that ships for such a file; of Stable Diffusion 2 there are two, by what it predicts."""
        if self.inpaints and self.kind in _INPAINTING:
            return LAYOUTS / _INPAINTING[self.kind]
        if self.kind == "sd-2" and prediction_type not in {None, V_PREDICTION}:
            return LAYOUTS / "sd-2-base"
        return LAYOUTS / _LAYOUTS[self.kind]


def header_of(file: str) -> WeightsHeader:
    """Header of a file whose weights can be drawn with as far as that tells.

    Raises:
        CatalogError: there is none, it is damaged, or it holds weights or noise levels of a kind that no
            network here reads.
    """
    try:
        header = weights_header.read(Path(file))
    except FileNotFoundError:
        raise unusable(file, "there is no such file.") from None
    except (ValueError, OSError) as error:
        raise unusable(file, f"it is not a whole .safetensors file ({error}).") from error
    _refuse_edm(file, header)
    _refuse_scaled(file, header.shapes)
    return header


def read(file: str) -> Checkpoint:
    """A file that holds a UNet and perhaps more.

    Raises:
        CatalogError: as `header_of`, or it holds no UNet that a text encoder or an autoencoder is beside.
    """
    header = header_of(file)
    names = header.shapes
    encoders = [begin for begin in _TEXT_ENCODERS if any(name.startswith(begin) for name in names)]
    parts = {_TEXT_ENCODERS[begin][1] for begin in encoders}
    parts |= {"vae"} if any(name.startswith(_VAE) for name in names) else set()
    unet = [name for name in names if _BLOCKS.match(name)]
    if not parts and (unet or is_unet(names)):
        reason = (
            "it holds a UNet alone. Name it with `unet`, and with `source` a whole model (folder, file or id)"
            " of the kind that it is for."
        )
        raise unusable(file, reason)
    if not unet:
        raise unusable(file, "it holds no UNet, so it is no whole Stable Diffusion 1.x, 2.x or XL.")
    kind = _TEXT_ENCODERS[encoders[0]][0] if encoders else _kind_of_unet(header.shapes)
    channels = names.get(f"{UNET}input_blocks.0.0.weight", (0, 4))[1]
    return Checkpoint(
        kind,
        frozenset(parts),
        inpaints=channels == _INPAINTING_CHANNELS,
        told=noise_levels.of_header(header),
        unet_tensors=len(unet),
        has_old_names=f"{OLD_CLIP}embeddings.token_embedding.weight" in names,
    )


def is_unet(names: Iterable[str]) -> bool:
    """True for a UNet's tensors by themselves, named as in diffusers or as in the first Stable Diffusion."""
    first = {"conv_in.weight", "input_blocks.0.0.weight", f"{UNET}input_blocks.0.0.weight"}
    return not first.isdisjoint(names)


def family_of(file: str) -> str:
    """Family of a single file that draws by itself.

    Raises:
        CatalogError: as `read`, or it does not draw by itself, or the layout beside it is another family's.
    """
    checkpoint = read(file)
    if checkpoint.kind == "sdxl-refiner":
        raise unusable(
            file,
            "it is a refiner of Stable Diffusion XL, which only goes on from what another model drew: name it"
            " with `refiner` of that one.",
        )
    layout = sources.layout_beside(file)
    if layout.is_dir() and sources.family_of(str(layout)) not in {checkpoint.family, None}:
        reason = f"it is of the family {checkpoint.family!r}, but the layout in {layout} is not."
        raise unusable(file, reason)
    return checkpoint.family


def _kind_of_unet(shapes: dict[str, tuple[int, ...]]) -> str:
    if any(name.startswith(f"{UNET}label_emb.") for name in shapes):
        deep = f"{UNET}input_blocks.11.0.in_layers.0.weight"
        return "sdxl-refiner" if deep in shapes else "sdxl"
    projections = (shape for name, shape in shapes.items() if name.endswith(".proj_in.weight"))
    return "sd-2" if len(next(projections, ())) == 2 else "sd-1"


def _refuse_edm(file: str, header: WeightsHeader) -> None:
    marked = any(name.startswith(("edm_mean", "edm_std", "edm_vpred")) for name in header.shapes)
    if marked or "edm" in header.metadata.get("modelspec.prediction_type", "").casefold():
        raise unusable(file, EDM)


EDM = (
    "it was trained with the noise levels of EDM, as Playground 2.5 and CosXL were, and no sampler here draws"
    " by them."
)


def _refuse_scaled(file: str, names: Iterable[str]) -> None:
    scales = ("scaled_fp8", ".scale_weight", ".weight_scale")
    if any(name.endswith(scales) for name in names):
        reason = (
            "its weights are fp8 with scales of their own beside them (“scaled fp8”), which no network here"
            " reads. Take the same model in fp16, bf16 or plain fp8."
        )
        raise unusable(file, reason)
