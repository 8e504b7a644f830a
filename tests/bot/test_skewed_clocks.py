"""Ages of rows are told by the database's clock, which may be far from this machine's."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.ext.compiler import compiles

import bot
from storage import database as module
from storage import takedowns
from storage.database import epoch_ms
from storage.tables import Delivery
from tests.bot import drawing
from tests.bot.discord_server import Refusal
from tests.bot.discord_server.faults import unknown_webhook
from tests.bot.studio import PROMPT, Studio

POST = ("POST", "/channels/{channel_id}/messages")
HIDDEN = "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"
SKEWS = [-20_000, 20_000, 3_600_000]
OWN_CLOCK = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "utcnow", "discord.utils.utcnow"}
ALLOWED = {"components/responses.py": 1}
"""The age of an interaction, which Discord dates, where a wrong one is taken for none."""


@pytest.fixture(params=SKEWS)
def skewed(request: pytest.FixtureRequest, studio: Studio) -> Iterator[Studio]:
    """The database's clock differs by so many milliseconds."""
    real = module._epoch_ms_sqlite
    engines = (studio.backends.database._writer, studio.backends.database._reader)

    def use(spelled: str) -> None:
        compiles(epoch_ms, "sqlite")(lambda *_, **__: spelled)
        for engine in engines:
            engine.clear_compiled_cache()

    studio.stop_bot()
    use(f"({real()} + ({request.param}))")
    studio.start_bot()
    yield studio
    studio.stop_bot()
    use(real())


def test_an_edit_that_outruns_the_answer_keeps_its_token(skewed: Studio) -> None:
    studio = skewed
    interaction = studio.imagine(prompt=f"{PROMPT} --stealth")
    job = studio.job_of(interaction)
    # As if the worker were quicker than the answer.
    studio.change_job(job.id, progress_message_id=None)
    unknown = studio.server.faults.add("PATCH", "@original", refusal=unknown_webhook())
    studio.progress(drawing.claim(studio.backends), 0.3)
    studio.wait(lambda: unknown.met, what="an edit")
    studio.wait(lambda: interaction.original and "(30%)" in interaction.original.content, what="another")
    assert studio.job_of(interaction).interaction_token is not None


def test_results_come_to_their_place(skewed: Studio) -> None:
    studio = skewed
    hidden = studio.imagine(prompt=f"{PROMPT} --stealth")
    unknown = studio.server.faults.add("PATCH", HIDDEN, refusal=unknown_webhook())
    drawing.draw(studio.backends)
    studio.wait(lambda: hidden.original and hidden.original.files, what="the pictures")
    studio.imagine()
    drawing.draw(studio.backends)
    studio.picture()
    studio.settled()
    assert unknown.met == 1
    assert studio.server.dm(studio.ada).shown() == []
    assert studio.channel.shown() == studio.pictures()


@pytest.mark.parametrize("skewed", [-120_000, 120_000, 3_600_000], indirect=True)
def test_what_a_cut_request_posted_is_found(skewed: Studio) -> None:
    """Its messages are dated by Discord's clock, the attempt by the database's."""
    studio = skewed
    studio.channel.nonce_memory_s = 0
    studio.imagine()
    studio.server.faults.add(*POST, cut=True)
    drawing.draw(studio.backends)
    (row,) = studio.settled()
    (image,) = studio.pictures()
    assert (row.state, row.message_id) == ("done", image.id)


@pytest.mark.parametrize("skewed", [120_000], indirect=True)
def test_what_a_cut_request_posted_is_found_and_withdrawn(skewed: Studio) -> None:
    studio = skewed
    studio.channel.nonce_memory_s = 0
    studio.imagine()
    taken = drawing.claim(studio.backends)
    studio.server.faults.add(*POST, cut=True)
    # The bot cannot look before they are withheld.
    hidden = studio.server.faults.add("GET", POST[1], refusal=Refusal(503, 0, "Unavailable"), times=1)
    drawing.finish(studio.backends, taken)
    studio.wait(lambda: hidden.met, what="a search")
    assert studio.pictures()
    with studio.backends.database.writing() as session:
        takedowns.take_down(session, taken.job_id, studio.guild.id, by=99)
        session.execute(update(Delivery).values(due_at=0))
    studio.settled()
    assert studio.pictures() == []


def test_the_bot_does_not_ask_its_own_clock() -> None:
    """A row's date that is compared with it is wrong by as much as the two clocks differ."""
    folder = Path(bot.__file__).parent
    asked = {
        str(file.relative_to(folder)): count
        for file in sorted(folder.rglob("*.py"))
        if (count := sum(ast.unparse(node.func) in OWN_CLOCK for node in _calls(file)))
    }
    assert asked == ALLOWED


def _calls(file: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
