"""Numbers and names that no column holds and Discord did not resolve: each is answered with a sentence."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.command_options import NotAccepted, NotResolved, check_options
from bot.components.custom_ids import LARGEST, numbers, parse
from bot.components.modals import SUBMITS
from bot.components.press import HANDLERS
from bot.messages import refusals
from prompts import sentences
from tests.bot.pressing import drawn
from tests.bot.simulated import MENUS, World, answer, use

relaxed = settings(deadline=None, max_examples=150)
BEYOND = 2**63
HUGE = "9" * 19
ids = st.integers(0, 10**22) | st.integers(LARGEST - 2, 10**19 - 1)


@relaxed
@given(
    st.sampled_from(sorted(HANDLERS)),
    ids,
    st.none() | ids,
    st.none() | st.text(max_size=20),
)
def test_a_custom_id_carries_no_number_that_a_column_does_not_hold(
    verb: str, id_: int, n: int | None, text: str | None
) -> None:
    parts = ["e1", verb, str(id_), *([] if n is None else [str(n)]), *([] if text is None else [text])]
    with contextlib.suppress(ValueError):
        read = parse(":".join(parts))
        assert read.id <= LARGEST
        assert (read.n or 0) <= LARGEST


@relaxed
@given(st.lists(st.text(max_size=30) | st.integers(-(10**25), 10**25).map(str), max_size=10))
def test_nor_does_a_choice(values: list[str]) -> None:
    assert all(0 <= number <= LARGEST for number in numbers(values))


async def test_every_button_and_form_answers_numbers_from_nowhere(world: World) -> None:
    """Beyond 64 bits, the largest there is, and none where the verb needs two."""
    alice = world.member("alice", manage_messages=True)
    await drawn(world, alice)
    for verb in sorted(HANDLERS):
        for ids in (HUGE, f"1:{HUGE}", str(LARGEST), f"{LARGEST}:{LARGEST}", "1"):
            custom_id = f"e1:{verb}:{ids}"
            value = HUGE if verb in MENUS else None
            left = world.post_component(custom_id)
            if value is not None:
                continue  # SimCord lets nobody choose what is not offered; `numbers` is tried above
            result = await use(alice, left, custom_id)
            assert result.acknowledged, custom_id
            said = "" if result.response is None else answer(result).content
            assert refusals.unexpected(None) not in said, custom_id
    for verb in sorted(SUBMITS):
        for ids in (HUGE, f"1:{HUGE}", str(LARGEST)):
            result = await world.submit(alice, f"e1:{verb}:{ids}", prompt="a castle", lasts=["x", HUGE])
            assert result.acknowledged, (verb, ids)
            assert refusals.unexpected(None) not in answer(result).content, (verb, ids)


def option(kind: int, value: Any) -> dict[str, Any]:
    return {"options": [{"type": 1, "options": [{"name": "x", "type": kind, "value": value}]}]}


@pytest.mark.parametrize("value", [BEYOND, -BEYOND, 10**30])
def test_an_option_is_no_larger_than_discord_has_it(value: int) -> None:
    with pytest.raises(NotAccepted):
        check_options(option(4, value))
    check_options(option(4, 2**53))


@pytest.mark.parametrize(("kind", "of"), [(11, "attachments"), (6, "users"), (7, "channels"), (8, "roles")])
def test_what_discord_did_not_resolve_is_not_taken(kind: int, of: str) -> None:
    with pytest.raises(NotResolved):
        check_options(option(kind, "5"))
    check_options({**option(kind, "5"), "resolved": {of: {"5": {}}}})


async def test_an_unresolved_attachment_gets_a_sentence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = world.member("alice")
    await drawn(world, alice)
    monkeypatch.setattr("bot.client.check_options", _unresolved)
    refused = await alice.slash(world.channel, "imagine", prompt="a castle")
    assert answer(refused).content.startswith(refusals.not_resolved())
    assert refused.ephemeral
    form = await world.submit(alice, "e1:fr:1", prompt="a castle", painted=["5"])
    assert answer(form).content.startswith(refusals.not_resolved())


def _unresolved(data: Any) -> None:
    check_options({**data, "options": [{"name": "image", "type": 11, "value": "5"}]})


def test_a_number_of_any_length_is_said() -> None:
    assert sentences._number("9" * 5000) == "more than a billion"
    assert sentences._number("12345") == "12,345"
