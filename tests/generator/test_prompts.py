from __future__ import annotations

from pathlib import Path

import pytest
import torch

from generator.conditioning import wording
from generator.conditioning.prompts import Embedding, PromptCache
from generator.conditioning.tokens import Text
from generator.conditioning.wording import Lexicon
from generator.engine import Engine
from storage.catalog import ModelEntry
from storage.contract import GenerationRequest
from tests.generator.reference import difference

STYLE = "vivid, ornate"


def asked(stylize: int, **wish: object) -> GenerationRequest:
    fields = {"prompt": "a cat", "width": 64, "height": 64, "seed": 3, "num_inference_steps": 3}
    return GenerationRequest.model_validate(
        {**fields, "num_images_per_prompt": 1, "stylize": stylize, **wish}
    )


@pytest.fixture(scope="module")
def entry(sd_folder: Path) -> ModelEntry:
    return ModelEntry(name="m", title="M", source=str(sd_folder), sizes=((64, 64),), style_words=STYLE)


@pytest.mark.parametrize("folder", ["sd_folder", "sdxl_folder"])
def test_stylize_nought_is_the_bare_prompt_and_more_is_further_from_it(
    request: pytest.FixtureRequest, folder: str, entry: ModelEntry
) -> None:
    source = str(request.getfixturevalue(folder))
    with Engine.open(source, device="cpu") as plain, Engine.open(source, device="cpu", entry=entry) as styled:
        bare = plain.submit(asked(0)).result()
        assert difference(bare, styled.submit(asked(0)).result()) == 0
        assert difference(bare, plain.submit(asked(1000)).result()) == 0, "a model without style words"
    cache, lexicon = styled.family.prompts, Lexicon(style=STYLE)
    with torch.inference_mode():
        embeddings = [
            wording.positive(asked(stylize), lexicon, cache)[0] for stylize in (0, 10, 100, 250, 1000)
        ]
        distances = [float((each.tokens - cache["a cat"].tokens).norm()) for each in embeddings]
    assert distances[0] == 0
    assert distances == sorted(set(distances))


def test_full_stylize_is_four_fifths_of_the_way(sd_folder: Path, entry: ModelEntry) -> None:
    with Engine.open(str(sd_folder), device="cpu", entry=entry) as engine, torch.inference_mode():
        cache = engine.family.prompts
        (full,) = wording.positive(asked(1000), Lexicon(style=STYLE), cache)
        expected = torch.lerp(cache["a cat"].tokens, cache[f"a cat, {STYLE}"].tokens, 0.8)
        assert torch.equal(full.tokens, expected)


def test_a_prompt_is_encoded_once_until_it_is_long_forgotten() -> None:
    encoded: list[str] = []

    def encode(prompt: Text) -> Embedding:
        encoded.append(str(prompt))
        return Embedding(torch.zeros(1, 2, 3))

    cache = PromptCache(encode, size=2)
    for prompt in ("a", "b", "a", "c", "a", "b"):
        cache[prompt]
    assert encoded == ["a", "b", "c", "b"]
