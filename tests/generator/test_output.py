from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sd_parsers import ParserManager

from generator.worker import output, weight_hashes
from generator.worker.weight_hashes import Hashes
from storage import catalog, file_hashes, image_encoding, metadata, samplers
from storage.contract import GenerationRequest, Part, Phrase

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


def _said(request: GenerationRequest, index: int = 0, hashes: Hashes = output.NO_HASHES) -> str:
    return metadata.read(output.encode(IMAGE, request, index, hashes))["parameters"]


def _request(**fields: Any) -> GenerationRequest:
    return GenerationRequest.model_validate(
        {"prompt": "a fox", "width": 64, "height": 32, "seed": 9} | fields
    )


def test_other_programs_find_what_they_look_for() -> None:
    request = _request(
        negative_prompt="snow", scheduler="dpm++2m_karras", loras=[{"name": "ink", "weight": 0.8}]
    )
    assert _said(request, 1, Hashes("0123456789", {"ink": "0123456789ab"})).startswith(
        "a fox <lora:ink:0.8>\nNegative prompt: snow\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, "
        "CFG scale: 5, Seed: 10, Size: 64x32, Model hash: 0123456789, Model: picturebook, "
        'Lora hashes: "ink: 0123456789ab", Version: Easel'
    )


def test_what_weighs_below_zero_is_no_wish() -> None:
    parts = (
        Part(
            phrases=(Phrase(text="a "), Phrase(text="green", emphasis=1.3), Phrase(text=" (boat)")), weight=2
        ),
        Part(phrases=(Phrase(text="reeds"),), weight=1),
        Part(phrases=(Phrase(text="people"),), weight=-0.5),
    )
    lines = _said(_request(prompt="…", parts=parts, negative_prompt="fog")).splitlines()
    assert lines[:2] == ["a (green:1.3) (boat), (reeds:0.5)", "Negative prompt: (people:0.25), fog"]


def test_a_begun_picture_says_how_much_of_it_is_new() -> None:
    begun = _request(task="image-to-image", source_key="incoming/a.png", strength=0.7)
    assert "Denoising strength: 0.7" in _said(begun)
    assert "Denoising" not in _said(_request())


def test_each_picture_tells_its_own_seed_also_where_its_noise_is_the_first_ones() -> None:
    assert "Seed: 11," in _said(_request(sameseed=True), 2)


def test_links_with_their_keys_stay_here() -> None:
    role = {"role": "style", "keys": ["incoming/a.png"], "links": ["https://cdn.example/a.png?key=secret"]}
    assert b"secret" not in output.encode(IMAGE, _request(references=[role]), 0)


@pytest.mark.parametrize("name", samplers.NAMES)
def test_every_sampler_is_known_elsewhere_and_read_back(name: str) -> None:
    assert samplers.from_elsewhere(*samplers.elsewhere(name)) == name


@pytest.mark.parametrize(
    ("theirs", "levels", "name"),
    [
        ("Euler a", "Automatic", "euler_a"),
        ("DPM++ 2M", "Automatic", "dpm++2m_karras"),
        ("DPM++ 2M Karras", "", "dpm++2m_karras"),
        ("dpmpp_2m", "normal", "dpm++2m"),
        ("dpmpp_2m", "karras", "dpm++2m_karras"),
        ("euler", "exponential", None),
        ("DPM adaptive", "", None),
    ],
)
def test_others_names_of_samplers(theirs: str, levels: str, name: str | None) -> None:
    assert samplers.from_elsewhere(theirs, levels) == name


@pytest.mark.parametrize("limit", [10**6, 20_000])
def test_a_reader_of_such_pictures_understands_png_and_webp(limit: int) -> None:
    parts = (Part(phrases=(Phrase(text="a "), Phrase(text="green", emphasis=1.3), Phrase(text=" boat"))),)
    request = _request(prompt="a green boat", parts=parts, negative_prompt="fog", scheduler="euler_a")
    said = output.parameters(request, Hashes("0123456789", {}))
    noise = PIL.Image.effect_noise((160, 160), 90).convert("RGB")
    data, extension = image_encoding.encode_within(noise, limit, said)
    assert extension == ("png" if limit > 100_000 else "webp")
    found = ParserManager().parse(io.BytesIO(data))
    assert found is not None
    (sampler,) = found.samplers
    assert sampler.model is not None
    assert (sampler.name, sampler.model.name, sampler.model.hash) == ("Euler a", "picturebook", "0123456789")
    assert (found.full_prompt, found.full_negative_prompt) == ("a (green:1.3) boat", "fog")
    assert {"seed": "9", "steps": "20", "cfg_scale": "5"}.items() <= sampler.parameters.items()


def test_hashes_are_those_that_others_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_hashes, "_folder", lambda: tmp_path / "hashes")
    weights, header = b"the weights", b"{}"
    (tmp_path / "model.safetensors").write_bytes(b"whole")
    (tmp_path / "ink.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + weights)
    (tmp_path / "catalog.toml").write_text(
        '[models.m]\nsource = "model.safetensors"\nsizes = [[64, 64]]\nloras = { ink = "ink.safetensors" }\n'
    )
    models = catalog.load(tmp_path / "catalog.toml")
    request = _request(model="m", loras=[{"name": "ink"}, {"name": "gone"}])
    known = Hashes(
        hashlib.sha256(b"whole").hexdigest()[:10], {"ink": hashlib.sha256(weights).hexdigest()[:12]}
    )
    assert weight_hashes.hashes_of(request, models) == known
    file_hashes._kept.cache_clear()
    monkeypatch.setattr(file_hashes, "_read", lambda *_, **__: pytest.fail("read once more"))
    assert weight_hashes.hashes_of(request, models) == known


@pytest.mark.parametrize("text", ["", "{}", '{"version": 2}', "nonsense"])
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="parameters"):
        output.read_request(image_encoding.png_bytes(IMAGE, {"easel": text} if text else {}))
