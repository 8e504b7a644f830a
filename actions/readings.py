"""Jobs that begin with reading: a picture's description, a prompt's weights, a blend of several pictures."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from actions import submit
from actions.submit import FoundPrompt, SubmissionContext, SubmittedJob
from prompts import parser, vocabulary
from prompts.normalizer import settled
from prompts.tokenizer import SEPARATORS, tokenize
from storage import deliveries, jobs
from storage.backends import Backends
from storage.catalog import Catalog
from storage.contract import MOST_BLENDED, SEED_SPACE, Action, GenerationRequest, Task
from storage.drafts import JobDraft
from storage.errors import Refused
from storage.tables import Job

BLEND_STRENGTH = 0.85
"""diffusers' strength of a blend: of its pictures' mean the large forms and the colours stay."""
RATIOS = ("1:1", "5:4", "4:3", "3:2", "16:9", "2:1", "3:1", "4:1")
DIMENSIONS = {"Portrait": "2:3", "Square": "1:1", "Landscape": "3:2"}

MOST_KNOWN = 5
"""Words of a model's that a refusal names."""
_SMALLEST, _LARGEST = 8, 16384
_NAME = 60
_COMMA = re.compile(f"[{SEPARATORS}]")
_NOT_IN_NAMES = re.compile(r"[^\w.]+")
_NOT_IN_WORDS = re.compile(r"[{}\[\]\\]|-{2,}|—|:{2,}")


class NoDescriber(Refused):
    """The catalog names nothing that describes pictures for this model (None: for any)."""

    def __init__(self, model: str | None = None) -> None:
        super().__init__(model or "")
        self.model = model


class DuplicateImages(Refused):
    """A blend of one picture, given several times."""


class NotShortened(Refused):
    """`part` is what such a prompt has and may not have: `::` or `--no`."""

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part = part


class TooShort(Refused):
    """A prompt of one word, or none."""


class NothingKnown(Refused):
    """The model knows no word of the prompt; `known` are some that it does, `offers` commands of such."""

    def __init__(self, model: str, known: Sequence[str], offers: Sequence[str] = ()) -> None:
        super().__init__(model)
        self.model, self.known, self.offers = model, known, offers


class NoWords(Refused):
    """The job has found no such prompt."""


@dataclass(frozen=True)
class Brought:
    """A picture of the store that a member brought; `name` is its file's, or its link.

    `texts` is what its file said beside its pixels.
    """

    key: str
    width: int
    height: int
    name: str
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)


async def describe(backends: Backends, wish: SubmissionContext, picture: Brought) -> SubmittedJob:
    """Ask for four prompts for a picture.

    Raises:
        NoDescriber, and any other Refused: nothing was written.
    """
    submit.check_place(backends, wish)
    preferences = await backends.database.read(submit.preferences_of, wish.member_id)
    request = GenerationRequest(
        task=Task.DESCRIBE,
        model=_describing(backends.catalog, preferences.model),
        prompt="",
        width=min(max(picture.width, _SMALLEST), _LARGEST),
        height=min(max(picture.height, _SMALLEST), _LARGEST),
        seed=_random_seed(),
        num_images_per_prompt=1,
        source_key=picture.key,
    )

    def draft(session: Session) -> JobDraft:
        return submit.draft_of(session, wish, Action.DESCRIBE, picture.name, request)

    return await submit.enqueue(backends, draft)


async def describe_again(backends: Backends, wish: SubmissionContext, job_id: int) -> SubmittedJob:
    """Ask for four other prompts for a described picture.

    Raises:
        NoSuchJob, NotYours, NoWords, NoDescriber, and any other Refused: nothing was written.
    """
    submit.check_place(backends, wish)

    def draft(session: Session) -> JobDraft:
        job = jobs.seen(session, job_id, wish.member_id)
        if job.action != Action.DESCRIBE:
            raise NoWords
        request = GenerationRequest.model_validate(job.request)
        model = _describing(backends.catalog, request.model)
        fresh = request.changed(model=model, seed=_random_seed())
        again = submit.draft_of(session, wish, Action.DESCRIBE, job.text, fresh)
        return replace(again, parent_job_id=job.id, stealth=again.stealth or job.stealth)

    return await submit.enqueue(backends, draft)


async def shorten(backends: Backends, wish: SubmissionContext, text: str) -> SubmittedJob:
    """Ask which words of a prompt matter, and for shorter ones.

    Raises:
        NotShortened, TooShort, NothingKnown, FlagError, and any other Refused: nothing was written.
    """
    submit.check_place(backends, wish)
    preferences = await backends.database.read(submit.preferences_of, wish.member_id)
    typed, _ = settled(text)
    if any(flag.name == "no" for flag in typed.flags):
        raise NotShortened("--no")
    # Neither words nor flags that a suffix or settings would add: only what was typed is weighed.
    parsed = parser.parse(text, backends.catalog, parser.Preferences(model=preferences.model))
    if len(parsed.request.parts) > 1:
        raise NotShortened("::")
    if len(parsed.request.prompt.split()) < 2:
        raise TooShort
    entry = backends.catalog[parsed.request.model]
    if vocabulary.is_all_unknown(parsed.request.prompt, entry):
        known = vocabulary.examples(entry)[:MOST_KNOWN]
        raise NothingKnown(entry.title, known, vocabulary.offers_of(entry))
    request = parsed.request.changed(task=Task.SHORTEN, parts=(), num_images_per_prompt=1)

    def draft(session: Session) -> JobDraft:
        return submit.draft_of(session, wish, Action.SHORTEN, typed, request)

    return replace(await submit.enqueue(backends, draft), understood=(parsed,))


