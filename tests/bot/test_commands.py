"""The slash commands, as members and moderators meet them."""

from __future__ import annotations

from typing import Any

import pytest

from bot.messages import refusals
from storage import attempts, moderation
from storage.contract import JobState
from storage.tables import Job
from tests.bot import drawing
from tests.bot.simulated import World, answer, buttons, interactions_with, labels, press, texts


def job_rows(world: World) -> list[Job]:
    with world.backends.database.reading() as session:
        return session.query(Job).order_by(Job.id).all()


async def test_imagine_answers_at_once_with_its_place_and_a_cancel_button(world: World) -> None:
    alice = world.member("alice")
    result = await alice.slash(world.channel, "imagine", prompt="a red castle --ar 3:2")
    waiting = answer(result)
    assert waiting.content == f"**a red castle --ar 3:2** - {alice.mention} (Waiting to start)"
    assert labels(waiting) == ["Cancel Job"]
    assert not result.ephemeral
    (job,) = job_rows(world)
    assert job.progress_message_id == waiting.id
    assert (job.member_id, job.guild_id, job.channel_id) == (alice.id, world.guild.id, world.channel.id)


async def test_the_result_is_a_new_message_and_the_progress_is_gone(world: World) -> None:
    alice = world.member("alice")
    result = await alice.slash(world.channel, "imagine", prompt="a red castle")
    drawing.draw(world.backends)
    grid = await world.picture()
    assert labels(grid) == ["U1", "U2", "U3", "U4", "🔄", "V1", "V2", "V3", "V4"]
    assert alice.mention in grid.content
    assert [user.id for user in grid.mentions] == [alice.id]
    await world.until(lambda: result.response is None)
    assert len(world.messages()) == 1


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("a castle --banana", "--banana"),
        ("a castle --stilyze 100", "--stylize"),
        ("a castle --s 1001", "0"),
        ("a castle --ar 9:1", "4:1"),
        ("a castle --seed 4294967296", "4294967295"),
        ("--ar 3:2", "prompt"),
    ],
)
async def test_bad_flags_are_refused_privately_with_the_prompt_to_copy(
    world: World, prompt: str, named: str
) -> None:
    alice = world.member("alice")
    result = await alice.slash(world.channel, "imagine", prompt=prompt)
    assert result.ephemeral
    assert named in answer(result).content
    assert prompt in answer(result).content
    assert job_rows(world) == []


async def test_a_full_queue_refuses_and_a_busy_member_is_told(world: World) -> None:
    alice = world.member("alice")
    for number in range(10):
        result = await alice.slash(world.channel, "imagine", prompt=f"castle {number}")
    told = [followup.content for followup in result.followups]
    assert told == [refusals.concurrent()]
    result = await alice.slash(world.channel, "imagine", prompt="one too many")
    assert result.ephemeral
    assert answer(result).content == refusals.queue_full(10)
    assert len(job_rows(world)) == 10


async def test_imagine_in_direct_messages_and_threads(world: World) -> None:
    bob = world.user("bob")
    await bob.slash("imagine", prompt="a blue boat")
    drawing.draw(world.backends)
    grid = await world.picture(channel=bob.dm_channel)
    assert job_rows(world)[0].guild_id is None
    await press(bob, grid, "U1")
    assert await world.picture(after=grid.id, channel=bob.dm_channel)


async def test_permissions_are_checked_before_anything_is_drawn(world: World) -> None:
    alice = world.member("alice")
    channel = world.channel_where_bot("no-files", attach_files=False)
    result = await alice.slash(channel, "imagine", prompt="a red castle")
    assert result.ephemeral
    assert "Attach Files" in answer(result).content
    assert job_rows(world) == []


async def test_where_only_the_member_installed_easel(world: World) -> None:
    alice = world.member("alice")
    with interactions_with(
        authorizing_integration_owners={"1": str(alice.id)}, app_permissions="0", locale="zh-CN"
    ):
        await alice.slash(world.channel, "imagine", prompt="a red castle")
    (job,) = job_rows(world)
    assert job.user_install
    assert job.locale == "zh-CN"


async def test_forbidden_words(world: World) -> None:
    alice = world.member("alice")
    result = await alice.slash(world.channel, "imagine", prompt="lolicon")
    assert result.ephemeral
    assert "Banned prompt" in answer(result).content
    assert job_rows(world) == []


