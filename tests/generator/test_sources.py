"""What a catalog may call a source besides a folder: a single file, and a Hugging Face id."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import DiffusionPipeline
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from generator.companions.safety import checker_source
from generator.engine.engine import Engine
from generator.families import loading
from generator.inspection import entries
from generator.worker.models import Models
from storage import catalog
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest
from storage.errors import CatalogError
from tests.generator import original_layout, tiny
from tests.generator.reference import Images, difference

CPU = torch.device("cpu")

Hub = Callable[[str, Path], None]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """An empty Hugging Face cache without a network; call it to put a folder there under an id."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def put(name: str, folder: Path) -> None:
        kept, commit = cache / f"models--{name.replace('/', '--')}", "5" * 40
        (kept / "refs").mkdir(parents=True)
        (kept / "refs" / "main").write_text(commit)
        shutil.copytree(folder, kept / "snapshots" / commit)

    return put


@pytest.fixture(scope="module")
def v_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_sd(tmp_path_factory.mktemp("v") / "v", prediction_type="v_prediction", seed=4)


@pytest.fixture(scope="module")
def xl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Which text encoder of a file is which, diffusers knows by their widths."""
    return tiny.make_sdxl(tmp_path_factory.mktemp("xl") / "xl", second_width=48)


def layout(folder: Path, of: Path) -> Path:
    """Everything but the weights, as an operator would fetch it."""
    return Path(shutil.copytree(of, folder, ignore=shutil.ignore_patterns("*.safetensors")))


@functools.cache
def written(folder: Path, open_clip: bool) -> Path:
    return original_layout.write(
        folder, folder.with_name(f"{folder.name}-{open_clip}.safetensors"), open_clip=open_clip
    )


def single_file(of: Path, folder: Path, *, open_clip: bool = False) -> Path:
    """`mine.safetensors` in `folder`, with no layout beside it yet."""
    return Path(shutil.copy(written(of, open_clip), folder / "mine.safetensors"))


@functools.cache
def drawn_by(folder: Path) -> Images:
    return drawn(folder)


def drawn(source: Path | str) -> Images:
    request = GenerationRequest(
        prompt="a red castle",
        width=64,
        height=64,
        seed=5,
        num_inference_steps=3,
        num_images_per_prompt=2,
    )
    with Engine.open(str(source), device="cpu") as engine:
        return engine.submit(request).result()


@pytest.mark.parametrize(
    ("model", "open_clip"),
    [("sd_folder", False), ("v_folder", False), ("v_folder", True), ("xl_folder", False)],
)
def test_a_single_file_draws_what_its_folder_draws(
    request: pytest.FixtureRequest, tmp_path: Path, model: str, open_clip: bool
) -> None:
    folder: Path = request.getfixturevalue(model)
    layout(tmp_path / "mine", folder)
    file = single_file(folder, tmp_path, open_clip=open_clip)
    assert difference(drawn(file), drawn_by(folder)) <= 1


def test_v_prediction_is_what_the_layout_says(v_folder: Path, sd_folder: Path, tmp_path: Path) -> None:
    layout(tmp_path / "mine", sd_folder)
    file = single_file(v_folder, tmp_path)
    assert difference(drawn(file), drawn_by(v_folder)) > 1, "this file does not say how it was trained"


@pytest.mark.usefixtures("hub")
def test_without_a_layout_beside_it_the_published_ones_are_tried(sd_folder: Path, tmp_path: Path) -> None:
    file = single_file(sd_folder, tmp_path)
    sentence = rf"laid out otherwise .* Put the diffusers folder .* beside it as {tmp_path / 'mine'};"
    with pytest.raises(CatalogError, match=sentence):
        loading.load(str(file), CPU)


@pytest.mark.parametrize(
    ("lost", "part"),
    [("model.", "UNet"), ("first_stage_model.", "VAE"), ("cond_stage_model.", "text encoder")],
)
def test_what_is_no_whole_model_is_refused(sd_folder: Path, tmp_path: Path, lost: str, part: str) -> None:
    layout(tmp_path / "mine", sd_folder)
    file = single_file(sd_folder, tmp_path)
    kept = {name: weight for name, weight in load_file(file).items() if not name.startswith(lost)}
    save_file(kept, file)
    with pytest.raises(CatalogError, match=rf"mine\.safetensors cannot be loaded: it holds no {part},"):
        loading.load(str(file), CPU)


def test_files_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    with pytest.raises(CatalogError, match=r"mine\.safetensors cannot be loaded: it does not exist"):
        loading.load(str(file), CPU)
    file.write_bytes(b"half a download")
    with pytest.raises(CatalogError, match=r"not a whole \.safetensors file"):
        loading.load(str(file), CPU)


def test_a_layout_that_does_not_fit_is_named(sd_folder: Path, xl_folder: Path, tmp_path: Path) -> None:
    file = single_file(sd_folder, tmp_path)
    beside = layout(tmp_path / "mine", xl_folder)
    with pytest.raises(CatalogError, match=f"'sd', but the layout in {beside} is not"):
        loading.load(str(file), CPU)
    shutil.rmtree(beside)
    layout(beside, sd_folder)
    config = json.loads((beside / "unet" / "config.json").read_text())
    (beside / "unet" / "config.json").write_text(json.dumps(config | {"block_out_channels": [16, 64]}))
    with pytest.raises(CatalogError, match=f"Does the layout in {beside} fit"):
        loading.load(str(file), CPU)


@pytest.mark.parametrize("single", [True, False])
def test_a_tokenizer_that_knows_nothing_is_refused(sd_folder: Path, tmp_path: Path, single: bool) -> None:
    source = Path(shutil.copytree(sd_folder, tmp_path / "mine"))
    if single:
        source = single_file(sd_folder, tmp_path)
    for file in (tmp_path / "mine" / "tokenizer").iterdir():
        file.unlink()
    with pytest.raises(CatalogError, match="tokenizer"):
        loading.load(str(source), CPU)


def entry(source: Path | str, **fields: str) -> ModelEntry:
    return ModelEntry(name="mine", title="Mine", source=str(source), sizes=((64, 64),), **fields)


def test_a_single_file_is_checked_by_what_the_catalog_names(sd_folder: Path, tmp_path: Path) -> None:
    layout(tmp_path / "mine", sd_folder)
    file = single_file(sd_folder, tmp_path)
    with pytest.raises(CatalogError, match=r"'mine' has no safety checker: name one with safety_checker in"):
        checker_source(entry(file))
    listed = catalog.load(tiny.catalog(tmp_path, {"mine": file}, safety_checker=str(sd_folder)))
    models = Models(listed, "cpu", "on")
    try:
        assert len(models.safety("mine").check(drawn(file))[0].scores) == 17
    finally:
        models.close()


@pytest.mark.parametrize("model", ["sd_folder", "xl_folder"])
def test_an_id_draws_what_its_folder_draws(request: pytest.FixtureRequest, hub: Hub, model: str) -> None:
    folder: Path = request.getfixturevalue(model)
    hub("tests/tiny", folder)
    assert difference(drawn("tests/tiny"), drawn_by(folder)) <= 1


def test_an_id_has_its_own_checker_or_the_catalog_names_another(
    hub: Hub, sd_folder: Path, tmp_path: Path
) -> None:
    bare = tiny.make_sd(tmp_path / "bare", checker=False)
    alone = tmp_path / "alone"
    shutil.copytree(sd_folder / "safety_checker", alone)
    shutil.copytree(sd_folder / "feature_extractor", alone, dirs_exist_ok=True)
    for name, folder in {"tests/tiny": sd_folder, "tests/bare": bare, "tests/checker": alone}.items():
        hub(name, folder)
    assert checker_source(entry("tests/tiny")) == "tests/tiny"
    with pytest.raises(CatalogError, match="'mine' has no safety checker"):
        checker_source(entry("tests/bare"))
    for checker in ("tests/tiny", "tests/checker"):
        listed = catalog.load(tiny.catalog(tmp_path, {"bare": Path("tests/bare")}, safety_checker=checker))
        models = Models(listed, "cpu", "on")
        try:
            assert len(models.safety("bare").check(drawn("tests/bare"))[0].scores) == 17
        finally:
            models.close()


def test_an_id_of_half_precision_alone_is_loaded(hub: Hub, tmp_path: Path) -> None:
    folder = tiny.make_sd(tmp_path / "whole", checker=False)
    pipeline = DiffusionPipeline.from_pretrained(folder, safety_checker=None).to(dtype=torch.float16)
    pipeline.save_pretrained(tmp_path / "half", variant="fp16")
    hub("tests/half", tmp_path / "half")
    assert difference(drawn("tests/half"), drawn(tmp_path / "half")) == 0


@pytest.mark.usefixtures("hub")
def test_an_id_that_is_not_here_says_how_to_fetch_it() -> None:
    sentence = "tests/other cannot be loaded: there is no such folder.*`easel models check --load` fetches it"
    with pytest.raises(CatalogError, match=sentence):
        loading.load("tests/other", CPU)
    with pytest.raises(CatalogError, match=sentence):
        checker_source(entry("tests/other"))
    with pytest.raises(CatalogError, match="there is no such folder"):
        loading.load("/nowhere/at/all", CPU)


def test_an_id_that_is_here_in_part_says_so_too(hub: Hub, sd_folder: Path, tmp_path: Path) -> None:
    hub("tests/tiny", layout(tmp_path / "half", sd_folder))
    with pytest.raises(
        CatalogError, match=r"tests/tiny cannot be loaded: .*`easel models check --load` fetches the rest"
    ):
        loading.load("tests/tiny", CPU)


def test_an_id_that_would_be_drawn_wrongly_is_refused(hub: Hub, sd_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sd_folder, tmp_path / "edits"))
    config = json.loads((folder / "unet" / "config.json").read_text())
    (folder / "unet" / "config.json").write_text(json.dumps(config | {"in_channels": 8}))
    hub("tests/edits", folder)
    with pytest.raises(CatalogError, match="tests/edits cannot be loaded: it is an InstructPix2Pix model"):
        loading.load("tests/edits", CPU)
    (fault,) = entries.faults(entry("tests/edits"))
    assert fault == (
        "tests/edits cannot be drawn with: it is an InstructPix2Pix model of Stable Diffusion 1.x or 2.x: its"
        " UNet has 8 input channels (the picture that it edits besides), and Easel draws with 4, or 9 for"
        " inpainting"
    )
    assert list(entries.faults(entry("tests/elsewhere"))) == [], "taken at its word"


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"no model_index\.json"):
        loading.load(str(tmp_path), CPU)
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(CatalogError, match="is not JSON"):
        loading.load(str(tmp_path), CPU)
