"""Wherever a member may type a command, every stage of the job goes where they can see it."""

from __future__ import annotations

import time

import pytest

from bot.discord_io.posting import HANDOVER_MS
from bot.messages import refusals
from storage import attempts, jobs, members
from storage.contract import ErrorCode
from storage.tables import Delivery
from tests.bot import drawing
from tests.bot.discord_server import Channel, Interaction, Message, Refusal, User
from tests.bot.discord_server.faults import unknown_message
from tests.bot.discord_server.world import (
    ANNOUNCEMENT,
    FORUM,
    PRIVATE_THREAD,
    PUBLIC_THREAD,
    STAGE,
    VOICE,
)
from tests.bot.simulated import World, interactions_with
from tests.bot.studio import Studio

SOON = HANDOVER_MS - 1000


def foreign(studio: Studio, kind: str) -> Channel:
    """A place where Easel is only because its member installed it."""
    if kind == "group":
        return studio.server.group(studio.ada, studio.bob)
    return studio.server.guild("elsewhere", studio.ada, studio.bob, has_bot=False).channel("theirs")


def thread(studio: Studio, **options: int) -> Channel:
    made = studio.guild.channel("a thread", parent=studio.channel, **{"type": PUBLIC_THREAD, **options})
    studio.server.dispatch("THREAD_CREATE", made.json())
    return made


def expire(studio: Studio, job_id: int, left_ms: int = -1) -> None:
    """Leave the job's token so many milliseconds."""
    studio.change_job(job_id, token_expires_at=int(time.time() * 1000) + left_ms)


def original(interaction: Interaction) -> Message:
    assert interaction.original is not None
    return interaction.original


def handed_over(studio: Studio, channel: Channel) -> tuple[Interaction, attempts.Claim]:
    """A job that runs beyond its token, and has said so."""
    interaction = studio.imagine(channel=channel)
    taken = drawing.claim(studio.backends)
    expire(studio, taken.job_id, SOON)
    studio.progress(taken, 0.5)
    studio.wait(lambda: "Still drawing" in original(interaction).content, what="the handing over")
    expire(studio, taken.job_id)
    interaction.expired = True
    return interaction, taken


def private_copy(studio: Studio, user: User) -> Message:
    (message,) = studio.pictures(studio.server.dm(user))
    return message


@pytest.mark.parametrize("kind", [VOICE, STAGE, ANNOUNCEMENT], ids=["voice", "stage", "announcement"])
def test_other_channels_of_a_guild_work_like_text(studio: Studio, kind: int) -> None:
    channel = studio.guild.channel("other", type=kind)
    studio.server.dispatch("CHANNEL_CREATE", channel.json())
    interaction = studio.imagine(channel=channel)
    taken = drawing.claim(studio.backends)
    studio.progress(taken, 0.4)
    studio.wait(lambda: "(40%)" in original(interaction).content)
    drawing.finish(studio.backends, taken)
    message = studio.picture(channel=channel)
    studio.settled()
    assert channel.shown() == [message]


def test_a_post_of_a_forum_works(studio: Studio) -> None:
    forum = studio.guild.channel("forum", type=FORUM)
    studio.server.dispatch("CHANNEL_CREATE", forum.json())
    post = studio.guild.channel("a post", type=PUBLIC_THREAD, parent=forum)
    studio.server.dispatch("THREAD_CREATE", post.json())
    studio.imagine(channel=post)
    drawing.draw(studio.backends)
    grid = studio.picture(channel=post)
    studio.server.press(studio.bob, grid, "U1")
    assert studio.picture(2, channel=post).reference == grid.id
    studio.settled()


def test_an_archived_thread_is_opened_again_by_the_result(studio: Studio) -> None:
    place = thread(studio)
    studio.imagine(channel=place)
    taken = drawing.claim(studio.backends)
    expire(studio, taken.job_id)
    place.archived = True
    drawing.finish(studio.backends, taken)
    message = studio.picture(channel=place)
    studio.settled()
    assert place.shown() == [message]
    assert not place.archived


