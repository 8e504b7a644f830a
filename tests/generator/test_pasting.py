"""What a mask leaves alone comes back to the last bit, and no seam shows where old and new meet."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import PIL.Image
import pytest

from generator.conditioning import compositing
from generator.worker import output
from storage import image_encoding
from storage.contract import JobState, Task
from tests.generator.sharing import noisy
from tests.generator.test_tasks import finished
from tests.generator.working import Place


def masked(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (128, 128)) -> PIL.Image.Image:
    """White in the boxes (left, top, right, bottom)."""
    mask = PIL.Image.new("L", size)
    for box in boxes:
        mask.paste(255, box)
    return mask


def steps(values: np.ndarray[Any, Any], axis: int) -> np.ndarray[Any, Any]:
    """Mean differences between neighbouring lines or columns."""
    means: np.ndarray[Any, Any] = np.abs(np.diff(values.astype(float), axis=axis)).mean(axis=(1 - axis, 2))
    return means


@pytest.mark.parametrize(
    "mask",
    [
        masked((0, 0, 64, 128)),
        masked((40, 40, 90, 90)),
        masked((0, 0, 128, 30), (0, 98, 128, 128)),
        masked((5, 5, 6, 6)),
        masked((0, 0, 512, 200), size=(512, 768)),
    ],
)
def test_new_inside_old_outside_and_a_short_way_between(mask: PIL.Image.Image) -> None:
    old, new = PIL.Image.new("RGB", mask.size, "black"), PIL.Image.new("RGB", mask.size, "white")
    found = np.asarray(compositing.composite(new, old, mask))[..., 0]
    white = np.asarray(mask) == 255
    assert (found[white] == 255).all()
    reach = compositing.feather(mask.size)
    beyond = np.asarray(PIL.Image.fromarray(compositing._grown(np.asarray(mask), reach))) == 0
    assert (found[beyond] == 0).all()
    between = found[~white & ~beyond]
    assert len(between)
    assert ((between > 0) & (between < 255)).any()
    if white[:, 0].all():  # a straight border
        assert np.abs(np.diff(found[64].astype(int))).max() <= 255 / reach + 2


def test_nothing_masked_is_the_old_picture_and_everything_the_new_one() -> None:
    old, new = noisy(1, (96, 64)), noisy(2, (96, 64))
    assert compositing.composite(new, old, masked(size=(96, 64))).tobytes() == old.tobytes()
    whole = masked((0, 0, 96, 64), size=(96, 64))
    assert compositing.composite(new, old, whole).tobytes() == new.tobytes()


def test_the_model_draws_below_the_feather_and_each_latent_that_is_touched() -> None:
    drawn = np.asarray(compositing.grow_mask(masked((40, 40, 41, 41), (100, 0, 128, 128))))
    assert set(np.unique(drawn)) == {0, 255}
    assert (drawn[32:49, 32:49] == 255).all()
    assert (drawn[:, 92:] == 255).all()
    assert (drawn[:30, :90] == 0).all()


def test_a_regions_mask_is_as_soft_as_its_feather() -> None:
    mask = masked((40, 40, 90, 90))
    soft, reach = compositing.soft_mask(mask), compositing.soft_feather(mask.size)
    line = np.asarray(soft)[64].astype(int)
    assert (line[40:90] == 255).all()
    assert (line[: 40 - reach] == 0).all()
    assert (np.diff(line[40 - reach : 41]) > 0).all()
    black, white = PIL.Image.new("RGB", mask.size, "black"), PIL.Image.new("RGB", mask.size, "white")
    found = np.asarray(compositing.composite(white, black, mask, soft=True))[64, :, 0]
    assert np.abs(found.astype(int) - line).max() <= 1


def test_another_size_of_source_or_mask_is_made_to_fit() -> None:
    new, old = noisy(2, (128, 128)), noisy(1, (64, 64))
    found = compositing.composite(new, old, masked((0, 0, 32, 64), size=(64, 64)))
    assert found.size == (128, 128)
    fitted = np.asarray(old.resize((128, 128), PIL.Image.Resampling.LANCZOS))
    assert (np.asarray(found)[:, 72:] == fitted[:, 72:]).all()
    assert np.abs(np.asarray(found, int)[:, :60] - np.asarray(new)[:, :60]).mean() < 10


@pytest.fixture
def canvas(place: Place) -> tuple[Place, PIL.Image.Image, PIL.Image.Image]:
    """A zoom's sheet and mask in the store, of the size that is asked for."""
    sheet, mask = noisy(4, (64, 64)), masked((0, 0, 64, 64), size=(64, 64))
    mask.paste(0, (12, 12, 52, 52))
    place.backends.images.save("inputs/1/canvas.png", image_encoding.png_bytes(sheet))
    place.backends.images.save("inputs/1/mask.png", image_encoding.png_bytes(mask))
    return place, sheet, mask


INPAINTING: dict[str, Any] = {
    "task": Task.INPAINTING,
    "source_key": "inputs/1/canvas.png",
    "mask_key": "inputs/1/mask.png",
    "num_inference_steps": 4,
}


def results(place: Place, job_id: int) -> list[np.ndarray[Any, Any]]:
    assert place.job(job_id).state == JobState.SUCCEEDED, place.job(job_id).error_detail
    loaded = [place.backends.images.load(each.key) for each in place.images(job_id)]
    assert all(output.read_request(data).task is Task.INPAINTING for data in loaded)
    return [np.asarray(PIL.Image.open(io.BytesIO(data))) for data in loaded]


def test_an_inpainting_job_keeps_the_old_pixels(
    canvas: tuple[Place, PIL.Image.Image, PIL.Image.Image],
) -> None:
    place, sheet, _ = canvas
    old = np.asarray(sheet)
    reach = compositing.feather(sheet.size)
    for found in results(place, finished(place, **INPAINTING)):
        inside = slice(12 + reach, 52 - reach)
        assert (found[inside, inside] == old[inside, inside]).all()
        assert np.abs(found[:10].astype(int) - old[:10]).mean() > 10, "and something was drawn around it"


def test_no_seam_shows_where_the_model_shifts_the_colours() -> None:
    """A decoded picture is never quite as bright as it was: the difference is spread over the feather."""
    column = np.linspace(60, 180, 128)
    old = np.broadcast_to(column[None, :, None], (128, 128, 3)).astype(np.uint8)
    new = (old + 24).astype(np.uint8)
    mask = masked((0, 0, 50, 128), (90, 0, 128, 128))
    edge = masked((10, 0, 128, 128))
    found = np.asarray(compositing.composite(PIL.Image.fromarray(new), PIL.Image.fromarray(old), mask))
    hard = np.where(np.asarray(mask)[..., None] == 255, new, old)
    assert steps(hard, 1).max() > 20
    assert steps(found, 1).max() <= 4
    far = np.abs(
        np.asarray(compositing.composite(PIL.Image.fromarray(new), PIL.Image.fromarray(old), edge), int) - new
    )
    assert far[:, 80:].max() <= 1, "far from the border the drawing is as it was"


def test_what_differs_is_no_matter_of_tone() -> None:
    """A red wall that ends at a meadow gives no red to it."""
    wall, meadow = PIL.Image.new("RGB", (128, 128), "red"), PIL.Image.new("RGB", (128, 128), "green")
    found = compositing.composite(meadow, wall, masked((0, 0, 64, 128)))
    assert found.getpixel((60, 64)) == meadow.getpixel((60, 64))