async def blend(
    backends: Backends, wish: SubmissionContext, pictures: Sequence[Brought], dimensions: str
) -> SubmittedJob:
    """Draw what several pictures show, beginning with their mean; `dimensions` is one of DIMENSIONS.

    Raises:
        DuplicateImages, NoDescriber, and any other Refused: nothing was written.
    """
    submit.check_place(backends, wish)
    different = {picture.key: picture for picture in pictures}
    if len(different) < 2:
        raise DuplicateImages
    preferences = await backends.database.read(submit.preferences_of, wish.member_id)
    named = " + ".join(_file_name(picture.name) for picture in different.values())
    parsed = parser.parse(f"{named} --ar {DIMENSIONS[dimensions]}", backends.catalog, preferences)
    if backends.catalog[parsed.request.model].describer is None:
        raise NoDescriber(parsed.request.model)
    request = parsed.request.changed(
        task=Task.IMAGE_TO_IMAGE,
        prompt="",
        parts=(),
        source_keys=tuple(different)[:MOST_BLENDED],
        strength=BLEND_STRENGTH,
    )

    def draft(session: Session) -> JobDraft:
        return submit.draft_of(session, wish, Action.BLEND, parsed.tokens, request)

    asked = await submit.enqueue(backends, draft)
    # Its words are names of files, which no model is asked to know.
    return replace(asked, understood=(replace(parsed, request=request, unknown_words=()),))


def prompts(job: Job) -> list[str]:
    """The prompts that a job has found, each ready to be drawn."""
    found = [_NOT_IN_WORDS.sub(" ", text) for text in (job.result or {}).get("prompts", [])]
    if job.action == Action.DESCRIBE:
        request = GenerationRequest.model_validate(job.request)
        flags_behind = f"--ar {nearest_ratio(request.width, request.height)}"
    else:
        flags_behind = " ".join(str(flag) for flag in tokenize(job.text).flags)
    return [f"{' '.join(text.split())} {flags_behind}".strip() for text in found]


def prompt(session: Session, found: FoundPrompt, member_id: int) -> str:
    """A prompt that a job has found, for a member who may see it.

    Raises:
        NoSuchJob, NotYours, NoWords
    """
    known = prompts(jobs.seen(session, found.job_id, member_id))
    if not 0 <= found.index < len(known):
        raise NoWords
    return known[found.index]


def drawn(session: Session, job_id: int) -> dict[int, bool]:
    """Prompts that a job has found and that were drawn, by index: True if with other words."""
    known = [tokenize(text).text for text in prompts(jobs.get(session, job_id))]
    changed: dict[int, bool] = {}
    for index, text in deliveries.drawn(session, job_id):
        if index < len(known):
            changed[index] = changed.get(index, False) or tokenize(text).text != known[index]
    return changed


def all_prompts(session: Session, job_id: int, member_id: int) -> str:
    r"""One text that is every prompt of a description, in the form of a permutation: `{this, that\, there}`.

    Raises:
        NoSuchJob, NotYours, NoWords
    """
    found = prompts(jobs.seen(session, job_id, member_id))
    if not found:
        raise NoWords
    if len(found) == 1:
        return found[0]
    divided = [tokenize(text) for text in found]
    words = ", ".join(_COMMA.sub(r"\\\g<0>", one.text) for one in divided)
    return " ".join([f"{{{words}}}", *map(str, divided[0].flags)])


def weights(session: Session, job_id: int, member_id: int) -> list[tuple[str, float]]:
    """Each word of a shortened prompt with its weight, 0–1.

    Raises:
        NoSuchJob, NotYours, NoWords
    """
    job = jobs.seen(session, job_id, member_id)
    found = weights_of(job)
    if not found:
        raise NoWords
    return found


def weights_of(job: Job) -> list[tuple[str, float]]:
    return [(word, weight) for word, weight in (job.result or {}).get("weights", [])]


def nearest_ratio(width: int, height: int) -> str:
    """Of RATIOS, lying or standing, the one whose width ÷ height is nearest by its logarithm."""
    whole = [tuple(map(int, ratio.split(":"))) for ratio in RATIOS]
    both = [*whole, *((tall, wide) for wide, tall in whole)]
    wide, tall = min(both, key=lambda ratio: abs(math.log(ratio[0] / ratio[1]) - math.log(width / height)))
    return f"{wide}:{tall}"


def _describing(catalog: Catalog, preferred: str | None) -> str:
    """The model whose describer is asked: the preferred one's, the default's, or any."""
    for name in (preferred, catalog.default, *catalog.models):
        if name in catalog.models and catalog[name].describer is not None:
            return name
    raise NoDescriber


def _file_name(name: str) -> str:
    """A file's name, or a link's last part, without what would be a flag or a weight in a prompt."""
    last = name.rstrip("/").rpartition("/")[2].partition("?")[0]
    return _NOT_IN_NAMES.sub("_", last)[-_NAME:].strip("_") or "picture"


def _random_seed() -> int:
    return random.SystemRandom().randrange(SEED_SPACE)
