"""The table of one model in the catalog."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from storage import model_families
from storage.catalog_companions import (
    AdapterEntry,
    AlwaysLoraEntry,
    CompanionEntry,
    ControlEntry,
    DraftEntry,
    EmbeddingEntry,
    LoraEntry,
    SamplerName,
)
from storage.catalog_files import FILES_OF_DIFFUSION, ModelFiles
from storage.catalog_values import (
    Guidance,
    Line,
    Name,
    Size,
    Source,
    Steps,
    Strength,
    refuse_alike,
    resolve_file,
    sourced,
)
from storage.contract import Role, Task
from storage.model_families import Feature, ModelFamily
from storage.samplers import ZERO_SNR
from storage.vocabulary import has, naming, words_in

REFINED_FROM = 0.8
"""Part of the noise that is gone when a refiner takes over: the last fifth is what it was made for."""

LONGEST_OFFER = 80
"""Characters that a button has for a prompt with its model's name."""

OF_DIFFUSION = (*FILES_OF_DIFFUSION, "inpainting", "always_loras", "embeddings", "memory")
"""Keys of a model that only families of noise prediction have a use for."""

SHOWN = ("title", "description", "license", "nsfw", "sample", "versions", "examples", "prompts")
"""Keys of a model that change what members are shown of it, and nothing that is drawn."""


