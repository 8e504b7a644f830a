"""The catalog: which models there are, what each allows, and what a request falls back to.

A catalog is a TOML file with one `[models.NAME]` table a model. Paths in it are relative to the file.
"""

from __future__ import annotations

import difflib
import importlib.util
import math
import re
import tomllib
from collections.abc import Collection, Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails

from storage import model_families
from storage.contract import Role
from storage.errors import CatalogError
from storage.samplers import NAMES as SAMPLER_NAMES
from storage.vocabulary import has, words_in

Side = Annotated[int, Field(ge=8, le=16384, multiple_of=8)]
Size = tuple[Side, Side]

LONGEST_OFFER = 80
"""Characters that a button has for a prompt with its model's name."""

PICKLED = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
"""Endings of files that are Python programs as much as weights."""


def plain_name(name: str) -> str:
    """The form in which names are compared: members may type `dream-xl` for `Dream XL`."""
    return re.sub(r"[\s_-]", "", name.casefold())


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("it is to be one line of text without spaces around it")
    return text


def _whole(text: str) -> str:
    if text.endswith(PICKLED):
        raise ValueError(
            f"{text} is a pickle, which may run code when it is read: make a .safetensors file of it with"
            " `easel models convert FILE`, and name that"
        )
    return text


def _resolve(source: str, info: ValidationInfo) -> str:
    """A path beside the catalog where there is one, else what it says (a Hugging Face id)."""
    if info.context is None:
        return source
    local: Path = info.context / Path(source).expanduser()
    try:
        return str(local) if local.exists() or names_a_file(source) else source
    except (OSError, RuntimeError) as error:
        raise ValueError(f"it cannot be looked for: {error}") from None


def names_a_file(source: str) -> bool:
    """True for a source that can only be a file or folder of this machine, and no Hugging Face id."""
    return source.endswith(".safetensors") or not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", source)


def _resolve_file(file: str, info: ValidationInfo) -> str:
    return file if info.context is None else str(info.context / file)


Line = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]
Source = Annotated[
    str, Field(min_length=1, max_length=1000), AfterValidator(_printable), AfterValidator(_whole),
    AfterValidator(_resolve),
]  # fmt: skip
File = Annotated[str, Field(min_length=1), AfterValidator(_printable), AfterValidator(_whole)]


class CatalogTable(BaseModel):
    """A table of the catalog, which has no other keys than these."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _knows_its_keys(cls, table: Any) -> Any:
        if isinstance(table, dict):
            refuse_unknown(table, cls.model_fields)
        return table


def refuse_unknown(given: Iterable[str], known: Collection[str]) -> None:
    """Raises:
    ValueError: there is an unknown key; the text says which known one is nearest.
    """
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}."
            raise ValueError(f"there is no key `{key}`: {hint}")


class CompanionEntry(CatalogTable):
    """A smaller network that does something for a model."""

    source: Source
    """Folder or Hugging Face id."""


class LoraEntry(CatalogTable):
    """Small weights that are added to a model's own: a look or a subject that it was taught later."""

    source: Source
    """`.safetensors` file, folder or Hugging Face id, in diffusers' or kohya's layout."""
    file: File | None = None
    """File of the folder or id, where it has several."""
    trigger: str = ""
    """Words that it was taught with; they are read behind every prompt that lacks them."""


class ControlEntry(CatalogTable):
    """A control network: its edges, depth or the like of a member's picture say where things are drawn."""

    source: Source
    """Folder or Hugging Face id, in diffusers' layout."""
    reads: Literal["edges", "picture"] = "picture"
    """Form in which it is shown the picture: its edges by Canny, or as it is."""


class AdapterEntry(CatalogTable):
    """An IP-Adapter: pictures are read beside the words."""

    source: Source
    """`.safetensors` file, folder or Hugging Face id."""
    file: File | None = None
    """File of the folder or id, with its subfolder."""
    image_encoder: Source
    """Folder or Hugging Face id of a CLIP vision model."""
    scale: Annotated[float, Field(gt=0, le=2)] = 1.0
    """Strength where its flag has its default."""
    blocks: dict[str, dict[str, list[float]]] | None = None
    """Blocks of the UNet that read it, as diffusers' `set_ip_adapter_scale` takes them; None: all."""


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
"""Name that members type to choose one of several."""


def _sourced(given: object) -> object:
    return {"source": given} if isinstance(given, str) else given


