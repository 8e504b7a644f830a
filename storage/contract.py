"""The contract of bot and workers: the request, the job's states and moves, events and error codes.

This is the only thing the two processes share. Field names are diffusers' argument names where it has one.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self, TypedDict, Unpack

from pydantic import BaseModel, ConfigDict, Field, model_validator

SEED_SPACE = 2**32
GRID = 4
MOST_BLENDED = 5
HEAVIEST_LORA = 2.0
HEAVIEST_STEERING = 2.0
"""The weight at which what is taken from a picture drowns the words."""
MOST_REFERENCES = 8
MOST_MASK_WORDS = 100
"""Characters."""
SMALLEST_REGION, LARGEST_REGION = 0.005, 0.9
"""Parts of a picture that may be drawn anew while the rest stays."""


class JobState(StrEnum):
    """`queued → running → succeeded | failed | cancelled | withheld`; a lost worker's job is queued again."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    WITHHELD = "withheld"

    @property
    def finished(self) -> bool:
        return not MOVES[self]

    def may_become(self, other: JobState) -> bool:
        return other in MOVES[self]


MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.WITHHELD}
    ),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.WITHHELD: frozenset(),
}


class Task(StrEnum):
    """Kind of work that a worker has to run, in diffusers' words."""

    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    INPAINTING = "inpainting"
    UPSCALE = "upscale"
    DESCRIBE = "describe"
    """Prompts for a picture."""
    SHORTEN = "shorten"
    """Weights of a prompt's words, and shorter prompts."""

    @property
    def draws(self) -> bool:
        """True for a task that makes pictures, False for one that finds words."""
        return self not in (Task.DESCRIBE, Task.SHORTEN)


class Action(StrEnum):
    """The command or button that a job was asked for with; with the parent image it is an edge of the family
    tree.
    """

    IMAGINE = "imagine"
    REROLL = "reroll"
    VARY = "vary"
    VARY_SUBTLE = "vary_subtle"
    VARY_STRONG = "vary_strong"
    UPSCALE_2X = "upscale_2x"
    VARY_REGION = "vary_region"
    REMIX = "remix"
    REMIX_SUBTLE = "remix_subtle"
    REMIX_STRONG = "remix_strong"
    REMIX_REGION = "remix_region"
    UPSCALE_4X = "upscale_4x"
    UPSCALE_SUBTLE = "upscale_subtle"
    UPSCALE_CREATIVE = "upscale_creative"
    ZOOM_OUT = "zoom_out"
    ZOOM_OUT_15X = "zoom_out_15x"
    ZOOM_CUSTOM = "zoom_custom"
    MAKE_SQUARE = "make_square"
    PAN_LEFT = "pan_left"
    PAN_RIGHT = "pan_right"
    PAN_UP = "pan_up"
    PAN_DOWN = "pan_down"
    BLEND = "blend"
    DESCRIBE = "describe"
    SHORTEN = "shorten"

    @property
    def enlarges(self) -> bool:
        return self.value.startswith("upscale")


class Speed(StrEnum):
    """In which of its member's queues a job waits."""

    RELAX = "relax"
    FAST = "fast"
    TURBO = "turbo"

    @property
    def priority(self) -> int:
        """A member's jobs go from the highest to the lowest; below 0 they wait until nobody else does."""
        return {Speed.RELAX: -1, Speed.FAST: 0, Speed.TURBO: 1}[self]


class ErrorCode(StrEnum):
    """Reason why a job failed; `bot/messages/` has a sentence for each."""

    CRASHED = "crashed"
    OUT_OF_MEMORY = "out_of_memory"
    WORKER_LOST = "worker_lost"
    MODEL_UNAVAILABLE = "model_unavailable"
    SOURCE_MISSING = "source_missing"
    SOURCE_WITHHELD = "source_withheld"
    REGION_NOT_FOUND = "region_not_found"
    REGION_TOO_LARGE = "region_too_large"
    SAMPLER_UNAVAILABLE = "sampler_unavailable"
    DISK_FULL = "disk_full"
    TOO_OLD = "too_old"


class Phrase(BaseModel):
    """Words that are meant more (`emphasis` above 1) or less strongly than the rest: `(words:1.3)`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    emphasis: Annotated[float, Field(ge=0, le=10)] = 1.0


class Part(BaseModel):
    """One part of a multi-prompt, `hot::2 dog::-1`: what stands before `::` and its weight."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phrases: Annotated[tuple[Phrase, ...], Field(min_length=1)]
    weight: Annotated[float, Field(ge=-100, le=100)] = 1.0


