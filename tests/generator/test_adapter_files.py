"""IP-Adapters that fit their model or image encoder no more than a sentence says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from generator.engine.engine import Engine
from storage.catalog_companions import AdapterEntry
from storage.catalog_model import ModelEntry
from storage.contract import Role
from storage.errors import CatalogError
from tests.generator import tiny
from tests.generator.test_steering import asked, drawn


def refused(folder: Path, source: Path, encoder: Path) -> str:
    entry = ModelEntry(
        name="m",
        title="M",
        source=str(folder),
        sizes=((64, 64),),
        adapters={Role.STYLE: AdapterEntry(source=str(source), image_encoder=str(encoder))},
    )
    with (
        Engine.open(str(folder), device="cpu", entry=entry) as engine,
        pytest.raises(CatalogError, match=r"^The image adapter at .* cannot be used: ") as caught,
    ):
        drawn(engine, asked(roles={Role.STYLE: 1.0}))
    return str(caught.value)


def other_encoder(folder: Path) -> Path:
    """One that gives other numbers than `tiny.make_image_encoder`'s, as CLIP's large and huge ones do."""
    config = CLIPVisionConfig(
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=24,
    )
    CLIPVisionModelWithProjection(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("plus", "numbers"), [(False, (16, 24)), (True, (32, 48))])
def test_another_image_encoder_is_refused(
    plus: bool, numbers: tuple[int, int], tmp_path: Path, sd_folder: Path
) -> None:
    source = tiny.make_adapter(tmp_path / "adapter.safetensors", sd_folder, plus=plus)
    sentence = refused(sd_folder, source, other_encoder(tmp_path / "encoder"))
    assert "it was trained with another image encoder" in sentence
    assert f"reads pictures as {numbers[0]} numbers" in sentence
    assert f"says {numbers[1]}." in sentence


def test_one_of_another_base_is_refused(tmp_path: Path, sd_folder: Path, sdxl_folder: Path) -> None:
    encoder = tiny.make_image_encoder(tmp_path / "encoder")
    source = tiny.make_adapter(tmp_path / "xl.safetensors", sdxl_folder)
    assert "words are 64 numbers wide" in refused(sd_folder, source, encoder)


def test_faces_and_other_files_are_refused_by_their_names(tmp_path: Path, sd_folder: Path) -> None:
    encoder = tiny.make_image_encoder(tmp_path / "encoder")
    plain = load_file(tiny.make_adapter(tmp_path / "plain.safetensors", sd_folder))
    attentions = {key: weight for key, weight in plain.items() if key.startswith("ip_adapter.")}
    layers = {
        "image_proj.proj.0.weight": torch.zeros(1024, 512),
        "image_proj.proj.2.weight": torch.zeros(128, 1024),
        "image_proj.norm.weight": torch.zeros(32),
    }
    files = {
        "IP-Adapter FaceID": attentions | layers,
        "FaceID": attentions
        | layers
        | {"image_proj.perceiver_resampler.proj_in.weight": torch.zeros(32, 32)},
        "FaceID for a model that it does not name": layers,
        "it is no IP-Adapter of a known kind": attentions | {"image_proj.other": torch.zeros(1)},
    }
    for sentence, weights in files.items():
        save_file(weights, tmp_path / "file.safetensors")
        assert sentence in refused(sd_folder, tmp_path / "file.safetensors", encoder)


def test_a_full_adapter_reads_patches(tmp_path: Path, sd_folder: Path) -> None:
    plain = load_file(tiny.make_adapter(tmp_path / "plain.safetensors", sd_folder))
    weights = {key: weight for key, weight in plain.items() if key.startswith("ip_adapter.")}
    torch.manual_seed(0)
    weights |= {
        "image_proj.proj.0.weight": torch.randn(32, 32),
        "image_proj.proj.0.bias": torch.randn(32),
        "image_proj.proj.2.weight": torch.randn(32, 32),
        "image_proj.proj.2.bias": torch.randn(32),
        "image_proj.proj.3.weight": torch.ones(32),
        "image_proj.proj.3.bias": torch.zeros(32),
    }
    save_file(weights, tmp_path / "full.safetensors")
    encoder = tiny.make_image_encoder(tmp_path / "encoder")
    entry = ModelEntry(
        name="m",
        title="M",
        source=str(sd_folder),
        sizes=((64, 64),),
        adapters={
            Role.STYLE: AdapterEntry(source=str(tmp_path / "full.safetensors"), image_encoder=str(encoder))
        },
    )
    with Engine.open(str(sd_folder), device="cpu", entry=entry) as engine:
        found = drawn(engine, asked(roles={Role.STYLE: 1.0}))
        assert found[0].tobytes() != drawn(engine, asked())[0].tobytes()
    assert "another image encoder" in refused(
        sd_folder, tmp_path / "full.safetensors", other_encoder(tmp_path / "other")
    )