Steps = Annotated[int, Field(ge=1, le=1000)]
Strength = Annotated[float, Field(gt=0, le=1)]


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
    vocabulary: Annotated[str, AfterValidator(_resolve_file)] | None = None
    """A file of all the words the model knows, one a line, for a small model."""
    examples: tuple[str, ...] = ()
    """Some of those words, for members who typed one it does not know."""
    prompts: Annotated[tuple[Line, ...], Field(max_length=3)] = ()
    """Whole prompts of those words, which are offered to press where a member typed none of them."""
    safety_checker: Source | None = None
    """Source of the checker when the model's own folder has none."""
    upscaler: CompanionEntry | None = None
    """A transformers image-to-image model that enlarges four times."""
    upscalers: dict[Name, CompanionEntry] = {}
    """Several of them, in place of `upscaler`, for `--upscaler` to choose from; the first is the default."""
    loras: dict[Name, Annotated[LoraEntry, BeforeValidator(_sourced)]] = {}
    """LoRAs for `--lora` to choose from; a source alone may stand for an entry."""
    controls: dict[Name, ControlEntry] = {}
    """Control networks for `--control` to choose from."""
    adapters: dict[Role, AdapterEntry] = {}
    """Image adapters for the pictures of `--sref` (style), `--cref` and `--oref` (subject), or several in
    front.
    """
    describer: CompanionEntry | None = None
    """A transformers captioning model (BLIP, GIT, an encoder with a decoder)."""
    segmenter: CompanionEntry | None = None
    """A CLIPSeg, which finds in a picture what words name."""
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


def refuse_alike(names: Iterable[str], key: str) -> None:
    """Raises:
    ValueError: two of the names are one to members, who need not type capitals, spaces and hyphens.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(plain_name(name), name)
        if other != name or not plain_name(name):
            raise ValueError(f"{key}: members cannot tell {name!r} from {other!r}: name one otherwise")


class Catalog(CatalogTable):
    default: str
    models: dict[str, ModelEntry]

    def __getitem__(self, name: str) -> ModelEntry:
        return self.models[name]

    def versions(self, *, niji: bool = False) -> dict[float, str]:
        """The model that stands for each of Midjourney's versions; where two do, the first."""
        carried: dict[float, str] = {}
        for name, entry in self.models.items():
            for version in entry.versions:
                if version.startswith("niji") == niji:
                    carried.setdefault(float(version.removeprefix("niji ")), name)
        return carried


def shipped_catalog() -> Path:
    """The catalog that comes with Easel and names Picturebook alone. The package is found, not imported."""
    spec = importlib.util.find_spec("picturebook")
    if spec is None or spec.origin is None:
        raise CatalogError("Picturebook is not installed; set EASEL_CATALOG to a catalog of your own.")
    return Path(spec.origin).with_name("catalog.toml")


def load(path: Path | None = None) -> Catalog:
    """Read a catalog file, by default the shipped one.

    Raises:
        CatalogError: with a sentence that names the file, the entry and what is wrong with it.
    """
    path = (path or shipped_catalog()).absolute()
    raw = _toml(path)
    try:
        refuse_unknown(raw, Catalog.model_fields)
        tables = raw.get("models", {})
        if not isinstance(tables, dict):
            raise ValueError("`models` is to be tables: [models.NAME]")  # noqa: TRY301, TRY004
        refuse_alike(tables, "models")
    except ValueError as error:
        raise CatalogError(f"The catalog {path}: {error}") from None
    models = {name: _entry(path, name, table) for name, table in tables.items()}
    if not models:
        raise CatalogError(f"The catalog {path} names no model; add a [models.NAME] table.")
    default = raw.get("default", next(iter(models)))
    if not isinstance(default, str) or default not in models:
        raise CatalogError(
            f"The catalog {path} has no model {default!r}, its default; it has {', '.join(models)}."
        )
    return Catalog(default=default, models=models)


def _toml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CatalogError(f"The catalog {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise CatalogError(f"The catalog {path} is not UTF-8 text (line {line}): save it as UTF-8.") from None
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers and nesting beyond Python's own limits, too
        raise CatalogError(f"The catalog {path} is not TOML: {error}.") from None


def _entry(path: Path, name: str, table: object) -> ModelEntry:
    if not isinstance(table, dict):
        raise CatalogError(
            f"Model {name!r} in {path} is {table!r} and no table: write [models.{name}], and below it"
            " `source` and `sizes`."
        )
    if "name" in table:
        raise CatalogError(
            f"Model {name!r} in {path}: its name is its table's, and no key; `title` may differ."
        )
    try:
        return ModelEntry.model_validate({"title": name, **table, "name": name}, context=path.parent)
    except ValidationError as error:
        faults = "; ".join(_fault(each) for each in error.errors(include_url=False))
        raise CatalogError(f"Model {name!r} in {path}: {faults}.") from None


def _fault(error: ErrorDetails) -> str:
    """One fault as a sentence: the key, what is wrong, and the value where it is short."""
    place = ".".join(str(part) for part in error["loc"])
    said = error["msg"].removeprefix("Value error, ").removesuffix(".")
    given = error["input"]
    if error["type"] not in ("missing", "value_error") and isinstance(given, str | int | float):
        said += f" (it is {given!r})" if len(repr(given)) < 100 else ""
    return f"{place}: {said}" if place else said
