"""`easel models add` and `remove`: from links, ids and files to a catalog that draws, or as it was before."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from huggingface_hub import constants

from easel.adding import downloads
from storage import catalog
from tests.easel.conftest import Easel
from tests.easel.model_sites import ModelSites, model_sites
from tests.generator import original_layout, tiny

__all__ = ["model_sites"]

SITES = ModelSites
OWN = """\
# My models.
default = "plain"  # the good one

[models.plain]  # a plain one
source = "plain"
sizes = [[64, 64]]  # small
# Not now:
# scheduler = "euler"
upscaler = { source = "plain" }
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models of the real classes, a file of one, and what stands beside one."""
    folder = tmp_path_factory.mktemp("made")
    tiny.make_sd(folder / "castles")
    shutil.copytree(folder / "castles", folder / "plain")
    single = folder / "single"
    single.mkdir()
    original_layout.write(folder / "castles", single / "ruins.safetensors")
    shutil.copytree(folder / "castles", single / "ruins")
    tiny.make_lora(folder / "ink.safetensors", folder / "castles")
    tiny.make_control(folder / "canny-tiny", folder / "castles")
    return folder


@pytest.fixture
def file(tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalog of the operator's own."""
    path = tmp_path / "mine" / "catalog.toml"
    path.parent.mkdir()
    path.write_text(OWN)
    shutil.copytree(made / "plain", path.parent / "plain")
    monkeypatch.setenv("EASEL_CATALOG", str(path))
    return path


def said(answer: subprocess.CompletedProcess[str]) -> str:
    """The one sentence with which a command stops."""
    assert answer.returncode == 2, answer.stdout + answer.stderr
    (line,) = [line for line in answer.stderr.splitlines() if line.startswith("easel: ")]
    assert "Traceback" not in answer.stderr
    return line.removeprefix("easel: ")


def test_a_model_of_the_hub_is_fetched_written_and_draws(
    model_sites: SITES, made: Path, easel_here: Easel, tmp_path: Path
) -> None:
    repository = model_sites.publish("ada/Castles-Turbo", made / "castles", license="openrail")
    repository.files["unet/diffusion_pytorch_model.bin"] = b"a pickle"
    repository.files["castles-pruned.safetensors"] = b"the same once more"
    answer = easel_here("models", "add", "ada/Castles-Turbo", "--yes")
    assert answer.returncode == 0, answer.stderr
    assert "licence openrail" in answer.stdout
    own = tmp_path / "data" / "catalog.toml"
    assert f"A catalog of your own begins: {own}" in answer.stderr
    models = catalog.load(own)
    assert list(models.models) == ["castles-turbo", "picturebook"], "Picturebook stays"
    assert models.default == "castles-turbo"
    entry = models["castles-turbo"]
    assert (entry.license, entry.num_inference_steps, entry.guidance_scale) == ("openrail", 4, 1.0)
    assert entry.sizes == ((64, 64),), "as its config says"
    fetched = tmp_path / "data" / "models" / "castles-turbo"
    assert entry.source == str(fetched)
    names = {path.relative_to(fetched).as_posix() for path in fetched.rglob("*") if path.is_file()}
    assert "unet/diffusion_pytorch_model.safetensors" in names
    assert not any(name.endswith((".bin", "pruned.safetensors")) or ".cache" in name for name in names)
    assert entry.sample is not None
    assert entry.sample in answer.stdout
    with PIL.Image.open(entry.sample) as picture:
        assert picture.size == (64, 64)
    listed = easel_here("models", "list").stdout
    assert "openrail" in listed
    assert listed.index("castles-turbo") < listed.index("picturebook")


def test_half_precision_is_fetched_where_there_is_no_other(
    model_sites: SITES, file: Path, made: Path, easel_here: Easel
) -> None:
    files = model_sites.publish("ada/half", made / "castles").files
    for part, name in (("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model")):
        files[f"{part}/{name}.fp16.safetensors"] = files[f"{part}/{name}.safetensors"]
    del files["unet/diffusion_pytorch_model.safetensors"]
    files["unet/diffusion_pytorch_model.fp16.safetensors.index.json"] = b"{}"
    files["vae/diffusion_pytorch_model.fp16.safetensors.index.json"] = b"{}"
    files["unet_onnx/model.bin"] = b"of another program"
    answer = easel_here("models", "add", "ada/half", "--yes", "--no-draw")
    assert answer.returncode == 0, answer.stderr
    fetched = Path(catalog.load(file)["half"].source)
    names = {path.relative_to(fetched).as_posix() for path in fetched.rglob("*") if path.is_file()}
    assert {name for name in names if "diffusion_pytorch_model" in name} == {
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors.index.json",
        "vae/diffusion_pytorch_model.safetensors",
    }
    assert "unet_onnx/model.bin" not in names


