"""The table of actions has all that members can ask for, and each row all that is said of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import bot.components
from actions.derivation import Subject
from actions.table import ACTIONS, BY_ACTION, BY_VERB, ImageAction
from bot.components.modals import SUBMITS
from bot.components.press import HANDLERS
from prompts.markdown import length
from prompts.translation import _, spoken
from storage.contract import Action

GOLDEN = Path(bot.components.__file__).parents[2] / "tests/bot/custom_ids.golden"
SHIPPED = GOLDEN.read_text(encoding="utf-8").splitlines()
FORMS_OF = {
    Subject.IMAGE: {"{image}"},
    Subject.CELL: {"{job}:1", "{job}:4"},
    Subject.JOB: {"{job}", "{job}:{image}"},
}
NOT_OF_IMAGES = {"rmn", "rmy", "yp", "um"}
"""Answers to a question, the panel of a data request, and a menu: no buttons below a picture."""
JOBS = [row for row in ACTIONS if row.action is not None and row.verb is not None]


def test_every_action_has_one_row_and_every_verb() -> None:
    assert Counter(row.action for row in ACTIONS if row.action) == Counter(Action)
    verbs = [row.verb for row in ACTIONS if row.verb is not None]
    assert len(verbs) == len(set(verbs)) == len(BY_VERB)


def test_the_golden_file_and_the_table_have_the_same_verbs() -> None:
    """All buttons below pictures are rows: an id of another picture's or grid's button is in neither."""
    ids = [line.removeprefix("e1:").partition(":") for line in SHIPPED]
    for verb, row in BY_VERB.items():
        assert {rest for name, _, rest in ids if name == verb} == FORMS_OF[row.subject], verb
    of_images = {name for name, _, rest in ids if rest == "{image}"} - SUBMITS.keys() - NOT_OF_IMAGES
    assert of_images == {verb for verb, row in BY_VERB.items() if row.subject is Subject.IMAGE}
    assert BY_VERB.keys() <= HANDLERS.keys()


def test_remix_forms_in_the_golden_file_are_of_rows_that_have_one() -> None:
    named = {line.rpartition(":")[2] for line in SHIPPED if line.startswith("e1:fx:")}
    assert named <= {row.verb for row in ACTIONS if row.form and row.derive}


@pytest.mark.parametrize("row", JOBS, ids=lambda row: row.verb)
def test_a_row_that_makes_jobs_says_so(row: ImageAction) -> None:
    assert row.action is not None
    assert row.begin
    assert row.history
    assert (row.scale > 1) is row.action.enlarges
    if row.remix is not None:
        assert row.form
        remixed = BY_ACTION[row.remix]
        assert (remixed.verb, remixed.subject) == (None, row.subject)
    if row.subject is not Subject.JOB:
        assert "{number}" in row.begin
        assert row.result


@pytest.mark.parametrize("row", [row for row in ACTIONS if row.row is not None], ids=lambda row: row.verb)
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_a_button_has_a_face_and_its_form_a_title_that_fit(row: ImageAction, locale: str) -> None:
    assert bool(row.label) is not bool(row.emoji)
    with spoken(locale):
        assert length(_(row.label)) <= 80
        assert length(_(row.form)) <= 45


@pytest.mark.parametrize("row", range(5))
def test_a_line_of_buttons_has_at_most_discords_five(row: int) -> None:
    assert 0 < sum(each.row == row for each in ACTIONS) <= 5
