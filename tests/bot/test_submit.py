"""From commands to rows, against a real database: what is written, for whom, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import fields
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from actions import outpainting, submit, variations
from actions.derivation import DerivedJob, ImageWithheld, Invocation, LoraGone, ModelGone, Subject
from actions.input_images import InputImages
from actions.permissions import MissingPermissions, NotAgeRestricted, Permission
from actions.submit import Cell, Channel, SubmissionContext, SubmittedJob
from actions.table import BY_ACTION
from actions.upscale import NoUpscaler, UpscaleTooLarge
from actions.word_filter import ForbiddenWords
from bot.messages import refusals
from prompts import tokenizer
from prompts.parser import FlagError
from storage import jobs, members, moderation, takedowns
from storage.backends import Backends
from storage.broker import Tickets
from storage.catalog import Catalog
from storage.catalog_companions import CompanionEntry, DraftEntry, LoraEntry
from storage.config import Config
from storage.contract import Action, GenerationRequest, JobState, Task
from storage.errors import Banned, DataDeleted, NoSuchImage, NoSuchJob, NotYours, Paused, QueueFull
from storage.tables import Address, Delivery, Guild, Image, Job
from storage.takedowns import TakenDown
from tests.bot import drawing

ADA, BOB, GUILD = 11, 12, 900
PLACE = Channel(guild_id=GUILD, permissions=frozenset(Permission))


def reroll(
    backends: Backends, context: SubmissionContext, job_id: int, image_id: int | None = None
) -> Awaitable[SubmittedJob]:
    return submit.derive(
        backends,
        context,
        lambda session, catalog: variations.reroll(
            session, catalog, BY_ACTION[Action.REROLL].invocation(job_id, image_id)
        ),
        InputImages(backends, context.member_id),
    )


def derive(
    backends: Backends, context: SubmissionContext, image: Cell | int, action: Action
) -> Awaitable[SubmittedJob]:
    """Do what a button below a picture does."""
    make = BY_ACTION[action].derive
    assert make is not None
    if isinstance(image, Cell):
        asked = Invocation(action, action, Subject.CELL, image.job_id, image.index + 1)
    else:
        asked = Invocation(action, action, Subject.IMAGE, image)
    return submit.derive(
        backends,
        context,
        lambda session, catalog: make(session, catalog, asked),
        InputImages(backends, context.member_id),
    )


class Witness(Tickets):
    """The real tickets, noting how many rows anyone could see when each was sent."""

    def __init__(self, url: str, backends: Backends) -> None:
        super().__init__(url)
        self._backends = backends
        self.seen: list[int] = []

    def send(self) -> None:
        with self._backends.database.reading() as session:
            self.seen.append(session.scalar(select(func.count()).select_from(Job)) or 0)
        super().send()


@pytest.fixture
def backends(config: Config) -> Iterator[Backends]:
    opened = Backends.open(config)
    opened.tickets.close()
    opened.tickets = Witness(config.broker, opened)
    yield opened
    opened.close()


ADDRESS = {field.name for field in fields(Address)}
_interaction = iter(range(10**6, 10**7))


def context(member: int = ADA, **changes: Any) -> SubmissionContext:
    place = changes.pop("place", PLACE)
    where: dict[str, Any] = {
        "guild_id": place.guild_id,
        "channel_id": 901,
        "locale": "zh-CN",
        "upload_limit": 5_000_000,
        "user_install": place.user_install,
        "interaction_token": "secret",
        "token_expires_at": 1_800_000_000_000,
    }
    where |= {name: changes.pop(name) for name in ADDRESS & changes.keys()}
    facts = {"interaction_id": next(_interaction), **changes}
    return SubmissionContext(Address(member, **where), f"member {member}", place=place, **facts)


def request_of(asked: SubmittedJob) -> GenerationRequest:
    return GenerationRequest.model_validate(asked.job.request)


async def drawn(
    backends: Backends, text: str = "a red castle --ar 3:2 --seed 7 --s 50"
) -> tuple[Job, list[Image]]:
    await submit.imagine(backends, context(), text)
    job = drawing.draw(backends)
    return job, drawing.images(backends, job.id)


def rows(backends: Backends, table: type[Job | Delivery]) -> int:
    with backends.database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def told(backends: Backends, asked: SubmittedJob) -> list[str]:
    return refusals.told(asked.understood, backends.catalog, at_limit=asked.at_limit)


async def test_a_wish_becomes_a_row_before_its_ticket_is_sent(backends: Backends) -> None:
    asked = await submit.imagine(backends, context(), "a red castle —ar 10:7 --seed 7")
    job = asked.job
    assert (job.member_id, job.guild_id, job.channel_id) == (ADA, GUILD, 901)
    assert (job.text, job.action, job.state) == ("a red castle --ar 10:7 --seed 7", "imagine", "queued")
    assert (job.locale, job.upload_limit, job.interaction_token) == ("zh-CN", 5_000_000, "secret")
    assert (request_of(asked).width, request_of(asked).seed) == (80, 7)
    assert asked.fresh
    assert told(backends, asked) == []
    assert isinstance(backends.tickets, Witness)
    assert backends.tickets.seen == [1]


async def test_one_interaction_makes_one_job_and_one_ticket(backends: Backends) -> None:
    same = context()
    first = await submit.imagine(backends, same, "a red castle")
    second = await submit.imagine(backends, same, "a red castle")
    assert second.job.id == first.job.id
    assert not second.fresh
    assert isinstance(backends.tickets, Witness)
    assert len(backends.tickets.seen) == 1


async def test_a_members_settings_hold_and_are_shown(backends: Backends) -> None:
    await backends.database.write(members.member, ADA)
    await backends.database.write(
        lambda session: members.change_settings(session, ADA, ratio="2:3", stylize=0)
    )
    asked = await submit.imagine(backends, context(), "a fox", {"ar": "3:2"})
    assert asked.job.text == "a fox --ar 3:2 --stylize 0"
    assert request_of(asked).stylize == 0
    assert (await submit.imagine(backends, context(BOB), "a fox")).job.text == "a fox"


@pytest.mark.parametrize(
    ("text", "speed", "stealth"),
    [("a fox", "relax", True), ("a fox --public --turbo", "turbo", False)],
)
async def test_settings_that_change_before_a_job_is_written_hold(
    backends: Backends, monkeypatch: pytest.MonkeyPatch, text: str, speed: str, stealth: bool
) -> None:
    """Who chooses stealth and asks for pictures at once, however slow the database is, has none in public."""
    await backends.database.write(members.member, ADA)
    write = backends.database.write

    async def later(*arguments: Any) -> Any:
        await write(lambda session: members.change_settings(session, ADA, stealth=True, speed="relax"))
        return await write(*arguments)

    monkeypatch.setattr(backends.database, "write", later)
    asked = await submit.imagine(backends, context(), text)
    assert (asked.job.speed, asked.job.stealth) == (speed, stealth)


async def test_a_member_is_told_privately_what_had_no_meaning(backends: Backends) -> None:
    asked = await submit.imagine(backends, context(), "a fox --hd")
    assert told(backends, asked) == ["`--hd` has no meaning here and changed nothing."]


async def test_a_member_with_enough_running_jobs_reads_midjourneys_sentence(backends: Backends) -> None:
    asked = [await submit.imagine(backends, context(), "a fox") for _ in range(4)]
    assert [bool(told(backends, one)) for one in asked] == [False, False, False, True]
    (sentence,) = told(backends, asked[3])
    assert sentence.startswith("You have reached the maximum allowed number of concurrent jobs.")


async def test_words_that_a_small_model_does_not_know_are_named(backends: Backends, config: Config) -> None:
    words = config.data_dir / "words.txt"
    words.write_text("castle\nred\nfox")
    entry = backends.catalog["picturebook"].model_copy(
        update={"vocabulary": str(words), "examples": ("castle",)}
    )
    models = {**backends.catalog.models, "picturebook": entry}
    offered = backends.catalog.model_copy(update={"models": models})
    backends.catalogs = lambda: offered
    asked = await submit.imagine(backends, context(), "a red dragon")
    assert told(backends, asked) == ["Picturebook does not know *dragon*. It knows castle, …"]


async def test_what_may_not_be_asked_leaves_no_row(backends: Backends) -> None:
    with backends.database.writing() as session:
        session.add(Guild(id=GUILD, settings={"banned_words": ["spider"]}, created_at=0))
    lost = dataclasses.replace(PLACE, permissions=frozenset(Permission) - {Permission.ATTACH_FILES})
    refusals: list[tuple[SubmissionContext, str, type[Exception]]] = [
        (context(), "a spider", ForbiddenWords),
        (context(), "a nude child", ForbiddenWords),
        (context(), "a fox --s 9999", FlagError),
        (context(), "", FlagError),
        (context(place=lost), "a fox", MissingPermissions),
    ]
    for asking, text, error in refusals:
        with pytest.raises(error):
            await submit.imagine(backends, asking, text)
    assert rows(backends, Job) == 0
    elsewhere = dataclasses.replace(PLACE, guild_id=GUILD + 1)
    assert (await submit.imagine(backends, context(place=elsewhere), "a spider")).fresh


async def test_without_a_safety_check_other_channels_are_refused(backends: Backends) -> None:
    backends.config = backends.config.model_copy(update={"safety": "off"})
    with pytest.raises(NotAgeRestricted):
        await submit.imagine(backends, context(), "a fox")
    restricted = dataclasses.replace(PLACE, age_restricted=True)
    assert (await submit.imagine(backends, context(place=restricted), "a fox")).fresh


async def test_bans_pauses_and_a_full_queue_refuse_every_job(backends: Backends) -> None:
    job, _ = await drawn(backends)
    for _ in range(10):
        await submit.imagine(backends, context(), "a fox")
    with pytest.raises(QueueFull):
        await derive(backends, context(), Cell(job.id, 0), Action.VARY)
    await backends.database.write(
        moderation.ban, member_id=BOB, guild_id=GUILD, by=ADA, reason="spam", expires_at=None
    )
    with pytest.raises(Banned):
        await reroll(backends, context(BOB), job.id)
    with pytest.raises(Banned):
        await submit.pick(backends, context(BOB), Cell(job.id, 0))
    await backends.database.write(moderation.pause, GUILD, ADA)
    with pytest.raises(Paused):
        await derive(backends, context(13), Cell(job.id, 0), Action.UPSCALE_2X)


async def test_a_reroll_is_the_same_wish_with_another_seed(backends: Backends) -> None:
    job, _ = await drawn(backends)
    asked = await reroll(backends, context(BOB), job.id)
    parent, request = GenerationRequest.model_validate(job.request), request_of(asked)
    assert request == parent.model_copy(update={"seed": request.seed})
    assert request.seed != 7
    assert asked.job.text == "a red castle --ar 3:2 --s 50"
    assert (asked.job.member_id, asked.job.action, asked.job.parent_job_id) == (BOB, "reroll", job.id)
    assert asked.job.parent_image_id is None


@pytest.mark.parametrize(
    ("action", "strength"), [(Action.VARY, 0.7), (Action.VARY_STRONG, 0.7), (Action.VARY_SUBTLE, 0.4)]
)
async def test_a_variation_begins_with_the_picture_that_was_named(
    backends: Backends, action: Any, strength: float
) -> None:
    job, images = await drawn(backends)
    asked = await derive(backends, context(BOB), Cell(job.id, 2), action)
    request = request_of(asked)
    assert (request.task, request.parent_image_id) == (Task.IMAGE_TO_IMAGE, images[2].id)
    assert request.strength == strength
    assert (request.width, request.height, request.stylize) == (80, 56, 50)
    assert request.num_images_per_prompt == 4
    assert asked.job.text == "a red castle --ar 3:2 --s 50"
    facts = (asked.job.member_id, asked.job.action, asked.job.parent_index)
    assert facts == (BOB, action.value, 2)
    assert (asked.job.parent_job_id, asked.job.parent_image_id) == (job.id, images[2].id)


async def test_variations_and_their_rerolls_keep_their_own_source(backends: Backends) -> None:
    _, images = await drawn(backends)
    await derive(backends, context(), images[1].id, Action.VARY_SUBTLE)
    varied = drawing.draw(backends)
    again = await reroll(backends, context(), varied.id)
    assert request_of(again).parent_image_id == images[1].id
    assert again.job.parent_job_id == varied.id
    drawing.draw(backends)
    second = await derive(backends, context(), Cell(varied.id, 3), Action.VARY)
    assert request_of(second).parent_image_id == drawing.images(backends, varied.id)[3].id


async def test_an_upscale_enlarges_one_picture(backends: Backends) -> None:
    job, images = await drawn(backends)
    asked = await derive(backends, context(BOB), images[3].id, Action.UPSCALE_4X)
    request = request_of(asked)
    assert (request.task, request.scale, request.num_images_per_prompt) == (Task.UPSCALE, 4, 1)
    assert (request.width, request.height) == (320, 224)
    assert (request.parent_image_id, request.seed) == (images[3].id, 10)
    assert (asked.job.action, asked.job.text, asked.job.parent_index) == ("upscale_4x", job.text, 3)


async def test_an_upscaled_picture_is_varied_and_drawn_again_at_the_size_it_was_drawn_in(
    backends: Backends,
) -> None:
    job, images = await drawn(backends)
    await derive(backends, context(), images[3].id, Action.UPSCALE_4X)
    upscaled = drawing.draw(backends)
    (large,) = drawing.images(backends, upscaled.id)
    varied = await derive(backends, context(), large.id, Action.VARY_STRONG)
    assert request_of(varied).parent_image_id == images[3].id
    assert (request_of(varied).width, request_of(varied).scale) == (80, 1)
    assert varied.job.parent_image_id == large.id
    again = await reroll(backends, context(), upscaled.id, large.id)
    assert (request_of(again).task, request_of(again).width) == (Task.TEXT_TO_IMAGE, 80)
    assert (again.job.parent_job_id, again.job.parent_image_id) == (job.id, large.id)


async def test_a_model_without_an_upscaler_says_so(backends: Backends) -> None:
    job, _ = await drawn(backends, "a fox --model other")
    with pytest.raises(NoUpscaler):
        await derive(backends, context(), Cell(job.id, 0), Action.UPSCALE_2X)


async def test_pictures_do_not_grow_without_end(backends: Backends) -> None:
    _, images = await drawn(backends)
    image = images[0].id
    for width in (320, 1280):
        await derive(backends, context(), image, Action.UPSCALE_4X)
        (larger,) = drawing.images(backends, drawing.draw(backends).id)
        assert larger.width == width
        image = larger.id
    with pytest.raises(UpscaleTooLarge) as caught:
        await derive(backends, context(), image, Action.UPSCALE_4X)
    assert (caught.value.width, caught.value.height, caught.value.limit) == (5120, 3584, 4096)


async def test_a_pick_is_a_delivery_and_no_job(backends: Backends) -> None:
    job, images = await drawn(backends)
    before = rows(backends, Job)
    asking = context(BOB, reply_to=77)
    delivery = await submit.pick(backends, asking, Cell(job.id, 1))
    assert (delivery.kind, delivery.image_id, delivery.member_id) == ("single", images[1].id, BOB)
    assert (delivery.once, delivery.reply_to) == (f"press:{asking.interaction_id}", 77)
    assert (delivery.interaction_token, delivery.upload_limit) == ("secret", 5_000_000)
    assert (await submit.pick(backends, asking, Cell(job.id, 1))).id == delivery.id
    assert rows(backends, Job) == before


async def test_nothing_is_made_of_what_is_withheld_or_not_there(backends: Backends) -> None:
    await submit.imagine(backends, context(), "a fox")
    job = drawing.draw(backends, withheld=[1])
    hidden: list[tuple[Cell | int, type[Exception]]] = [
        (Cell(job.id, 1), ImageWithheld),
        (Cell(job.id, 4), NoSuchImage),
        (Cell(job.id + 99, 0), NoSuchJob),
        (10**9, NoSuchImage),
    ]
    for cell, error in hidden:
        with pytest.raises(error):
            await derive(backends, context(), cell, Action.VARY)
        with pytest.raises(error):
            await derive(backends, context(), cell, Action.UPSCALE_2X)
        with pytest.raises(error):
            await submit.pick(backends, context(), cell)
    with pytest.raises(NoSuchJob):
        await reroll(backends, context(), job.id + 99)


async def test_a_model_that_was_taken_out_of_the_catalog_is_named(backends: Backends) -> None:
    job, _ = await drawn(backends, "a fox --model other")
    kept = {name: entry for name, entry in backends.catalog.models.items() if name != "other"}
    offered = backends.catalog.model_copy(update={"models": kept})
    backends.catalogs = lambda: offered
    with pytest.raises(ModelGone) as caught:
        await reroll(backends, context(), job.id)
    assert caught.value.name == "other"


def having(backends: Backends, *loras: str) -> None:
    """Let the model have these LoRAs, and two upscalers."""
    entry = backends.catalog["picturebook"].model_copy(
        update={
            "loras": {name: LoraEntry(source=name) for name in loras},
            "upscaler": CompanionEntry(source="soft"),
            "upscalers": {name: CompanionEntry(source=name) for name in ("soft", "crisp")},
        }
    )
    models = {**backends.catalog.models, "picturebook": entry}
    offered = backends.catalog.model_copy(update={"models": models})
    backends.catalogs = lambda: offered


async def test_what_becomes_of_a_picture_keeps_its_lora_and_upscaler(backends: Backends) -> None:
    having(backends, "ink")
    job, images = await drawn(backends, "a fox --lora ink:.8 --upscaler crisp")
    image = images[1].id
    for asked in (
        await reroll(backends, context(), job.id),
        await derive(backends, context(), image, Action.VARY_STRONG),
        await derive(backends, context(), image, Action.UPSCALE_2X),
        await derive(backends, context(), image, Action.UPSCALE_CREATIVE),
    ):
        request = request_of(asked)
        assert [(lora.name, lora.weight) for lora in request.loras] == [("ink", 0.8)]
        assert request.upscaler == "crisp"


async def test_what_becomes_of_a_draft_is_one(backends: Backends) -> None:
    having(backends, "quick")
    draft = DraftEntry(num_inference_steps=5, guidance_scale=1.5, scheduler="lcm", loras={"quick": 0.9})
    entry = backends.catalog["picturebook"].model_copy(update={"draft": draft})
    models = {**backends.catalog.models, "picturebook": entry}
    offered = backends.catalog.model_copy(update={"models": models})
    backends.catalogs = lambda: offered
    job, images = await drawn(backends, "a fox --draft")
    image = images[1].id
    for asked in (
        await reroll(backends, context(), job.id),
        await derive(backends, context(), image, Action.VARY_STRONG),
        await derive(backends, context(), image, Action.ZOOM_OUT),
        await derive(backends, context(), image, Action.UPSCALE_CREATIVE),
    ):
        request = request_of(asked)
        assert (request.num_inference_steps, request.guidance_scale, request.scheduler) == (5, 1.5, "lcm")
        assert [(lora.name, lora.weight) for lora in request.loras] == [("quick", 0.9)]


async def test_a_lora_that_is_gone_draws_nothing_more_but_its_pictures_grow(backends: Backends) -> None:
    having(backends, "ink")
    job, images = await drawn(backends, "a fox --lora ink")
    having(backends)
    image = images[0].id
    for again in (
        reroll(backends, context(), job.id),
        derive(backends, context(), image, Action.VARY_SUBTLE),
        derive(backends, context(), image, Action.UPSCALE_CREATIVE),
    ):
        with pytest.raises(LoraGone):
            await again
    assert request_of(await derive(backends, context(), image, Action.UPSCALE_2X)).scale == 2


async def test_words_banned_since_are_not_drawn_again(backends: Backends) -> None:
    job, _ = await drawn(backends, "a spider")
    with backends.database.writing() as session:
        guild = session.get_one(Guild, GUILD)
        guild.settings = {"banned_words": ["spider"]}
    with pytest.raises(ForbiddenWords):
        await reroll(backends, context(BOB), job.id)


async def test_the_same_press_within_three_seconds_is_one_job(backends: Backends) -> None:
    job, _ = await drawn(backends)
    press = f"{ADA}:e1:r:{job.id}"
    first = await reroll(backends, context(press=press), job.id)
    second = await reroll(backends, context(press=press), job.id)
    assert second.job.id == first.job.id
    assert not second.fresh
    with backends.database.reading() as session:
        assert jobs.get(session, first.job.id).state == JobState.QUEUED


def _word(session: Session, job: Job) -> None:
    session.merge(Guild(id=GUILD, settings={"banned_words": ["castle"]}, created_at=0))


def _ban(session: Session, job: Job) -> None:
    moderation.ban(session, member_id=BOB, guild_id=GUILD, by=1, reason="", expires_at=None)


def _withhold(session: Session, job: Job) -> None:
    for image in jobs.images_of(session, job.id):
        image.withheld = True


def _delete(session: Session, job: Job) -> None:
    session.get_one(Job, job.id).deleted_at = 1


def _hide(session: Session, job: Job) -> None:
    session.get_one(Job, job.id).stealth = True


def _take_down(session: Session, job: Job) -> None:
    takedowns.take_down(session, job.id, GUILD, 1)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (_word, ForbiddenWords),
        (_ban, Banned),
        (_withhold, ImageWithheld),
        (_delete, DataDeleted),
        (_hide, NotYours),
        (_take_down, TakenDown),
    ],
)
async def test_what_changes_while_a_job_is_derived_refuses_it_and_it_is_derived_once(
    backends: Backends,
    change: Callable[[Session, Job], None],
    refusal: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job, _ = await drawn(backends)
    made = []
    write = backends.database.write

    async def later(*arguments: Any) -> Any:
        await write(change, job)
        return await write(*arguments)

    def make(session: Session, catalog: Catalog) -> DerivedJob:
        made.append(session)
        asked = Invocation(Action.VARY, Action.VARY, Subject.CELL, job.id, 3)
        return variations.vary(session, catalog, asked)

    monkeypatch.setattr(backends.database, "write", later)
    with pytest.raises(refusal):
        await submit.derive(backends, context(BOB), make, InputImages(backends, BOB))
    assert rows(backends, Job) == len(made) == 1


@pytest.fixture
def tokenized(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of each text that is tokenized, wherever that is called from."""
    words: list[str] = []
    real = tokenizer._without_adapters

    def noted(text: str) -> Any:
        words.append(text)
        return real(text)

    monkeypatch.setattr(tokenizer, "_without_adapters", noted)
    return words


