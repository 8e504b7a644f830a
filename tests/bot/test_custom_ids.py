"""Buttons live for ever: every `custom_id` ever shipped means what it meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.components.custom_ids import MAX_LENGTH, CustomId, parse
from bot.components.history_search import DAYS, KINDS, WORDS_LENGTH, Search
from bot.components.modals import SUBMITS
from bot.components.press import HANDLERS
from tests.bot import drawing
from tests.bot.simulated import World, components, press, use

GOLDEN = Path(__file__).with_name("custom_ids.golden").read_text().splitlines()


def shape(custom_id: str) -> str:
    """Its form without its numbers and words."""
    match = re.fullmatch(r"(e1:[a-z0-9]+)((?::[^:]*)*)", re.sub(r"\{\w+\}", "1", custom_id))
    assert match is not None
    return match[1] + ":#" * min(match[2].count(":"), 3)


def test_every_form_has_a_handler_and_every_handler_a_form() -> None:
    verbs = {line.split(":")[1] for line in GOLDEN}
    assert verbs == HANDLERS.keys() | SUBMITS.keys()
    assert HANDLERS.keys().isdisjoint(SUBMITS)


@pytest.mark.parametrize("line", GOLDEN)
def test_reads_back_what_it_says(line: str) -> None:
    custom_id = line.format(job=2**63 - 1, image=2**63 - 1, batch=2**63 - 1)
    assert str(parse(custom_id)) == custom_id
    assert len(custom_id) <= MAX_LENGTH


def test_the_longest_fits() -> None:
    search = Search("x" * WORDS_LENGTH, True, KINDS[-1], DAYS[-1], 2**32 - 1)
    longest = CustomId("hn", 2**63 - 1, search.number, search.words)
    assert len(str(longest)) <= MAX_LENGTH


@pytest.mark.parametrize(
    "other", ["", "e1:u", "e1:u:", "e1:u:x", "e2:u:1", "MJ::JOB::upsample::1::x", "e1:u:1:"]
)
def test_leaves_others_ids_alone(other: str) -> None:
    with pytest.raises(ValueError, match="no custom_id"):
        parse(other)


async def test_shipped_buttons_work_after_a_restart(world: World) -> None:
    """Each form is pressed on a message that an older process posted; each is answered."""
    alice = world.member("alice", manage_messages=True, moderate_members=True)
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    job = drawing.draw(world.backends)
    await world.picture()
    image = drawing.images(world.backends, job.id)[0]
    await alice.slash(world.channel, "imagine", prompt="a {red, blue} castle")
    ids = [line.format(job=job.id, image=image.id, batch=1) for line in GOLDEN]
    forms = [custom_id for custom_id in ids if parse(custom_id).verb in SUBMITS]
    posted = {custom_id: world.post_component(custom_id) for custom_id in ids if custom_id not in forms}
    await world.restart_bot()
    for custom_id in forms:
        result = await world.submit(alice, custom_id, prompt="a blue castle", places=["1"])
        assert result.acknowledged, custom_id
    for custom_id, message in posted.items():
        result = await use(alice, message, custom_id)
        assert result.acknowledged, custom_id


async def test_views_send_only_forms_of_the_golden_file(world: World) -> None:
    alice = world.member("alice", manage_messages=True)
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    waiting = world.messages()[-1]
    info = await alice.slash(world.channel, "info")
    queue = await alice.slash(world.channel, "mod queue")
    drawing.draw(world.backends)
    grid = await world.picture()
    await press(alice, grid, "U1")
    single = await world.picture(after=grid.id)
    parameters, question = await press(alice, single, "ℹ️"), await press(alice, single, "🗑️")
    asked = await alice.slash(world.channel, "imagine", prompt="a {red, blue} castle")
    batch = await press(alice, asked.response, "Yes")
    await alice.slash(world.channel, "mod pause")
    panels = [await alice.slash(world.channel, name) for name in ("history", "settings", "mod audit")]
    shown = [
        waiting,
        grid,
        single,
        parameters.response,
        question.response,
        asked.response,
        batch.response,
        info.response,
        queue.response,
        *(panel.response for panel in panels),
    ]
    sent = {part["custom_id"] for message in shown for part in components(message) if "custom_id" in part}
    assert {shape(custom_id) for custom_id in sent} <= {shape(line) for line in GOLDEN}
