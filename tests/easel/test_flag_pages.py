"""`docs/flags.md` says what the table of flags says, and shows pictures that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from easel import flag_pages
from prompts.parser import FLAGS, Flag, Meaning, Scope, parse
from storage import catalog
from storage.catalog import Catalog
from storage.catalog_model import ModelEntry
from tests.generator import tiny

MODELS = catalog.load()
WRITTEN = flag_pages.PAGE.read_text(encoding="utf-8")
LARGEST = 1_500_000


def test_the_page_is_up_to_date() -> None:
    assert flag_pages.page(MODELS) == WRITTEN, "run: python -m easel.flag_pages"


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_every_flag_stands_there_with_names_range_and_help(flag: Flag) -> None:
    (row,) = [line for line in WRITTEN.splitlines() if line.startswith(f"| `--{flag.name}`")]
    assert all(f"`--{name}`" in row for name in flag.names)
    assert flag.help in row
    if flag.meaning is Meaning.WORKS:
        assert flag.value.expected(Scope(MODELS, MODELS[MODELS.default])) in row


def test_every_pair_is_of_a_flag_that_works_and_can_be_typed() -> None:
    working = {flag.name for flag in FLAGS if flag.meaning is Meaning.WORKS}
    assert set(flag_pages.PAIRS) <= working
    assert working - set(flag_pages.PAIRS) == {
        "style", "refine", "upscaler", "model", "v", "niji", "repeat", "fast", "relax", "turbo", "public",
        "stealth",
    }  # fmt: skip
    for name, pair in flag_pages.PAIRS.items():
        first, second = (parse(typed, MODELS, seed=7, attached=True) for typed in (pair.first, pair.second))
        assert f"--{name}" in pair.second
        assert first.request != second.request
        assert not first.unknown_words + second.unknown_words


def test_the_pictures_that_it_shows_are_all_there_are() -> None:
    shown = {flag_pages.PAGE.parent / name for name in re.findall(r"\]\((flags/[^)]+)\)", WRITTEN)}
    there = set(flag_pages.PICTURES.iterdir())
    assert shown == there, "run: python -m easel.flag_pages --pictures"
    assert sum(file.stat().st_size for file in there) < LARGEST
    for file in there:
        with Image.open(file) as image:
            image.load()
            assert image.format == "WEBP"


def test_a_movie_is_shown_as_one() -> None:
    (typed,) = (pair.second for pair in flag_pages.PAIRS.values() if pair.moves)
    (line,) = (line for line in WRITTEN.splitlines() if line.startswith("| ![") and f"![{typed}]" in line)
    name = re.findall(r"\((flags/[^)]+)\)", line)[1]
    with Image.open(flag_pages.PAGE.parent / name) as movie:
        assert getattr(movie, "n_frames", 1) > 5


def test_its_pictures_are_drawn_by_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.make_sd(tmp_path / "model")
    entry = ModelEntry(
        name="tiny",
        title="Tiny",
        source=str(tmp_path / "model"),
        sizes=((64, 64), (96, 64)),
        num_inference_steps=2,
    )
    models = Catalog(default="tiny", models={"tiny": entry})
    monkeypatch.setattr(flag_pages, "PICTURES", tmp_path / "flags")
    monkeypatch.setattr(
        flag_pages, "PAIRS", {name: flag_pages.PAIRS[name] for name in ("ar", "stop", "iw", "video")}
    )
    flag_pages.draw(models)
    drawn = {file.name: file for file in (tmp_path / "flags").iterdir()}
    assert set(drawn) == {
        "a-red-castle-on-green-hills.webp",
        "a-red-castle-on-green-hills-ar-3-2.webp",
        "a-red-castle-on-green-hills-stop-40.webp",
        "a-castle-in-the-snow-at-night-iw-2.webp",
        "a-red-castle-on-green-hills-video.webp",
    }
    with Image.open(drawn["a-red-castle-on-green-hills-ar-3-2.webp"]) as wide:
        assert wide.width > wide.height
    with Image.open(drawn["a-red-castle-on-green-hills-video.webp"]) as movie:
        assert getattr(movie, "n_frames", 1) > 1