class Lora(BaseModel):
    """One of a model's LoRAs by its name in the catalog, and how strongly its weights are added."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    weight: Annotated[float, Field(ge=-HEAVIEST_LORA, le=HEAVIEST_LORA)] = 1.0


class Role(StrEnum):
    """Part that an image adapter takes over from the picture that it reads."""

    IMAGE = "image"
    """All that the words leave open."""
    STYLE = "style"
    SUBJECT = "subject"


class Reference(BaseModel):
    """Pictures of the image store that an image adapter reads beside the words, and how strongly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    keys: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_REFERENCES)]
    links: tuple[str, ...] = ()
    """Links that were typed for them, in the same order; empty for pictures that were attached."""
    weight: Annotated[float, Field(gt=0, le=HEAVIEST_STEERING)] = 1.0


class Control(BaseModel):
    """One of the model's control networks, by its name in the catalog, and its strength."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    weight: Annotated[float, Field(gt=0, le=HEAVIEST_STEERING)] = 1.0
    key: str | None = None
    """Image store's key of the control image; None until it is known."""

    def showing(self, key: str) -> Control:
        """The same control with its control image."""
        return Control(kind=self.kind, weight=self.weight, key=key)


def weight_sum(parts: Iterable[Part]) -> Decimal:
    """Sum of the parts' weights in decimal, as they were typed: 0.1, 0.2 and -0.3 are nothing."""
    return sum((Decimal(repr(part.weight)) for part in parts), Decimal())


class RequestChanges(TypedDict, total=False):
    """Fields of a `GenerationRequest`, some of them: a type for `changed`, which validates their values."""

    task: Task
    model: str
    prompt: str
    parts: tuple[Part, ...]
    negative_prompt: str
    negative_parts: tuple[Part, ...]
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    scheduler: str
    seed: int
    num_images_per_prompt: int
    stylize: int
    style_words: str
    style_weight: int
    chaos: int
    weird: int
    sameseed: bool
    stop: int
    tile: bool
    video: bool
    refine: float
    loras: tuple[Lora, ...]
    references: tuple[Reference, ...]
    control: Control | None
    strength: float
    scale: Literal[1, 2, 4]
    upscaler: str | None
    creativity: float
    parent_image_id: int | None
    source_key: str | None
    source_keys: tuple[str, ...]
    mask_key: str | None
    mask_words: str
    continues: bool