class ModelEntry(ModelFiles):
    """One model: where it is, what it may be asked for, and the words that flatter it.

    `sizes` are (width, height) in pixels; any ratio a member asks for is snapped to one of them.
    """

    name: Line
    title: Line
    sizes: tuple[Size, ...] = Field(min_length=1)
    num_inference_steps: Steps = 20
    max_steps: Steps = 100
    guidance_scale: Guidance = 7.5
    scheduler: SamplerName = "ddim"
    draft: DraftEntry | None = None
    """The quick way of `--draft`; None: fewer steps."""
    stylize: Annotated[int, Field(ge=0, le=1000)] = 100
    style_words: str = ""
    """The classic prompt formula: quality and style words that `--stylize` blends in."""
    style_phrases: tuple[str, ...] = ()
    """Looks that an `--sref` code picks some of."""
    chaos_phrases: tuple[str, ...] = ()
    """Settings, moods and looks that `--chaos` draws from, another for each picture of a grid."""
    weird_phrases: tuple[str, ...] = ()
    """Phrases that `--weird` leans towards."""
    versions: tuple[Annotated[str, Field(pattern=r"^(niji )?[0-9]{1,2}(\.[0-9])?$")], ...] = ()
    """Midjourney's versions (`6.1`, `niji 6`) that stand for this model."""
    strength_subtle: Strength = 0.4
    strength_strong: Strength = 0.7
    """diffusers' img2img strength of Vary (Subtle) and Vary (Strong)."""
    vocabulary: Annotated[str, AfterValidator(resolve_file)] | None = None
    """A file of all the words the model knows, one a line, for a small model."""
    examples: tuple[str, ...] = ()
    """Some of those words, for members who typed one it does not know."""
    prompts: Annotated[tuple[Line, ...], Field(max_length=3)] = ()
    """Whole prompts of those words, which are offered to press where a member typed none of them."""
    safety_checker: Source | None = None
    """Source of the checker when the model's own folder has none."""
    inpainting: Source | None = None
    """A checkpoint made for inpainting, which draws regions, zooms and pans in the place of `source`."""
    refiner: Source | None = None
    """Stable Diffusion XL's refiner, which ends what the model begins: `--refine` says where."""
    upscaler: CompanionEntry | None = None
    """A transformers image-to-image model (Swin2SR), or a single file of another that enlarges."""
    upscalers: dict[Name, CompanionEntry] = Field(default_factory=dict)
    """Several of them, in place of `upscaler`, for `--upscaler` to choose from; the first is the default."""
    loras: dict[Name, Annotated[LoraEntry, BeforeValidator(sourced)]] = Field(default_factory=dict)
    """LoRAs for `--lora` to choose from; a source alone may stand for an entry."""
    always_loras: dict[Name, Annotated[AlwaysLoraEntry, BeforeValidator(sourced)]] = Field(
        default_factory=dict
    )
    """LoRAs that are part of the model."""
    embeddings: dict[Name, Annotated[EmbeddingEntry, BeforeValidator(sourced)]] = Field(default_factory=dict)
    """Textual Inversions, each read where its name stands in a prompt."""
    controls: dict[Name, ControlEntry] = Field(default_factory=dict)
    """Control networks for `--control` to choose from."""
    adapters: dict[Role, AdapterEntry] = Field(default_factory=dict)
    """Image adapters for the pictures of `--sref` (style), `--cref` and `--oref` (subject), or several in
    front.
    """
    describer: CompanionEntry | None = None
    """A transformers captioning model (BLIP, GIT, an encoder with a decoder)."""
    segmenter: CompanionEntry | None = None
    """A CLIPSeg, which finds in a picture what words name."""
    description: str = ""
    """Sentence or two for members, on what the model draws well."""
    license: str = ""
    """Licence of the weights, for members to read: a name or a link."""
    nsfw: bool = False
    """The model was made for pictures of adults."""
    sample: Annotated[str, AfterValidator(resolve_file)] | None = None
    """A picture that the model drew, for members to see."""
    memory: Literal["auto", "full", "low", "offload", "fp8", "int8", "nf4"] = "auto"
    """Way in which it is made to fit into its device's memory."""
    display_scale: Annotated[int, Field(ge=1, le=16)] = 1
    """Factor by which a small model's grid is shown larger than it was drawn."""

    @model_validator(mode="before")
    @classmethod
    def _first_upscaler(cls, table: dict[str, Any]) -> dict[str, Any]:
        named = table.get("upscalers")
        if not named or not isinstance(named, dict):
            return table
        first = next(iter(named.values()))
        if table.get("upscaler", first) != first:
            raise ValueError("name one `upscaler` or several `upscalers`, not both")
        return {**table, "upscaler": first}

    @model_validator(mode="before")
    @classmethod
    def _familys_own_sampler(cls, table: dict[str, Any]) -> dict[str, Any]:
        told = model_families.of_source(str(table.get("source", "")))
        family = model_families.FAMILIES.get(told or str(table.get("family", "sd")))
        if family is None or "scheduler" in table:
            return table
        return {**table, "scheduler": family.samplers[0]}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.scheduler not in self.samplers:
            raise ValueError(
                f"scheduler: {self.scheduler} is none of those that this kind of model draws with"
                f" ({', '.join(self.samplers)})"
            )
        if self.refiner is not None and self.family_name != "sdxl":
            raise ValueError("refiner: only Stable Diffusion XL has one")
        told = self.inpainting and model_families.of_source(self.inpainting)
        if told and told != self.family_name:
            raise ValueError(
                f"inpainting: it is of the family {told!r}, and the model of {self.family_name!r}"
            )
        if self.num_inference_steps > self.max_steps:
            raise ValueError(
                f"num_inference_steps ({self.num_inference_steps}) is more than max_steps ({self.max_steps})"
            )
        for prompt in self.prompts:
            if len(prompt) > LONGEST_OFFER - len(self.name):
                raise ValueError(
                    f"prompts: {prompt!r} is too long: a button holds {LONGEST_OFFER} characters of a prompt"
                    " and its model's name"
                )
        for key in ("upscalers", "loras", "embeddings", "controls"):
            refuse_alike(getattr(self, key), key)
        return self

    @model_validator(mode="after")
    def _suits_its_family(self) -> Self:
        for key in OF_DIFFUSION if self._family.denoiser != "unet" else ():
            if getattr(self, key) not in (None, False, 0, "auto", "full", {}):
                raise ValueError(f"{key}: this kind of model takes none: it is for Stable Diffusion")
        for feature in (Feature.LORAS, Feature.CONTROLS, Feature.ADAPTERS):
            if getattr(self, feature) and feature not in self.features:
                raise ValueError(f"{feature}: this kind of model takes none")
        return self

    @model_validator(mode="after")
    def _can_draw_its_draft(self) -> Self:
        draft = self.draft
        if draft is None:
            return self
        if draft.num_inference_steps > self.max_steps:
            raise ValueError(
                f"draft.num_inference_steps ({draft.num_inference_steps}) is more than max_steps"
                f" ({self.max_steps})"
            )
        if draft.scheduler is not None and draft.scheduler not in self.samplers:
            raise ValueError(
                f"draft.scheduler: {draft.scheduler} is none of those that this kind of model draws with"
                f" ({', '.join(self.samplers)})"
            )
        for name in draft.loras:
            if name not in self.loras:
                raise ValueError(
                    f"draft.loras: {name!r} is none of the model's `loras`"
                    f" ({', '.join(self.loras) or 'there are none'})"
                )
        return self

    def drafting(self) -> Self:
        """The same model with its draft's steps, guidance and sampler for defaults."""
        if self.draft is None:
            return self
        own = self.draft.model_dump(include={"num_inference_steps", "guidance_scale", "scheduler"})
        return self.changed(**{key: value for key, value in own.items() if value is not None})

    @property
    def samplers(self) -> tuple[str, ...]:
        """Names of the samplers that the model can be drawn with."""
        if not self.ends_in_pure_noise():
            return self._family.samplers
        return tuple(name for name in self._family.samplers if name in ZERO_SNR)

    @property
    def features(self) -> frozenset[Feature]:
        """Abilities of the model's family that not every family has."""
        return self._family.features

    @cached_property
    def _family(self) -> ModelFamily:
        return model_families.FAMILIES[self.family_name]

    @cached_property
    def family_name(self) -> str:
        """As its folder says, or as is written here."""
        return model_families.of_source(self.source) or self.family

    @property
    def refined_from(self) -> float:
        """Part of the noise that is gone when its refiner takes over, if nobody says; 1 without one."""
        return 1.0 if self.refiner is None else REFINED_FROM

    def files_for(self, task: Task) -> ModelFiles:
        """Files of the networks that draw this kind of job."""
        if task is not Task.INPAINTING or self.inpainting is None:
            return self
        stated = {} if self.stated_family is None else {"family": self.stated_family}
        return ModelFiles(
            source=self.inpainting,
            clip_skip=self.clip_skip,
            guidance_rescale=self.guidance_rescale,
            **stated,
        )

    def upscaler_named(self, name: str | None) -> CompanionEntry | None:
        """The upscaler of that name; the default where it is None or there is none of it any more."""
        return self.upscaler if name is None else self.upscalers.get(name, self.upscaler)

    def nearest_size(self, ratio: float) -> Size:
        """The size whose width ÷ height is nearest to `ratio` (by its logarithm, so that 2:3 mirrors 3:2)."""
        return min(self.sizes, key=lambda size: abs(math.log(size[0] / size[1]) - math.log(ratio)))

    @cached_property
    def words(self) -> frozenset[str] | None:
        """The model's vocabulary, None where it knows every word."""
        if self.vocabulary is None:
            return None
        return frozenset(Path(self.vocabulary).read_text(encoding="utf-8").split())

    def knows(self, text: str) -> bool:
        """True where all words of the text are in the model's vocabulary, or name its embeddings."""
        words = self.words
        return words is None or all(has(words, word) for word in words_in(self.unnamed(text)))

    def unnamed(self, text: str) -> str:
        """The text without the names of the model's embeddings."""
        named = naming(self.embeddings)
        return text if named is None else named.sub(" ", text)
