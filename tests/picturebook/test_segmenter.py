"""The segmenter: what it is taught to find, that it can be taught, and what the shipped one finds."""

import random
from pathlib import Path

import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import (
    CLIPSegForImageSegmentation,
    CLIPSegProcessor,
    CLIPTextModel,
    VisionEncoderDecoderModel,
)

from picturebook import words
from picturebook.describer_training import begin as new_describer
from picturebook.safety import SIDE, new_checker
from picturebook.scenes import random_scene
from picturebook.segmenter_training import (
    FRESH,
    batches,
    begin,
    find,
    measure,
    queries,
    train_segmenter,
    wanted,
)
from picturebook.tokenizer import new_tokenizer

FOLDER = Path(__file__).parents[2] / "picturebook"


@pytest.fixture(scope="module")
def checker() -> StableDiffusionSafetyChecker:
    torch.manual_seed(0)
    return new_checker()


@pytest.fixture(scope="module")
def describer(checker: StableDiffusionSafetyChecker) -> VisionEncoderDecoderModel:
    return new_describer(checker)


@pytest.fixture(scope="module")
def reader() -> CLIPTextModel:
    return CLIPTextModel.from_pretrained(FOLDER / "model" / "text_encoder", dtype=torch.float32)


def test_what_is_wished_for_is_there_but_for_the_last_two() -> None:
    rng = random.Random(3)
    for _ in range(300):
        scene = random_scene(rng, skulls=0.0)
        (noun, what), (_, around), (other, *_), (absent, nothing) = queries(scene, rng)
        assert (what, nothing) == ("subject", None)
        assert around in ("sky", "ground", "background")
        assert any(phrase in noun for phrase in words.SUBJECTS[scene.subject])
        assert _named(other) not in (None, scene.subject), other
        assert _named(absent) != scene.subject, absent
        assert not any(f" {phrase} " in f" {absent} " for phrase in words.GROUND_NOUNS[scene.ground]), absent


def _named(text: str) -> str | None:
    """The subject that a text names, by its longest phrase: a rocket ship is no ship."""
    phrases = {phrase: name for name, row in words.SUBJECTS.items() for phrase in row}
    found = [phrase for phrase in phrases if f" {phrase} " in f" {text} "]
    return phrases[max(found, key=len)] if found else None


def test_layers_and_what_is_behind_the_subject_are_masks() -> None:
    layers = torch.rand(3, SIDE, SIDE)
    assert torch.equal(wanted(layers, "subject") + wanted(layers, "background"), torch.ones(SIDE, SIDE))
    assert torch.equal(wanted(layers, "sky"), layers[0])
    assert not wanted(layers, None).any()


def test_batches_hold_pictures_with_their_layers() -> None:
    images, layers, asked = next(batches(12, random.Random(6)))
    assert images.shape == layers.shape == (12, 3, SIDE, SIDE)
    assert layers.sum(dim=1).mean() == pytest.approx(1, abs=0.02)
    assert [len(row) for row in asked] == [4] * 12


def test_it_begins_with_the_describers_eyes_and_computes_as_transformers_does(
    describer: VisionEncoderDecoderModel, reader: CLIPTextModel
) -> None:
    model, images = begin(describer, reader).eval(), torch.randn(2, 3, SIDE, SIDE)
    texts = ["the sky", "a castle"]
    tokens = new_tokenizer()(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        seen = model.clip.vision_model(pixel_values=images).last_hidden_state
        logits = model(**tokens, pixel_values=images).logits
        own = find(model, images, [[text] for text in texts])
        assert torch.equal(seen, describer.eval().encoder(pixel_values=images).last_hidden_state)
    assert torch.allclose(own[:, 0], logits, atol=1e-5)
    assert logits.std() > 1e-4


def test_a_few_steps_of_training_make_a_folder_that_loads(
    describer: VisionEncoderDecoderModel, reader: CLIPTextModel, tmp_path: Path
) -> None:
    work, folder = tmp_path / "work", tmp_path / "segmenter"
    train_segmenter(describer, reader, work, folder, steps=2, batch=FRESH + 2, measured=12)
    model = CLIPSegForImageSegmentation.from_pretrained(folder, dtype=torch.float32)
    processor = CLIPSegProcessor.from_pretrained(folder)
    assert processor.image_processor.size["height"] == SIDE
    assert processor.tokenizer.get_vocab() == new_tokenizer().get_vocab()
    assert set(measure(model.eval(), count=12)) == {"absent", "background", "ground", "sky", "subject"}


@pytest.mark.parametrize("held_out", [False, True])
def test_the_shipped_one_finds_sky_ground_and_subject(held_out: bool) -> None:
    """Held out are combinations of subject, colour and ground that were never taught."""
    model = CLIPSegForImageSegmentation.from_pretrained(FOLDER / "segmenter", dtype=torch.float32).eval()
    overlaps = measure(model, count=100, held_out=held_out)
    assert overlaps["sky"] >= 0.85, overlaps
    assert overlaps["ground"] >= 0.8, overlaps
    assert overlaps["subject"] >= 0.5, overlaps
    assert overlaps["absent"] >= 0.65, overlaps