class GenerationRequest(BaseModel):
    """One job's whole request, resolved: nothing in it is left to a worker's taste.

    `width` and `height` are pixels of each image (of the *result* for `upscale`). Image *k* of the grid
    uses seed `(seed + k) mod 2**32`.

    `prompt` is the plain text; where it has weights, `parts` says what each piece weighs, together more
    than 0 (empty: one part, nothing emphasised); `negative_parts` says so of `negative_prompt`, none of them
    below 0. `stylize` (0–1000) blends the model's style words into the
    prompt embedding, and `style_weight` (0–1000) those of `style_words`, which `--sref` chose; 0 is the bare
    prompt. `chaos` (0–100), `weird` (0–3000) and `sameseed` change the grid's rows apart from each other,
    `stop` (10–100) ends the drawing at that percentage of its steps, `tile` makes opposite edges meet, and
    `video` keeps a movie of the forming pictures. `loras` are added to the model's weights. `references` are
    pictures that are read beside the words, each role once, and `control` is one whose shapes are kept.

    What a picture starts from is an image of an earlier job (`parent_image_id`) or a file in the image store
    (`source_key`, which wins), or, for a blend, the mean of the files in `source_keys`, whose descriptions
    are its words. `strength` (0–1) is diffusers' for image-to-image and inpainting; `mask_key` names the mask
    in the image store (white is drawn anew), and `mask_words` things, with commas between, that are to be
    found in the picture; both together are drawn anew. With `continues` what is new goes on from the picture
    of which the words tell: they ask for nothing a second time. Where `refine` (0–1) of the noise is gone the
    model's refiner takes over, if it has one. `scale` is the upscaling factor, `upscaler`
    which of the model's enlarges (None its default) and `creativity` (0–1) the strength of a light second
    diffusion of the enlarged picture. Each is read only for its task.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    task: Task = Task.TEXT_TO_IMAGE
    model: str = "picturebook"
    prompt: str
    parts: tuple[Part, ...] = ()
    negative_prompt: str = ""
    negative_parts: tuple[Part, ...] = ()
    width: Annotated[int, Field(ge=8, le=16384)]
    height: Annotated[int, Field(ge=8, le=16384)]
    num_inference_steps: Annotated[int, Field(ge=1, le=1000)] = 20
    guidance_scale: Annotated[float, Field(ge=0, le=50)] = 5.0
    scheduler: str = "ddim"
    seed: Annotated[int, Field(ge=0, lt=SEED_SPACE)]
    num_images_per_prompt: Annotated[int, Field(ge=1, le=GRID)] = GRID
    stylize: Annotated[int, Field(ge=0, le=1000)] = 0
    style_words: str = ""
    style_weight: Annotated[int, Field(ge=0, le=1000)] = 0
    chaos: Annotated[int, Field(ge=0, le=100)] = 0
    weird: Annotated[int, Field(ge=0, le=3000)] = 0
    sameseed: bool = False
    stop: Annotated[int, Field(ge=10, le=100)] = 100
    tile: bool = False
    video: bool = False
    loras: tuple[Lora, ...] = ()
    references: tuple[Reference, ...] = ()
    control: Control | None = None
    strength: Annotated[float, Field(gt=0, le=1)] = 1.0
    scale: Literal[1, 2, 4] = 1
    upscaler: str | None = None
    creativity: Annotated[float, Field(ge=0, lt=1)] = 0.0
    refine: Annotated[float, Field(ge=0, le=1)] = 1.0
    parent_image_id: int | None = None
    source_key: str | None = None
    source_keys: Annotated[tuple[str, ...], Field(max_length=MOST_BLENDED)] = ()
    mask_key: str | None = None
    mask_words: Annotated[str, Field(max_length=MOST_MASK_WORDS)] = ""
    continues: bool = False

    @model_validator(mode="after")
    def _has_its_source(self) -> Self:
        sources = (self.parent_image_id, self.source_key, *self.source_keys)
        if self.task not in (Task.TEXT_TO_IMAGE, Task.SHORTEN) and all(source is None for source in sources):
            raise ValueError(f"{self.task.value} needs parent_image_id, source_key or source_keys")
        if self.task is Task.INPAINTING and self.mask_key is None and not self.mask_words:
            raise ValueError("inpainting needs mask_key or mask_words")
        return self

    @model_validator(mode="after")
    def _weighs_something(self) -> Self:
        # Weights are shares of their sum.
        if self.parts and weight_sum(self.parts) <= 0:
            raise ValueError(f"the weights of the parts sum to {weight_sum(self.parts)}, not above 0")
        if self.negative_parts and (
            min(part.weight for part in self.negative_parts) < 0 or weight_sum(self.negative_parts) <= 0
        ):
            raise ValueError("a negative part weighs less than 0, or all of them nothing")
        return self

    @model_validator(mode="after")
    def _reads_each_role_once(self) -> Self:
        if len({reference.role for reference in self.references}) < len(self.references):
            raise ValueError("a role of references stands twice")
        return self

    def changed(self, **changes: Unpack[RequestChanges]) -> Self:
        """The same request with other values, as valid as a new one.

        Raises:
            ValidationError: it would be none.
        """
        return type(self).model_validate({**dict(self), **changes})

    @property
    def is_refined(self) -> bool:
        return self.refine < 1 and self.task is not Task.INPAINTING

    def seed_of(self, index: int) -> int:
        return (self.seed + index) % SEED_SPACE


class ProgressEvent(BaseModel):
    """A hint that a job moved on: `fraction` (0–1) of its UNet calls are done; perhaps a preview (WebP)."""

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    kind: Literal["progress"] = "progress"
    job_id: int
    attempt: int
    fraction: float
    preview: bytes | None = None


class ChangedEvent(BaseModel):
    """A hint that a job's row changed: look at it again. `sequence` lets a late event be ignored."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["changed"] = "changed"
    job_id: int
    sequence: int


class CancelEvent(BaseModel):
    """A hint to workers that someone asked for this job to stop; the row says so too."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["cancel"] = "cancel"
    job_id: int


Event = Annotated[ProgressEvent | ChangedEvent | CancelEvent, Field(discriminator="kind")]
