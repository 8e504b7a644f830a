"""Previews where the pictures themselves may not be shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from bot import messages
from storage import moderation, reports, states, takedowns, words
from storage.attempts import Claim
from storage.contract import ChangedEvent
from storage.takedowns import EVERYWHERE, OPERATOR
from tests.bot import drawing, photos
from tests.bot.discord_server import Interaction
from tests.bot.studio import Studio

MOD = 99
Refuse = Callable[[Session, Studio], object]
REFUSALS: dict[str, Refuse] = {
    "banned": lambda session, studio: moderation.ban(
        session, member_id=studio.ada.id, guild_id=studio.guild.id, by=MOD, reason="", expires_at=None
    ),
    "words": lambda session, studio: words.forbid(session, studio.guild.id, MOD, "castle"),
    "taken down": lambda session, studio: takedowns.take_down(session, 1, studio.guild.id, MOD),
    "withheld": lambda session, _: takedowns.take_down(session, 1, EVERYWHERE, OPERATOR),
}


def running(studio: Studio) -> tuple[Interaction, Claim]:
    """A job that is half drawn, and shows it."""
    interaction = studio.imagine()
    taken = drawing.claim(studio.backends)
    studio.progress(taken, 0.5, photos.png(64, 64))
    studio.wait(lambda: interaction.original and interaction.original.files, what="a preview")
    return interaction, taken


def refuse(studio: Studio, how: str) -> None:
    with studio.backends.database.writing() as session:
        REFUSALS[how](session, studio)


def is_bare(interaction: Interaction) -> bool:
    assert interaction.original is not None
    return not interaction.original.files


@pytest.mark.parametrize("how", REFUSALS)
def test_a_running_job_shows_none_any_more(studio: Studio, how: str) -> None:
    interaction, taken = running(studio)
    refuse(studio, how)
    studio.progress(taken, 0.75, photos.png(64, 64, "red"))
    studio.wait(lambda: "(75%)" in studio.channel.shown()[0].content, what="the progress itself")
    assert is_bare(interaction)


def test_a_reported_job_that_is_stopped_keeps_none(studio: Studio) -> None:
    interaction, taken = running(studio)
    with studio.backends.database.writing() as session:
        reports.report(session, taken.job_id, studio.guild.id, studio.bob.id)
        (report,) = reports.undecided(session, studio.guild.id)
        reports.withhold(session, report.id, studio.guild.id, MOD)
    job = drawing.stop(studio.backends, taken)
    studio.settled()
    assert is_bare(interaction)
    assert studio.channel.shown()[0].content == messages.cancelled(job)


@pytest.mark.parametrize("how", ["taken down", "withheld"])
def test_a_stopped_job_is_stripped_of_what_it_kept(studio: Studio, how: str) -> None:
    interaction, taken = running(studio)
    with studio.backends.database.writing() as session:
        states.cancel(session, taken.job_id)
    studio.backends.events.publish(ChangedEvent(job_id=taken.job_id, sequence=1))
    job = drawing.stop(studio.backends, taken)
    studio.settled()
    assert not is_bare(interaction), "who cancels keeps what there is"
    refuse(studio, how)
    studio.wait(lambda: is_bare(interaction), what="no preview")
    studio.settled()
    says = messages.cancelled if how == "taken down" else messages.withheld_everywhere
    assert studio.channel.shown()[0].content == says(job)
