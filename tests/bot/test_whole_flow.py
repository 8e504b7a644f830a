"""The whole flow on real Redis and PostgreSQL: bot and worker are processes, the pictures are drawn."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import PIL.Image
import pytest
from pydantic import SecretStr

from storage import batches
from storage.batches import Tally
from storage.config import Config
from storage.database import Database
from tests.bot.discord_server import DiscordServer, Message
from tests.bot.processes import Processes
from tests.bot.studio import Studio
from tests.generator import working

LONG_ENOUGH_TO_BE_SEEN = 900
"""Steps of the tiny model: some seconds, on whatever machine."""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return working.make_catalog(tmp_path_factory.mktemp("models"))


@pytest.fixture
def on_many_machines(tmp_path: Path, catalog: Path, postgres_url: str, redis_url: str) -> Config:
    database = Database(postgres_url)
    database.upgrade()
    database.close()
    return Config(
        data_dir=tmp_path,
        catalog=catalog,
        database_url=SecretStr(postgres_url),
        broker_url=SecretStr(redis_url),
    )


@pytest.fixture
def on_one_machine(tmp_path: Path, catalog: Path, empty_database: Path) -> Config:
    shutil.copy(empty_database, tmp_path / "easel.db")
    return Config(data_dir=tmp_path, catalog=catalog)


@contextmanager
def installed(server: DiscordServer, config: Config) -> Iterator[tuple[Studio, Processes]]:
    studio = Studio(server, config)
    processes = Processes(server, studio.config)
    try:
        yield studio, processes
    finally:
        processes.close()
        studio.close()


def picture_of(message: Message) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(message.files[0].data))


def next_picture(studio: Studio, number: int) -> Message:
    studio.wait(lambda: len(studio.pictures()) >= number, 240, what=f"{number} picture messages")
    return studio.pictures()[-1]


def press(studio: Studio, message: Message, button: str) -> Message:
    """Press as the other member, and wait for what comes of it."""
    number = len(studio.pictures()) + 1
    interaction = studio.server.press(studio.bob, message, button)
    result = next_picture(studio, number)
    assert interaction.took < 3
    assert result.pinged == {studio.bob.id}
    assert result.reference == message.id
    return result


def see_one_form(studio: Studio) -> Message:
    """Imagine a picture that takes its time; returns its grid."""
    interaction = studio.imagine(prompt=f"a blue castle --steps {LONG_ENOUGH_TO_BE_SEEN}")
    grid = next_picture(studio, 1)
    assert interaction.original is not None
    seen = [version for version in interaction.original.versions if "%)" in version.content]
    assert seen, "progress was shown"
    assert any(version.files for version in seen), "with a preview"
    assert grid.pinged == {studio.ada.id}
    return grid


def imagine_to_history(studio: Studio) -> tuple[Message, Message]:
    """Everything a member does with one prompt; returns the grid and a variation of it."""
    number = len(studio.pictures()) + 1
    studio.imagine(prompt="a red castle --steps 20")
    grid = next_picture(studio, number)

    single = press(studio, grid, "U2")
    assert "Image #2" in single.content
    upscaled = press(studio, single, "Upscale (Subtle)")
    assert "Upscaled (Subtle)" in upscaled.content
    varied = press(studio, grid, "V3")
    assert "Variations by" in varied.content
    assert picture_of(varied).width == picture_of(grid).width
    rerolled = press(studio, grid, "🔄")
    assert picture_of(rerolled).tobytes() != picture_of(grid).tobytes()

    history = studio.server.slash(studio.ada, studio.channel, "history")
    page = studio.wait(lambda: history.original if history.original and history.original.files else None)
    assert page.ephemeral
    return grid, varied


@pytest.mark.timeout(1200)
def test_bot_and_worker_apart_on_redis_and_postgresql(
    discord_server: DiscordServer, on_many_machines: Config
) -> None:
    with installed(discord_server, on_many_machines) as (studio, processes):
        worker, bot = processes.start("worker"), processes.start_bot()
        see_one_form(studio)
        grid, varied = imagine_to_history(studio)
        processes.stop(bot)
        processes.stop(worker)
        processes.start("worker")
        processes.start_bot()
        press(studio, grid, "U4")
        press(studio, varied, "V1")
        studio.settled()
        assert all(message in studio.pictures() for message in studio.channel.shown())
        for command in ("bot", "worker"):
            assert "Traceback" not in processes.log(command)


@pytest.mark.exhaustive
@pytest.mark.timeout(1200)
def test_all_in_one_process_killed_in_the_middle(
    discord_server: DiscordServer, on_one_machine: Config
) -> None:
    with installed(discord_server, on_one_machine) as (studio, processes):
        easel = processes.start_bot("run")
        slow = see_one_form(studio)
        imagine_to_history(studio)
        number = len(studio.pictures())
        interaction = studio.server.press(studio.bob, slow, "V1")
        message = studio.wait(lambda: interaction.original, what="an answer")
        studio.wait(lambda: "%)" in message.content, what="progress")
        processes.kill(easel)
        easel = processes.start_bot("run")
        varied = next_picture(studio, number + 1)
        studio.settled()
        assert varied.pinged == {studio.bob.id}
        assert len(studio.pictures()) == number + 1
        assert message.id not in studio.channel.messages
        processes.stop(easel)
        assert "Traceback" not in processes.log("run")


def tally(studio: Studio) -> Tally:
    with studio.backends.database.reading() as session:
        return batches.tally(session, 1)


@pytest.mark.exhaustive
@pytest.mark.timeout(1200)
def test_a_batch_goes_on_when_everything_was_killed_in_the_middle(
    discord_server: DiscordServer, on_one_machine: Config
) -> None:
    with installed(discord_server, on_one_machine) as (studio, processes):
        easel = processes.start_bot("run")
        flags = "--steps 200"
        prompt = f"a {{red, blue, green, black, white}} castle {flags}"
        question = studio.server.slash(studio.ada, studio.channel, "imagine", prompt=prompt)
        asked = studio.wait(lambda: question.original, what="the question")
        confirmed = studio.server.press(studio.ada, asked, "Yes")
        message = studio.wait(lambda: confirmed.original, what="the batch's message")
        studio.wait(lambda: tally(studio).ended, 400, what="the first of it")
        processes.kill(easel)

        easel = processes.start_bot("run")
        assert not tally(studio).finished
        studio.wait(lambda: "(5 of 5 done)" in message.content, 400, what="its last word")
        next_picture(studio, 5)
        studio.settled()
        drawn = sorted(image.content.split("**")[1] for image in studio.pictures())
        colours = ("black", "blue", "green", "red", "white")
        assert drawn == [f"a {colour} castle {flags}" for colour in colours], "each of them once"
        assert len(studio.channel.shown()) == 6
        assert message.buttons == []
        processes.stop(easel)
        assert "Traceback" not in processes.log("run")
