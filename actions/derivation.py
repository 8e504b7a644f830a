"""Requests derived from a stored picture's or job's: the parts that every action of the table shares.

Where a member has changed the prompt (Remix), `text` is the new one; None leaves it as it is. It is read
without the member's settings, which are written out in the parent's prompt already.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final

from PIL import Image as PilImage
from sqlalchemy.orm import Session

from actions.image_prompts import Keys, known
from prompts import parser, request_builder
from prompts.parser import BY_NAME, FlagError, Note, NoteKind, Scope
from prompts.precedence import unsupported
from prompts.tokenizer import TokenizedPrompt, TypedFlag, clean, tokenize
from storage import jobs
from storage.catalog import Catalog
from storage.catalog_values import Size
from storage.contract import GRID, SEED_SPACE, Action, GenerationRequest, RequestChanges, Task
from storage.errors import NoSuchImage, Refused
from storage.model_families import Feature
from storage.tables import Image, Job

Compose = Callable[[PilImage.Image], tuple[PilImage.Image | None, PilImage.Image]]


NO_PROMPT = TokenizedPrompt("")

_WITHOUT_SOURCE: Final[RequestChanges] = {
    "source_key": None,
    "mask_key": None,
    "mask_words": "",
    "continues": False,
    "scale": 1,
    "creativity": 0.0,
    "strength": 1.0,
    "control": None,
}
CONTINUED = 0.4
"""The strength of what goes on from a picture: the drawing begins with its stretched edges and keeps them."""
WORDED = 0.9
"""The strength where changed words ask for something else around it: little more than the edges' colours."""
OF_GRIDS: Final[RequestChanges] = {"chaos": 0, "sameseed": False}
"""Fields that spread or join the pictures of a first grid, and mean nothing for what is made of one
picture.
"""


class ImageWithheld(Refused):
    """Nothing is made of a picture that the safety check keeps."""


class ModelGone(Refused):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class LoraGone(Refused):
    """A LoRA that drew the picture is not in the catalog any more."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class ReferenceGone(Refused):
    """The model reads no such pictures any more as steered this one."""


@dataclass(frozen=True)
class Cell:
    """A picture by its place in a grid; `index` counts from 0."""

    job_id: int
    index: int


@dataclass(frozen=True)
class InitImageAndMask:
    """Source and mask to compose of a stored picture (`key`) before the job can be drawn.

    Without a source of its own the job begins with its parent picture.
    """

    key: str
    compose: Compose


@dataclass(frozen=True)
class DerivedJob:
    action: Action
    prompt: TokenizedPrompt
    request: GenerationRequest
    parent_job_id: int
    parent_image_id: int | None = None
    parent_index: int | None = None
    sheet: InitImageAndMask | None = None
    parsed: parser.Parsed | None = None
    """A changed prompt as it was understood."""
    known: Keys = field(default_factory=dict)
    """Pictures that the parent's prompt linked to, as the changed one may too."""


class Subject(Enum):
    """Kinds of things that an action is about: they say what `id` and `n` of its `custom_id` number."""

    IMAGE = auto()
    """`id` is an image's."""
    CELL = auto()
    """`id` is a job's, `n` a place in its grid, from 1."""
    JOB = auto()
    """`id` is a job's; `n` is the image's below which the button stands, if it stands below one."""


@dataclass(frozen=True)
class Invocation:
    """One use of an action: on what, and with which changes.

    `text` takes the place of the picture's own words; `subtle` is a member's setting for V1–V4.
    """

    action: Action
    remixed: Action
    """The action that it becomes with other words."""
    subject: Subject
    id: int
    n: int | None = None
    text: str | None = None
    subtle: bool = False

    @property
    def picture(self) -> Cell | int:
        return Cell(self.id, (self.n or 0) - 1) if self.subject is Subject.CELL else self.id


@dataclass(frozen=True)
class Words:
    """Request and prompt of a derived job: the parent's words with another seed, or the member's own."""

    request: GenerationRequest
    prompt: TokenizedPrompt
    parsed: parser.Parsed | None = None
    known: Keys = field(default_factory=dict)
    before: TokenizedPrompt = NO_PROMPT
    """The parent's prompt, where this is a changed one."""

    def derived(
        self,
        asked: Invocation,
        picture: tuple[Image, Job],
        changes: RequestChanges,
        sheet: InitImageAndMask | None = None,
    ) -> DerivedJob:
        """A job about a picture whose request differs by `changes`; what the parent began with is gone."""
        image, job = picture
        whole: RequestChanges = {**_WITHOUT_SOURCE, **changes}
        request = self.request.changed(**whole)
        true = self.of_shape((request.width, request.height))
        return DerivedJob(
            asked.action if self.parsed is None else asked.remixed,
            true.prompt,
            request,
            job.id,
            image.id,
            image.index,
            sheet,
            true.parsed,
            self.known,
        )

    def of_shape(self, size: Size) -> Words:
        """The words of what is drawn in this size: their `--ar` says so, and no note says another."""
        asked = self.request.width, self.request.height
        if asked[0] * size[1] == asked[1] * size[0]:
            return self
        prompt = shaped(self.prompt, size)
        if self.parsed is None:
            return replace(self, prompt=prompt)
        notes = tuple(note for note in self.parsed.notes if note.kind is not NoteKind.SNAPPED)
        typed = _ratios(self.prompt)
        if typed and typed != _ratios(self.before):
            notes += (Note(NoteKind.SHAPE_FIXED, typed[-1].name, request_builder.shape(*size)),)
        return replace(self, prompt=prompt, parsed=replace(self.parsed, notes=notes))


