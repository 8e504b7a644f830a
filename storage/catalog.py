"""The catalog: which models there are, what each allows, and what a request falls back to.

A catalog is a TOML file with one `[models.NAME]` table a model. Paths in it are relative to the file.
"""

from __future__ import annotations

import importlib.util
import math
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from storage.contract import Role
from storage.errors import CatalogError

Size = tuple[int, int]


class CompanionEntry(BaseModel):
    """A smaller network that does something for a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """Folder or Hugging Face id."""


class LoraEntry(BaseModel):
    """Small weights that are added to a model's own: a look or a subject that it was taught later."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """`.safetensors` file, folder or Hugging Face id, in diffusers' or kohya's layout."""
    file: str | None = None
    """Which file of the folder or id, where it has several."""
    trigger: str = ""
    """Words that it was taught with; they are read behind every prompt that lacks them."""


class ControlEntry(BaseModel):
    """A control network: a picture that members bring leads where things are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """Folder or Hugging Face id, in diffusers' layout."""
    reads: Literal["edges", "picture"] = "picture"
    """What it is shown: the picture's edges by Canny, or the picture as it is."""


class AdapterEntry(BaseModel):
    """An IP-Adapter: pictures are read beside the words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """`.safetensors` file, folder or Hugging Face id."""
    file: str | None = None
    """Which file of the folder or id, with its subfolder."""
    image_encoder: str
    """Folder or Hugging Face id of a CLIP vision model."""
    scale: Annotated[float, Field(gt=0, le=2)] = 1.0
    """How strongly it works where its flag has its default."""
    blocks: dict[str, dict[str, list[float]]] | None = None
    """Which of the UNet's blocks read it, as diffusers' `set_ip_adapter_scale` takes it; None: all."""


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
"""What members type to choose one of several."""


def _sourced(given: object) -> object:
    return {"source": given} if isinstance(given, str) else given


class ModelEntry(BaseModel):
    """One model: where it is, what it may be asked for, and the words that flatter it.

    `sizes` are (width, height) in pixels; any ratio a member asks for is snapped to one of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    source: str
    """Folder, single `.safetensors` file or Hugging Face id."""
    family: Literal["sd", "sdxl"] = "sd"
    sizes: tuple[Size, ...] = Field(min_length=1)
    num_inference_steps: int = 20
    max_steps: int = 100
    guidance_scale: float = 7.5
    scheduler: str = "ddim"
    stylize: int = 100
    style_words: str = ""
    """The classic prompt formula: quality and style words that `--stylize` blends in."""
    style_phrases: tuple[str, ...] = ()
    """Looks that an `--sref` code picks some of."""
    chaos_phrases: tuple[str, ...] = ()
    """Settings, moods and looks that `--chaos` draws from, another for each picture of a grid."""
    weird_phrases: tuple[str, ...] = ()
    """What `--weird` leans towards."""
    versions: tuple[Annotated[str, Field(pattern=r"^(niji )?[0-9]{1,2}(\.[0-9])?$")], ...] = ()
    """Midjourney's versions (`6.1`, `niji 6`) that stand for this model."""
    strength_subtle: float = 0.4
    strength_strong: float = 0.7
    """diffusers' img2img strength of Vary (Subtle) and Vary (Strong)."""
    vocabulary: str | None = None
    """A file of all the words the model knows, one a line, for a small model."""
    examples: tuple[str, ...] = ()
    """Some of those words, for members who typed one it does not know."""
    safety_checker: str | None = None
    """Where the checker is when the model's own folder has none."""
    upscaler: CompanionEntry | None = None
    """A transformers image-to-image model that enlarges four times."""
    upscalers: dict[Name, CompanionEntry] = {}
    """Several of them, in place of `upscaler`, for `--upscaler` to choose from; the first is the default."""
    loras: dict[Name, Annotated[LoraEntry, BeforeValidator(_sourced)]] = {}
    """What `--lora` chooses from; a source alone may stand for an entry."""
    controls: dict[Name, ControlEntry] = {}
    """What `--control` chooses from."""
    adapters: dict[Role, AdapterEntry] = {}
    """What reads the pictures of `--sref` (style), `--cref` and `--oref` (subject), or several in front."""
    describer: CompanionEntry | None = None
    """A transformers captioning model (BLIP, GIT, an encoder with a decoder)."""
    segmenter: CompanionEntry | None = None
    """A CLIPSeg, which finds in a picture what words name."""
    display_scale: int = 1
    """How many times larger a grid is shown than it was drawn, for a small model."""

    @model_validator(mode="before")
    @classmethod
    def _first_upscaler(cls, table: dict[str, Any]) -> dict[str, Any]:
        named = table.get("upscalers")
        if not named or not isinstance(named, dict):
            return table
        if table.get("upscaler"):
            raise ValueError("name one `upscaler` or several `upscalers`, not both")
        return {**table, "upscaler": next(iter(named.values()))}

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


class Catalog(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

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
    path = path or shipped_catalog()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogError(f"The catalog {path} cannot be read: {error.strerror}.") from None
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"The catalog {path} is not TOML: {error}.") from None
    models = {name: _entry(path, name, table) for name, table in raw.get("models", {}).items()}
    if not models:
        raise CatalogError(f"The catalog {path} names no model; add a [models.NAME] table.")
    default = raw.get("default", next(iter(models)))
    if default not in models:
        raise CatalogError(f"The catalog {path} has no model {default!r}, its default.")
    return Catalog(default=default, models=models)


def _entry(path: Path, name: str, table: dict[str, object]) -> ModelEntry:
    try:
        entry = ModelEntry(name=name, **{"title": name, **table})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"{part}." for part in first["loc"]).removesuffix(".")
        where = f"{place}: " if place else ""
        raise CatalogError(f"Model {name!r} in {path}: {where}{first['msg']}.") from None
    return entry.model_copy(
        update={
            "source": _resolve(path.parent, entry.source),
            "vocabulary": entry.vocabulary and str(path.parent / entry.vocabulary),
            "safety_checker": entry.safety_checker and _resolve(path.parent, entry.safety_checker),
            "upscaler": _beside(path.parent, entry.upscaler),
            "upscalers": {name: _beside(path.parent, each) for name, each in entry.upscalers.items()},
            "loras": {name: _found(path.parent, lora) for name, lora in entry.loras.items()},
            "controls": {name: _found(path.parent, control) for name, control in entry.controls.items()},
            "adapters": {
                role: _found(path.parent, adapter, "image_encoder")
                for role, adapter in entry.adapters.items()
            },
            "describer": _beside(path.parent, entry.describer),
            "segmenter": _beside(path.parent, entry.segmenter),
        }
    )


E = TypeVar("E", bound=BaseModel)


def _found(folder: Path, entry: E, *more: str) -> E:
    """The entry with its `source`, and what `more` names, as paths where they are beside the catalog."""
    return entry.model_copy(
        update={name: _resolve(folder, getattr(entry, name)) for name in ("source", *more)}
    )


def _beside(folder: Path, companion: CompanionEntry | None) -> CompanionEntry | None:
    return companion and _found(folder, companion)


def _resolve(folder: Path, source: str) -> str:
    """A path beside the catalog where there is one, else what it says (a Hugging Face id)."""
    local = folder / source
    return str(local) if local.exists() else source
