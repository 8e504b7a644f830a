"""Presses and forms that come at the same moment: each is done, and none undoes another's colour."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from bot.components import responses
from bot.messages import image_actions
from storage import members
from storage.contract import Action
from storage.database import Database
from tests.bot.discord_server import Message
from tests.bot.discord_server.interactions import MODAL, Interaction
from tests.bot.studio import Studio


def single(studio: Studio) -> Message:
    """A grid's first picture by itself."""
    grid = studio.grid()
    studio.server.press(studio.ada, grid, "U1")
    message = studio.picture(2)
    studio.settled()
    return message


def coloured(message: Message) -> set[str]:
    return {
        item.get("label") or item["emoji"]["name"] for item in message.buttons if item.get("style") in (1, 3)
    }


def submit(studio: Studio, opened: Interaction, prompt: str) -> Interaction:
    assert opened.modal is not None
    field = {"type": 4, "custom_id": "prompt", "value": prompt}
    data = {"custom_id": opened.modal["custom_id"], "components": [{"type": 18, "component": field}]}
    return studio.server.interact(Interaction(opened.user, opened.channel, MODAL, data, opened.message))


def test_no_press_undoes_anothers_colour(studio: Studio) -> None:
    message = single(studio)
    wanted = ("Upscale (Subtle)", "Vary (Strong)", "Zoom Out 2×", "⬅️", "❤️", "🔄")
    presses = [studio.server.press(studio.ada, message, label) for label in wanted]
    studio.wait(lambda: all(press.answered for press in presses), what="six answers")
    studio.wait(lambda: coloured(message) == set(wanted), what="six coloured buttons")


def test_forms_of_two_members_submitted_at_once(studio: Studio) -> None:
    message = single(studio)
    for user in (studio.ada, studio.bob):
        studio.imagine(user)
    with studio.backends.database.writing() as session:
        for user in (studio.ada, studio.bob):
            members.change_settings(session, user.id, remix=True)
    opened = [studio.server.press(user, message, "Vary (Subtle)") for user in (studio.ada, studio.bob)]
    studio.wait(lambda: all(press.modal for press in opened), what="two forms")
    submits = [submit(studio, form, f"a boat of {form.user.name}'s") for form in reversed(opened)]
    studio.wait(lambda: all(sent.answered for sent in submits), what="two answers")
    rows = [studio.job_of(sent) for sent in submits]
    assert [(job.member_id, job.text) for job in rows] == [
        (studio.bob.id, "a boat of bob's"),
        (studio.ada.id, "a boat of ada's"),
    ]
    assert {job.action for job in rows} == {Action.REMIX_SUBTLE}
    studio.wait(lambda: coloured(message) == {"Vary (Subtle)"}, what="the coloured button")


def test_a_form_that_comes_too_late_is_said(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    message = single(studio)
    read = Database.read

    async def slow(database: Database, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0.5)
        return await read(database, *args, **kwargs)

    monkeypatch.setattr(Database, "read", slow)
    monkeypatch.setattr(responses, "FORM_PATIENCE", 0.1)
    for label in ("Custom Zoom", "Vary (Region)"):
        refused = studio.server.press(studio.ada, message, label)
        (said,) = studio.wait(partial(getattr, refused, "followups"), what="a sentence")
        assert said.content == image_actions.form_too_late()
        assert said.ephemeral
        assert refused.modal is None
