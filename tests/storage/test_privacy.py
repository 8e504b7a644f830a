"""A member's data: handed out whole, and gone whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from storage import (
    attempts,
    batches,
    belongings,
    counters,
    deliveries,
    exports,
    jobs,
    members,
    moderation,
    privacy,
    reports,
    restrictions,
)
from storage.backends import Backends
from storage.config import Config
from storage.contract import JobState
from storage.database import Database
from storage.errors import DataDeleted, Stale
from storage.images import key_for
from storage.tables import (
    Address,
    AuditEntry,
    Ban,
    Delivery,
    Favorite,
    Image,
    Job,
    Member,
    MemberUsage,
    Message,
    Table,
)
from tests.storage import asking

ADA, BOB = 1, 2
SECRET = "zanzibarine"


@pytest.fixture
def backends(database_url: str, tmp_path: Path) -> Iterator[Backends]:
    opened = Backends.open(
        Config(database_url=database_url, images_url=f"file://{tmp_path / 'pictures'}", data_dir=tmp_path)
    )
    yield opened
    opened.close()


def _request(**changes: Any) -> Any:
    return asking.draft().request.model_copy(update={"prompt": f"a {SECRET} castle", **changes})


def _made(backends: Backends, member_id: int, **changes: Any) -> int:
    """A job with its pictures, files and all, delivered into a channel."""
    database = backends.database
    words = {"text": f"a {SECRET} castle --ar 1:1", "request": _request()} if member_id == ADA else {}
    job_id = asking.made(database, member_id, **{**words, **changes})
    with database.writing() as session:
        for image in jobs.images_of(session, job_id):
            image.key = key_for(job_id, 1, image.index)
            backends.images.save(image.key, SECRET.encode())
        delivery = session.scalars(select(Delivery).where(Delivery.job_id == job_id)).one()
        message = Message(id=10_000 + job_id, channel_id=900, job_id=job_id)
        deliveries.posted(session, delivery.id, message)
        deliveries.done(session, delivery.id)
    return job_id


def _handed_out(database: Database, member_id: int) -> dict[str, list[dict[str, Any]]]:
    document: dict[str, list[dict[str, Any]]] = {}
    for name, page in belongings.rows(database, member_id):
        document.setdefault(name, []).extend(page)
    return document


def _images(database: Database, job_id: int) -> list[Image]:
    with database.reading() as session:
        return jobs.images_of(session, job_id)


def _count(database: Database, table: type[Table]) -> int:
    with database.reading() as session:
        return session.scalars(select(func.count()).select_from(table)).one()


def _file(database: Database) -> bytes:
    """All of the database's files."""
    path = Path(str(database._url.database))
    return b"".join(part.read_bytes() for part in sorted(path.parent.glob(f"{path.name}*")))


def test_everything_about_a_member_is_handed_out(backends: Backends) -> None:
    database = backends.database
    job_id, other = _made(backends, ADA, interaction_token="secret token"), _made(backends, BOB)
    with database.writing() as session:
        members.change_settings(session, ADA, suffix=f"--no {SECRET}")
        members.toggle_favorite(session, ADA, _images(database, other)[0].id)
        moderation.ban(session, member_id=ADA, guild_id=7, by=99, reason="rude", expires_at=None)
        reports.report(session, other, 7, ADA)
    document = _handed_out(database, ADA)
    assert [row["id"] for row in document["jobs"]] == [job_id]
    assert document["members"][0]["settings"] == {"suffix": f"--no {SECRET}"}
    assert document["bans"][0]["reason"] == "rude"
    counts = {name: len(rows) for name, rows in document.items() if rows}
    assert counts == {
        "members": 1, "member_usage": 1, "jobs": 1, "images": 4, "deliveries": 1, "messages": 1,
        "favorites": 1, "bans": 1, "audit": 1, "reports": 1,
    }  # fmt: skip
    said = json.dumps(document)
    assert "secret token" not in said
    assert '"banned_by"' not in said


def test_every_table_about_a_member_is_known_here() -> None:
    """Whoever adds one decides what a deletion leaves of it, and adds it to the tests below."""
    assert {table.name for table in belongings.tables()} == {
        *("members", "member_usage", "batches", "jobs", "images", "favorites", "deliveries", "messages"),
        *("bans", "reports", "takedowns", "audit", "bringings", "job_pictures", "exports"),
    }