@pytest.mark.parametrize("text", ["a red castle --ar 3:2 --seed 7 --s 50", "a red castle", "a fox —ar 3:2"])
async def test_a_prompt_is_tokenized_once_a_command(
    backends: Backends, tokenized: list[str], text: str
) -> None:
    await submit.imagine(backends, context(), text)
    assert len(tokenized) == 1
    (parsed,) = await submit.understand(backends, context(), text)
    await submit.draw(backends, context(), parsed)
    assert len(tokenized) == 2


@pytest.mark.parametrize(
    ("action", "text", "count"),
    [
        (Action.REROLL, None, 1),
        (Action.REROLL, "a blue castle --ar 3:2", 2),
        (Action.VARY, None, 1),
        (Action.UPSCALE_2X, None, 1),
        (Action.PAN_LEFT, None, 1),
        (Action.PAN_LEFT, "a blue castle --ar 2:3", 2),
        (Action.ZOOM_CUSTOM, "a blue castle --ar 2:3 --zoom 1.5", 1),
    ],
)
async def test_a_derived_job_tokenizes_its_parents_text_and_its_own_at_most_once_each(
    backends: Backends, tokenized: list[str], action: Action, text: str | None, count: int
) -> None:
    """Also where its shape is another than its words say."""
    job, images = await drawn(backends)
    row = BY_ACTION[action]
    make = row.derive or outpainting.custom_zoom
    subject = {Subject.JOB: (job.id, None), Subject.CELL: (job.id, 3), Subject.IMAGE: (images[2].id, None)}
    asked = row.invocation(*subject[row.subject], text)
    tokenized.clear()
    await submit.derive(
        backends,
        context(BOB),
        lambda session, catalog: make(session, catalog, asked),
        InputImages(backends, BOB),
    )
    assert len(tokenized) == count
