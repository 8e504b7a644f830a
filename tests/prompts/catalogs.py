"""A catalog of two models for tests that draw nothing."""

from __future__ import annotations

from pathlib import Path

from storage.catalog import Catalog
from storage.catalog_companions import AdapterEntry, CompanionEntry, ControlEntry, LoraEntry
from storage.catalog_model import ModelEntry
from storage.contract import Role

SIZES = (
    (128, 128), (144, 112), (112, 144), (160, 112), (112, 160), (176, 96), (96, 176), (192, 80), (80, 192),
    (208, 64), (64, 208),
)  # fmt: skip


def catalog(vocabulary: Path | None = None) -> Catalog:
    small = ModelEntry(
        name="picturebook",
        title="Picturebook",
        source="nowhere",
        sizes=SIZES,
        max_steps=50,
        guidance_scale=5.0,
        style_phrases=("watercolor", "pixel art", "a pencil drawing", "an oil painting"),
        versions=("7", "8.1"),
        vocabulary=vocabulary and str(vocabulary),
        strength_subtle=0.35,
        strength_strong=0.65,
        controls={
            "edges": ControlEntry(source="nowhere", reads="edges"),
            "Depth": ControlEntry(source="nowhere"),
        },
        adapters=dict.fromkeys(Role, AdapterEntry(source="nowhere.safetensors", image_encoder="nowhere")),
        loras={"blueprint": LoraEntry(source="nowhere"), "Stained_Glass": LoraEntry(source="nowhere")},
        upscalers={"soft": CompanionEntry(source="nowhere"), "crisp": CompanionEntry(source="nowhere")},
    )
    large = ModelEntry(
        name="dream_xl",
        title="Dream XL",
        source="nowhere",
        sizes=((1024, 1024),),
        stylize=50,
        versions=("5.2", "niji 5", "niji 6"),
    )
    return Catalog(default="picturebook", models={"picturebook": small, "dream_xl": large})