async def test_show_posts_a_job_again_for_its_member_alone(world: World) -> None:
    alice, mallory = world.member("alice"), world.member("mallory")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    early = await alice.slash(world.channel, "show", job_id=1)
    assert "not finished" in answer(early).content
    job = drawing.draw(world.backends)
    grid = await world.picture()
    elsewhere = world.guild.create_text_channel("elsewhere")
    result = await alice.slash(elsewhere, "show", job_id=job.id)
    assert result.ephemeral
    again = await world.picture(channel=elsewhere)
    assert labels(again) == labels(grid)
    refused = await mallory.slash(elsewhere, "show", job_id=job.id)
    assert "somebody else" in answer(refused).content
    missing = await alice.slash(elsewhere, "show", job_id=999)
    assert "no job 999" in answer(missing).content


async def test_info_lists_the_queue_and_stops_jobs(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a done castle")
    drawing.draw(world.backends)
    await alice.slash(world.channel, "imagine", prompt="a running castle")
    running = drawing.claim(world.backends)
    await alice.slash(world.channel, "imagine", prompt="a waiting castle")
    result = await alice.slash(world.channel, "info")
    assert result.ephemeral
    said = texts(answer(result))
    assert "4 pictures in 1 jobs" in said
    assert "**Running jobs:** 1 of 3" in said
    assert "**Waiting jobs:** 1 of 10" in said
    assert said.index("a running castle") < said.index("a waiting castle")
    waiting = job_rows(world)[2]
    await alice.click(answer(result), custom_id=f"e1:ci:{waiting.id}")
    assert job_rows(world)[2].state == JobState.CANCELLED
    assert "a waiting castle" not in texts(answer(result))
    await alice.click(answer(result), custom_id=f"e1:ci:{running.job_id}")
    assert labels(answer(result)) == ["Stopping…"]
    with world.backends.database.writing() as session:
        attempts.stopped(session, running.job_id, running.attempt)


async def test_info_has_the_modes_and_links_to_the_last_pictures(world: World) -> None:
    alice = world.member("alice")
    for number in range(6):
        await alice.slash(world.channel, "imagine", prompt=f"a castle {number}")
        drawing.draw(world.backends)
    await world.delivered()
    await alice.slash(world.channel, "relax")
    await alice.slash(world.channel, "stealth")
    said = texts(answer(await alice.slash(world.channel, "info")))
    assert "**Job mode:** Relaxed" in said
    assert "**Visibility mode:** Stealth" in said
    assert [number for number in range(6) if f"a castle {number}" in said] == [1, 2, 3, 4, 5]
    assert f"[Job 6]({world.grid_of(6).jump_url})" in said


async def test_queue_lists_jobs_and_batches_and_stops_both(world: World) -> None:
    alice, mod = world.member("alice"), world.member("mod", manage_messages=True)
    empty = await alice.slash(world.channel, "queue")
    assert "Nothing runs or waits" in texts(answer(empty))
    waiting = await alice.slash(world.channel, "imagine", prompt="a red castle")
    asked = await alice.slash(world.channel, "imagine", prompt="a {red, blue} boat")
    await press(alice, answer(asked), "Yes")
    page = answer(await alice.slash(world.channel, "queue"))
    said = texts(page)
    assert "2 entries" in said
    assert "a red castle" in said
    assert "0 of 2 done" in said
    assert said.count("[jump](") == 2
    assert str(answer(waiting).id) in said
    assert "**Waiting jobs:** 2 of 10" in texts(answer(await alice.slash(world.channel, "info")))
    staff = answer(await mod.slash(world.channel, "mod queue"))
    assert texts(staff).count(alice.mention) == 2
    await world.restart_bot()
    await alice.click(page, custom_id="e1:cq:1")
    assert "a red castle" not in texts(page)
    await mod.click(staff, custom_id="e1:bm:1")
    assert [job.state for job in job_rows(world)] == [JobState.CANCELLED] * 3
    assert "No job" in texts(staff)
    await alice.click(page, custom_id="e1:bq:1")
    assert "Nothing runs or waits" in texts(page)


def chosen(panel: Any) -> list[str]:
    """Ratios and strengths that are on."""
    on = [part["label"] for part in buttons(panel) if part["style"] == 3]
    return [label for label in on if not label.lower().endswith(" mode")]


async def test_settings_show_what_is_on_and_are_used(world: World) -> None:
    alice = world.member("alice")
    result = await alice.slash(world.channel, "settings")
    assert result.ephemeral
    assert chosen(answer(result)) == []
    await press(alice, answer(result), "3:2")
    await press(alice, answer(result), "High (250)")
    assert chosen(answer(result)) == ["3:2", "High (250)"]
    waiting = await alice.slash(world.channel, "imagine", prompt="a red castle")
    assert "--ar 3:2" in answer(waiting).content
    (job,) = job_rows(world)
    assert (job.request["width"], job.request["height"], job.request["stylize"]) == (80, 56, 250)
    await press(alice, answer(result), "3:2")
    assert chosen(answer(result)) == ["High (250)"]
    await alice.select(answer(result), ["other"], custom_id="e1:sm:0")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    assert job_rows(world)[1].model == "other"
    await press(alice, answer(result), "Reset Settings")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    assert job_rows(world)[2].model == "picturebook"
    again = await alice.slash(world.channel, "settings")
    assert chosen(answer(again)) == []


async def test_moderators_ban_and_unban(world: World) -> None:
    mod, alice = world.member("mod", manage_messages=True, moderate_members=True), world.member("alice")
    result = await mod.slash(world.channel, "mod ban", user=alice, reason="rude words", lasts=24)
    assert result.ephemeral
    assert alice.mention in answer(result).content
    refused = await alice.slash(world.channel, "imagine", prompt="a red castle")
    assert refused.ephemeral
    assert "rude words" in answer(refused).content
    assert job_rows(world) == []
    await mod.slash(world.channel, "mod unban", user=alice)
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    assert len(job_rows(world)) == 1
    nobody = await mod.slash(world.channel, "mod unban", user=alice)
    assert "not banned" in answer(nobody).content
    own = await mod.slash(world.channel, "mod ban", user=mod)
    assert "yourself" in answer(own).content
    log = texts(answer(await mod.slash(world.channel, "mod audit")))
    assert "lifted the ban of" in log
    assert "rude words" in log
    with world.backends.database.reading() as session:
        assert moderation.verify_chain(session) == []


async def test_moderators_pause_resume_see_and_stop(world: World) -> None:
    mod, alice = world.member("mod", manage_messages=True), world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    await mod.slash(world.channel, "mod pause")
    refused = await alice.slash(world.channel, "imagine", prompt="a blue castle")
    assert refused.ephemeral
    assert "paused" in answer(refused).content
    queue = await mod.slash(world.channel, "mod queue")
    said = texts(answer(queue))
    assert "red castle" in said
    assert alice.mention in said
    assert "held" in said
    assert "paused" in said
    await press(mod, answer(queue), "Cancel Job")
    assert job_rows(world)[0].state == JobState.CANCELLED
    assert "No job" in texts(answer(queue))
    await mod.slash(world.channel, "mod resume")
    await alice.slash(world.channel, "imagine", prompt="a blue castle")
    second = job_rows(world)[1]
    await mod.slash(world.channel, "mod cancel", job_id=second.id)
    assert job_rows(world)[1].state == JobState.CANCELLED
    late = await mod.slash(world.channel, "mod cancel", job_id=second.id)
    assert "cancelled already" in answer(late).content
    log = texts(answer(await mod.slash(world.channel, "mod audit")))
    assert [log.count(act) for act in ("cancelled a job of", "paused new jobs", "run again")] == [2, 1, 1]


async def test_who_is_no_moderator_may_not(world: World) -> None:
    alice, mallory = world.member("alice"), world.member("mallory")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    assert not [name for name in mallory.available_commands(world.channel) if name.split()[0] == "mod"]
    world.allow_command("mod", mallory)
    attempts: list[tuple[str, dict[str, object]]] = [
        ("mod ban", {"user": alice}),
        ("mod pause", {}),
        ("mod cancel", {"job_id": 1}),
        ("mod audit", {}),
    ]
    for command, options in attempts:
        result = await mallory.slash(world.channel, command, **options)
        assert result.ephemeral
        assert answer(result).content == refusals.not_moderator()
    assert job_rows(world)[0].state == JobState.QUEUED


async def test_an_unforeseen_error_is_one_sentence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Traceback: secret")

    monkeypatch.setattr(world.backends.database, "write", broken)
    alice = world.member("alice")
    result = await alice.slash(world.channel, "imagine", prompt="a red castle")
    assert result.ephemeral
    assert "secret" not in answer(result).content
    assert "something went wrong" in answer(result).content
    assert [type(error.__cause__) for error in world.env.errors] == [RuntimeError]
    world.forgive()
