"""Facts that an IP-Adapter's file tells of itself, by which it is refused before it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

Shapes = Mapping[str, tuple[int, ...]]

_WHOLE, _FULL, _PATCHES = "image_proj.proj.weight", "image_proj.proj.0.weight", "image_proj.proj_in.weight"
"""First layers by which pictures come in: one vector of each, or the states of its patches (full, plus)."""


def check(file: Path, encoder: Any, words: int) -> None:
    """Compare it with a UNet that reads words so wide, and an image encoder of this config.

    Raises:
        ValueError: it does not; the text says why.
        Exception: one of `pretrained.UNREADABLE`.
    """
    shapes = _shapes(file)
    if not any(key.startswith("ip_adapter.") for key in shapes):
        raise ValueError("it is no IP-Adapter: it has no attentions that read pictures.")
    _refuse_faces(shapes)
    read = next(shape[1] for key, shape in shapes.items() if key.endswith("to_k_ip.weight"))
    if read != words:
        raise ValueError(
            f"it was made for another kind of model: it joins words {read} wide, and the model's are {words}."
        )
    seen, given = _seen(shapes, encoder)
    if seen != given:
        raise ValueError(
            f"it was made for another image encoder: it reads {seen} numbers of each place, and this"
            f" encoder gives {given}."
        )


def _shapes(file: Path) -> Shapes:
    with safe_open(file, "pt") as weights:
        return {key: tuple(weights.get_slice(key).get_shape()) for key in weights.keys()}  # noqa: SIM118


def _refuse_faces(shapes: Shapes) -> None:
    plain = _FULL in shapes and "image_proj.proj.3.weight" not in shapes
    if plain or "image_proj.perceiver_resampler.proj_in.weight" in shapes:
        raise ValueError("it is a FaceID adapter, which reads faces as InsightFace measures them.")


def _seen(shapes: Shapes, encoder: Any) -> tuple[int, int]:
    """Numbers that it reads of a picture or a patch, and how many the encoder gives."""
    if _WHOLE in shapes:
        return shapes[_WHOLE][1], encoder.projection_dim
    first = _FULL if _FULL in shapes else _PATCHES
    if first not in shapes:
        raise ValueError("it is no IP-Adapter of a known kind.")
    return shapes[first][1], encoder.hidden_size
