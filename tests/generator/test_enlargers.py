"""Upscalers in single files: what spandrel's own descriptor makes of a picture, in tiles, or a sentence."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from safetensors.torch import load_file, save_file

from easel import conversion
from generator.companions import enlargers
from generator.companions.upscale import Upscaler
from storage.catalog_companions import CompanionEntry
from storage.errors import CatalogError
from tests.generator import original_layout, tiny
from tests.generator.test_upscale import CPU, picture

enlargers._make_importable()
# spandrel says it to torch, which says it once a process.
pytestmark = pytest.mark.filterwarnings("ignore:torch.meshgrid")

SHAPES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ESRGAN": ("RRDB", "RRDBNet", {"num_filters": 8, "num_blocks": 2}),
    "Compact": ("SRVGG", "SRVGGNetCompact", {"num_feat": 8, "num_conv": 2}),
    "SwinIR": (
        "SwinIR",
        "SwinIR",
        {
            "img_size": 16,
            "embed_dim": 12,
            "depths": [2],
            "num_heads": [2],
            "window_size": 4,
            "mlp_ratio": 2,
            "upsampler": "nearest+conv",
        },
    ),
    "DAT": ("DAT", "DAT", {"img_size": 16, "embed_dim": 32, "depth": [2], "num_heads": [2]}),
    "HAT": (
        "HAT",
        "HAT",
        {
            "img_size": 16,
            "embed_dim": 60,
            "depths": [2],
            "num_heads": [2],
            "window_size": 4,
            "upsampler": "pixelshuffle",
        },
    ),
    "SPAN": ("span", "SPAN", {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 8}),
    "PLKSR": ("PLKSR", "PLKSR", {"dim": 16, "n_blocks": 2}),
}
"""Module, class and a tiny configuration of each architecture."""


def network(architecture: str, times: int) -> torch.nn.Module:
    module, name, fields = SHAPES[architecture]
    kind = getattr(importlib.import_module(f"spandrel.architectures.{architecture}.__arch.{module}"), name)
    torch.manual_seed(0)
    made: torch.nn.Module = kind(**fields, **{_word(architecture): times}).eval()
    return made


def _word(architecture: str) -> str:
    return {"ESRGAN": "scale", "PLKSR": "upscaling_factor"}.get(architecture, "upscale")


def saved(architecture: str, times: int, folder: Path) -> Path:
    file = folder / f"{architecture}{times}.safetensors"
    save_file(network(architecture, times).state_dict(), file)
    return file


@pytest.mark.parametrize("architecture", SHAPES)
def test_each_architecture_enlarges_by_its_own_network(architecture: str, tmp_path: Path) -> None:
    assert architecture in enlargers.ARCHITECTURES
    upscaler = Upscaler.load(str(saved(architecture, 4, tmp_path)), CPU)
    image = picture(40, 24)
    window = upscaler._network.window
    mirrored = np.pad(
        np.asarray(image, np.float32) / 255, [(window, window)] * 2 + [(0, 0)], mode="symmetric"
    )
    with torch.no_grad():
        output = network(architecture, 4)(torch.from_numpy(mirrored).movedim(-1, 0)[None])[0]
    edge = 4 * window
    expected = output[:, edge:-edge, edge:-edge].clamp(0, 1).movedim(0, -1).numpy() * 255
    enlarged = upscaler.enlarge(image, 4)
    assert enlarged.size == (160, 96)
    assert np.abs(np.asarray(enlarged, float) - expected).max() <= 0.51


def test_what_enlarges_twice_does_so_twice_for_four_times(tmp_path: Path) -> None:
    upscaler = Upscaler.load(str(saved("Compact", 2, tmp_path)), CPU)
    image, told = picture(37, 21), list[float]()
    twice = upscaler.enlarge(image, 2)
    assert twice.size == (74, 42)
    assert upscaler.enlarge(image, 4, told.append) == upscaler.enlarge(twice, 2)
    assert told == [0.5, 1]


@pytest.mark.parametrize(("times", "scale"), [(3, 2), (3, 4), (8, 2)])
def test_other_factors_are_made_smaller_at_the_end(tmp_path: Path, times: int, scale: Any) -> None:
    upscaler = Upscaler.load(str(saved("Compact", times, tmp_path)), CPU)
    assert upscaler.enlarge(picture(16, 12), scale).size == (16 * scale, 12 * scale)


def test_tiles_of_a_single_files_network_leave_no_seam(tmp_path: Path) -> None:
    upscaler = Upscaler.load(str(saved("ESRGAN", 4, tmp_path)), CPU)
    image = picture(176, 120)
    whole = np.asarray(upscaler.enlarge(image, 4), int)
    upscaler._tile = 64
    seen: list[torch.Size] = []
    upscaler._network.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    tiled = np.asarray(upscaler.enlarge(image, 4), int)
    assert len(seen) > 6
    assert max(max(shape[2:]) for shape in seen) <= 64
    assert np.abs(whole - tiled).max() <= 2
    assert whole.std() > 1


def test_a_converted_pickle_is_read(tmp_path: Path) -> None:
    made = network("Compact", 4)
    torch.save({"params_ema": made.state_dict(), "params": {}}, tmp_path / "RealESR.pth")
    with pytest.raises(ValueError, match="is a pickle"):
        CompanionEntry(source=str(tmp_path / "RealESR.pth"))
    (file,) = conversion.convert(tmp_path / "RealESR.pth")
    CompanionEntry(source=str(file))
    direct = Upscaler.load(str(saved("Compact", 4, tmp_path)), CPU)
    assert Upscaler.load(str(file), CPU).enlarge(picture(20, 20), 4) == direct.enlarge(picture(20, 20), 4)


def test_half_precision_is_read_in_full(tmp_path: Path) -> None:
    weights = load_file(saved("Compact", 4, tmp_path))
    save_file({name: weight.half() for name, weight in weights.items()}, tmp_path / "half.safetensors")
    assert Upscaler.load(str(tmp_path / "half.safetensors"), CPU).enlarge(picture(8, 8), 4).size == (32, 32)


def test_what_enlarges_nothing_is_refused_by_its_name(tmp_path: Path, sd_folder: Path) -> None:
    save_file({"weight": torch.zeros(1)}, tmp_path / "none.safetensors")
    denoiser = importlib.import_module("spandrel.architectures.DnCNN.__arch.network_dncnn").DnCNN(
        act_mode="R"
    )
    save_file(denoiser.state_dict(), tmp_path / "dncnn.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    whole = original_layout.write(sd_folder, tmp_path / "whole.safetensors")
    for file, sentence in {
        saved("Compact", 1, tmp_path): "mends pictures at the size that they have",
        tmp_path / "none.safetensors": "this is to be an upscaler",
        tmp_path / "dncnn.safetensors": "it is a DnCNN: Easel enlarges with",
        tmp_path / "torn.safetensors": ".",
        whole: "this is to be an upscaler",
    }.items():
        with pytest.raises(CatalogError, match=f"^The upscaler at .* cannot be (used|loaded): .*{sentence}"):
            Upscaler.load(str(file), CPU)


def test_a_swin2sr_of_another_factor_enlarges_too(tmp_path: Path) -> None:
    upscaler = Upscaler.load(str(tiny.make_upscaler(tmp_path / "twice", upscale=2)), CPU)
    image = picture(24, 16)
    assert upscaler.enlarge(image, 2).size == (48, 32)
    assert upscaler.enlarge(image, 4).size == (96, 64)
    assert upscaler.enlarge(PIL.Image.new("L", (9, 9)), 4).size == (36, 36)
