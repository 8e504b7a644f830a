"""`easel models add` harms nothing of the operator's, and keeps what is confidential to itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from easel.adding import origins
from storage import catalog
from tests.easel.conftest import Easel
from tests.easel.model_sites import model_sites
from tests.easel.test_adding import SITES, beside, file, made, said

__all__ = ["file", "made", "model_sites"]


def test_a_picture_of_ones_own_stays(file: Path, made: Path, easel_here: Easel) -> None:
    lora = file.parent / "ink.safetensors"
    shutil.copy(made / "ink.safetensors", lora)
    lora.with_suffix(".png").write_bytes(b"my own")
    answer = easel_here("models", "add", str(lora), "--to", "plain", "--in-place", "--yes")
    assert answer.returncode == 0, answer.stderr
    assert lora.with_suffix(".png").read_bytes() == b"my own"
    assert str(catalog.load(file)["plain"].loras["ink"].sample).endswith("ink-2.png")


def test_another_file_of_the_same_length_is_not_taken_for_one(
    file: Path, made: Path, easel_here: Easel
) -> None:
    before = bytearray((made / "ink.safetensors").read_bytes())
    before[-1] ^= 1
    taken = file.parent / "models" / "plain" / "ink.safetensors"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(before)
    add = ("models", "add", str(made / "ink.safetensors"), "--to", "plain", "--yes", "--no-draw")
    assert "is there already, and is something else" in said(easel_here(*add))
    assert taken.read_bytes() == before


def test_a_token_goes_to_its_own_site_alone(
    model_sites: SITES, file: Path, made: Path, easel_here: Easel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIVITAI_TOKEN", "key")
    model_sites.put_on_civitai(
        7, "ink.safetensors", (made / "ink.safetensors").read_bytes(), kind="LORA"
    ).needs_token = True
    (version,) = model_sites.models[7]["modelVersions"]
    (listed,) = version["files"]
    listed["downloadUrl"] = listed["downloadUrl"].replace("127.0.0.1", "localhost")
    add = ("models", "add", f"{model_sites.url}/models/7", "--to", "plain", "--yes", "--no-draw")
    assert "needs an account (401)" in said(easel_here(*add))


def test_a_part_does_not_go_on_with_another_file(
    model_sites: SITES, file: Path, made: Path, easel_here: Easel
) -> None:
    data = (made / "ink.safetensors").read_bytes()
    changed = data[:-1] + bytes([data[-1] ^ 1])
    model_sites.put_on_civitai(7, "ink.safetensors", data, kind="LORA")
    model_sites.cut_after = len(data) // 3
    link = f"{model_sites.url.replace('127.0.0.1', 'localhost')}/api/download/models/70"
    add = ("models", "add", link, "--to", "plain", "--as", "ink", "--kind", "lora", "--yes", "--no-draw")
    assert "was cut after" in said(easel_here(*add))
    model_sites.downloads["70"].data = changed[1:] + data[:1]
    answer = easel_here(*add)
    assert answer.returncode == 0, answer.stderr
    (fetched,) = (path for path in (file.parent / "models" / "plain").iterdir())
    assert fetched.read_bytes() == changed[1:] + data[:1]


def test_one_file_of_a_repository_comes_to_its_place_alone(
    model_sites: SITES, file: Path, made: Path, easel_here: Easel
) -> None:
    ink = (made / "ink.safetensors").read_bytes()
    repository = model_sites.publish("ada/inks", made / "canny-tiny")
    repository.files = {"v 2/deep/ink.safetensors": ink, "other.safetensors": b""}
    before = {path for path in file.parent.parent.rglob("*") if path.is_file()}
    entry = beside(file, easel_here, "ada/inks", "--file", "v 2/deep/ink.safetensors", "--as", "lines")
    fetched = Path(entry.loras["lines"].source)
    assert fetched == file.parent / "models" / "plain" / "lines.safetensors"
    assert fetched.read_bytes() == ink
    assert {path for path in file.parent.parent.rglob("*") if path.is_file()} - before == {fetched}


def test_a_link_to_a_branch_is_that_branch(model_sites: SITES, made: Path) -> None:
    model_sites.publish("ada/castles", made / "castles")
    origins.offered("https://huggingface.co/ada/castles/tree/fp16", None)
    assert model_sites.asked[0][0] == "/api/models/ada/castles/revision/fp16"


def test_what_an_address_says_in_confidence_is_not_repeated(
    model_sites: SITES, file: Path, easel_here: Easel
) -> None:
    place = model_sites.url.removeprefix("http://").replace("127.0.0.1", "localhost")
    refused = said(
        easel_here("models", "add", f"http://ada:word@{place}/page.safetensors?token=abc", "--yes")
    )
    assert f"http://{place}/page.safetensors is a web page" in refused


def test_titles_as_people_write_them_are_taken(
    model_sites: SITES, file: Path, made: Path, easel_here: Easel
) -> None:
    data = (made / "single" / "ruins.safetensors").read_bytes()
    model_sites.put_on_civitai(7, "ruins.safetensors", data)
    model_sites.models[7]["name"] = "\x1b[/31]mRuins \u200b\xa0 of\n👩‍🎨 " + "old " * 40
    answer = easel_here(
        "models", "add", f"{model_sites.url}/models/7", "--name", "ruins", "--yes", "--no-draw"
    )
    assert answer.returncode == 0, answer.stderr
    assert "Ruins of 👩🎨 old old" in answer.stdout
    assert "\x1b" not in answer.stdout
    assert len(catalog.load(file)["ruins"].title) == 100
