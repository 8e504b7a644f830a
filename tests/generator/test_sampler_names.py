"""The bot offers exactly the samplers that workers have."""

from __future__ import annotations

from generator.families import schedulers
from storage import samplers


def test_both_tables_have_the_same_names() -> None:
    assert set(samplers.NAMES) == set(schedulers.TABLE)
