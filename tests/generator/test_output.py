from __future__ import annotations

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator import output
from storage import pictures
from storage.contract import GenerationRequest

IMAGE = PIL.Image.new("RGB", (8, 8), "red")


@given(
    prompt=st.text(st.characters(exclude_categories=["Cs"])),
    seed=st.integers(0, 2**32 - 1),
    index=st.integers(0, 3),
    guidance=st.floats(0, 50),
)
def test_an_image_of_a_grid_comes_back_as_a_request_for_itself(
    prompt: str, seed: int, index: int, guidance: float
) -> None:
    request = GenerationRequest(
        prompt=prompt, negative_prompt="ü", width=128, height=96, seed=seed, guidance_scale=guidance
    )
    again = output.read_request(output.encode(IMAGE, request, index))
    assert again.seed == (seed + index) % 2**32
    assert again.num_images_per_prompt == 1
    assert again.model_copy(update={"seed": seed, "num_images_per_prompt": 4}) == request


def test_an_image_of_a_sameseed_grid_remembers_its_grid() -> None:
    request = GenerationRequest(prompt="a fox", width=64, height=32, seed=9, sameseed=True)
    assert output.read_request(output.encode(IMAGE, request, 2)) == request


def test_other_programs_find_what_they_look_for() -> None:
    request = GenerationRequest(prompt="a fox", negative_prompt="snow", width=64, height=32, seed=9)
    text = pictures.read_parameters(output.encode(IMAGE, request, 1))["parameters"]
    assert text == (
        "a fox\nNegative prompt: snow\n"
        "Steps: 20, Sampler: ddim, CFG scale: 5.0, Seed: 10, Size: 64x32, Model: picturebook"
    )


@pytest.mark.parametrize("text", ["", "{}", '{"version": 2}', "nonsense"])
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="parameters"):
        output.read_request(pictures.png_bytes(IMAGE, {"easel": text} if text else {}))
