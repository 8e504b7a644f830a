"""The table of one model in the catalog."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from storage import model_families
from storage.catalog_companions import AdapterEntry, CompanionEntry, ControlEntry, LoraEntry
from storage.catalog_values import (
    CatalogTable,
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
from storage.contract import Role
from storage.samplers import NAMES as SAMPLER_NAMES
from storage.vocabulary import has, words_in

LONGEST_OFFER = 80
"""Characters that a button has for a prompt with its model's name."""


class ModelEntry(CatalogTable):
    """One model: where it is, what it may be asked for, and the words that flatter it.

    `sizes` are (width, height) in pixels; any ratio a member asks for is snapped to one of them.
    """

    name: Line
    title: Line
    source: Source
    """Folder, single `.safetensors` file or Hugging Face id."""
    family: Annotated[str, AfterValidator(model_families.known)] = "sd"
    """Family where the source does not say its own."""
    sizes: tuple[Size, ...] = Field(min_length=1)
    num_inference_steps: Steps = 20
    max_steps: Steps = 100
    guidance_scale: Annotated[float, Field(ge=0, le=50)] = 7.5
    scheduler: Literal[SAMPLER_NAMES] = "ddim"  # type: ignore[valid-type]
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
    upscaler: CompanionEntry | None = None
    """A transformers image-to-image model that enlarges four times."""
    upscalers: dict[Name, CompanionEntry] = Field(default_factory=dict)
    """Several of them, in place of `upscaler`, for `--upscaler` to choose from; the first is the default."""
    loras: dict[Name, Annotated[LoraEntry, BeforeValidator(sourced)]] = Field(default_factory=dict)
    """LoRAs for `--lora` to choose from; a source alone may stand for an entry."""
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
        if table.get("upscaler"):
            raise ValueError("name one `upscaler` or several `upscalers`, not both")
        return {**table, "upscaler": next(iter(named.values()))}

    @model_validator(mode="before")
    @classmethod
    def _familys_own_sampler(cls, table: dict[str, Any]) -> dict[str, Any]:
        told = model_families.of_folder(str(table.get("source", "")))
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
        for key in ("upscalers", "loras", "controls"):
            refuse_alike(getattr(self, key), key)
        return self

    @cached_property
    def samplers(self) -> tuple[str, ...]:
        """Names of the samplers that the model can be drawn with."""
        return model_families.FAMILIES[model_families.of_folder(self.source) or self.family].samplers

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
        """True where all words of the text are in the model's vocabulary."""
        words = self.words
        return words is None or all(has(words, word) for word in words_in(text))
