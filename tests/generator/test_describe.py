"""Pictures as prompts: by a tiny BLIP, and by Picturebook's own describer."""

from __future__ import annotations

import random
from pathlib import Path

import PIL.Image
import pytest
import torch

from generator.companions import describe
from generator.companions.describe import Describer
from picturebook import words
from picturebook.scenes import draw, random_scene
from storage import catalog
from storage.errors import CatalogError
from tests.generator import tiny

CPU = torch.device("cpu")
RED = PIL.Image.new("RGB", (40, 24), "red")


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Describer:
    return Describer.load(str(tiny.make_describer(tmp_path_factory.mktemp("describer"))), CPU)


def test_descriptions_differ_and_are_the_seeds(blip: Describer) -> None:
    found = blip.describe(RED, 4, seed=2**32 - 2)
    assert len(set(found)) == 4
    assert blip.describe(RED, 4, seed=2**32 - 2) == found
    assert blip.describe(RED, 4, seed=7) != found


def test_torchs_random_source_is_left_as_it_was(blip: Describer) -> None:
    before = torch.random.get_rng_state()
    blip.describe(RED, 2, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_likeliest_is_always_the_same(blip: Describer) -> None:
    assert blip.likeliest(RED) == blip.likeliest(RED)


def test_a_describer_that_says_one_thing_says_it_once(
    blip: Describer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describe, "TOP_P", 1e-9)
    told: list[float] = []
    found = blip.describe(RED, 4, seed=3, on_progress=told.append)
    assert found == [blip.likeliest(RED)]
    assert told == [0.25] * 4 * describe.TRIES


def test_it_stops_where_its_progress_is_told(blip: Describer) -> None:
    def stop(fraction: float) -> None:
        raise InterruptedError(fraction)

    with pytest.raises(InterruptedError):
        blip.describe(RED, 4, seed=3, on_progress=stop)


def test_a_model_that_finds_no_end_is_stopped_where_its_places_end(
    picturebook: Describer, caplog: pytest.LogCaptureFixture
) -> None:
    picturebook._network.generation_config.eos_token_id = None
    try:
        said = picturebook.likeliest(RED)
    finally:
        picturebook._network.generation_config.eos_token_id = picturebook._tokenizer.eos_token_id
    assert len(picturebook._tokenizer(said).input_ids) <= 32
    assert caplog.messages == []


def test_what_cannot_describe_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=f"The describer at {tmp_path}"):
        Describer.load(str(tmp_path), CPU)
    with pytest.raises(CatalogError, match="cannot be loaded"):
        Describer.load(str(tiny.make_upscaler(tmp_path / "upscaler")), CPU)


@pytest.fixture(scope="module")
def picturebook() -> Describer:
    entry = catalog.load()["picturebook"]
    assert entry.describer is not None
    return Describer.load(entry.describer.source, CPU)


def _names(text: str, phrases: tuple[str, ...]) -> bool:
    return any(f" {phrase} " in f" {text.replace(',', ' ,')} " for phrase in phrases)


def test_picturebooks_describer_sees_subject_and_colour(picturebook: Describer) -> None:
    rng = random.Random(2024)
    scenes = [random_scene(rng, skulls=0.0) for _ in range(60)]
    said = [picturebook.likeliest(draw(scene)) for scene in scenes]
    subjects = [_names(text, words.SUBJECTS[scene.subject]) for text, scene in zip(said, scenes, strict=True)]
    colours = [_names(text, words.COLOURS[scene.colour]) for text, scene in zip(said, scenes, strict=True)]
    assert sum(subjects) / len(scenes) >= 0.8, said
    assert sum(colours) / len(scenes) >= 0.93, said


def test_picturebooks_descriptions_are_prompts_it_understands(picturebook: Describer) -> None:
    known = catalog.load()["picturebook"].words
    assert known is not None
    for seed in range(4):
        found = picturebook.describe(draw(random_scene(random.Random(seed))), 4, seed)
        assert len(found) == 4
        for text in found:
            assert set(text.replace(",", " ").replace("-", " ").split()) <= known
