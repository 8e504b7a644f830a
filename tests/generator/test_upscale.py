from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from generator.companions import upscale
from generator.companions.upscale import Upscaler, spans
from storage.errors import CatalogError

CPU = torch.device("cpu")


@pytest.fixture
def upscaler(upscaler_folder: Path) -> Upscaler:
    return Upscaler.load(str(upscaler_folder), CPU)


def picture(width: int, height: int) -> PIL.Image.Image:
    blocks = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return PIL.Image.fromarray(blocks).resize((width, height), PIL.Image.Resampling.BICUBIC)


def test_it_is_what_the_network_says_of_the_mirrored_picture(upscaler: Upscaler) -> None:
    image = picture(40, 24)
    window = upscaler._network.window
    mirrored = np.pad(
        np.asarray(image, np.float32) / 255, [(window, window)] * 2 + [(0, 0)], mode="symmetric"
    )
    with torch.no_grad():
        network: Any = upscaler._network.network
        output = network(torch.from_numpy(mirrored).movedim(-1, 0)[None]).reconstruction[0]
    edge = 4 * window
    expected = output[:, edge:-edge, edge:-edge].clamp(0, 1).movedim(0, -1).numpy() * 255
    enlarged = upscaler.enlarge(image, 4)
    assert enlarged.size == (160, 96)
    assert np.abs(np.asarray(enlarged, float) - expected).max() <= 0.51


def test_twice_is_four_times_made_half_as_large(upscaler: Upscaler) -> None:
    image = picture(37, 21)
    twice = upscaler.enlarge(image, 2)
    assert twice.size == (74, 42)
    assert twice == upscaler.enlarge(image, 4).resize((74, 42), PIL.Image.Resampling.LANCZOS)


def test_tiles_leave_no_seam(upscaler: Upscaler) -> None:
    image = picture(176, 120)
    whole = np.asarray(upscaler.enlarge(image, 4), int)
    upscaler._tile = 64
    told: list[float] = []
    tiled = np.asarray(upscaler.enlarge(image, 4, told.append), int)
    assert len(told) > 6
    assert told == sorted(told)
    assert told[-1] == 1
    assert np.abs(whole - tiled).max() <= 2
    assert whole.std() > 5


@pytest.mark.parametrize("side", [1, 63, 64, 65, 96, 97, 111, 500, 1024])
def test_tiles_cover_every_pixel_and_overlap(side: int) -> None:
    cut = list(spans(side, 64))
    assert cut[0].start == 0
    assert cut[-1].stop == side
    for before, after in itertools.pairwise(cut):
        assert before.stop - after.start >= upscale.OVERLAP
        assert after.start % upscale.ALIGN == 0
    assert all(span.stop - span.start <= 64 for span in cut)


def test_what_the_progress_callback_raises_stops_it(upscaler: Upscaler) -> None:
    upscaler._tile = 64
    told: list[float] = []

    def stop(fraction: float) -> None:
        told.append(fraction)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        upscaler.enlarge(picture(176, 120), 4, stop)
    assert len(told) == 1


def test_out_of_memory_makes_smaller_tiles(upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    image = picture(160, 100)
    expected = np.asarray(upscaler.enlarge(image, 4), int)
    predict = upscaler._predict

    def small_memory(pixels: torch.Tensor) -> torch.Tensor:
        if pixels.shape[1] * pixels.shape[2] > 128 * 128:
            raise torch.OutOfMemoryError("full")
        return predict(pixels)

    monkeypatch.setattr(upscaler, "_predict", small_memory)
    upscaler._tile = 256
    assert np.abs(np.asarray(upscaler.enlarge(image, 4), int) - expected).max() <= 2
    monkeypatch.setattr(upscaler, "_predict", lambda _: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.raises(torch.OutOfMemoryError):
        upscaler.enlarge(image, 4)


def test_what_is_no_upscaler_is_refused(tmp_path: Path, sd_folder: Path) -> None:
    with pytest.raises(CatalogError, match="cannot be used: it is a Stable Diffusion"):
        Upscaler.load(str(sd_folder), CPU)
    with pytest.raises(CatalogError, match="says nothing of itself"):
        Upscaler.load(str(tmp_path), CPU)
