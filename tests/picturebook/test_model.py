"""The shipped weights: they load as diffusers loads them, and draw and judge as they should."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    StableDiffusionPipeline,
    UniPCMultistepScheduler,
)
from PIL import Image
from transformers import AutoTokenizer, CLIPTokenizer, Swin2SRImageProcessor

from generator.companions.upscale import Upscaler
from picturebook.dataset import pixels
from picturebook.evaluate import load_pipeline, paint, read_pictures
from picturebook.judge import Judge
from picturebook.safety import flags
from picturebook.scenes import Scene, draw, random_scene
from picturebook.tokenizer import LENGTH
from picturebook.upscaler_training import compare
from picturebook.words import all_words

FOLDER = Path(__file__).parents[2] / "picturebook"
MOST_BYTES = 48 * 2**20


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    return load_pipeline(checked=True)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load(FOLDER / "judge")


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler.load(str(FOLDER / "upscaler"), torch.device("cpu"))


def test_weights_are_small() -> None:
    folders = ("model", "loras", "upscaler", "describer", "segmenter", "judge")
    files = [file for name in folders for file in (FOLDER / name).rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES


def test_words_are_told() -> None:
    assert (FOLDER / "model" / "words.txt").read_text(encoding="utf-8").split() == all_words()


@pytest.mark.parametrize("kind", [CLIPTokenizer, AutoTokenizer])
def test_tokenizer_loads(kind: type[CLIPTokenizer]) -> None:
    tokenizer = kind.from_pretrained(FOLDER / "model" / "tokenizer")
    assert tokenizer.model_max_length == LENGTH
    assert tokenizer.tokenize("a red castle") == ["a</w>", "red</w>", "castle</w>"]


@pytest.mark.parametrize(
    "colour", ["red", *(pytest.param(each, marks=pytest.mark.exhaustive) for each in ("blue", "yellow"))]
)
def test_a_castle_has_its_colour(pipeline: StableDiffusionPipeline, judge: Judge, colour: str) -> None:
    read = read_pictures(judge, unchecked(pipeline, [f"a {colour} castle on green hills by day"] * 4))
    assert sum(row["subject"] == "castle" for row in read) >= 3
    assert sum(row["colour"] == colour for row in read) >= 3


@pytest.mark.parametrize(
    "sampler",
    [
        UniPCMultistepScheduler,
        pytest.param(DPMSolverMultistepScheduler, marks=pytest.mark.exhaustive),
        pytest.param(EulerAncestralDiscreteScheduler, marks=pytest.mark.exhaustive),
    ],
)
def test_other_samplers_draw_it_too(pipeline: StableDiffusionPipeline, judge: Judge, sampler: Any) -> None:
    usual = pipeline.scheduler
    pipeline.scheduler = sampler.from_config(usual.config)
    try:
        read = read_pictures(judge, unchecked(pipeline, ["a green tree in the snow"] * 4))
    finally:
        pipeline.scheduler = usual
    assert sum(row["subject"] == "tree" for row in read) >= 3
    assert sum(row["ground"] == "snow" for row in read) >= 3


@pytest.mark.exhaustive
def test_ground_and_time_are_heeded(pipeline: StableDiffusionPipeline, judge: Judge) -> None:
    read = read_pictures(judge, unchecked(pipeline, ["a red house in the snow at night"] * 4))
    assert sum(row["ground"] == "snow" for row in read) >= 3
    assert sum(row["time"] == "night" for row in read) >= 3


def test_same_seed_same_picture(pipeline: StableDiffusionPipeline) -> None:
    first, second = (paint(pipeline, ["a boat on the sea"], steps=4, seed=9)[0] for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_widest_size_is_drawn(pipeline: StableDiffusionPipeline) -> None:
    assert paint(pipeline, ["a boat on the sea"], (256, 64), steps=2)[0].size == (256, 64)


def test_the_autoencoder_gives_back_what_it_saw(pipeline: StableDiffusionPipeline) -> None:
    rng = random.Random(4)
    scenes = pixels([np.asarray(draw(random_scene(rng))) for _ in range(16)])
    with torch.no_grad():
        latents = pipeline.vae.encode(scenes).latent_dist.mean
        drawn = pipeline.vae.decode(latents).sample
    assert latents.shape == (16, 4, 32, 32)
    assert (drawn - scenes).abs().mean() * 127.5 < 9


def test_checker_withholds_skulls_and_passes_others(pipeline: StableDiffusionPipeline) -> None:
    rng = random.Random(8)
    bad = [draw(random_scene(rng, skulls=1.0)) for _ in range(40)]
    good = [draw(random_scene(rng, skulls=0.0)) for _ in range(80)]
    assert sum(flags(pipeline.safety_checker, bad)) >= 37
    assert sum(flags(pipeline.safety_checker, good)) <= 3


def test_pipeline_tells_of_a_skull(pipeline: StableDiffusionPipeline) -> None:
    skull = Scene("skull", "white", "hills", "day", "clear", "illustration", seed=1)
    image = np.asarray(draw(skull), np.float32)[None] / 255
    ready = pipeline.feature_extractor(draw(skull), return_tensors="pt").pixel_values
    withheld, flagged = pipeline.safety_checker(clip_input=ready, images=image.copy())
    assert flagged == [True]
    assert not withheld[0].any()


def test_upscaler_is_as_near_the_truth_as_bicubic_enlarging(upscaler: Upscaler) -> None:
    ours, bicubic = compare(lambda picture: upscaler.enlarge(picture, 4), range(900, 906))
    assert ours > bicubic - 0.3


def test_upscaler_processor_loads() -> None:
    processor = Swin2SRImageProcessor.from_pretrained(FOLDER / "upscaler")
    assert processor(Image.new("RGB", (64, 64)), return_tensors="pt").pixel_values.shape[1] == 3


def unchecked(pipeline: StableDiffusionPipeline, prompts: list[str]) -> list[Image.Image]:
    """Pictures that the safety checker has not seen."""
    checker, pipeline.safety_checker = pipeline.safety_checker, None
    try:
        return paint(pipeline, prompts, steps=12, seed=1)
    finally:
        pipeline.safety_checker = checker
