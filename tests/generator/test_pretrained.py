"""What comes with a model is weights: pickles are not read, and no code of its own is run."""

from __future__ import annotations

import ast
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ControlNetModel
from safetensors.torch import load_file
from transformers import CLIPVisionModelWithProjection

from easel import conversion
from generator import pretrained
from generator.companions.describe import Describer
from generator.families import loading
from storage.errors import CatalogError
from tests.generator import tiny

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
LOADERS = {
    "from_pretrained",
    "from_single_file",
    "load_lora_weights",
    "load_ip_adapter",
    "load_textual_inversion",
}


def calls(*folders: str) -> list[tuple[str, ast.Call, str]]:
    return [
        (str(file.relative_to(ROOT)), call, call.func.attr)
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
    ]


def test_one_file_alone_calls_the_loaders() -> None:
    found = {file for file, _, name in calls("generator", "bot", "easel", "storage") if name in LOADERS}
    assert found == {"generator/pretrained.py"}


def test_it_lets_no_code_run_and_reads_no_pickle() -> None:
    for file, call, name in calls("generator"):
        if name in LOADERS:
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            safe = given.get("use_safetensors") == "True" or given.get("trust_remote_code") == "False"
            assert safe or name == "load_ip_adapter", f"{file}:{call.lineno}"
            assert given.get("trust_remote_code") != "True"


def test_pickles_are_read_as_weights_alone() -> None:
    loads = [
        call
        for _, call, name in calls("generator", "easel", "picturebook", "benchmarks")
        if name == "load" and ast.unparse(call.func) == "torch.load"
    ]
    assert len(loads) >= 3
    for call in loads:
        assert ("weights_only", "True") in {(each.arg, ast.unparse(each.value)) for each in call.keywords}


class Harmful:
    def __reduce__(self) -> Any:
        return Path.mkdir, (Path("harmed"),)


@pytest.mark.parametrize("harmful", [False, True])
@pytest.mark.parametrize(
    ("part", "name"),
    [("text_encoder", "pytorch_model.bin"), ("unet", "diffusion_pytorch_model.bin")],
)
def test_a_pickled_part_says_how_to_make_it_safe(
    sd_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, name: str, harmful: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(shutil.copytree(sd_folder, tmp_path / "mine"))
    (weights,) = (folder / part).glob("*.safetensors")
    if harmful:
        (folder / part / name).write_bytes(pickle.dumps(Harmful(), protocol=2))
    else:
        torch.save(load_file(weights), folder / part / name)
    weights.unlink()
    with pytest.raises(CatalogError, match=rf"{name} is a pickle.*easel models convert {folder}$"):
        loading.load(str(folder), CPU)
    assert not Path("harmed").exists()
    if not harmful:
        assert list(conversion.convert(folder)) == [weights]
        loading.load(str(folder), CPU)


def test_a_network_of_half_precision_alone_is_read(sd_folder: Path, tmp_path: Path) -> None:
    control = ControlNetModel.from_pretrained(tiny.make_control(tmp_path / "control", sd_folder))
    control.half().save_pretrained(tmp_path / "half", variant="fp16")
    read = pretrained.diffusers_network(ControlNetModel, str(tmp_path / "half"), torch_dtype=torch.float16)
    assert all(map(torch.equal, read.parameters(), control.parameters()))
    encoder = CLIPVisionModelWithProjection.from_pretrained(tiny.make_image_encoder(tmp_path / "encoder"))
    encoder.half().save_pretrained(tmp_path / "small", variant="fp16")
    assert [file.name for file in (tmp_path / "small").glob("*.safetensors")] == ["model.fp16.safetensors"]
    other = pretrained.network(CLIPVisionModelWithProjection, str(tmp_path / "small"), dtype=torch.float16)
    assert torch.equal(other.visual_projection.weight, encoder.visual_projection.weight)


def test_a_describer_with_code_of_its_own_is_refused(tmp_path: Path) -> None:
    folder = tiny.make_describer(tmp_path / "describer")
    config = json.loads((folder / "config.json").read_text())
    own = {"AutoConfig": "own.Config", "AutoModelForImageTextToText": "own.Model"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "own", "auto_map": own}))
    (folder / "own.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'harmed')!r}).mkdir()\n")
    with pytest.raises(CatalogError, match=r"The describer at .* Easel runs none that comes with a model"):
        Describer.load(str(folder), CPU)
    assert not (tmp_path / "harmed").exists()
