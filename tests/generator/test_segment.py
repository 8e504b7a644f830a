"""Where in a picture is what words name: by a CLIPSeg of the real layout, and by Picturebook's own."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import PIL.Image
import PIL.ImageChops
import pytest
import torch

from generator.companions.segment import Segmenter
from picturebook.scenes import SIZES, Scene, draw, masks, random_scene
from storage import catalog
from storage.errors import CatalogError
from tests.generator import tiny

T = TypeVar("T")

CPU = torch.device("cpu")
CASTLE = Scene("castle", "red", "hills", "day", "clear", "illustration", seed=3)


def share(mask: PIL.Image.Image) -> float:
    return float((np.asarray(mask) > 0).mean())


@pytest.mark.parametrize("wide", [(40, 24), (300, 200)])
def test_a_mask_is_black_and_white_and_as_large_as_the_picture(tmp_path: Path, wide: tuple[int, int]) -> None:
    segmenter = Segmenter.load(str(tiny.make_segmenter(tmp_path / "segmenter")), CPU)
    mask = segmenter.find(
        PIL.Image.effect_noise(wide, 90), "the sky, a castle with more words than fit " * 20
    )
    assert (mask.mode, mask.size) == ("L", wide)
    assert set(np.unique(np.asarray(mask))) <= {0, 255}


@pytest.mark.parametrize("everything", [True, False])
def test_what_is_likely_is_white(tmp_path: Path, everything: bool) -> None:
    folder = tiny.make_segmenter(tmp_path / "segmenter", everything=everything)
    mask = Segmenter.load(str(folder), CPU).find(PIL.Image.new("RGB", (64, 64)), "the sky")
    assert share(mask) == everything


def test_the_network_computes_where_the_device_is(tmp_path: Path) -> None:
    calls = []

    def there(function: Callable[[], T], /) -> T:
        calls.append(function)
        return function()

    segmenter = Segmenter.load(str(tiny.make_segmenter(tmp_path / "segmenter")), CPU)
    segmenter.reached(there).find(PIL.Image.new("RGB", (64, 64)), "the sky, the castle")
    assert len(calls) == 1


def test_what_is_no_clipseg_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=f"The segmenter at {tmp_path}"):
        Segmenter.load(str(tmp_path), CPU)
    with pytest.raises(CatalogError, match="cannot be loaded: it is a model of the kind 'swin2sr'"):
        Segmenter.load(str(tiny.make_upscaler(tmp_path / "upscaler")), CPU)


@pytest.fixture(scope="module")
def picturebook() -> Segmenter:
    entry = catalog.load()["picturebook"]
    assert entry.segmenter is not None
    return Segmenter.load(entry.segmenter.source, CPU)


def overlap(found: PIL.Image.Image, true: PIL.Image.Image) -> float:
    one, other = np.asarray(found) > 127, np.asarray(true) > 127
    return float((one & other).sum() / (one | other).sum())


def test_picturebooks_segmenter_finds_what_is_named(picturebook: Segmenter) -> None:
    """What is found keeps to the picture's edges, and is a little larger than the truth, on purpose."""
    rng = random.Random(2025)
    scores: dict[str, list[float]] = {"sky": [], "ground": [], "subject": []}
    larger: list[float] = []
    for _ in range(40):
        scene = random_scene(rng, held_out=True, skulls=0.0)
        size = rng.choice(SIZES[:5])
        true, image = masks(scene, size, size), draw(scene, size)
        for layer in scores:
            words = f"the {scene.subject if layer == 'subject' else layer}"
            found = picturebook.find(image, words)
            scores[layer].append(overlap(found, true[layer]))
            larger.append(share(found) - float((np.asarray(true[layer]) > 127).mean()))
    means = {layer: float(np.mean(values)) for layer, values in scores.items()}
    assert means["sky"] >= 0.85, means
    assert means["ground"] >= 0.78, means
    assert means["subject"] >= 0.68, means
    assert 0 < float(np.mean(larger)) <= 0.06


def test_picturebooks_segmenter_joins_what_commas_part(picturebook: Segmenter) -> None:
    sky, castle = (picturebook.find(draw(CASTLE), words) for words in ("the sky", "the castle"))
    both = picturebook.find(draw(CASTLE), "the sky, the castle")
    assert overlap(both, PIL.ImageChops.lighter(sky, castle)) > 0.97


@pytest.mark.parametrize("words", ["a rabbit", "the ocean", "xqzwv"])
def test_picturebooks_segmenter_finds_nothing_of_what_is_absent(picturebook: Segmenter, words: str) -> None:
    assert share(picturebook.find(draw(CASTLE), words)) < 0.005
