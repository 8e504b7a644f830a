"""Prompts as tokens: where long ones are divided, emphasis in each chunk, and marks that are text."""

from __future__ import annotations

import pytest
import torch

from generator.conditioning.tokens import emphasize, tokenize
from storage.contract import Phrase
from tests.generator import tiny

TOKENIZER = tiny.tokenizer()
"""A letter is a token, and so is a comma."""


def read(text: str | tuple[Phrase, ...]) -> list[str]:
    """The chunks as text again, without spaces."""
    tokens = tokenize(TOKENIZER, text)
    chunks = []
    for ids, mask in zip(tokens.ids, tokens.mask, strict=True):
        names = TOKENIZER.convert_ids_to_tokens(ids[1 : int(mask.sum()) - 1].tolist())
        chunks.append("".join(name.removesuffix("</w>") for name in names))
    return chunks


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("a" * 75, ["a" * 75]),
        ("a" * 76, ["a" * 75, "a"]),
        ("a" * 70 + " bcdefgh ij", ["a" * 70, "bcdefghij"]),
        ("a" * 75 + " b", ["a" * 75, "b"]),
        ("a" * 54 + " " + "b" * 30, ["a" * 54 + "b" * 21, "b" * 9]),
        ("a" * 56 + " " + "b" * 30, ["a" * 56, "b" * 30]),
        ("a" * 60 + ", bb cc dd ee ff gg hh i", ["a" * 60 + ",", "bbccddeeffgghhi"]),
        ("a" * 60 + ",b c d, e f g" + "h" * 20, ["a" * 60 + ",bcd,", "efg" + "h" * 20]),
        ("a" * 40 + ", " + "b " * 40, ["a" * 40 + "," + "b" * 34, "b" * 6]),
        ("", [""]),
    ],
)
def test_a_long_prompt_is_divided_behind_a_comma_or_a_word(text: str, chunks: list[str]) -> None:
    assert read(text) == chunks


def test_a_word_in_two_phrases_is_not_divided_where_they_meet() -> None:
    phrases = (Phrase(text="a" * 70 + " bc"), Phrase(text="de", emphasis=1.4), Phrase(text="fgh ij"))
    assert read(phrases) == ["a" * 70, "bcdefghij"]
    tokens = tokenize(TOKENIZER, phrases)
    assert tokens.emphasis[0].eq(1).all()
    assert tokens.emphasis[1, :6].tolist() == pytest.approx([1, 1, 1, 1.4, 1.4, 1])


@pytest.mark.parametrize("mark", ["<|endoftext|>", "<|startoftext|>"])
def test_a_tokenizers_mark_in_a_prompt_is_text(mark: str) -> None:
    tokens = tokenize(TOKENIZER, f"a {mark} b")
    inner = tokens.ids[0, 1 : int(tokens.mask.sum()) - 1].tolist()
    assert not set(inner) & set(TOKENIZER.all_special_ids)
    assert read(f"a {mark} b") == [f"a{mark}b"]
    assert tokens.ids[0, 0] == TOKENIZER.bos_token_id
    assert tokens.ids[0, len(inner) + 1] == TOKENIZER.eos_token_id


def test_each_chunk_gets_back_its_own_mean_size() -> None:
    """Two chunks of two tokens of one number each, by hand."""
    states = torch.tensor([[[1.0], [3.0]], [[2.0], [-6.0]]])
    emphasis = torch.tensor([[1.0, 2.0], [1.0, 1.0]])
    # (1 + 3) / (1 + 6) = 4/7 for the first; the second, which emphasises nothing, stays as it is.
    expected = torch.tensor([[[4 / 7], [24 / 7]], [[2.0], [-6.0]]])
    torch.testing.assert_close(emphasize(states, emphasis), expected)
    assert torch.equal(emphasize(states, emphasis)[1], states[1])


def test_where_the_mean_is_not_near_nought_it_is_the_web_interfaces() -> None:
    states = torch.rand(3, 77, 8, generator=torch.Generator().manual_seed(1)) + 0.5
    emphasis = torch.ones(3, 77)
    emphasis[0, 5:9], emphasis[2, 1:70] = 1.5, 0.3
    for chunk in range(3):
        weighted = states[chunk] * emphasis[chunk][:, None]
        theirs = weighted * (states[chunk].mean() / weighted.mean())
        torch.testing.assert_close(emphasize(states, emphasis)[chunk], theirs)