def test_a_failure_in_an_archived_thread_is_told_there(studio: Studio) -> None:
    """Nothing there can be edited, but something can be posted."""
    place = thread(studio)
    studio.imagine(channel=place)
    taken = drawing.claim(studio.backends)
    expire(studio, taken.job_id)
    place.archived = True
    with studio.backends.database.writing() as session:
        attempts.fail(session, taken.job_id, taken.attempt, ErrorCode.OUT_OF_MEMORY, "by hand", retry=False)
    studio.settled()
    assert "memory" in place.shown()[-1].content


@pytest.mark.parametrize("what", ["locked", "left", "deleted"])
def test_where_a_thread_takes_nothing_the_result_comes_by_direct_message(studio: Studio, what: str) -> None:
    place = thread(studio, type=PRIVATE_THREAD if what == "left" else PUBLIC_THREAD)
    studio.imagine(channel=place)
    taken = drawing.claim(studio.backends)
    expire(studio, taken.job_id)
    place.locked, place.joined = what == "locked", what != "left"
    if what == "deleted":
        studio.guild.channels.remove(place)
    drawing.finish(studio.backends, taken)
    studio.settled()
    assert f"<#{place.id}>" in private_copy(studio, studio.ada).content
    assert studio.pictures(place) == []


def test_a_locked_thread_of_a_member_without_direct_messages_keeps_it_in_history(studio: Studio) -> None:
    place = thread(studio)
    studio.ada.closed_dms = True
    interaction = studio.imagine(channel=place)
    taken = drawing.claim(studio.backends)
    expire(studio, taken.job_id)
    place.locked = True
    job = drawing.finish(studio.backends, taken)
    (row,) = studio.settled()
    assert row.state == "given_up"
    assert "/show" in original(interaction).content
    with studio.backends.database.reading() as session:
        assert [found.id for found in members.history(session, studio.ada.id)] == [job.id]


@pytest.mark.parametrize("kind", ["guild", "group"])
def test_where_only_the_member_has_easel_all_goes_through_the_token(studio: Studio, kind: str) -> None:
    channel = foreign(studio, kind)
    interaction = studio.imagine(channel=channel)
    assert studio.job_of(interaction).user_install
    taken = drawing.claim(studio.backends)
    studio.progress(taken, 0.4)
    studio.wait(lambda: "(40%)" in original(interaction).content)
    drawing.finish(studio.backends, taken)
    message = studio.picture(channel=channel)
    studio.settled()
    assert original(interaction) is message
    assert channel.shown() == [message]
    assert studio.server.posts() == []
    pressed = studio.server.press(studio.bob, message, "U2")
    single = studio.picture(2, channel=channel)
    studio.settled()
    assert pressed.followups == [single]


@pytest.mark.parametrize("kind", ["guild", "group"])
def test_before_the_token_ends_the_message_offers_to_show_it(studio: Studio, kind: str) -> None:
    interaction, taken = handed_over(studio, foreign(studio, kind))
    labels = [button["label"] for button in original(interaction).buttons]
    assert labels == ["Show", "Cancel Job"]
    drawing.finish(studio.backends, taken)
    studio.settled()
    assert "15 minutes" in private_copy(studio, studio.ada).content


def test_a_waiting_job_offers_it_too(studio: Studio) -> None:
    interaction = studio.imagine(channel=foreign(studio, "guild"))
    job = studio.job_of(interaction)
    studio.stop_bot()
    studio.change_job(job.id, created_at=0)
    expire(studio, job.id, SOON)
    studio.start_bot()
    studio.wait(lambda: "Still drawing" in original(interaction).content)


def test_show_goes_on_with_a_fresh_token(studio: Studio) -> None:
    channel = foreign(studio, "guild")
    interaction, taken = handed_over(studio, channel)
    pressed = studio.server.press(studio.ada, original(interaction), "Show")
    studio.wait(lambda: studio.job_of(interaction).interaction_token == pressed.token)
    assert pressed.took < 3
    studio.progress(taken, 0.6)
    studio.wait(lambda: "(60%)" in original(interaction).content)
    assert [button["label"] for button in original(interaction).buttons] == ["Cancel Job"]
    drawing.finish(studio.backends, taken)
    message = studio.picture(channel=channel)
    studio.settled()
    assert original(interaction) is original(pressed) is message
    assert channel.shown() == [message]
    assert studio.server.dm(studio.ada).shown() == []


