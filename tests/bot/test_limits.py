"""What is sent fits what Discord takes, in every language and at its longest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import discord
import pytest

from actions import found_prompts
from actions.submit import FoundPrompt
from bot import components
from bot.components import vary_region
from bot.components.help_pages import help_page
from bot.components.modals import imagine_form
from bot.components.settings import settings
from bot.messages import batches, panels, preferences
from prompts.markdown import length
from prompts.translation import LANGUAGES, spoken
from storage.batches import Tally
from storage.contract import Action
from storage.members import Totals
from storage.tables import Batch, Image, Job, Member
from tests.prompts.catalogs import catalog

LONGEST = "🦊" * 2000
"""UTF-16 counts each twice."""
NAME = "x" * 32
LIMITS = {"label": 80, "custom_id": 100, "placeholder": 150, "title": 45, "description": 100}
"""Of a component, by the name of its field."""
IN_A_FORM = 18
"""The type of a field with its label."""
TEXT, COMPONENTS, CONTENT = 4000, 40, 2000


@pytest.fixture(autouse=True, params=[*LANGUAGES])
def language(request: pytest.FixtureRequest) -> Iterator[None]:
    with spoken(request.param):
        yield


def parts(component: Any) -> Iterator[dict[str, Any]]:
    """The component and all that is in it."""
    if isinstance(component, list):
        for one in component:
            yield from parts(one)
        return
    yield component
    for name in ("components", "component", "options", "accessory"):
        if name in component:
            yield from parts(component[name])


def check(sent: Any) -> None:
    """`sent` is a view, a form, or a part of one."""
    if isinstance(sent, discord.ui.Label):
        payload: Any = sent.to_component_dict()
    else:
        payload = sent.to_dict() if isinstance(sent, discord.ui.Modal) else sent.to_components()
    found = list(parts(payload))
    assert found
    for part in found:
        for name, limit in LIMITS.items():
            if isinstance(part.get(name), str):
                assert length(part[name]) <= (45 if part.get("type") == 18 and name == "label" else limit), (
                    part
                )
    assert sum(length(part.get("content", "")) for part in found) <= TEXT
    assert len([part for part in found if "type" in part]) <= COMPONENTS


def job(action: Action = Action.IMAGINE, **result: Any) -> Job:
    request = {"task": "describe", "prompt": "", "width": 64, "height": 64, "seed": 1, "source_key": "a.png"}
    return Job(
        id=2**63 - 1, member_id=2**63 - 1, text=LONGEST, action=action.value, result=result, request=request,
        speed="relax", stealth=True, parent_index=3, created_at=0, state="running",
    )  # fmt: skip


async def test_settings() -> None:
    worst = {"suffix": LONGEST, "options": {f"{NAME}{number}": LONGEST for number in range(20)}}
    check(settings(worst, catalog()))
    assert length(preferences.option_list(worst["options"])) <= CONTENT  # type: ignore[arg-type]


@pytest.mark.parametrize("number", range(3))
async def test_help(number: int) -> None:
    check(help_page(number, catalog()))


async def test_what_was_found() -> None:
    prompts = [LONGEST] * 5
    shortened = job(Action.SHORTEN, prompts=prompts, weights=[[LONGEST, 0.5]] * 30)
    check(components.shortened(shortened, {0: True}))
    described = job(Action.DESCRIBE, prompts=prompts[:4])
    check(components.described(described, {3: False}))
    assert len(found_prompts.prompts(described)) == 4
    assert FoundPrompt(1, 0).index == 0


async def test_a_single_pictures_buttons() -> None:
    image = Image(id=2**63 - 1, job_id=1, index=3, width=64, height=48, withheld=False)
    check(components.single(image, job(), frozenset(Action), True))


async def test_forms() -> None:
    check(imagine_form(2**63 - 1, "x" * 4000, 5).modal())
    for field in (vary_region._where, vary_region._places, vary_region._painted):
        check(field())


def test_a_batch() -> None:
    batch = Batch(id=1, member_id=2**63 - 1, text=LONGEST, size=40, created_at=0)
    tally = Tally(queued=10, running=10, succeeded=5, failed=5, withheld=5, cancelled=5)
    for said in (batches.question([LONGEST] * 40, [LONGEST] * 3), batches.progress(batch, tally)):
        assert length(said) <= CONTENT
    assert length(batches.handed_over(batch, tally)) <= CONTENT


def test_info() -> None:
    member = Member(id=1, settings={"speed": "relax", "stealth": True}, running_limit=3, waiting_limit=10)
    totals = Totals(jobs=10**9, images=10**9, busy_ms=10**12, running=[], waiting=[])
    lines = [
        panels.info_title(member, totals, 10),
        *(panels.queue_line(job(), url="https://x/" * 9) for _ in range(10)),
    ]
    assert sum(map(length, lines)) <= TEXT
