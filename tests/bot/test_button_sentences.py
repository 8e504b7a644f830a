"""What buttons and forms say fits where Discord shows it."""

from __future__ import annotations

import inspect

import pytest

from bot.messages import forms, image_actions
from prompts.markdown import length
from storage.contract import Action, JobState
from storage.tables import Job

FUNCTIONS = inspect.getmembers(forms, inspect.isfunction)
NAMED = [name for name, function in FUNCTIONS if function.__module__ == forms.__name__]


@pytest.mark.parametrize("name", NAMED)
def test_titles_and_labels_fit_a_form(name: str) -> None:
    limit = 100 if name.endswith(("description", "placeholder")) else 45
    assert 0 < length(getattr(forms, name)()) <= limit


def test_each_ninth_has_a_name_of_its_own() -> None:
    assert list(forms.PLACES) == [str(place) for place in range(1, 10)]
    assert len(set(forms.PLACES.values())) == 9


def test_a_long_family_names_the_newest_and_the_first() -> None:
    request = {"prompt": "a", "width": 64, "height": 64, "seed": 1}
    line = [
        Job(id=20 - age, action=Action.VARY.value, parent_index=age % 4, request=request) for age in range(20)
    ]
    said = image_actions.family(line[0], line[1:], {})
    assert said.startswith("Family: Variations of image #1 (job 20) ← ")
    assert "← … ← Variations of image #4 (job 1)\n" in said
    assert length(said) < 600


@pytest.mark.parametrize("state", JobState)
def test_what_cannot_be_sent_says_why(state: JobState) -> None:
    said = image_actions.nothing_to_send(7, state)
    assert "Job 7" in said
    assert ("not finished" in said) is (state in {JobState.QUEUED, JobState.RUNNING})