def test_a_page_goes_on_where_the_last_one_ended(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    database = backends.database
    made = [_made(backends, member_id) for member_id in (ADA, BOB, ADA, ADA, BOB, ADA, ADA)]
    whole = _handed_out(database, ADA)
    shown = [image.id for image, _ in belongings.pictures(database, ADA)]
    assert len(whole["images"]) == len(shown) == 20
    for page in (1, 2, 5):
        monkeypatch.setattr(belongings, "PAGE", page)
        monkeypatch.setattr(belongings, "JOBS", page)
        assert _handed_out(database, ADA) == whole
        assert [image.id for image, _ in belongings.pictures(database, ADA)] == shown
        for place, image_id in enumerate(shown):
            left = [image.id for image, _ in belongings.pictures(database, ADA, image_id)]
            assert left == shown[place + 1 :]
    assert {row["job_id"] for row in whole["images"]} == set(made) - {2, 5}


def test_no_secret_is_handed_out(backends: Backends) -> None:
    """Each column of a row that may have a token has one."""
    database = backends.database
    token = "aW50ZXJhY3Rpb24"
    asking.made(database, ADA, interaction_token=token)
    with database.writing() as session:
        batches.propose(
            session, asking.draft(ADA, interaction_token=token), "{a, b}", [{"text": "a"}], most=80
        )
        exports.ask(session, Address(ADA, channel_id=900, interaction_token=token), None)
        stored = [table.name for table in Table.metadata.sorted_tables if "interaction_token" in table.c]
        for name in stored:
            session.execute(text(f"UPDATE {name} SET interaction_token = '{token}'"))
    assert sorted(stored) == ["batches", "deliveries", "exports", "jobs"]
    document = _handed_out(database, ADA)
    assert all(document[name] for name in stored)
    assert token not in json.dumps(document)


def test_pictures_are_the_members_own_and_shown_ones(backends: Backends) -> None:
    database = backends.database
    job_id = _made(backends, ADA)
    _made(backends, BOB)
    first, second, third, fourth = _images(database, job_id)
    with database.writing() as session:
        session.get_one(Image, second.id).withheld = True
        session.get_one(Image, third.id).deleted_at = 1
    assert [image.id for image, _ in belongings.pictures(database, ADA)] == [first.id, fourth.id]


def test_nothing_of_a_member_is_left(backends: Backends) -> None:
    database = backends.database
    for number in range(40):
        _made(backends, ADA, text=f"a {SECRET} castle {number} " + "on green hills " * (number % 7))
    other = _made(backends, BOB, parent_job_id=1)
    asking.submit(database, ADA, text=SECRET, request=_request(), interaction_token=SECRET)
    with database.writing() as session:
        members.member(session, ADA, f"Ada {SECRET}", "de")
        members.change_settings(session, ADA, suffix=SECRET)
        for image in (_images(database, other)[0], _images(database, 1)[0]):
            members.toggle_favorite(session, ADA, image.id)
        members.toggle_favorite(session, BOB, _images(database, 1)[0].id)
        draft = asking.draft(ADA, text=SECRET, interaction_token=SECRET)
        batches.propose(session, draft, f"{{a, b}} {SECRET}", [{"text": SECRET}], most=1)
        session.get_one(Job, 1).result = {"prompts": [SECRET]}
    if database._writer.dialect.name == "sqlite":
        assert SECRET.encode() in _file(database)
    deleted = privacy.erase(backends, ADA)
    assert deleted.jobs == 41
    with database.reading() as session:
        for table in Table.metadata.sorted_tables:
            for row in session.execute(select(table)).mappings():
                assert SECRET not in json.dumps(dict(row)), table.name
        member = session.get_one(Member, ADA)
        assert (member.name, member.locale, member.settings) == ("", None, {})
        assert member.deleted_at is not None
        assert session.scalars(select(Job.id).where(Job.member_id == BOB)).all() == [other]
        assert members.history(session, ADA) == []
        assert [job.id for job in members.history(session, BOB)] == [other]
    if database._writer.dialect.name == "sqlite":
        assert SECRET.encode() not in _file(database)
    kept = [path for path in backends.images.folder.rglob("*") if path.is_file()]
    assert {path.parent.name for path in kept} == {str(other)}
    assert _count(database, Favorite) == 0
    with database.reading() as session:
        used = session.scalars(select(MemberUsage.member_id)).all()
    assert used == [BOB]


def test_what_waits_runs_and_is_on_its_way_ends(backends: Backends) -> None:
    database = backends.database
    done = asking.made(database, ADA)
    running, waiting = asking.submit(database, ADA), asking.submit(database, ADA, channel_id=901)
    worker = asking.worker(database)
    claimed = asking.must_claim(database, worker)
    with database.writing() as session:
        held = deliveries.take(session, 10, 1000)
    deleted = privacy.erase(backends, ADA)
    assert [(job.id, job.state, job.channel_id) for job in deleted.interrupted if isinstance(job, Job)] == [
        (running, JobState.CANCELLED, 900),
        (waiting, JobState.CANCELLED, 901),
    ]
    assert asking.claim(database, worker) is None
    with database.writing() as session:
        assert counters.verify(session) == []
        assert deliveries.take(session, 10, 1000) == []
        with pytest.raises(Stale):
            deliveries.attempt(session, held[0].id)
    with pytest.raises(Stale):
        asking.finish(database, claimed)
    with database.writing() as session, pytest.raises(Stale):
        attempts.stopped(session, claimed.job_id, claimed.attempt)
    assert asking.counters(database, ADA) == (0, 0)
    with database.reading() as session:
        assert session.scalars(select(Delivery.state)).all() == ["given_up"]
        for job_id in (done, running, waiting):
            with pytest.raises(DataDeleted):
                jobs.get(session, job_id)
        image_id = session.scalars(select(Image.id)).first()
        assert image_id is not None
        with pytest.raises(DataDeleted):
            jobs.image(session, image_id)


def test_others_wait_in_vain_for_pictures_that_are_gone(backends: Backends) -> None:
    """A picture of hers that Bob asked for is not posted any more."""
    database = backends.database
    job_id = _made(backends, ADA)
    with database.writing() as session:
        address = Address(BOB, channel_id=900)
        deliveries.request_single(session, address, image_id=_images(database, job_id)[0].id, once="press:5")
    privacy.erase(backends, ADA)
    with database.writing() as session:
        assert deliveries.take(session, 10, 1000) == []


def test_moderation_keeps_what_it_needs(backends: Backends) -> None:
    database = backends.database
    job_id = _made(backends, ADA)
    with database.writing() as session:
        moderation.ban(session, member_id=ADA, guild_id=7, by=99, reason="rude", expires_at=None)
    with database.writing() as session:
        reports.report(session, job_id, 7, BOB)
    privacy.erase(backends, ADA)
    assert (_count(database, Ban), _count(database, AuditEntry)) == (1, 1)
    with database.reading() as session:
        assert restrictions.active_ban(session, ADA, 7) is not None
        assert moderation.verify_chain(session) == []
        (open_report,) = reports.undecided(session, 7)
    with database.writing() as session:
        withheld = reports.withhold(session, open_report.id, 7, 99)
        assert withheld is not None
        assert not withheld.messages
    assert asking.counters(database, ADA) == (0, 0)


def test_who_comes_back_starts_anew(backends: Backends) -> None:
    database = backends.database
    old = _made(backends, ADA)
    with database.writing() as session:
        session.get_one(Member, ADA).waiting_limit = 2
    privacy.erase(backends, ADA)
    new = _made(backends, ADA)
    with database.reading() as session:
        member = session.get_one(Member, ADA)
        assert (member.deleted_at, member.settings, member.waiting_limit) == (None, {}, 2)
        assert [job.id for job in members.history(session, ADA)] == [new]
        assert members.totals(session, ADA).jobs == 1
        with pytest.raises(DataDeleted):
            jobs.get(session, old)
    assert privacy.erase(backends, ADA).jobs == 1


def test_who_is_unknown_loses_nothing(backends: Backends) -> None:
    assert privacy.erase(backends, 404).jobs == 0
    with backends.database.reading() as session:
        assert session.get_one(Member, 404).name == ""
