"""What the words ask for around a picture that goes on: nothing that it shows whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
import pytest

from generator.conditioning import surroundings
from storage.contract import GenerationRequest, Part, Phrase, Reference, Role, Task

BOXES = {
    "red castle": (slice(30, 90), slice(30, 90)),
    "castle": (slice(30, 90), slice(30, 90)),
    "green hills": (slice(80, 100), slice(0, 100)),
    "blue sky": (slice(0, 40), slice(0, 100)),
    "half a house": (slice(40, 90), slice(0, 30)),
}
ALL_AROUND = (20, 20, 120, 120)


def see(image: PIL.Image.Image, things: Sequence[str]) -> surroundings.Seen:
    """Finds what lies in a box of a picture of 100 by 100."""
    assert image.size == (100, 100)
    found = np.zeros((len(things), 100, 100), bool)
    for thing, where in zip(things, found, strict=True):
        if thing in BOXES:
            where[BOXES[thing]] = True
    return found


def asked(prompt: str, **wish: object) -> GenerationRequest:
    fields = {"task": Task.INPAINTING, "source_key": "s", "mask_key": "m", "width": 64, "height": 64}
    return GenerationRequest.model_validate({**fields, "prompt": prompt, "seed": 1, **wish})


def drawn(
    request: GenerationRequest, size: tuple[int, int], box: tuple[int, int, int, int]
) -> GenerationRequest:
    mask = PIL.Image.new("L", size, 255)
    mask.paste(0, box)
    return surroundings.of(request, PIL.Image.new("RGB", size), mask, see)


@pytest.mark.parametrize(
    ("prompt", "left"),
    [
        ("a red castle on green hills", "on green hills"),
        ("watercolor of a red castle on green hills, vivid", "watercolor on green hills, vivid"),
        ("castle, green hills", "green hills"),
        ("half a house on green hills under a blue sky", "half a house on green hills under a blue sky"),
        ("a red castle", ""),
        ("a dream", "a dream"),
        ("", ""),
    ],
)
def test_what_is_whole_is_not_asked_for_again(prompt: str, left: str) -> None:
    assert drawn(asked(prompt), (140, 140), ALL_AROUND).prompt == left


def test_what_the_open_border_cuts_goes_on_and_what_lies_behind_a_closed_one_does_not() -> None:
    words = asked("a red castle on green hills under a blue sky")
    above, below = (0, 50, 100, 150), (0, 0, 100, 100)
    assert drawn(words, (100, 150), above).prompt == "under a blue sky"
    assert drawn(words, (100, 150), below).prompt == "on green hills"


def test_weighed_parts_lose_the_same() -> None:
    castle = Part(phrases=(Phrase(text="a "), Phrase(text="red castle", emphasis=1.3)), weight=2)
    hills = Part(phrases=(Phrase(text="green hills"),))
    trees = Part(phrases=(Phrase(text="castle"),), weight=-0.5)
    request = drawn(asked("x", parts=(castle, hills, trees)), (140, 140), ALL_AROUND)
    assert request.parts == (Part(phrases=(Phrase(text="a"),), weight=2), hills, trees)
    alone = drawn(asked("red castle", parts=(castle,)), (140, 140), ALL_AROUND)
    assert alone.prompt == ""


def test_pictures_of_the_subject_are_not_read_again() -> None:
    references = tuple(Reference(role=role, keys=("k",)) for role in Role)
    request = drawn(asked("a dream", references=references), (140, 140), ALL_AROUND)
    assert [each.role for each in request.references] == [Role.STYLE]


@pytest.mark.parametrize(("asked_for", "read"), [(4.0, surroundings.MOST_GUIDANCE), (1.0, 1.0)])
def test_words_push_less_around_a_picture(asked_for: float, read: float) -> None:
    request = drawn(asked("a castle", guidance_scale=asked_for), (140, 140), ALL_AROUND)
    assert request.guidance_scale == read
