"""The describer: what it is taught to say, and that it can be taught."""

import random
from pathlib import Path

import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from picturebook import words
from picturebook.describer import LENGTH, new_tokenizer
from picturebook.describer_training import FRESH, batches, begin, description, measure, train_describer
from picturebook.safety import SIDE, new_checker
from picturebook.scenes import random_scene

FOLDER = Path(__file__).parents[2] / "picturebook" / "describer"


@pytest.fixture(scope="module")
def checker() -> StableDiffusionSafetyChecker:
    torch.manual_seed(0)
    return new_checker()


def test_descriptions_are_prompts_that_name_subject_and_colour() -> None:
    rng = random.Random(3)
    known = {*words.all_words(), ","}
    subjects = {**words.SUBJECTS, **words.FORBIDDEN}
    for _ in range(300):
        scene = random_scene(rng)
        text = description(scene, rng)
        assert set(text.replace(",", " ,").replace("-", " ").split()) <= known
        assert any(phrase in text for phrase in subjects[scene.subject]), text
        assert any(phrase in text for phrase in words.COLOURS[scene.colour]), text


def test_what_is_not_said_varies() -> None:
    scene = random_scene(random.Random(4))
    assert len({description(scene, random.Random(seed)) for seed in range(40)}) > 10


def test_the_tokenizer_gives_back_what_it_was_given() -> None:
    tokenizer, rng = new_tokenizer(), random.Random(5)
    for _ in range(300):
        text = description(random_scene(rng), rng)
        tokens = tokenizer(f"{text} {tokenizer.eos_token}").input_ids
        assert tokenizer.unk_token_id not in tokens
        assert tokens[-1] == tokenizer.eos_token_id
        assert len(tokens) <= LENGTH
        assert tokenizer.decode(tokens, skip_special_tokens=True) == text


def test_it_begins_with_the_checkers_eyes(checker: StableDiffusionSafetyChecker) -> None:
    images = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        seen = begin(checker).eval().encoder(pixel_values=images).last_hidden_state
        wanted = checker.vision_model.eval()(images)[0]
    assert torch.equal(seen, wanted)


def test_batches_hold_what_was_just_drawn_and_what_was_drawn_before() -> None:
    source = batches(12, random.Random(6))
    first, scenes = next(source)
    assert first.shape == (12, 3, SIDE, SIDE)
    _, later = next(source)
    assert len(later) == 12
    assert not set(later[:FRESH]) & set(scenes)


@pytest.mark.exhaustive
def test_a_few_steps_of_training_make_a_folder_that_loads(
    checker: StableDiffusionSafetyChecker, tmp_path: Path
) -> None:
    train_describer(checker, tmp_path / "work", tmp_path / "describer", steps=2, batch=FRESH + 2)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "describer", dtype=torch.float32)
    assert AutoTokenizer.from_pretrained(tmp_path / "describer").get_vocab() == new_tokenizer().get_vocab()
    assert AutoImageProcessor.from_pretrained(tmp_path / "describer").size["height"] == SIDE
    assert set(measure(model.eval(), count=4)) == {"subject", "colour", "ground", "time", "style"}


@pytest.mark.parametrize(("held_out", "subject", "colour"), [(False, 0.82, 0.93), (True, 0.7, 0.85)])
def test_the_shipped_one_sees_subject_and_colour(held_out: bool, subject: float, colour: float) -> None:
    """Held out are combinations of subject, colour and ground that were never taught."""
    model = AutoModelForImageTextToText.from_pretrained(FOLDER, dtype=torch.float32).eval()
    shares = measure(model, count=150, held_out=held_out)
    assert shares["subject"] >= subject
    assert shares["colour"] >= colour
