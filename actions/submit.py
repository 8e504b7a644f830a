"""Parse, check, write the job, commit, then wake a worker.

Anyone who may see a picture may ask for more of it; the new job is theirs, and so are the limits it meets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self

from sqlalchemy.orm import Session

from actions import derivation, image_prompts, permissions, policy, word_filter
from actions.derivation import Cell, DerivedJob, InitImageAndMask
from actions.image_decoding import stored
from actions.permissions import Channel
from prompts import parser
from prompts.tokenizer import TokenizedPrompt, tokenize
from storage import deliveries, image_encoding, jobs, offers, submissions, takedowns
from storage.backends import Backends
from storage.catalog import Catalog
from storage.contract import Action, ChangedEvent, GenerationRequest, RequestChanges, Speed, Task
from storage.drafts import JobDraft
from storage.tables import Address, Delivery, Image, Job, Member

__all__ = [
    "Cell",
    "Channel",
    "Derive",
    "SubmissionContext",
    "SubmittedJob",
    "derive",
    "enqueue",
    "imagine",
    "pick",
]

Derive = Callable[[Session, Catalog], DerivedJob]
"""Makes a request of an earlier job's or picture's."""


class Arriving(Protocol):
    """Brings a command's pictures into the store, and lets them go if it comes to nothing: `input_images`."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None: ...

    async def fetch(self, links: Iterable[str]) -> dict[str, str]:
        """The keys of what is behind links, by the links."""

    async def compose(self, png: bytes) -> str:
        """The key of a sheet or mask."""


@dataclass(frozen=True)
class SubmissionContext:
    """Asker, place and interaction of a command, with the rules for what may be posted there."""

    address: Address
    member_name: str
    interaction_id: int
    place: Channel
    press: str | None = None
    """Member and custom_id of the button: the same press within three seconds makes no second job."""

    @property
    def member_id(self) -> int:
        return self.address.member_id


@dataclass(frozen=True)
class SubmittedJob:
    """A committed job, and what its member is to know of it, which `messages.told` says."""

    job: Job
    ahead: int
    """About how many waiting jobs come before it."""
    fresh: bool
    """False: the same interaction, or the same press within three seconds, had made this job already."""
    at_limit: bool = False
    """The member has as many jobs running as they may."""
    understood: tuple[parser.Parsed, ...] = ()
    """The command as it was read, with its notes."""


_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class FoundPrompt:
    """A prompt that a job has found, by its place from 0 on."""

    job_id: int
    index: int


async def imagine(
    backends: Backends,
    context: SubmissionContext,
    text: str,
    options: Mapping[str, str] = _NO_OPTIONS,
    *,
    found: FoundPrompt | None = None,
) -> SubmittedJob:
    """Draw `text`, flags included; `options` are the command's own, by a flag's name. Braces are text.

    `found` is where the text comes from, if a job has found it.

    Raises:
        Refused: any of its kinds; nothing was written.
    """
    check_place(backends, context)
    preferences, catalog = await backends.database.read(held, backends.catalog, context)
    parsed = await asyncio.to_thread(
        lambda: _read([parser.parse(text, catalog, preferences, options=options)])
    )
    return await draw(backends, context, parsed[0], found)


async def understand(
    backends: Backends,
    context: SubmissionContext,
    text: str,
    options: Mapping[str, str] = _NO_OPTIONS,
    *,
    preferences: parser.Preferences | None = None,
    attached: bool = False,
) -> list[parser.Parsed]:
    """All that `text` asks for: one for each of its permutations and repeats.

    Without `preferences` the member's own hold; where a picture is `attached`, `text` needs no words.

    Raises:
        FlagError, MissingPermissions, NotAgeRestricted
    """
    check_place(backends, context)
    own, catalog = await backends.database.read(held, backends.catalog, context)
    hold = own if preferences is None else preferences
    return await asyncio.to_thread(
        lambda: _read(parser.parse_all(text, catalog, hold, options=options, attached=attached))
    )


def _read(parsed: list[parser.Parsed]) -> list[parser.Parsed]:
    """Have the words read, once each, before a transaction compares them."""
    for one in parsed:
        word_filter.readings(word_filter.asked_words(one.request, one.tokens))
    return parsed


