"""Models for which networks are made, told by how wide the words are that their attention reads."""

from __future__ import annotations

from typing import NamedTuple

_BY_WIDTH = {
    768: ("Stable Diffusion 1.x", "sd"),
    1024: ("Stable Diffusion 2.x", "sd"),
    1280: ("the SDXL refiner", "sdxl"),
    2048: ("Stable Diffusion XL", "sdxl"),
}
_OTHERS = {
    "sd": "Stable Diffusion 1.x or 2.x",
    "sdxl": "Stable Diffusion XL",
}
_TOLD = {
    "sd_v1": 768, "sd_v2": 1024, "sdxl": 2048, "stable-diffusion-v1": 768, "stable-diffusion-v2": 1024,
    "stable-diffusion-xl": 2048,
}  # fmt: skip
_TOLD_OTHERS = {
    "flux2": "FLUX.2", "flux": "FLUX.1", "sd3": "Stable Diffusion 3",
    "stable-diffusion-3": "Stable Diffusion 3",
    "lumina": "Lumina 2", "chroma": "Chroma", "hunyuan": "Hunyuan", "wan": "Wan", "qwen": "Qwen-Image",
    "zimage": "Z-Image", "z-image": "Z-Image",
}  # fmt: skip
"""Beginnings of `ss_base_model_version` (kohya) and `modelspec.architecture`."""


class Base(NamedTuple):
    """A model in the field's words, Easel's family of it, and the numbers of each word that it reads."""

    name: str
    family: str | None = None
    width: int | None = None

    def fits(self, other: Base) -> bool:
        """True unless it is known that what is made for one cannot be used with the other."""
        if self.width and other.width:
            return self.width == other.width
        return self.family == other.family or UNKNOWN in (self, other)


UNKNOWN = Base("a model that it does not name")


def of_width(width: int | None, family: str | None = None) -> Base:
    """The base whose words are of this width; of others at least the family is said, where it is known."""
    if width in _BY_WIDTH and family in (None, _BY_WIDTH[width][1]):
        return Base(*_BY_WIDTH[width], width)
    if family is not None:
        return Base(_OTHERS.get(family, family), family, width)
    return UNKNOWN if width is None else Base(f"a model whose words are {width} numbers wide", None, width)


def of_metadata(text: str) -> Base | None:
    """The base that a file names itself."""
    for begin, width in _TOLD.items():
        if text.startswith(begin):
            return of_width(width)
    return next((Base(name) for begin, name in _TOLD_OTHERS.items() if text.startswith(begin)), None)
