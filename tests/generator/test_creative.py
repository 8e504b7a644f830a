"""The second diffusion of an upscale: whole where the model can take it, else in pieces without a seam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image
import pytest

from generator.conditioning import prompt_embeds, tiled_img2img
from generator.conditioning.prompt_embeds import ModelPhrases
from generator.conditioning.tiled_img2img import Tile
from generator.worker import output
from storage.contract import GenerationRequest, JobState, Task
from tests.generator.sharing import noisy
from tests.generator.test_tasks import attempt_at, finished, running
from tests.generator.working import LONG, Place, wait_for

SIZES = ((64, 64), (96, 64))
SIDE = 152
"""Twice the side of a square as large as 96 × 64, in whole latents."""


def asked(**wish: Any) -> GenerationRequest:
    fields = {
        "task": Task.UPSCALE,
        "parent_image_id": 1,
        "prompt": "a cat",
        "width": 128,
        "height": 128,
        "scale": 2,
        "seed": 2**32 - 1,
        "creativity": 0.3,
    }
    return GenerationRequest.model_validate(fields | wish)


class Drawn:
    """Returns every piece a little brighter, and remembers what was asked for."""

    def __init__(self, brighter: int = 0) -> None:
        self.pieces: list[Tile] = []
        self._brighter = brighter

    def __call__(self, pieces: Sequence[Tile]) -> list[PIL.Image.Image]:
        self.pieces = list(pieces)
        return [piece.image.point(lambda value: value + self._brighter) for piece in pieces]


def test_what_the_model_can_take_is_drawn_whole() -> None:
    drawn = Drawn()
    image = noisy(size=(128, 96))
    assert tiled_img2img.tiled_img2img(image, asked(tile=True), SIZES, drawn).tobytes() == image.tobytes()
    ((request, given),) = drawn.pieces
    assert given.size == (request.width, request.height) == (128, 96)
    assert request.task is Task.IMAGE_TO_IMAGE
    assert (request.seed, request.tile) == (2**32 - 1, True)
    assert request.num_images_per_prompt == 1


def test_what_is_larger_than_the_models_own_is_drawn_more_lightly() -> None:
    drawn = Drawn()
    strengths = []
    for size in ((64, 64), (96, 64), (128, 96), (152, 152), (512, 512)):
        tiled_img2img.tiled_img2img(noisy(size=size), asked(guidance_scale=4), SIZES, drawn)
        strengths.append({piece.request.strength for piece in drawn.pieces})
        assert {piece.request.guidance_scale for piece in drawn.pieces} == {tiled_img2img.MOST_GUIDANCE}
    small, own, large, largest, cut = (strength for (strength,) in strengths)
    assert small == own == 0.3
    assert own > large > largest == pytest.approx(0.15, rel=0.05)
    assert cut == largest


@pytest.mark.parametrize("tile", [False, True])
@pytest.mark.parametrize("size", [(256, 256), (512, 128), (200, 153), (97, 400)])
def test_pieces_cover_a_larger_picture(size: tuple[int, int], tile: bool) -> None:
    drawn = Drawn()
    image = noisy(size=size)
    found = tiled_img2img.tiled_img2img(image, asked(tile=tile), SIZES, drawn)
    assert np.abs(np.asarray(found, int) - np.asarray(image, int)).max() <= 1
    assert len(drawn.pieces) > 1
    for request, given in drawn.pieces:
        assert given.size == (request.width, request.height)
        assert max(given.size) <= SIDE
        assert request.width % 8 == request.height % 8 == 0
        assert not request.tile
    assert len({piece.request.seed for piece in drawn.pieces}) == len(drawn.pieces)
    assert len({piece.image.size for piece in drawn.pieces}) == 1, "they share calls"


@pytest.mark.parametrize("tile", [False, True])
def test_neighbouring_pieces_fade_into_each_other(tile: bool) -> None:
    def differently(pieces: Sequence[Tile]) -> list[PIL.Image.Image]:
        return [
            PIL.Image.new("L", piece.image.size, 60 + 40 * (index % 3)).convert("RGB")
            for index, piece in enumerate(pieces)
        ]

    found = np.asarray(
        tiled_img2img.tiled_img2img(noisy(size=(512, 96)), asked(tile=tile), SIZES, differently), int
    )
    if tile:
        found = np.concatenate([found, found[:, :1]], axis=1)
    across = np.abs(np.diff(found[..., 0], axis=1))
    assert across.max() <= 6
    assert found.max() - found.min() > 60


def upscale(place: Place, **wish: Any) -> np.ndarray[Any, Any]:
    parent = finished(place, num_images_per_prompt=1)
    (image,) = place.images(parent)
    fields = {"task": Task.UPSCALE, "scale": 2, "width": 128, "height": 128, "num_images_per_prompt": 1}
    job_id = finished(place, parent_image_id=image.id, num_inference_steps=6, **fields | wish)
    assert place.job(job_id).state == JobState.SUCCEEDED, place.job(job_id).error_detail
    (enlarged,) = place.images(job_id)
    data = place.backends.images.load(enlarged.key)
    assert output.read_request(data).task is Task.UPSCALE
    with PIL.Image.open(place.backends.images.folder / enlarged.key) as opened:
        return np.asarray(opened.convert("RGB"), float)


def test_more_creativity_is_further_from_the_faithful_picture(place: Place) -> None:
    faithful = upscale(place)
    assert (faithful == upscale(place, creativity=0.0)).all()
    light, strong = (np.abs(upscale(place, creativity=share) - faithful).mean() for share in (0.2, 0.9))
    assert faithful.shape == (128, 128, 3)
    assert 0.5 < light < strong


def test_a_large_upscale_is_drawn_in_pieces(place: Place) -> None:
    wish = {"scale": 4, "width": 256, "height": 256}
    assert np.abs(upscale(place, **wish) - upscale(place, creativity=0.5, **wish)).mean() > 0.5


def test_an_upscale_of_a_tiling_picture_tiles(place: Place) -> None:
    flat, tiling = upscale(place), upscale(place, tile=True)
    inner = slice(48, 80)
    assert np.abs(flat - tiling)[inner, inner].mean() < np.abs(flat - tiling)[:, :2].mean()


def test_it_can_be_cancelled_in_the_middle(place: Place) -> None:
    parent = finished(place, num_images_per_prompt=1)
    (image,) = place.images(parent)
    job_id = place.ask(
        task=Task.UPSCALE,
        scale=4,
        width=256,
        height=256,
        num_images_per_prompt=1,
        parent_image_id=image.id,
        num_inference_steps=LONG,
        creativity=0.9,
    )
    attempt = attempt_at(place)
    with place.hearing() as heard, running(attempt):
        wait_for(lambda: any(getattr(event, "fraction", 0) > 0.5 for event in heard))
        attempt.cancel()
    assert place.job(job_id).state == JobState.CANCELLED
    assert not place.models.engine("plain").busy


def test_all_pieces_of_a_picture_are_one_wish() -> None:
    """Neither a phrase of its own for each, by their seeds, nor a diffusion that stops halfway."""
    wish = asked(chaos=80, weird=2000, sameseed=True, stop=30, stylize=300)
    drawn = Drawn()
    tiled_img2img.tiled_img2img(noisy(size=(512, 128)), wish, SIZES, drawn)
    lexicon = ModelPhrases(style="vivid", chaos=tuple("abcdefgh"), weird=tuple("ijklmnop"))
    read = {tuple(prompt_embeds.texts(piece.request, lexicon, guided=True)) for piece in drawn.pieces}
    assert read == {("a cat", "a cat, vivid", "")}
    assert {(piece.request.stop, piece.request.sameseed) for piece in drawn.pieces} == {(100, False)}
