"""Words that a small model does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompts.parser import parse
from prompts.vocabulary import MOST_NAMED, examples, nearest_known, unknown_words
from storage.catalog_model import ModelEntry
from tests.prompts.catalogs import catalog

KNOWN = "a castle cottage red green hill hills on the fox 8 bit pixel art watercolor starry night"


@pytest.fixture
def entry(tmp_path: Path) -> ModelEntry:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(KNOWN.split()))
    return catalog(path)["picturebook"]


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("a red castle on the green hills", ()),
        ("A RED Castle", ()),
        ("a red dragon and a unicorn", ("dragon", "unicorn")),
        ("dragon, dragon; DRAGON!", ("dragon",)),
        ("8-bit pixel-art", ()),
        ("the fox's castle", ()),
        ("the dragon’s castle", ("dragon’s",)),
        ("is it my castle", ()),
        ("一只狐狸", ("一只狐狸",)),
        ("... !!! 🦊", ()),
        ("https://a.example/b.png a red dragon", ("dragon",)),
    ],
)
def test_unknown_words_are_found(entry: ModelEntry, prompt: str, unknown: tuple[str, ...]) -> None:
    assert unknown_words(prompt, entry) == unknown


def test_a_model_without_a_vocabulary_knows_every_word() -> None:
    assert unknown_words("a dragon", catalog()["picturebook"]) == ()


def test_not_more_words_are_named_than_can_be_read(entry: ModelEntry) -> None:
    assert len(unknown_words(" ".join(f"w{n}" for n in range(100)), entry)) == MOST_NAMED


def test_words_that_are_written_alike_are_offered(entry: ModelEntry) -> None:
    assert nearest_known("caslte", entry) == "castle"
    assert nearest_known("castles", entry) == "castle"
    assert nearest_known("dragon", entry) is None


def test_examples_come_from_the_catalog_or_the_vocabulary(entry: ModelEntry) -> None:
    assert "castle" in examples(entry)
    assert examples(entry.model_copy(update={"examples": ("boat",)})) == ("boat",)


def test_parsing_finds_them(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("a\nfox")
    assert parse("a fox, a dragon --no snakes --s 5", catalog(path)).unknown_words == ("dragon",)
