"""Jobs about pictures that members brought, and jobs that find words: from the claim to their end."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import PIL.Image
import pytest

from generator.worker import blend, output
from generator.worker.attempt import error_code
from generator.worker.inputs import SourceImages
from storage.contract import Action, Control, ErrorCode, GenerationRequest, JobState, Reference, Role, Task
from storage.errors import SourceWithheld
from storage.images import INCOMING
from storage.tables import Delivery
from tests.generator.test_tasks import attempt_at, finished
from tests.generator.working import Place

RED, BLUE = (255, 0, 0), (0, 0, 255)


def bring(place: Place, colour: str = "red", folder: str = INCOMING, size: tuple[int, int] = (80, 64)) -> str:
    """A picture in the store, as the bot keeps those that members bring."""
    out = io.BytesIO()
    PIL.Image.new("RGB", size, colour).save(out, "PNG")
    key = f"{folder}{colour}.png"
    place.backends.images.save(key, out.getvalue())
    return key


def result_of(place: Place, job_id: int) -> dict[str, Any]:
    job = place.job(job_id)
    assert job.state == JobState.SUCCEEDED, job.error_detail
    assert job.result is not None
    return job.result


def test_a_description_is_four_prompts_and_no_picture(place: Place) -> None:
    wish = {"task": Task.DESCRIBE, "action": Action.DESCRIBE, "source_key": bring(place), "prompt": ""}
    first = finished(place, **wish)
    found = result_of(place, first)["prompts"]
    assert len(set(found)) == 4
    assert place.images(first) == []
    assert {"queued_ms", "load_ms", "run_ms"} <= set(place.job(first).timings)
    with place.backends.database.reading() as session:
        assert session.query(Delivery).filter_by(job_id=first, kind="result").count() == 1
    assert result_of(place, finished(place, **wish))["prompts"] == found
    assert result_of(place, finished(place, **wish, seed=5))["prompts"] != found


def test_a_shortened_prompt_has_weights(place: Place) -> None:
    job_id = finished(place, task=Task.SHORTEN, action=Action.SHORTEN, prompt="a red castle at night")
    found = result_of(place, job_id)
    assert [word for word, _ in found["weights"]] == ["a", "red", "castle", "at", "night"]
    assert max(weight for _, weight in found["weights"]) == 1
    assert len(found["prompts"]) == 4
    assert place.images(job_id) == []


def test_a_blend_draws_what_its_pictures_show(place: Place) -> None:
    keys = (bring(place, "red"), bring(place, "blue"))
    job_id = finished(
        place, task=Task.IMAGE_TO_IMAGE, action=Action.BLEND, source_keys=keys, prompt="", strength=0.8
    )
    said = result_of(place, job_id)["prompts"]
    assert len(said) == 2
    (first, *others) = place.images(job_id)
    assert len(others) == 3
    drawn = output.read_request(place.backends.images.load(first.key))
    assert drawn.prompt == ", ".join(said)
    assert ["".join(phrase.text for phrase in part.phrases) for part in drawn.parts] == said


@pytest.mark.parametrize("wish", ["references", "control"])
def test_an_unsafe_picture_steers_nothing(place: Place, wish: str) -> None:
    key = bring(place)
    steered = {
        "references": (Reference(role=Role.STYLE, keys=(key,)),),
        "control": Control(kind="edges", key=key),
    }
    job_id = finished(place, model="strict", **{wish: steered[wish]})
    assert place.job(job_id).error_code == ErrorCode.SOURCE_WITHHELD


def test_a_variation_of_a_blend_keeps_its_words_and_begins_with_its_picture(place: Place) -> None:
    keys = (bring(place, "red"), bring(place, "blue"))
    wish: dict[str, Any] = {"task": Task.IMAGE_TO_IMAGE, "source_keys": keys, "prompt": "", "strength": 0.3}
    blended = place.images(finished(place, **wish))[0]
    varied = place.images(finished(place, **wish, parent_image_id=blended.id, seed=7))[0]
    read = [output.read_request(place.backends.images.load(image.key)) for image in (blended, varied)]
    assert read[0].prompt == read[1].prompt != ""
    images = [np.asarray(load(place, image.key), np.float32) for image in (blended, varied)]
    mean = np.asarray(blend.mean([load(place, key) for key in keys], (64, 64)), np.float32)
    assert np.abs(images[1] - images[0]).mean() < np.abs(images[1] - mean).mean()


def load(place: Place, key: str) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(place.backends.images.load(key))).convert("RGB")


def test_words_of_its_members_own_are_not_overwritten(place: Place) -> None:
    keys = (bring(place, "red"), bring(place, "blue"))
    job_id = finished(place, task=Task.IMAGE_TO_IMAGE, source_keys=keys, prompt="a fox", strength=0.8)
    assert place.job(job_id).result is None
    assert output.read_request(place.backends.images.load(place.images(job_id)[0].key)).prompt == "a fox"


def test_a_blend_begins_with_the_mean_of_its_pictures(place: Place) -> None:
    """It is what the mean by itself gives with the same words."""
    images = [PIL.Image.new("RGB", (80, 64), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    blend.mean(images, (64, 64)).save(out, "PNG")
    place.backends.images.save("composed/mean.png", out.getvalue())
    wish: dict[str, Any] = {"task": Task.IMAGE_TO_IMAGE, "strength": 0.5}
    keys = (bring(place, "red"), bring(place, "blue"))
    job_id = finished(place, source_keys=keys, prompt="", **wish)
    worded = output.read_request(place.backends.images.load(place.images(job_id)[0].key))
    wish |= {"prompt": worded.prompt, "parts": worded.parts}
    blended = drawn(place, job_id)
    alike = drawn(place, finished(place, source_key="composed/mean.png", **wish))
    other = drawn(place, finished(place, source_key=keys[0], **wish))
    assert np.abs(blended - alike).max() == 0
    assert np.abs(blended - other).mean() > 1


def drawn(place: Place, job_id: int) -> np.ndarray[Any, Any]:
    assert place.job(job_id).state == JobState.SUCCEEDED, place.job(job_id).error_detail
    data = place.backends.images.load(place.images(job_id)[0].key)
    return np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"), np.float32)


def test_the_mean_of_pictures_weighs_each_alike() -> None:
    three = [PIL.Image.new("RGB", size, colour) for size, colour in (((60, 30), RED), ((9, 90), BLUE))]
    three.append(PIL.Image.new("RGB", (30, 30), (0, 255, 0)))
    mean = blend.mean(three, (24, 16))
    assert mean.size == (24, 16)
    assert all(abs(channel - 85) <= 1 for channel in mean.getpixel((3, 3)))  # type: ignore[union-attr]


def test_pictures_are_cut_to_shape_and_not_squeezed() -> None:
    wide = PIL.Image.new("RGB", (90, 30), "white")
    wide.paste(PIL.Image.new("RGB", (30, 30), BLUE), (30, 0))
    assert blend.fitted(wide, (30, 30)).getcolors() == [(900, BLUE)]


BROUGHT: list[dict[str, Any]] = [
    {"task": Task.IMAGE_TO_IMAGE, "source_key": f"{INCOMING}red.png"},
    {"task": Task.DESCRIBE, "source_key": f"{INCOMING}red.png", "prompt": ""},
    {"task": Task.IMAGE_TO_IMAGE, "source_keys": (f"{INCOMING}red.png", f"{INCOMING}blue.png"), "prompt": ""},
    {"task": Task.UPSCALE, "source_key": f"{INCOMING}red.png", "scale": 2, "num_images_per_prompt": 1},
]


@pytest.mark.parametrize("wish", BROUGHT, ids=["image prompt", "describe", "blend", "upscale"])
def test_nothing_is_made_of_an_unsafe_picture(place: Place, wish: dict[str, Any]) -> None:
    for colour in ("red", "blue"):
        bring(place, colour)
    job_id = finished(place, model="strict", **wish)
    job = place.job(job_id)
    assert job.state == JobState.FAILED
    assert job.error_code == ErrorCode.SOURCE_WITHHELD
    assert job.attempts == 1
    assert job.result is None
    assert place.images(job_id) == []


@pytest.mark.parametrize("wish", BROUGHT, ids=["image prompt", "describe", "blend", "upscale"])
def test_a_picture_that_is_gone_fails_at_once(place: Place, wish: dict[str, Any]) -> None:
    job = place.job(finished(place, **wish))
    assert (job.state, job.error_code, job.attempts) == (JobState.FAILED, ErrorCode.SOURCE_MISSING, 1)


def test_what_the_bot_composed_of_checked_pictures_is_not_checked_again(place: Place) -> None:
    key = bring(place, "red", "composed/")
    job_id = finished(place, model="strict", task=Task.IMAGE_TO_IMAGE, source_key=key)
    assert place.job(job_id).state == JobState.WITHHELD


def test_a_job_whose_cancel_came_first_says_nothing(place: Place) -> None:
    job_id = place.ask(task=Task.DESCRIBE, source_key=bring(place), prompt="")
    attempt = attempt_at(place)
    attempt.cancel()
    attempt.run()
    assert place.job(job_id).state == JobState.CANCELLED
    assert place.job(job_id).result is None


def test_error_codes() -> None:
    assert error_code(SourceWithheld("incoming/x.png")) is ErrorCode.SOURCE_WITHHELD


def test_requests_need_their_sources() -> None:
    plain: dict[str, Any] = {"prompt": "", "width": 64, "height": 64, "seed": 1}
    for task in (Task.DESCRIBE, Task.IMAGE_TO_IMAGE, Task.UPSCALE):
        with pytest.raises(ValueError, match="needs parent_image_id, source_key or source_keys"):
            GenerationRequest(task=task, **plain)
    with pytest.raises(ValueError, match="source_keys"):
        GenerationRequest(task=Task.IMAGE_TO_IMAGE, source_keys=("incoming/a.png",) * 6, **plain)
    GenerationRequest(task=Task.SHORTEN, **plain)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_source_is_taken_upright_and_on_white(place: Place, kind: str) -> None:
    image = PIL.Image.new("RGBA" if kind == "PNG" else "RGB", (64, 32), (255, 0, 0))
    if kind == "PNG":
        image.paste((0, 0, 0, 0), (0, 0, 32, 32))
    exif = image.getexif()
    exif[0x0112] = 6  # turned to the right
    out = io.BytesIO()
    image.save(out, kind, exif=exif)
    place.backends.images.save("inputs/turned.png", out.getvalue())
    wish = {"task": Task.UPSCALE, "scale": 2, "width": 64, "height": 128, "seed": 1, "prompt": ""}
    request = GenerationRequest.model_validate({"source_key": "inputs/turned.png", "model": "plain", **wish})
    source = SourceImages(request, place.backends.images, lambda _: False, str).source()
    assert source is not None
    assert (source.mode, source.size) == ("RGB", (32, 64))
    top, bottom = source.getpixel((16, 5)), source.getpixel((16, 60))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    if kind == "PNG":
        assert (top, bottom) == ((255, 255, 255), (255, 0, 0))
    else:
        assert np.abs(np.subtract(top, RED)).max() < 8


@pytest.mark.parametrize("wish", [{"source_key": "inputs/gone.png"}, {"source_key": "inputs/broken.png"}])
@pytest.mark.parametrize("task", [Task.IMAGE_TO_IMAGE, Task.INPAINTING, Task.UPSCALE])
def test_a_source_that_cannot_be_read_is_missing(place: Place, wish: dict[str, str], task: Task) -> None:
    place.backends.images.save("inputs/broken.png", b"\x89PNG\r\n\x1a\n nothing behind it")
    mask = {"mask_key": bring(place, "red", "inputs/")} if task is Task.INPAINTING else {}
    job_id = finished(place, task=task, scale=2, **wish, **mask)
    job = place.job(job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, ErrorCode.SOURCE_MISSING.value)


def test_a_mask_that_is_gone_is_missing_too(place: Place) -> None:
    job_id = finished(place, task=Task.INPAINTING, source_key=bring(place), mask_key="inputs/none.png")
    assert place.job(job_id).error_code == ErrorCode.SOURCE_MISSING.value
