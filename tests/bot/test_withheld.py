"""What the operator withholds is shown to nobody, whenever it is finished and however it is asked for."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from bot import messages
from bot.messages import refusals
from storage import belongings, jobs, members, states, takedowns
from storage.tables import Member
from storage.takedowns import EVERYWHERE, OPERATOR
from tests.bot import drawing
from tests.bot.discord_server import Interaction
from tests.bot.studio import Studio


def withhold(studio: Studio, job_id: int) -> None:
    with studio.backends.database.writing() as session:
        takedowns.take_down(session, job_id, EVERYWHERE, OPERATOR)


def undo(studio: Studio, job_id: int) -> bool:
    with studio.backends.database.writing() as session:
        return takedowns.restore(session, job_id, EVERYWHERE, OPERATOR)


def show(studio: Studio, job_id: int) -> Interaction:
    interaction = studio.server.slash(studio.ada, studio.channel, "show", job_id=job_id)
    studio.wait(lambda: interaction.original, what="an answer to /show")
    return interaction


def said(interaction: Interaction) -> str:
    assert interaction.original is not None
    return interaction.original.content


@pytest.mark.parametrize("copy", [False, True])
def test_a_job_that_is_finished_all_the_same_is_posted_nowhere(studio: Studio, copy: bool) -> None:
    interaction = studio.imagine()
    with studio.backends.database.writing() as session:
        session.execute(update(Member).values(settings={"auto_dm": copy}))
    taken = drawing.claim(studio.backends)
    with studio.backends.database.writing() as session:
        states.cancel(session, taken.job_id)
    withhold(studio, taken.job_id)
    job = drawing.finish(studio.backends, taken)
    (row,) = studio.settled()
    assert (row.kind, row.state) == ("result", "done")
    assert said(interaction) == messages.withheld_everywhere(job)
    assert not any(message.files for message in studio.channel.shown())
    assert not studio.server.dm(studio.ada).shown()


def test_show_refuses_with_a_sentence_until_it_is_undone(studio: Studio) -> None:
    studio.grid()
    job_id = studio.deliveries()[0].job_id
    withhold(studio, job_id)
    studio.wait(lambda: not studio.pictures(), what="no picture")
    studio.settled()
    assert said(show(studio, job_id)) == refusals.taken_down(everywhere=True)
    assert len(studio.deliveries()) == 1
    assert undo(studio, job_id)
    assert not undo(studio, job_id)
    show(studio, job_id)
    assert "safety check" not in studio.picture().content


def test_its_member_finds_it_nowhere(studio: Studio) -> None:
    studio.grid()
    job_id = studio.deliveries()[0].job_id
    database = studio.backends.database

    def found() -> tuple[int, int, int]:
        with database.reading() as session:
            history = members.history(session, studio.ada.id)
            mine = jobs.images_of(session, job_id)
        return len(history), len(mine), len(list(belongings.pictures(database, studio.ada.id)))

    assert found() == (1, 4, 4)
    withhold(studio, job_id)
    assert found() == (0, 0, 0)
    undo(studio, job_id)
    assert found() == (1, 4, 4)
