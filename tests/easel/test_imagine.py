"""`easel imagine` on a tiny model of the real classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from easel.__main__ import app
from generator.worker import output
from storage import image_encoding
from storage.contract import GenerationRequest
from tests.generator import tiny

PROMPT = "a red castle --ar 3:2 --seed 5 --steps 3 --no fog"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    tiny.make_sd(folder / "model")
    tiny.make_sd(folder / "unchecked", checker=False)
    text = '[models.{0}]\nsource = "{0}"\nsizes = [[64, 64], [96, 64]]\n'
    (folder / "catalog.toml").write_text(text.format("model"))
    (folder / "unchecked.toml").write_text(text.format("unchecked"))
    return folder / "catalog.toml"


@pytest.fixture(autouse=True)
def use_it(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEL_CATALOG", str(catalog))
    monkeypatch.setenv("EASEL_DEVICE", "cpu")


def _imagine(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["imagine", *arguments])


def _same(one: Image.Image, other: Image.Image) -> bool:
    """Within 1/255: alone and in a grid, sums are made in another order."""
    assert one.size == other.size
    pixels, others = (np.asarray(image.convert("RGB"), int) for image in (one, other))
    return int(np.abs(pixels - others).max()) <= 1


def test_a_prompt_becomes_a_grid_and_single_is_its_first_picture(tmp_path: Path) -> None:
    grid, single = tmp_path / "grid.png", tmp_path / "single.png"
    assert _imagine(PROMPT, "-o", str(grid)).exit_code == 0
    assert _imagine(PROMPT, "-o", str(single), "--single").exit_code == 0
    with Image.open(grid) as four, Image.open(single) as one:
        assert one.size == (96, 64)
        assert four.width > 2 * 96
        assert _same(four.crop((0, 0, 96, 64)), one)


def test_a_picture_is_drawn_again_from_its_own_parameters(tmp_path: Path) -> None:
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    assert _imagine(PROMPT, "-o", str(first)).exit_code == 0
    assert _imagine("--from-image", str(first), "-o", str(again)).exit_code == 0
    with Image.open(first) as one, Image.open(again) as other:
        assert _same(one, other)
    request = output.read_request(again.read_bytes())
    assert (request.seed, request.num_inference_steps, request.negative_prompt) == (5, 3, "fog")


def test_one_picture_of_a_grid_is_drawn_again_alone(tmp_path: Path) -> None:
    grid, third = tmp_path / "grid.png", tmp_path / "third.png"
    assert _imagine(PROMPT, "-o", str(grid)).exit_code == 0
    with Image.open(grid) as four:
        drawn = four.crop((0, four.height - 64, 96, four.height))
        request = output.read_request(grid.read_bytes())
        (tmp_path / "of_discord.png").write_bytes(output.encode(drawn, request, 2))
    assert _imagine("--from-image", str(tmp_path / "of_discord.png"), "-o", str(third)).exit_code == 0
    with Image.open(third) as again:
        assert _same(drawn, again)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a castle --ra 3:2"], "--ra"),
        (["a castle --steps 5000"], "--steps"),
        (["--", "--ar 3:2"], "Empty prompt"),
        (["a {red, blue} castle"], "these are 2 jobs"),
        (["a castle --repeat 3"], "these are 3 jobs"),
        (["https://a.example/b.png a castle"], "links to pictures"),
        ([], "give either a prompt or --from-image"),
    ],
)
def test_a_wrong_wish_is_refused_with_a_sentence(arguments: list[str], sentence: str) -> None:
    answer = _imagine(*arguments)
    assert answer.exit_code == 2
    assert sentence in " ".join(answer.output.split())
    assert not Path("easel.png").exists()


def test_a_file_without_parameters_is_named(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(image_encoding.png_bytes(Image.new("RGB", (8, 8))))
    (tmp_path / "text.png").write_text("no picture")
    for name in ("photo.png", "text.png", "nothing.png"):
        answer = _imagine("--from-image", str(tmp_path / name))
        assert answer.exit_code == 2
        assert f"{name} cannot be drawn again" in answer.output


def test_nothing_is_drawn_without_a_safety_checker(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEL_CATALOG", str(catalog.with_name("unchecked.toml")))
    refused = _imagine(PROMPT)
    assert refused.exit_code == 2
    assert "checker" in refused.output
    assert not Path("easel.png").exists()
    monkeypatch.setenv("EASEL_SAFETY", "off")
    assert _imagine(PROMPT).exit_code == 0
    assert Path("easel.png").exists()


def test_models_check_draws_with_each_model() -> None:
    checked = CliRunner().invoke(app, ["models", "check", "--load"])
    assert checked.exit_code == 0, checked.output
    assert "model: fine" in checked.output


def test_models_check_names_what_cannot_be_loaded(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = catalog.with_name("broken.toml")
    (catalog.parent / "empty").mkdir(exist_ok=True)
    broken.write_text('[models.empty]\nsource = "empty"\nsizes = [[64, 64]]\n')
    monkeypatch.setenv("EASEL_CATALOG", str(broken))
    checked = CliRunner().invoke(app, ["models", "check"])
    assert checked.exit_code == 1
    assert "no model_index.json" in checked.output


@pytest.mark.parametrize("kind", ["describer", "segmenter"])
def test_models_check_uses_what_stands_beside_a_model(
    catalog: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (catalog.parent / "silent").mkdir(exist_ok=True)
    mute = catalog.with_name("mute.toml")
    mute.write_text(catalog.read_text() + f'{kind} = {{source = "silent"}}\n')
    monkeypatch.setenv("EASEL_CATALOG", str(mute))
    checked = CliRunner().invoke(app, ["models", "check"])
    assert checked.exit_code == 1
    assert f"{catalog.parent / 'silent'} has no weights" in checked.output


@pytest.mark.parametrize(
    "steered",
    [{"control": {"kind": "edges", "key": "k"}}, {"references": [{"role": "style", "keys": ["k"]}]}],
)
def test_what_another_picture_steered_is_not_drawn_from_its_file(
    tmp_path: Path, steered: dict[str, Any]
) -> None:
    fields = {"prompt": "a castle", "model": "model", "width": 64, "height": 64, "seed": 1}
    request = GenerationRequest.model_validate(fields | steered)
    file = tmp_path / "steered.png"
    file.write_bytes(image_encoding.png_bytes(Image.new("RGB", (64, 64)), output.parameters(request)))
    found = _imagine("--from-image", str(file), "-o", str(tmp_path / "again.png"))
    assert found.exit_code != 0
    assert "was made from another picture" in str(found.output) + str(found.exception)