def test_show_brings_what_is_finished_meanwhile(studio: Studio) -> None:
    """The direct messages are closed: nothing came, and nothing is lost."""
    channel = foreign(studio, "guild")
    studio.ada.closed_dms = True
    interaction, taken = handed_over(studio, channel)
    drawing.finish(studio.backends, taken)
    (row,) = studio.settled()
    assert row.state == "given_up"
    pressed = studio.server.press(studio.ada, original(interaction), "Show")
    message = studio.picture(channel=channel)
    studio.settled()
    assert pressed.followups == [message]
    assert "below" in original(interaction).content


def test_show_says_that_it_failed(studio: Studio) -> None:
    interaction, taken = handed_over(studio, foreign(studio, "guild"))
    with studio.backends.database.writing() as session:
        attempts.fail(session, taken.job_id, taken.attempt, ErrorCode.OUT_OF_MEMORY, "by hand", retry=False)
    studio.settled()
    studio.server.press(studio.ada, original(interaction), "Show")
    studio.wait(lambda: "memory" in original(interaction).content)
    assert original(interaction).buttons == []


def test_show_is_for_the_jobs_member(studio: Studio) -> None:
    interaction, taken = handed_over(studio, foreign(studio, "guild"))
    before = original(interaction).content
    refused = studio.server.press(studio.bob, original(interaction), "Show")
    assert studio.wait(lambda: refused.original).content == refusals.not_yours()
    assert original(interaction).content == before
    assert studio.job_of(interaction).interaction_token != refused.token
    drawing.finish(studio.backends, taken)
    studio.settled()


def test_stealth_goes_on_with_a_fresh_token_too(studio: Studio) -> None:
    interaction = studio.imagine(prompt="a red castle --stealth")
    taken = drawing.claim(studio.backends)
    expire(studio, taken.job_id, SOON)
    studio.progress(taken, 0.5)
    studio.wait(lambda: "Still drawing" in original(interaction).content)
    expire(studio, taken.job_id)
    pressed = studio.server.press(studio.ada, original(interaction), "Show")
    studio.wait(lambda: studio.job_of(interaction).interaction_token == pressed.token)
    drawing.finish(studio.backends, taken)
    studio.settled()
    assert original(pressed).ephemeral
    assert len(original(pressed).files) == 1
    assert pressed.followups == []
    assert studio.channel.shown() == []


def test_a_token_that_may_post_no_more_leaves_direct_messages(studio: Studio) -> None:
    """Where only the member installed Easel, Discord takes five messages an interaction."""
    channel = foreign(studio, "guild")
    studio.imagine(channel=channel)
    studio.server.faults.add("PATCH", "@original", refusal=unknown_message())
    spent = Refusal(400, 40094, "Maximum number of follow up messages reached")
    studio.server.faults.add("POST", "/webhooks/{webhook_id}/{webhook_token}", refusal=spent)
    drawing.draw(studio.backends)
    studio.settled()
    private_copy(studio, studio.ada)


async def test_in_its_own_direct_messages_easel_posts_whoever_installed_it(world: World) -> None:
    bob = world.user("bob")
    owners = {"1": str(bob.id)}
    with interactions_with(authorizing_integration_owners=owners, context=1, app_permissions="0"):
        await bob.slash("imagine", prompt="a blue boat")
    drawing.draw(world.backends)
    assert await world.picture(channel=bob.dm_channel)
    await world.delivered()
    with world.backends.database.reading() as session:
        assert not session.query(Delivery).one().user_install


@pytest.mark.parametrize("context", [0, 2])
async def test_elsewhere_it_is_known_that_only_the_member_installed_it(world: World, context: int) -> None:
    alice = world.member("alice")
    owners = {"1": str(alice.id)}
    with interactions_with(authorizing_integration_owners=owners, context=context, app_permissions="0"):
        await alice.slash(world.channel, "imagine", prompt="a blue boat")
    with world.backends.database.reading() as session:
        (job,) = jobs.unfinished(session)
    assert job.user_install
