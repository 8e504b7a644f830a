from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from generator.conditioning import prompt_embeds
from generator.conditioning.prompt_embeds import ModelPhrases
from generator.conditioning.prompts import Embedding, PromptCache
from generator.conditioning.tokens import Text
from generator.engine.engine import Engine
from generator.engine.running_job import DrawRequest, RunningJob
from generator.families import loading
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest
from tests.generator.reference import difference
from tests.generator.sharing import stable_diffusion

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
    cache, lexicon = styled.family.prompts, ModelPhrases(style=STYLE)
    with torch.inference_mode():
        embeddings = [
            prompt_embeds.positive(asked(stylize), lexicon, cache)[0] for stylize in (0, 10, 100, 250, 1000)
        ]
        distances = [float((each.tokens - cache["a cat"].tokens).norm()) for each in embeddings]
    assert distances[0] == 0
    assert distances == sorted(set(distances))


def test_full_stylize_is_four_fifths_of_the_way(sd_folder: Path, entry: ModelEntry) -> None:
    with Engine.open(str(sd_folder), device="cpu", entry=entry) as engine, torch.inference_mode():
        cache = engine.family.prompts
        (full,) = prompt_embeds.positive(asked(1000), ModelPhrases(style=STYLE), cache)
        expected = torch.lerp(cache["a cat"].tokens, cache[f"a cat, {STYLE}"].tokens, 0.8)
        assert torch.equal(full.tokens, expected)


def test_a_prompt_is_encoded_once_until_it_is_long_forgotten() -> None:
    encoded: list[str] = []

    def encode(texts: Sequence[Text]) -> list[Embedding]:
        encoded.extend(map(str, texts))
        return [Embedding(torch.zeros(1, 2, 3)) for _ in texts]

    cache = PromptCache(encode, size=2)
    for prompt in ("a", "b", "a", "c", "a", "b"):
        cache[prompt]
    assert encoded == ["a", "b", "c", "b"]


class Encoder:
    """Notes what it is asked for at once."""

    def __init__(self) -> None:
        self.calls: list[list[Text]] = []

    def __call__(self, texts: Sequence[Text]) -> list[Embedding]:
        self.calls.append(list(texts))
        if "poison" in texts:
            raise ValueError("poison")
        return [Embedding(torch.zeros(1, 2, 3)) for _ in texts]


def test_those_who_wait_fill_up_a_call() -> None:
    encoder = Encoder()
    cache = PromptCache(encoder, at_once=4)
    cache.prepare(["a", "b", "a"], ["b", "c", "d", "e"])
    cache.prepare(["c"], ["f"])
    cache.prepare(["e", "1", "2", "3"], ["f"])
    assert encoder.calls == [["a", "b", "c", "d"], ["e", "1", "2", "3"]]


def test_what_cannot_be_encoded_is_no_other_jobs_affair() -> None:
    encoder = Encoder()
    cache = PromptCache(encoder, at_once=2)
    cache.prepare(["a"], ["poison"])
    assert cache["a"].length == 2
    with pytest.raises(ValueError, match="poison"):
        cache.prepare(["poison"], ["b"])


RICH = {
    "parts": [{"phrases": [{"text": "a cat"}]}, {"phrases": [{"text": "a dog"}], "weight": -0.5}],
    "style_words": "ink",
    "style_weight": 100,
    "chaos": 50,
    "weird": 800,
    "negative_prompt": "night",
}


@pytest.mark.parametrize("wish", [{}, {"negative_prompt": "night"}, RICH], ids=["plain", "negative", "rich"])
def test_all_that_a_request_needs_is_known_before(sd_folder: Path, wish: dict[str, object]) -> None:
    family = loading.load(str(sd_folder), torch.device("cpu"))
    request, lexicon = asked(500, **wish, num_images_per_prompt=4), ModelPhrases(style=STYLE)
    encoder = Encoder()
    cache = PromptCache(encoder)
    cache.prepare(prompt_embeds.texts(request, lexicon, guided=True))
    prompt_embeds.positive(request, lexicon, cache)
    prompt_embeds.negative(request, cache)
    assert len(encoder.calls) == 1
    rows = RunningJob(family, DrawRequest(request, lexicon=lexicon))
    assert set(rows.texts) == set(encoder.calls[0])
    assert "night" not in prompt_embeds.texts(request, lexicon, guided=False)


TEXTS = ("a cat", "", "a red castle at night", "word " * 40 + "end", "ein Schloß 🏰", "a dog", "a boat")


@pytest.mark.parametrize("folder", ["sd_folder", "sdxl_folder"])
def test_in_full_calls_a_text_is_the_same_to_the_last_bit(
    request: pytest.FixtureRequest, folder: str
) -> None:
    """As on a GPU, where calls are of one size."""
    family = stable_diffusion(loading.load(str(request.getfixturevalue(folder)), torch.device("cpu")))
    with torch.inference_mode():
        one_by_one = family.encode(TEXTS)
        family.texts_at_once = 8
        together = family.encode(TEXTS)
        for text, alone, among in zip(TEXTS, one_by_one, together, strict=True):
            (again,) = family.encode([text])
            for one, full, other in zip(alone, again, among, strict=True):
                if one is not None:
                    assert full is not None
                    assert other is not None
                    assert torch.equal(full, other)
                    torch.testing.assert_close(one, other, rtol=0, atol=2e-5)


def test_jobs_that_wait_share_a_call_of_the_text_encoder(
    sd_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine.open(str(sd_folder), device="cpu") as engine:
        calls: list[int] = []

        def note(_: object, given: tuple[torch.Tensor, ...]) -> None:
            calls.append(len(given[0]))

        family = stable_diffusion(engine.family)
        family.texts_at_once = 8
        engine.family.prompts = PromptCache(engine.family.encode, 8)
        hook = family.text_encoder.register_forward_pre_hook(note)
        futures = engine.device_thread.call(
            lambda: [engine.submit(asked(0, prompt=f"cat {number}")) for number in range(7)]
        )
        images = [future.result()[0] for future in futures]
        hook.remove()
    assert calls == [8]
    with Engine.open(str(sd_folder), device="cpu") as engine:
        for number, image in enumerate(images):
            assert difference(engine.submit(asked(0, prompt=f"cat {number}")).result(), [image]) <= 1
