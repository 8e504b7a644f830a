"""Exports that members wait for: one at a time, held by one bot, and gone with the member's data."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from storage import exports, members, privacy
from storage.database import Database
from storage.errors import Stale
from storage.tables import Address, Export

ADA, BOB = 1, 2


def _ask(database: Database, member_id: int, after: int | None = None) -> tuple[Export, bool] | None:
    with database.writing() as session:
        return exports.ask(session, Address(member_id, channel_id=900), after)


def _known(database: Database, *member_ids: int) -> None:
    with database.writing() as session:
        for member_id in member_ids:
            members.member(session, member_id)


def _taken(database: Database, most: int = 5) -> list[int]:
    with database.writing() as session:
        return [row.member_id for row in exports.take(session, most, 60_000)]


def _all_due(database: Database) -> None:
    with database.writing() as session:
        session.execute(update(Export).values(due_at=0))


def test_a_member_waits_for_one_at_a_time(database: Database) -> None:
    _known(database, ADA, BOB)
    assert _ask(database, 404) is None, "nothing is stored about them"
    first, again, other = (_ask(database, member_id) for member_id in (ADA, ADA, BOB))
    assert first is not None
    assert again is not None
    assert other is not None
    assert (first[1], again[1], other[1]) == (True, False, True)
    assert again[0].id == first[0].id
    with database.writing() as session:
        exports.end(session, first[0].id)
    following = _ask(database, ADA, after=7)
    assert following is not None
    assert (following[0].after, following[1]) == (7, True)


def test_it_begins_once_its_member_was_told_and_one_bot_has_it(database: Database) -> None:
    _known(database, ADA, BOB)
    asked = _ask(database, ADA)
    assert asked is not None
    assert _taken(database) == []
    with database.writing() as session:
        exports.begin(session, asked[0].id)
        assert exports.is_due(session)
    assert _taken(database) == [ADA]
    assert _taken(database) == []
    _ask(database, BOB)
    _all_due(database)
    assert _taken(database, 1) == [ADA], "whose bot has died; the oldest is the first"
    assert _taken(database, 1) == [BOB]
    with database.writing() as session:
        row = session.get_one(Export, asked[0].id)
        assert (row.tries, row.sent) == (2, 0)
        exports.sent(session, row.id, 3, 9, 0)
        session.expire(row)
        assert (row.tries, row.sent, row.cursor) == (0, 3, 9)
        for tries in (1, 0):
            row.tries = tries
            session.flush()
            exports.requeue(session, row.id)
            session.expire(row)
            assert row.tries == 0
            assert exports.take(session, 1, 60_000) == [row]


def test_it_ends_with_the_members_data(database: Database) -> None:
    _known(database, ADA)
    asked = _ask(database, ADA)
    assert asked is not None
    with database.writing() as session:
        privacy.delete_rows(session, ADA)
    with pytest.raises(Stale), database.writing() as session:
        exports.hold(session, asked[0].id, 1)
    with pytest.raises(Stale), database.writing() as session:
        exports.sent(session, asked[0].id, 1, None, 1)