def test_what_is_no_stable_diffusion_is_refused_before_it_is_fetched(
    model_sites: SITES, file: Path, made: Path, easel_here: Easel
) -> None:
    flux = model_sites.publish("ada/flux", made / "castles")
    flux.files["model_index.json"] = json.dumps({"_class_name": "FluxPipeline"}).encode()
    assert "is a FluxPipeline" in said(easel_here("models", "add", "ada/flux", "--yes"))
    assert not [path for path, _ in model_sites.asked if path.endswith(".safetensors")]


def test_comments_and_order_stay(file: Path, made: Path, easel_here: Easel) -> None:
    answer = easel_here(
        "models",
        "add",
        str(made / "castles"),
        "--name",
        "castles",
        "--title",
        "Castles",
        "--yes",
        "--no-draw",
    )
    assert answer.returncode == 0, answer.stderr
    text = file.read_text()
    assert text.startswith(OWN)
    assert (
        text[len(OWN) :].strip().startswith('[models.castles]\ntitle = "Castles"\nsource = "models/castles"')
    )
    models = catalog.load(file)
    assert models.default == "plain"
    assert models["castles"].sample is None
    assert (file.parent / "models" / "castles" / "model_index.json").is_file()


def test_a_single_file_with_its_layout_stays_where_it_is(file: Path, made: Path, easel_here: Easel) -> None:
    single = made / "single" / "ruins.safetensors"
    checker = str(made / "castles")
    answer = easel_here("models", "add", str(single), "--yes", "--default", "--safety-checker", checker)
    assert answer.returncode == 0, answer.stderr
    models = catalog.load(file)
    assert models.default == "ruins"
    assert models["ruins"].source == str(single)
    assert models["ruins"].safety_checker == checker


def test_a_cut_connection_goes_on_where_it_was(
    model_sites: SITES, file: Path, made: Path, easel_here: Easel
) -> None:
    data = (made / "ink.safetensors").read_bytes()
    model_sites.put_on_civitai(7, "ink.safetensors", data, kind="LORA", trainedWords=["ink drawing", "lines"])
    model_sites.cut_after = len(data) // 3
    link = f"{model_sites.url}/models/7/ink?modelVersionId=70"
    add = ("models", "add", link, "--to", "plain", "--as", "ink", "--yes", "--no-draw")
    assert "was cut after" in said(easel_here(*add))
    assert file.read_text() == OWN
    part = file.parent / "models" / "plain" / "ink.safetensors.part"
    begun = part.stat().st_size
    assert 0 < begun < len(data)
    answer = easel_here(*add)
    assert answer.returncode == 0, answer.stderr
    assert ("/api/download/models/70", f"bytes={begun}-") in model_sites.asked
    assert not part.exists()
    lora = catalog.load(file)["plain"].loras["ink"]
    assert Path(lora.source).read_bytes() == data
    assert lora.trigger == "ink drawing, lines"
    assert "credit the creator; commercial use: Image; merges allowed" in answer.stdout


