"""What the words of a request come to: parts, emphasis, length, chaos, weird and style words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from generator.conditioning import prompt_embeds
from generator.conditioning.prompt_embeds import ModelPhrases
from generator.engine.engine import Engine
from generator.families import loading
from generator.families.sd import StableDiffusion
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest, Part, Phrase
from tests.generator.reference import Pipeline, difference
from tests.generator.sharing import drawn_together, stable_diffusion

FOLDERS = ("sd_folder", "sdxl_folder")
LEXICON = ModelPhrases("vivid", ("at night", "in the snow", "pixel art"), ("surreal", "bizarre"))
FULL = "word " * 18 + "end"
"""Exactly the 75 tokens that one chunk holds besides its start and end: a letter is a token."""


@pytest.fixture(scope="module", params=FOLDERS)
def family(request: pytest.FixtureRequest) -> Iterator[StableDiffusion]:
    with torch.inference_mode():
        yield stable_diffusion(loading.load(str(request.getfixturevalue(request.param)), torch.device("cpu")))


def asked(**wish: Any) -> GenerationRequest:
    fields = {"prompt": "a cat", "width": 64, "height": 64, "seed": 7, "num_inference_steps": 3}
    return GenerationRequest.model_validate(fields | wish)


def part(text: str, weight: float = 1.0, emphasis: float = 1.0) -> Part:
    return Part(phrases=(Phrase(text=text, emphasis=emphasis),), weight=weight)


def positive(family: StableDiffusion, **wish: Any) -> Tensor:
    embeddings = prompt_embeds.positive(asked(**wish), LEXICON, family.prompts)
    return torch.cat([embedding.tokens for embedding in embeddings])


def negative(family: StableDiffusion, **wish: Any) -> Tensor:
    return prompt_embeds.negative(asked(**wish), family.negatives).tokens


NEUTRAL: list[dict[str, Any]] = [
    {"parts": (part("a cat"),)},
    {"parts": (part("a cat", 3.0),)},
    {"parts": (Part(phrases=(Phrase(text="a "), Phrase(text="cat"))),)},
    {"chaos": 0, "weird": 0, "stylize": 0},
    {"style_words": "an oil painting", "style_weight": 0},
    {"style_words": "", "style_weight": 1000},
    {"sameseed": False, "stop": 100, "tile": False, "video": True},
]


@pytest.mark.parametrize("wish", NEUTRAL, ids=str)
def test_a_field_at_its_neutral_value_is_no_field_to_the_last_bit(
    family: StableDiffusion, wish: dict[str, Any]
) -> None:
    (bare,) = drawn_together(family, asked(), lexicon=LEXICON)
    (neutral,) = drawn_together(family, asked(**wish), lexicon=LEXICON)
    assert torch.equal(bare, neutral)


WISHES: list[dict[str, Any]] = [
    {"parts": (part("a cat", 2.0), part("a dog", -0.5))},
    {"parts": (part("a cat", emphasis=1.4),)},
    {"chaos": 60},
    {"weird": 1500},
    {"stylize": 700},
    {"style_words": "an oil painting", "style_weight": 500},
    {"sameseed": True},
    {"prompt": FULL + " and a fox"},
]


@pytest.mark.parametrize("wish", WISHES, ids=str)
def test_a_field_changes_its_own_pictures_and_no_bit_of_a_neighbours(
    family: StableDiffusion, wish: dict[str, Any]
) -> None:
    neighbour = asked(prompt="a boat", seed=1, num_images_per_prompt=2)
    plain, beside_plain = drawn_together(family, asked(), neighbour, lexicon=LEXICON)
    changed, beside_changed = drawn_together(family, asked(**wish), neighbour, lexicon=LEXICON)
    if "prompt" in wish:  # another length of text is another call
        (beside_plain,) = drawn_together(family, neighbour, lexicon=LEXICON)
    assert torch.equal(beside_plain, beside_changed)
    assert float((plain - changed).abs().max()) > 0.02


def test_parts_are_the_mean_of_their_embeddings_by_weight(family: StableDiffusion) -> None:
    cat, dog = family.prompts["hot"], family.prompts["dog"]
    blended = prompt_embeds.positive(
        asked(parts=(part("hot", 3.0), part("dog", 1.0))), LEXICON, family.prompts
    )[0]
    torch.testing.assert_close(blended.tokens, 0.75 * cat.tokens + 0.25 * dog.tokens)
    if cat.pooled is not None:
        assert dog.pooled is not None
        torch.testing.assert_close(blended.pooled, 0.75 * cat.pooled + 0.25 * dog.pooled)


def test_a_part_of_minus_a_half_is_a_negative_prompt(family: StableDiffusion) -> None:
    parts = (part("hot", 1.0), part("dog", -0.5))
    torch.testing.assert_close(negative(family, parts=parts), family.negatives["dog"].tokens)
    quarter = negative(family, parts=(part("hot", 1.0), part("dog", -0.25)))
    halfway = torch.lerp(family.negatives[""].tokens, family.negatives["dog"].tokens, 0.5)
    torch.testing.assert_close(quarter, halfway)
    assert torch.equal(positive(family, parts=parts)[0], family.prompts["hot"].tokens[0])


def test_emphasis_makes_its_tokens_larger_and_the_rest_smaller(family: StableDiffusion) -> None:
    phrases = (Phrase(text="a b "), Phrase(text="c d", emphasis=2.0))
    plain = family.prompts["a b c d"].tokens[0]
    weighed = family.prompts[phrases].tokens[0]
    share = weighed.norm(dim=1) / plain.norm(dim=1)
    assert share[3:5].min() > 1.3, "c and d, behind the start, a and b"
    assert share[:3].max() < 1
    assert share[5:].max() < 1


def test_phrases_are_read_as_the_text_they_come_from(family: StableDiffusion) -> None:
    phrases = (Phrase(text="a red"), Phrase(text=" castle at"), Phrase(text=" night"))
    assert torch.equal(family.prompts[phrases].tokens, family.prompts["a red castle at night"].tokens)


@pytest.mark.parametrize("prompt", ["", "a", FULL, "ein Schloß 🏰 \n\t im Wald"])
def test_one_chunk_is_what_diffusers_makes_of_the_text(sd_folder: Path, prompt: str) -> None:
    with Engine.open(str(sd_folder), device="cpu") as engine, torch.inference_mode():
        ours = engine.family.encode([prompt])[0].tokens
        theirs, _ = Pipeline(sd_folder).pipeline.encode_prompt(prompt, torch.device("cpu"), 1, False)
    assert torch.equal(ours, theirs)


def test_a_long_text_is_chunks_one_behind_the_other(family: StableDiffusion) -> None:
    long = family.prompts[f"{FULL} a fox"]
    assert long.length == 2 * 77
    parted = [family.prompts[FULL], family.prompts["a fox"]]
    torch.testing.assert_close(long.tokens, torch.cat([each.tokens for each in parted], dim=1))
    assert family.prompts[FULL].length == 77
    if long.pooled is not None:
        torch.testing.assert_close(long.pooled, parted[0].pooled)


def test_a_long_prompt_is_drawn_as_diffusers_draws_its_chunks(sd_folder: Path) -> None:
    request = asked(prompt=f"{FULL} a fox on a hill", num_images_per_prompt=1)
    pipeline = Pipeline(sd_folder).pipeline
    with torch.inference_mode():
        ends = [
            torch.cat([pipeline.encode_prompt(text, torch.device("cpu"), 1, False)[0] for text in texts], 1)
            for texts in ((FULL, "a fox on a hill"), ("", ""))
        ]
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        prompt_embeds=ends[0],
        negative_prompt_embeds=ends[1],
        width=64,
        height=64,
        num_inference_steps=3,
        guidance_scale=request.guidance_scale,
        generator=torch.Generator().manual_seed(7),
    ).images
    with Engine.open(str(sd_folder), device="cpu") as engine:
        assert difference(engine.submit(request).result(), expected) <= 1
        cut = engine.submit(request.model_copy(update={"prompt": FULL})).result()
    assert difference(cut, expected) > 10, "the words behind the first chunk are seen"


def test_chaos_parts_the_pictures_of_a_grid_and_stylize_does_not(family: StableDiffusion) -> None:
    together = positive(family, stylize=800)
    assert torch.equal(together, together[:1].expand_as(together))
    apart = [float((positive(family, chaos=chaos) - positive(family)).norm()) for chaos in (0, 20, 60, 100)]
    assert apart[0] == 0
    assert apart == sorted(set(apart))
    grid = positive(family, chaos=100)
    assert len({tuple(row.flatten().tolist()) for row in grid}) > 1


@pytest.mark.parametrize("wish", [{"chaos": 70}, {"weird": 2000}], ids=str)
def test_a_picture_of_a_chaotic_grid_is_the_single_one_of_its_seed(
    family: StableDiffusion, wish: dict[str, int]
) -> None:
    grid = positive(family, **wish)
    for index in range(4):
        assert torch.equal(grid[index], positive(family, **wish, seed=7 + index, num_images_per_prompt=1)[0])


def test_weird_turns_an_embedding_and_keeps_its_size(family: StableDiffusion) -> None:
    plain = family.prompts["a cat"]
    angles = []
    for angle in (0.1, 0.3):
        moved = prompt_embeds.turned(plain, angle, seed=3).tokens
        torch.testing.assert_close(moved.norm(dim=-1), plain.tokens.norm(dim=-1))
        assert torch.equal(moved[:, 0], plain.tokens[:, 0])
        cosine = torch.nn.functional.cosine_similarity(moved[:, 1:], plain.tokens[:, 1:], dim=-1)
        angles.append(float(cosine.clamp(-1, 1).arccos().mean()))
    assert angles == pytest.approx([0.1, 0.3], rel=0.02)


def test_style_words_lead_as_far_as_the_models_own(family: StableDiffusion) -> None:
    own = positive(family, stylize=250)
    lent = positive(family, style_words="vivid", style_weight=250)
    assert torch.equal(own, lent)


def test_a_catalog_without_phrases_has_some_that_every_model_knows() -> None:
    entry = ModelEntry(name="m", title="M", source="x", sizes=((64, 64),), chaos_phrases=("at sea",))
    lexicon = ModelPhrases.of(entry)
    assert lexicon.chaos == ("at sea",)
    assert lexicon.weird == prompt_embeds.WEIRD


def test_the_negative_prompt_weighs_as_the_text_does(family: StableDiffusion) -> None:
    weighed = (Part(phrases=(Phrase(text="a dog, "), Phrase(text="fog", emphasis=1.4))),)
    several = (part("a dog", 2.0), part("fog", 0.5, 1.3))
    for words, parts in (("a dog, fog", weighed), ("a dog fog", several)):
        as_text = prompt_embeds.positive(asked(prompt=words, parts=parts), LEXICON, family.prompts)[0].tokens
        as_negative = negative(family, negative_prompt=words, negative_parts=parts)
        assert torch.equal(as_negative, as_text)
        assert not torch.equal(as_negative, negative(family, negative_prompt=words))