async def draw(
    backends: Backends, context: SubmissionContext, parsed: parser.Parsed, found: FoundPrompt | None = None
) -> SubmittedJob:
    """Draw what was understood; what was `found` in stealth is drawn in stealth.

    Raises:
        Refused: any of its kinds; nothing was written.
    """

    def draft(session: Session) -> JobDraft:
        made = draft_of(context, Action.IMAGINE, parsed.tokens, parsed.request)
        if found is None:
            return made
        parent = jobs.seen(session, found.job_id, context.member_id)
        stealth = parent.stealth or made.stealth
        return replace(made, parent_job_id=parent.id, parent_index=found.index, stealth=stealth)

    asked = await enqueue(backends, draft)
    return replace(asked, understood=(parsed,))


async def derive(
    backends: Backends, context: SubmissionContext, make: Derive, arrivals: Arriving
) -> SubmittedJob:
    """Draw or enlarge what `make` derives from an earlier job or picture.

    What a changed prompt links to, and the parent's did not, is fetched.

    Raises:
        Refused: any of its kinds; nothing was written or kept.
    """
    check_place(backends, context)

    def look(session: Session) -> tuple[DerivedJob, Job]:
        derived = make(session, backends.catalog)
        return derived, jobs.seen(session, derived.parent_job_id, context.member_id)

    what, parent = await backends.database.read(look)
    keys = dict(what.known)
    linked = image_prompts.links([what.parsed] if what.parsed else [])
    missing = [url for url in linked if url not in keys]
    if missing or what.sheet is not None:
        await check_asker(backends, context)

    def draft(composed: RequestChanges) -> JobDraft:
        request = what.request.changed(**composed)
        if what.parsed is not None:
            request = image_prompts.reading(what.parsed, request, keys)
        made = draft_of(context, what.action, what.prompt, request)
        return replace(
            made,
            parent_job_id=what.parent_job_id,
            parent_image_id=what.parent_image_id,
            parent_index=what.parent_index,
            stealth=parent.stealth or made.stealth,
        )

    async with arrivals:
        keys.update(await arrivals.fetch(missing))
        composed = {} if what.sheet is None else await _composed(backends, what.sheet, arrivals)
        asked = await enqueue(backends, lambda _: draft(composed))
    if what.parsed is None:
        return asked
    return replace(asked, understood=(what.parsed,))


async def _composed(backends: Backends, sheet: InitImageAndMask, arrivals: Arriving) -> RequestChanges:
    """The sheet in the image store, as the request names it."""
    source, mask = await asyncio.to_thread(_drawn_up, backends, sheet)
    keys: RequestChanges = {"task": Task.INPAINTING, "mask_key": await arrivals.compose(mask)}
    if source is not None:
        keys["source_key"] = await arrivals.compose(source)
    return keys


def _drawn_up(backends: Backends, sheet: InitImageAndMask) -> tuple[bytes | None, bytes]:
    """The sheet, where it is another than the picture, and its mask, as PNGs."""
    with stored(backends.images.load(sheet.key)) as image:
        source, mask = sheet.compose(image)
    return None if source is None else image_encoding.png_bytes(source), image_encoding.png_bytes(mask)


async def pick(backends: Backends, context: SubmissionContext, picture: Cell | int) -> Delivery:
    """Ask for one stored picture by itself (U): no worker, no place in the queue.

    Raises:
        Refused: any of its kinds; nothing was written.
    """
    check_place(backends, context)

    guild_id = context.address.guild_id

    def allowed(session: Session) -> tuple[Image, Job]:
        image, job = derivation.shown(session, picture)
        policy.check_asked(session, context.member_id, guild_id)
        policy.check_shown(session, job, context.member_id, guild_id, [image.id])
        return image, job

    def request(session: Session) -> tuple[Delivery, Job]:
        image, job = allowed(session)
        once = f"press:{context.interaction_id}"
        return deliveries.request_single(session, context.address, image_id=image.id, once=once), job

    await backends.database.read(allowed)
    delivery, job = await backends.database.write(request)
    backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))
    return delivery


