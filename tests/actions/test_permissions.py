"""Refusals of commands before anything is written."""

from __future__ import annotations

import pytest

from actions.permissions import Channel, MissingPermissions, NotAgeRestricted, Permission, check

EVERYTHING = frozenset(Permission)


@pytest.mark.parametrize(
    "place",
    [
        Channel(guild_id=1, permissions=EVERYTHING),
        Channel(guild_id=1, permissions=EVERYTHING - {Permission.SEND_MESSAGES_IN_THREADS}),
        Channel(guild_id=1, thread=True, permissions=EVERYTHING - {Permission.SEND_MESSAGES}),
        Channel(guild_id=None, permissions=frozenset()),
        Channel(guild_id=1, user_install=True, permissions=frozenset()),
        Channel(guild_id=1, permissions=None),
    ],
)
def test_places_that_can_be_answered_lack_nothing_but_an_age_restriction(place: Channel) -> None:
    check(place, safety=True)
    with pytest.raises(NotAgeRestricted):
        check(place, safety=False)


@pytest.mark.parametrize(
    ("thread", "lacking"),
    [
        (False, Permission.SEND_MESSAGES),
        (False, Permission.ATTACH_FILES),
        (False, Permission.VIEW_CHANNEL),
        (True, Permission.SEND_MESSAGES_IN_THREADS),
        (True, Permission.ATTACH_FILES),
    ],
)
def test_a_lost_permission_is_found_and_named(thread: bool, lacking: Permission) -> None:
    place = Channel(guild_id=1, thread=thread, permissions=EVERYTHING - {lacking})
    with pytest.raises(MissingPermissions) as caught:
        check(place, safety=True)
    assert caught.value.missing == (lacking,)


def test_without_a_safety_check_only_age_restricted_channels_are_served() -> None:
    check(Channel(guild_id=1, age_restricted=True, permissions=EVERYTHING), safety=False)
    for place in (Channel(guild_id=1, permissions=EVERYTHING), Channel()):
        with pytest.raises(NotAgeRestricted):
            check(place, safety=False)
