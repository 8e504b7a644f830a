"""Defaults of a model that is added: by what its files say, or else by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from easel.adding import civitai, hub
from easel.adding.defaults import defaults
from easel.adding.remote import entry_name, safe_name
from storage.errors import FetchError

SAMPLING = ("num_inference_steps", "guidance_scale", "scheduler")


def chosen(place: Path, family: str, *said: str) -> tuple[Any, ...]:
    found = defaults(place, family, *said)
    return (*(found[key] for key in SAMPLING), found["sizes"][0][0])


@pytest.mark.parametrize(
    ("family", "said", "expected"),
    [
        ("sd", "Castles", (25, 7.5, "dpm++2m_karras", 512)),
        ("sd", "Castles SD 2.1 768", (25, 7.5, "dpm++2m_karras", 768)),
        ("sdxl", "Castles XL", (28, 6.0, "dpm++2m_karras", 1024)),
        ("sdxl", "DreamShaper XL Turbo", (4, 1.0, "euler_a", 1024)),
        ("sdxl", "Castles Lightning 8step", (8, 1.0, "euler", 1024)),
        ("sdxl", "SDXL Hyper", (4, 1.0, "euler", 1024)),
        ("sdxl", "hyperrealistic castles", (28, 6.0, "dpm++2m_karras", 1024)),
        ("sd", "Castles LCM 4 steps", (4, 1.0, "lcm", 512)),
        ("sd", "trained for 3000 steps", (25, 7.5, "dpm++2m_karras", 512)),
    ],
)
def test_a_files_name_tells(tmp_path: Path, family: str, said: str, expected: tuple[Any, ...]) -> None:
    assert chosen(tmp_path / "x.safetensors", family, said) == expected


def folder(place: Path, files: dict[str, dict[str, Any]]) -> Path:
    for name, told in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(json.dumps(told))
    return place


def test_a_folders_files_tell_more_than_its_name(tmp_path: Path) -> None:
    lcm = folder(
        tmp_path / "lcm",
        {
            "model_index.json": {"_class_name": "LatentConsistencyModelPipeline"},
            "unet/config.json": {"sample_size": 96, "time_cond_proj_dim": 256},
            "vae/config.json": {"block_out_channels": [1, 2, 3, 4]},
        },
    )
    assert chosen(lcm, "sd") == (6, 8.0, "lcm", 768)
    told = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    noisy = folder(tmp_path / "v", {"scheduler/scheduler_config.json": told})
    assert chosen(noisy, "sdxl") == (28, 5.0, "euler", 1024)


def test_names_for_the_catalog_can_be_typed() -> None:
    assert entry_name("DreamShaper XL v2.1 (Turbo)") == "dreamshaper-xl-v2.1-turbo"
    assert len(entry_name("long " * 30)) <= 40
    with pytest.raises(FetchError, match="say one with --name"):
        entry_name("城堡")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", "..\\x", "a\nb"])
def test_no_file_leaves_its_folder(name: str) -> None:
    with pytest.raises(FetchError, match="does not stay in its folder"):
        safe_name(name)


def test_links_are_known_by_their_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CIVITAI_URL", raising=False)
    assert civitai.is_link("https://civitai.com/models/7?modelVersionId=8")
    assert not civitai.is_link("https://civitai.com.evil.example/models/7")
    assert hub.of_link("https://huggingface.co/ada/castles") == ("ada/castles", None, None)
    link = "https://huggingface.co/ada/castles/resolve/refs%2Fpr%2F1/a%20b.safetensors?download=true"
    assert hub.of_link(link) == ("ada/castles", "a b.safetensors", "refs/pr/1")
    assert hub.of_link("https://huggingface.co/ada/castles/tree/fp16/") == ("ada/castles", None, "fp16")
    link = "https://huggingface.co/ada/castles/blob/main/sub/castles.safetensors"
    assert hub.is_link(link)
    assert hub.of_link(link) == ("ada/castles", "sub/castles.safetensors", "main")
    with pytest.raises(FetchError, match="names no model"):
        hub.of_link("https://huggingface.co/models")