def check_place(backends: Backends, context: SubmissionContext) -> None:
    permissions.check(context.place, safety=backends.config.safety == "on")


async def check_asker(backends: Backends, context: SubmissionContext) -> None:
    """Raise if whoever asks would be refused, whatever they ask for: known before anything is fetched.

    The rows are asked once more when the job is written.

    Raises:
        Banned, Paused, QueueFull, MissingPermissions, NotAgeRestricted
    """
    check_place(backends, context)
    await backends.database.read(submissions.check, context.address, context.interaction_id, context.press)


def preferences_of(session: Session, member_id: int) -> parser.Preferences:
    return parser.Preferences.of(settings_of(session, member_id))


def settings_of(session: Session, member_id: int) -> dict[str, Any]:
    member = session.get(Member, member_id)
    return member.settings if member else {}


def held(
    session: Session, catalog: Catalog, context: SubmissionContext
) -> tuple[parser.Preferences, Catalog]:
    """The member's own settings, and the models that are offered where they ask."""
    offered = offers.offered(session, catalog, context.address.guild_id)
    return preferences_of(session, context.member_id), offered


def draft_of(
    context: SubmissionContext,
    action: Action,
    prompt: TokenizedPrompt | str,
    request: GenerationRequest,
) -> JobDraft:
    """The draft of a job's row; whether it may be written, `check_draft` says."""
    tokens = tokenize(prompt) if isinstance(prompt, str) else prompt
    speed, stealth = _mode(tokens)
    return JobDraft(
        address=context.address,
        member_name=context.member_name,
        action=action,
        text=str(prompt),
        words=word_filter.asked_words(request, tokens),
        request=request,
        interaction_id=context.interaction_id,
        press=context.press,
        speed=speed,
        stealth=stealth,
    )


def _mode(tokens: TokenizedPrompt) -> tuple[Speed | None, bool | None]:
    """Speed and stealth as the text says; None where it says nothing."""
    said = {flag.name for flag in tokens.flags}
    speed = next((speed for speed in Speed if speed in said), None)
    return speed, True if "stealth" in said else False if "public" in said else None


def check_draft(session: Session, draft: JobDraft) -> None:
    """Raise where a draft may not be written, or not any more: all that may change once it is made.

    Raises:
        ForbiddenWords: by the guild's word rules.
        NoSuchJob, DataDeleted, NotYours, NoSuchImage, PictureWithheld, TakenDown: of what it is made from.
    """
    policy.check_words(session, draft.address.guild_id, draft.words, echo=draft.text)
    if draft.parent_job_id is None:
        return
    jobs.seen(session, draft.parent_job_id, draft.address.member_id)
    images = () if draft.parent_image_id is None else (draft.parent_image_id,)
    # A re-roll needs the prompt alone, wherever it was pressed.
    sources = () if draft.action is Action.REROLL else {*images, draft.request.parent_image_id}
    for image_id in sources:
        if image_id is not None:
            derivation.shown(session, image_id)
    takedowns.check(session, draft.parent_job_id, draft.address.guild_id, images)


async def enqueue(backends: Backends, make: Callable[[Session], JobDraft]) -> SubmittedJob:
    """Make a draft, once, and write it; wake a worker once it is committed.

    It is made and checked where nobody waits to write: its words are read then. The transaction that writes
    it checks it again.
    """

    def checked(session: Session) -> JobDraft:
        draft = make(session)
        check_draft(session, draft)
        policy.check_models(session, backends.catalog, draft.address.guild_id, [draft.request])
        return draft

    def write(session: Session, draft: JobDraft) -> SubmittedJob:
        check_draft(session, draft)
        submission = submissions.submit(session, draft)
        member = session.get_one(Member, submission.job.member_id)
        full = submission.fresh and member.running + member.waiting > member.running_limit
        return SubmittedJob(submission.job, submission.ahead, submission.fresh, at_limit=full)

    asked = await backends.database.write(write, await backends.database.read(checked))
    if asked.fresh:
        backends.tickets.send()
    return asked