def test_the_hubs_client_goes_on_where_it_was_cut(
    model_sites: SITES, file: Path, made: Path, easel_here: Easel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    model_sites.publish("ada/castles", made / "castles")
    weights = "unet/diffusion_pytorch_model.safetensors"
    model_sites.cut_after = len((made / "castles" / weights).read_bytes()) // 2
    add = ("models", "add", "ada/castles", "--yes", "--no-draw")
    first = easel_here(*add)
    if first.returncode:
        assert "goes on from there" in said(first)
        assert file.read_text() == OWN
        assert easel_here(*add).returncode == 0
    assert any(asked not in (None, "bytes=0-") for _, asked in model_sites.asked), model_sites.asked
    fetched = Path(catalog.load(file)["castles"].source) / weights
    assert fetched.read_bytes() == (made / "castles" / weights).read_bytes()


def beside(file: Path, easel_here: Easel, *arguments: str) -> Any:
    answer = easel_here("models", "add", *arguments, "--to", "plain", "--yes", "--no-draw")
    assert answer.returncode == 0, answer.stderr
    return catalog.load(file)["plain"]


def test_what_stands_beside_a_model_is_put_into_its_table(file: Path, made: Path, easel_here: Easel) -> None:
    entry = beside(file, easel_here, str(made / "ink.safetensors"), "--trigger", "ink")
    assert entry.loras["ink"].trigger == "ink"
    entry = beside(file, easel_here, str(made / "ink.safetensors"), "--as", "second")
    assert list(entry.loras) == ["ink", "second"]
    entry = beside(file, easel_here, str(made / "canny-tiny"), "--as", "edges")
    assert entry.controls["edges"].reads == "edges"
    entry = beside(file, easel_here, str(made / "castles" / "vae"), "--kind", "upscaler", "--as", "soft")
    assert list(entry.upscalers) == ["default", "soft"], "the one that was there keeps its place"
    assert "# Not now:\n" in file.read_text()
    taken = easel_here(
        "models", "add", str(made / "ink.safetensors"), "--to", "plain", "--kind", "lora", "--yes"
    )
    assert "has something called 'ink' in its loras already" in said(taken)


def test_a_lora_and_a_control_are_drawn_with_before_they_are_added(
    file: Path, made: Path, easel_here: Easel
) -> None:
    ink, canny = str(made / "ink.safetensors"), str(made / "canny-tiny")
    answer = easel_here("models", "add", ink, "--to", "plain", "--trigger", "ink", "--yes")
    assert answer.returncode == 0, answer.stderr
    lora = catalog.load(file)["plain"].loras["ink"]
    assert lora.trigger == "ink"
    assert lora.sample is not None
    with PIL.Image.open(lora.sample) as picture:
        assert picture.size == (64, 64)
    answer = easel_here("models", "add", canny, "--to", "plain", "--yes")
    assert answer.returncode == 0, answer.stderr
    assert list(catalog.load(file)["plain"].controls) == ["canny-tiny"]
    before = file.read_text()
    refused = easel_here("models", "add", canny, "--to", "plain", "--kind", "upscaler", "--yes")
    assert "canny-tiny was not added, because it does not draw" in said(refused)
    assert file.read_text() == before


def test_a_pickle_is_converted_where_it_holds_weights_alone(
    file: Path, made: Path, easel_here: Easel
) -> None:
    import torch
    from safetensors.torch import load_file

    pickled = file.parent / "ink.pt"
    torch.save(load_file(made / "ink.safetensors"), pickled)
    entry = beside(file, easel_here, str(pickled), "--kind", "lora")
    assert entry.loras["ink"].source.endswith("models/plain/ink.safetensors")
    assert not Path(entry.loras["ink"].source).with_suffix(".pt").exists()
    assert pickled.exists(), "the operator's own stays"
    among = file.parent / "models" / "plain" / "lines.pt"
    shutil.copy(pickled, among)
    assert "lines" in beside(file, easel_here, str(among), "--kind", "lora").loras
    assert among.exists(), "it lay there before"


REFUSED: dict[str, tuple[list[str], str]] = {
    "unknown id": (["nobody/nothing"], "There is no file or folder 'nobody/nothing', and no such model"),
    "no id": (["a/b/c"], "is no file or folder here, and no Hugging Face id"),
    "gated": (["ada/gated"], "set HF_TOKEN"),
    "private": (["ada/private"], "HF_TOKEN"),
    "only pickles": (["ada/pickles"], "has pickles"),
    "no weights": (["ada/empty"], "has no weights that Easel reads"),
    "several files": (["ada/several"], "say one with --file (a.safetensors, b.safetensors)"),
    "no such file": (["ada/several", "--file", "c.safetensors"], "has no file 'c.safetensors'"),
    "wrong hash": (["ada/wrong"], "is not what its site says"),
    "unknown family": (["ada/flux"], "is a FluxPipeline: Easel draws with"),
    "a web page": (["{page}"], "is a web page"),
    "no civitai model": (["{url}/models/99"], "does not exist (404)"),
    "a civitai page": (["{url}/user/ada"], "names no model"),
    "another base": (["{url}/models/2"], "is made for Flux.1 D"),
    "another kind": (["{url}/models/3"], "is of the kind 'Workflows'"),
    "civitai's token": (["{url}/api/download/models/40"], "set CIVITAI_TOKEN"),
    "civitai's hash": (["{url}/models/5"], "is not what its site says"),
    "a LoRA alone": (["{url}/models/6"], "is a LoRA, and no whole model: say with --to"),
    "outside": (["{url}/models/8"], "does not stay in its folder"),
    "half a file": (["{half}"], "is not a whole .safetensors file"),
    "name taken": (["{castles}", "--name", "Plain"], "has a model 'plain' already"),
    "no such model": (["{ink}", "--to", "other"], "has no model 'other' of its own; it has plain"),
    "no kind": (["{castles}", "--kind", "picture"], "There is no kind 'picture'"),
    "a model beside one": (["{castles}", "--to", "plain"], "is a whole model: add it without --to"),
    "a wrong key": (["{castles}", "--family", "sd9"], "there is no family 'sd9'"),
    "unknown weights": (["{odd}"], "say what it is with --kind"),
}


@pytest.fixture
def full_of_faults(model_sites: SITES, made: Path, tmp_path: Path) -> dict[str, str]:
    """Both sites with what cannot be added."""
    from safetensors.torch import save_file
    from torch import zeros

    castles = made / "castles"
    model_sites.publish("ada/gated", castles).refused = (403, "GatedRepo")
    model_sites.publish("ada/private", castles).refused = (401, "RepoNotFound")
    wrong = model_sites.publish("ada/wrong", castles)
    wrong.hashes["vae/diffusion_pytorch_model.safetensors"] = "ab" * 32
    flux = model_sites.publish("ada/flux", castles)
    flux.files["model_index.json"] = json.dumps({"_class_name": "FluxPipeline"}).encode()
    index = json.dumps({"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet"]}).encode()
    for name, files in {
        "pickles": {"model_index.json": index, "unet/model.bin": b"x"},
        "empty": {"README.md": b"nothing"},
        "several": {"a.safetensors": b"x", "b.safetensors": b"x"},
    }.items():
        model_sites.publish(f"ada/{name}", made / "nothing").files.update(files)
    model_sites.put_on_civitai(2, "flux.safetensors", b"x", base="Flux.1 D")
    model_sites.put_on_civitai(3, "flow.json", b"x", kind="Workflows")
    model_sites.put_on_civitai(4, "secret.safetensors", b"x").needs_token = True
    model_sites.put_on_civitai(5, "changed.safetensors", b"x").data = b"y"
    model_sites.put_on_civitai(6, "ink.safetensors", b"x", kind="LORA")
    model_sites.put_on_civitai(8, "../../out.safetensors", b"x")
    half = tmp_path / "half.safetensors"
    whole = (made / "ink.safetensors").read_bytes()
    half.write_bytes(whole[: len(whole) // 2])
    odd = tmp_path / "odd.safetensors"
    save_file({"a.b": zeros(2), "c.d": zeros(2)}, odd)
    places = {"castles": castles, "ink": made / "ink.safetensors", "half": half, "odd": odd}
    page = model_sites.url.replace("127.0.0.1", "localhost") + "/page.safetensors"
    return {"url": model_sites.url, "page": page, **{name: str(place) for name, place in places.items()}}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_added_is_one_sentence_and_the_catalog_as_before(
    file: Path, full_of_faults: dict[str, str], easel_here: Easel, case: str
) -> None:
    arguments, sentence = REFUSED[case]
    given = [argument.format(**full_of_faults) for argument in arguments]
    assert sentence in said(easel_here("models", "add", *given, "--yes", "--no-draw"))
    assert file.read_text() == OWN
    assert [path.name for path in file.parent.iterdir() if path.suffix == ".toml"] == ["catalog.toml"]


def test_a_token_opens_what_needs_one(
    model_sites: SITES, file: Path, made: Path, easel_here: Easel, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (made / "ink.safetensors").read_bytes()
    model_sites.put_on_civitai(4, "ink.safetensors", data, kind="LORA").needs_token = True
    monkeypatch.setenv("CIVITAI_TOKEN", "key")
    entry = beside(file, easel_here, f"{model_sites.url}/api/download/models/40", "--as", "ink")
    assert Path(entry.loras["ink"].source).read_bytes() == data


def test_a_licence_that_nobody_accepts_fetches_nothing(
    model_sites: SITES, file: Path, made: Path, easel_here: Easel
) -> None:
    model_sites.publish("ada/castles", made / "castles", license="other", license_name="castle-nc")
    answer = easel_here("models", "add", "ada/castles")
    assert "Nobody is here to accept the licence: say --yes." in said(answer)
    assert "licence castle-nc" in answer.stdout
    assert not (file.parent / "models" / "castles").exists()


def test_a_full_disk_is_told_before_and_meanwhile(
    file: Path, made: Path, easel_here: Easel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "SPARE", 1 << 60)
    assert "There is no room in" in said(easel_here("models", "add", str(made / "castles"), "--yes"))
    assert file.read_text() == OWN


def test_a_folder_that_takes_nothing_is_told_before_anything_is_fetched(
    model_sites: SITES, file: Path, easel_here: Easel
) -> None:
    (file.parent / "models").write_text("a file, where a folder is wanted")
    assert "File exists" in said(easel_here("models", "add", "ada/castles", "--yes"))
    assert model_sites.asked == []


@pytest.mark.parametrize("text", ["[models.plain", "default = 3\n", 'models = "x"'])
def test_a_catalog_with_an_error_stays_as_it_is(file: Path, made: Path, easel_here: Easel, text: str) -> None:
    file.write_text(text)
    assert str(file) in said(easel_here("models", "add", str(made / "castles"), "--yes"))
    assert file.read_text() == text


def test_a_torn_model_is_not_added_and_its_files_wait(file: Path, made: Path, easel_here: Easel) -> None:
    broken = file.parent / "broken"
    shutil.copytree(made / "castles", broken)
    weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    assert "it ends within its header" in said(easel_here("models", "add", str(broken), "--yes"))
    assert file.read_text() == OWN


def test_a_model_goes_with_its_files_and_without_others(file: Path, made: Path, easel_here: Easel) -> None:
    for name in ("one", "two"):
        add = easel_here("models", "add", str(made / "castles"), "--name", name, "--yes", "--no-draw")
        assert add.returncode == 0, add.stderr
    file.write_text(file.read_text().replace('"models/two"', '"models/one"'))
    folder = file.parent / "models"
    refused = easel_here("models", "remove", "one")
    assert refused.returncode != 0
    assert "[models.one]" in file.read_text()
    assert easel_here("models", "remove", "one", "--yes").returncode == 0
    assert (folder / "one").is_dir(), "the other needs it"
    assert easel_here("models", "remove", "two", "--yes", "--keep-files").returncode == 0
    assert (folder / "one").is_dir()
    assert file.read_text().strip() == OWN.strip()
    assert "is the catalog's only model" in said(easel_here("models", "remove", "plain", "--yes"))
    assert "has no model 'one'" in said(easel_here("models", "remove", "one", "--yes"))


def test_removing_deletes_what_nobody_else_names(file: Path, made: Path, easel_here: Easel) -> None:
    easel_here("models", "add", str(made / "castles"), "--name", "one", "--yes", "--no-draw", "--default")
    assert catalog.load(file).default == "one"
    answer = easel_here("models", "remove", "one", "--yes")
    assert answer.returncode == 0, answer.stderr
    assert not (file.parent / "models" / "one").exists()
    assert catalog.load(file).default == "plain"
    assert (file.parent / "plain").is_dir(), "it does not lie in the folder for models"


def test_what_does_not_lie_below_the_folder_for_models_stays(
    file: Path, made: Path, easel_here: Easel
) -> None:
    easel_here("models", "add", str(made / "castles"), "--name", "one", "--yes", "--no-draw")
    written = file.read_text()
    for other in ("models", "models/one/../../plain"):
        file.write_text(written.replace('"models/one"', f'"{other}"'))
        assert easel_here("models", "remove", "one", "--yes").returncode == 0
    assert (file.parent / "models" / "one" / "model_index.json").is_file()
    assert (file.parent / "plain" / "model_index.json").is_file()


def test_picturebook_can_be_taken_out_of_a_catalog_of_ones_own(
    made: Path, easel_here: Easel, tmp_path: Path
) -> None:
    easel_here("models", "add", str(made / "castles"), "--yes", "--no-draw")
    assert easel_here("models", "remove", "picturebook", "--yes").returncode == 0
    assert list(catalog.load(tmp_path / "data" / "catalog.toml").models) == ["castles"]


@pytest.mark.exhaustive
def test_it_runs_in_a_process_of_its_own(easel: Easel, file: Path, made: Path) -> None:
    answer = easel("models", "add", str(made / "castles"), "--yes")
    assert answer.returncode == 0, answer.stderr
    assert "castles was added to" in answer.stdout
