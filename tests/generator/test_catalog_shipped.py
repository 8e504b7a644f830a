"""The catalog that comes with Easel fits the model that comes with it."""

from __future__ import annotations

from picturebook import scenes, words
from storage import catalog, samplers


def test_the_shipped_catalog_offers_what_picturebook_was_trained_on() -> None:
    entry = catalog.load()["picturebook"]
    assert entry.sizes == scenes.SIZES
    assert entry.scheduler in samplers.NAMES


def test_style_words_are_words_of_quality_that_the_model_knows() -> None:
    entry = catalog.load()["picturebook"]
    qualities = {phrase for phrases in words.QUALITIES.values() for phrase in phrases}
    named = entry.style_words.split(", ")
    assert set(named) <= qualities
    assert len(named) == len(words.QUALITIES)
