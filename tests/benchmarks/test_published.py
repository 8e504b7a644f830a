"""The architectures are the real ones: as many weights and as much arithmetic as published."""

from __future__ import annotations

import pytest
import torch

from benchmarks import arithmetic, published
from benchmarks.published import ARCHITECTURES


def _millions(module: torch.nn.Module) -> float:
    return sum(weight.numel() for weight in module.parameters()) / 1e6


@pytest.mark.parametrize(
    ("name", "unet", "texts"),
    [("sd15", 859.5, [123.1]), ("sd21", 865.9, [340.4]), ("sdxl", 2567.5, [123.1, 694.7])],
)
def test_as_many_weights(name: str, unet: float, texts: list[float]) -> None:
    architecture = ARCHITECTURES[name]
    with torch.device("meta"):
        assert _millions(published.unet(architecture)) == pytest.approx(unet, abs=0.1)
        assert _millions(published.vae(architecture)) == pytest.approx(83.65, abs=0.01)
        for number, (config, text) in enumerate(zip(architecture.text_encoders, texts, strict=True)):
            encoder = published.text_encoder(config, projection=number > 0)
            assert _millions(encoder) == pytest.approx(text, abs=0.1)


@pytest.mark.parametrize(("name", "tera"), [("sd15", 0.803), ("sd21", 2.149), ("sdxl", 6.761)])
def test_as_much_arithmetic(name: str, tera: float) -> None:
    architecture = ARCHITECTURES[name]
    with torch.device("meta"):
        config = published.unet(architecture).config
    flops = arithmetic.flops_per_row(config, architecture.pixels // 8)
    assert flops / 1e12 == pytest.approx(tera, abs=0.001)


def test_the_pipelines_are_whole() -> None:
    for architecture in ARCHITECTURES.values():
        made = published.pipeline(architecture, torch.bfloat16, torch.device("meta"))
        assert made.unet.dtype == made.vae.dtype == made.text_encoder.dtype == torch.bfloat16
        assert made.unet.config.cross_attention_dim == sum(
            encoder["hidden_size"] for encoder in architecture.text_encoders
        )
        kind = made.scheduler.config.prediction_type
        assert (kind == "v_prediction") == (architecture.title == "Stable Diffusion 2.1")


def test_a_peak_is_measured() -> None:
    assert arithmetic.peak_flops(torch.device("cpu"), side=64, rounds=1, repeats=2) > 0
