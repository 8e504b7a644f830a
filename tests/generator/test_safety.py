from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from generator.companions.safety import CheckerFolder, checker_source
from storage.catalog_model import ModelEntry
from storage.errors import CatalogError
from tests.generator import tiny

CPU = torch.device("cpu")


def pictures(count: int, size: tuple[int, int] = (64, 64)) -> list[PIL.Image.Image]:
    rng = np.random.default_rng(1)
    blocks = rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return [PIL.Image.fromarray(each).resize(size, PIL.Image.Resampling.NEAREST) for each in blocks]


@pytest.fixture
def check(tmp_path: Path) -> CheckerFolder:
    """A checker with thresholds that split `pictures(16)`: some concepts, some of them with special care."""
    check = CheckerFolder.load(str(tiny.make_sd(tmp_path)), CPU)
    checker = check._network
    pixels = check._processor(pictures(16), return_tensors="pt").pixel_values
    with torch.no_grad():
        embedded = torch.nn.functional.normalize(checker.visual_projection(checker.vision_model(pixels)[1]))
        concepts = embedded @ torch.nn.functional.normalize(checker.concept_embeds).T
        special = embedded @ torch.nn.functional.normalize(checker.special_care_embeds).T
        checker.concept_embeds_weights.copy_(concepts.quantile(0.97, dim=0) + 0.004)
        checker.special_care_embeds_weights.copy_(special.quantile(0.7, dim=0))
    return check


def test_verdicts_are_those_of_diffusers_own_checker(check: CheckerFolder) -> None:
    images = pictures(16)
    pixels = check._processor(images, return_tensors="pt").pixel_values
    _, flagged = check._network(clip_input=pixels, images=np.zeros((16, 1, 1, 3)))
    verdicts = check.check(images)
    assert [verdict.unsafe for verdict in verdicts] == flagged
    assert 0 < sum(flagged) < 16, "both kinds occur"
    for verdict in verdicts:
        assert len(verdict.scores) == 17
        assert verdict.unsafe == (max(verdict.scores.values()) > 0)
        json.dumps(verdict.scores)


def test_pictures_are_left_as_they_are(check: CheckerFolder) -> None:
    images = pictures(16)
    before = [image.tobytes() for image in images]
    check.check(images)
    assert [image.tobytes() for image in images] == before
    assert check.check([]) == []


def test_what_a_crop_would_hide_is_judged_too(check: CheckerFolder) -> None:
    verdicts = check.check(pictures(16))
    bad = pictures(16)[[verdict.unsafe for verdict in verdicts].index(True)]
    wide = bad.resize((256, 64))
    assert check.check([wide])[0].unsafe, "its middle alone shows something else"


def test_a_number_that_is_none_does_not_pass(check: CheckerFolder) -> None:
    with torch.no_grad():
        check._network.visual_projection.weight.fill_(float("nan"))
    assert check.check(pictures(2))[0].unsafe


def entry(source: Path, **fields: str) -> ModelEntry:
    return ModelEntry(name="mine", title="Mine", source=str(source), sizes=((64, 64),), **fields)


def test_a_model_without_a_checker_is_refused_unless_the_catalog_names_one(
    tmp_path: Path, sd_folder: Path
) -> None:
    bare = tiny.make_sd(tmp_path / "bare", checker=False)
    with pytest.raises(CatalogError, match="'mine' has no safety checker"):
        checker_source(entry(bare))
    with pytest.raises(CatalogError, match="no safety checker"):
        checker_source(entry(tmp_path / "model.safetensors"))
    assert checker_source(entry(sd_folder)) == str(sd_folder)
    assert checker_source(entry(bare, safety_checker=str(sd_folder))) == str(sd_folder)


def test_a_checker_may_stand_alone(tmp_path: Path, sd_folder: Path) -> None:
    whole = CheckerFolder.load(str(sd_folder), CPU)
    whole._network.save_pretrained(tmp_path)
    whole._processor.save_pretrained(tmp_path)
    assert CheckerFolder.load(str(tmp_path), CPU).check(pictures(3)) == whole.check(pictures(3))


def test_a_broken_checker_is_named(tmp_path: Path) -> None:
    folder = tiny.make_sd(tmp_path / "sd")
    (folder / "safety_checker" / "model.safetensors").unlink()
    with pytest.raises(CatalogError, match="The safety checker at"):
        CheckerFolder.load(str(folder), CPU)
