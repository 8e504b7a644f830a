"""Control maps: the form in which a control network is shown the picture that leads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np
import PIL.Image

CANNY = (100, 200)
"""Thresholds of Canny's edges, with which the published networks were trained."""


def edges(image: PIL.Image.Image) -> PIL.Image.Image:
    """White outlines on black, one pixel wide (Canny 1986)."""
    grey = np.asarray(image.convert("L"))
    return PIL.Image.fromarray(cv2.Canny(grey, *CANNY)).convert("RGB")


def whole(image: PIL.Image.Image) -> PIL.Image.Image:
    """The picture as it is: a drawing, a map that someone made, or what a tile network refines."""
    return image.convert("RGB")


def grey(shown: Callable[[PIL.Image.Image], PIL.Image.Image], image: PIL.Image.Image) -> PIL.Image.Image:
    """The same without colours, for networks of one channel."""
    return shown(image).convert("L")


MAPS: Mapping[str, Callable[[PIL.Image.Image], PIL.Image.Image]] = MappingProxyType(
    {"edges": edges, "picture": whole}
)
"""By the name that a catalog entry reads it by."""
