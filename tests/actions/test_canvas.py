"""What zooms, pans and regions are drawn on."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from actions import canvas as canvases
from actions.canvas import Canvas, Direction, NothingToDraw, PaintedShape, RegionEmpty, RegionTooLarge
from tests.prompts.catalogs import SIZES, catalog

ENTRY = catalog()["picturebook"]
SQUARE_ALONE = ENTRY.model_copy(update={"sizes": ((64, 64),)})


def gradient(size: tuple[int, int]) -> Image.Image:
    """A picture no two places of which are alike."""
    across = np.linspace(40, 250, size[0])[None, :].repeat(size[1], 0)
    down = np.linspace(40, 250, size[1])[:, None].repeat(size[0], 1)
    return Image.fromarray(np.stack([across, down, (across + down) / 2], -1).astype(np.uint8))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32)


@pytest.mark.parametrize(("factor", "side"), [(2.0, 64), (1.5, 85), (1.0001, 128)])
def test_a_zoom_puts_the_picture_in_the_middle(factor: float, side: int) -> None:
    if side == 128:
        with pytest.raises(NothingToDraw):
            canvases.zoomed((128, 128), (128, 128), factor)
        return
    canvas = canvases.zoomed((128, 128), (128, 128), factor)
    left, top, right, bottom = canvas.box
    assert (right - left, bottom - top) == (side, side)
    assert abs((left + right) - 128) <= 1
    assert left == top


def test_a_zoom_may_reshape() -> None:
    canvas = canvases.zoomed((128, 128), (192, 80), 1.0)
    assert canvas == Canvas((192, 80), (56, 0, 136, 80))


@pytest.mark.parametrize(
    ("direction", "size", "box"),
    [
        (Direction.LEFT, (192, 128), (64, 0, 192, 128)),
        (Direction.RIGHT, (192, 128), (0, 0, 128, 128)),
        (Direction.UP, (128, 192), (0, 64, 128, 192)),
        (Direction.DOWN, (128, 192), (0, 0, 128, 128)),
    ],
)
def test_a_pan_grows_to_its_side(
    direction: Direction, size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    assert canvases.panned((128, 128), ENTRY, direction) == Canvas(size, box)


@pytest.mark.parametrize("direction", Direction)
def test_a_pan_moves_where_the_model_has_no_longer_size(direction: Direction) -> None:
    x, y = direction.value
    canvas = canvases.panned((64, 64), SQUARE_ALONE, direction)
    assert canvas == Canvas((64, 64), (-32 * x, -32 * y, 64 - 32 * x, 64 - 32 * y))
    sheet, mask = canvas.compose(gradient((64, 64)))
    assert np.isclose((pixels(mask) == 255).mean(), 0.5)
    kept = pixels(mask) == 0
    moved = np.roll(pixels(gradient((64, 64))), (-32 * y, -32 * x), (0, 1))
    assert np.abs(pixels(sheet) - moved)[kept].max() == 0


sizes = st.sampled_from(SIZES)


@given(image=sizes, direction=st.sampled_from(Direction))
def test_every_pan_keeps_part_of_the_picture_and_adds_to_it(
    image: tuple[int, int], direction: Direction
) -> None:
    canvas = canvases.panned(image, ENTRY, direction)
    left, top, right, bottom = canvas.box
    assert (right - left, bottom - top) == image
    check(canvas, image)


@given(directions=st.lists(st.sampled_from(Direction), min_size=1, max_size=8), image=sizes)
def test_pans_go_on_without_end(directions: list[Direction], image: tuple[int, int]) -> None:
    """Sheets stay within what a model can draw, and their shapes within its longest."""
    own = max(width * height for width, height in ENTRY.sizes)
    longest = max(max(size) / min(size) for size in ENTRY.sizes)
    for direction in directions:
        canvas = canvases.panned(image, ENTRY, direction)
        width, height = canvas.size
        assert width * height <= canvases.MOST_PIXELS * own
        assert width % canvases.ALIGN == height % canvases.ALIGN == 0
        assert max(canvas.size) / min(canvas.size) <= max(longest, max(image) / min(image)) * 1.15
        left, _, right, _ = canvas.box
        shrunk = (right - left) / image[0]
        larger = image[0] * image[1] * canvases.GROWTH > 0.8 * canvases.MOST_PIXELS * own
        assert shrunk == 1 or (larger and shrunk > 0.6)
        image = canvas.size


@given(image=sizes)
def test_a_square_keeps_the_old_pixels_at_their_size(image: tuple[int, int]) -> None:
    own = max(width * height for width, height in ENTRY.sizes)
    if image[0] != image[1] and max(image) ** 2 <= canvases.MOST_PIXELS * own:
        canvas = canvases.squared(image, ENTRY)
        left, top, right, bottom = canvas.box
        assert canvas.size == (max(image), max(image))
        assert (right - left, bottom - top) == image


def test_a_square_of_a_long_picture_is_bounded() -> None:
    canvas = canvases.squared((256, 64), ENTRY)
    assert canvas.size[0] * canvas.size[1] <= canvases.MOST_PIXELS * 128 * 160
    left, _, right, _ = canvas.box
    assert right - left == canvas.size[0] < 256


@given(image=sizes, size=sizes, factor=st.floats(1.2, 2))
def test_every_zoom_keeps_the_whole_picture(
    image: tuple[int, int], size: tuple[int, int], factor: float
) -> None:
    canvas = canvases.zoomed(image, size, factor)
    left, top, right, bottom = canvas.box
    assert left >= 0
    assert top >= 0
    assert right <= size[0]
    assert bottom <= size[1]
    assert abs((right - left) * image[1] - (bottom - top) * image[0]) <= max(image)
    check(canvas, image)


def check(canvas: Canvas, image: tuple[int, int]) -> None:
    sheet, mask = canvas.compose(gradient(image))
    left, top, right, bottom = canvas.box
    assert sheet.size == mask.size == canvas.size
    white = pixels(mask) == 255
    inside = np.zeros_like(white)
    inside[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    assert (white != inside).all()
    assert 0.1 < white.mean() < 0.99
    placed = gradient(image).resize((right - left, bottom - top), Image.Resampling.LANCZOS)
    whole = Image.new("RGB", canvas.size)
    whole.paste(placed, (left, top))
    assert np.abs(pixels(sheet) - pixels(whole))[inside].max() == 0
    assert pixels(sheet)[white].min() > 20, "the rest is filled"


def test_what_is_around_continues_the_edges() -> None:
    sheet, _ = canvases.panned((128, 128), ENTRY, Direction.RIGHT).compose(gradient((128, 128)))
    assert np.abs(pixels(sheet)[:, 127] - pixels(sheet)[:, 134]).mean() < 6


def test_what_is_around_is_the_smoother_the_further_it_is() -> None:
    stripes = Image.fromarray(np.tile(np.repeat([40, 200], 16).astype(np.uint8), (128, 4)))
    sheet, _ = canvases.panned((128, 128), ENTRY, Direction.DOWN).compose(stripes)
    near, far = (np.ptp(pixels(sheet)[line, 8:-8].astype(int), axis=0).max() for line in (130, 190))
    assert near > 100
    assert far < near / 2


def test_places_are_ninths() -> None:
    mask = pixels(canvases.region((90, 60), [1, 9], None))
    assert mask[:20, :30].min() == 255
    assert mask[40:, 60:].min() == 255
    assert mask.mean() == pytest.approx(255 * 2 / 9)


def test_nothing_chosen_or_nearly_all_is_refused() -> None:
    with pytest.raises(RegionEmpty):
        canvases.region((64, 64), [], None)
    with pytest.raises(RegionTooLarge):
        canvases.region((64, 64), range(1, 10), None)


def painted(original: Image.Image, box: tuple[int, int, int, int], colour: str = "magenta") -> Image.Image:
    copy = original.copy()
    ImageDraw.Draw(copy).ellipse(box, fill=colour)
    return copy


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue())).convert("RGB")


@pytest.mark.parametrize("quality", [95, 80])
@pytest.mark.parametrize("times", [1, 3])
def test_what_was_painted_is_found_whatever_the_phone_did(quality: int, times: int) -> None:
    original = gradient((128, 96))
    shown = original.resize((128 * times, 96 * times), Image.Resampling.LANCZOS)
    copy = jpeg(painted(shown, (32 * times, 24 * times, 96 * times, 72 * times)), quality)
    mask = pixels(canvases.region((128, 96), [], canvases.painted_over(original, copy))) > 0
    wanted = pixels(painted(Image.new("RGB", (128, 96)), (32, 24, 96, 72), "white"))[..., 0] > 0
    assert (mask & wanted).sum() > 0.98 * wanted.sum()
    assert (mask & ~wanted).sum() < 0.2 * wanted.sum()


def test_a_copy_that_was_only_saved_again_is_refused() -> None:
    original = gradient((128, 128))
    differs = canvases.painted_over(original, jpeg(original, 60))
    with pytest.raises(canvases.RegionTooSmall):
        canvases.region((128, 128), [], differs)


def test_a_copy_of_another_picture_is_refused() -> None:
    differs = canvases.painted_over(gradient((128, 128)), Image.new("RGB", (512, 512), "blue"))
    with pytest.raises(RegionTooLarge):
        canvases.region((128, 128), [], differs)


def test_a_cropped_copy_is_refused() -> None:
    with pytest.raises(PaintedShape):
        canvases.painted_over(gradient((128, 128)), Image.new("RGB", (128, 100)))