def _ratios(prompt: TokenizedPrompt) -> list[TypedFlag]:
    return [flag for flag in prompt.flags if flag.name in BY_NAME["ar"].names]


def shaped(prompt: TokenizedPrompt, size: Size) -> TokenizedPrompt:
    """The prompt with the ratio of this size."""
    unshaped = parser.without(prompt, "ar")
    shared = math.gcd(*size)
    ratio = TypedFlag("ar", f"{size[0] // shared}:{size[1] // shared}")
    return TokenizedPrompt(unshaped.text, (*unshaped.flags, ratio))


def shown(session: Session, picture: Cell | int) -> tuple[Image, Job]:
    """A picture that members may see, by its place in a grid or its id, and its job.

    Raises:
        NoSuchJob, NoSuchImage, PictureWithheld
    """
    if isinstance(picture, Cell):
        job = jobs.get(session, picture.job_id)
        found = [image for image in jobs.images_of(session, job.id) if image.index == picture.index]
        if not found:
            raise NoSuchImage(picture.job_id)
        image = found[0]
    else:
        image, job = jobs.image(session, picture)
    if image.withheld:
        raise ImageWithheld
    return image, job


def prompt_of(session: Session, asked: Invocation) -> str:
    """The words that a member may change (Remix) before more is made of a job or a picture.

    Raises:
        NoSuchJob, NoSuchImage, PictureWithheld
    """
    if asked.subject is Subject.JOB:
        return str(unseeded(drawn_job(session, asked.id)))
    _, drawn = before_upscaling(session, *shown(session, asked.picture))
    return str(unseeded(drawn))


def words_of(catalog: Catalog, job: Job, text: str | None) -> Words:
    """The job's words with another seed, or the changed ones in their place.

    Raises:
        ModelGone, LoraGone, ReferenceGone: what drew it is not installed any more.
        FlagError: the changed ones cannot be understood.
    """
    request, before = with_installed_models(catalog, job), unseeded(job)
    if text is None or clean(text) == clean(str(before)):
        return Words(request.changed(seed=random_seed()), before)
    parsed = parser.parse(text, catalog, own_model(catalog, job), attached=leading(request) is not None)
    return Words(parsed.request, parsed.tokens, parsed, known(request), before)


def own_model(catalog: Catalog, job: Job) -> parser.Preferences:
    """Changed words stay with the model that drew the picture, unless they name another."""
    return parser.Preferences(model=None if job.model == catalog.default else job.model)


def drawn_job(session: Session, job_id: int) -> Job:
    """The job, or what was drawn before it was enlarged."""
    job = jobs.get(session, job_id)
    while request_of(job).task is Task.UPSCALE and job.parent_job_id is not None:
        job = jobs.get(session, job.parent_job_id)
    return job


def request_of(job: Job) -> GenerationRequest:
    return GenerationRequest.model_validate(job.request)


def with_installed_models(catalog: Catalog, job: Job, *, redrawn: bool = True) -> GenerationRequest:
    """The job's request, where its model can still be asked, and if it is `redrawn` all that changes it too.

    A sampler that the model's family cannot run any more becomes the model's own.

    Raises:
        ModelGone, LoraGone, ReferenceGone
        FlagError: the model's family cannot draw pictures that tile.
    """
    request = request_of(job)
    if request.model not in catalog.models:
        raise ModelGone(request.model)
    entry = catalog[request.model]
    gone = [lora.name for lora in request.loras if lora.name not in entry.loras]
    if redrawn and gone:
        raise LoraGone(gone[0])
    unread = any(reference.role not in entry.adapters for reference in request.references)
    if redrawn and (unread or (request.control is not None and request.control.kind not in entry.controls)):
        raise ReferenceGone
    if redrawn and request.tile and Feature.TILING not in entry.features:
        raise FlagError([unsupported("tile", Feature.TILING, Scope(catalog, entry))], job.text)
    if redrawn and request.scheduler not in entry.samplers:
        return request.changed(scheduler=entry.scheduler)
    return request


def before_upscaling(session: Session, image: Image, job: Job) -> tuple[Image, Job]:
    """The picture as it was drawn: the same as an upscaled one, and of a size that the model draws."""
    while (request := request_of(job)).task is Task.UPSCALE and request.parent_image_id is not None:
        image, job = jobs.image(session, request.parent_image_id)
    return image, job


def unseeded(job: Job) -> TokenizedPrompt:
    """The parent's prompt without its seed, which does not hold for the new pictures."""
    return parser.without(tokenize(job.text), *parser.SEED_FLAGS)


def random_seed() -> int:
    return random.SystemRandom().randrange(SEED_SPACE)


def leading(request: GenerationRequest) -> str | None:
    """The picture that a control would be shown: the one that led already, or that the job began with."""
    return request.source_key if request.control is None else request.control.key


def in_part(drawn: Image, size: Size) -> RequestChanges:
    """Changes that draw part of a picture and keep the rest; whoever composes the sheet adds its keys."""
    return {
        **OF_GRIDS,
        "task": Task.IMAGE_TO_IMAGE,
        "parent_image_id": drawn.id,
        "num_images_per_prompt": GRID,
        "width": size[0],
        "height": size[1],
        "stop": 100,
    }
