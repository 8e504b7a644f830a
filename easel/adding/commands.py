"""`easel models add` and `easel models remove`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from easel import start
from easel.adding.catalog_file import CatalogFile
from storage.catalog import Catalog
from storage.catalog_values import PICKLED
from storage.config import Config
from storage.errors import FetchError

if TYPE_CHECKING:
    from easel.adding.remote import Offered

CHECKER = "CompVis/stable-diffusion-safety-checker"
"""Checker of a model that has none of its own."""
TABLES = {"lora": "loras", "control": "controls", "embedding": "embeddings", "upscaler": "upscalers"}
"""Keys of a model's entry that hold things by name; a VAE is one alone."""


@dataclass(frozen=True)
class EntryOptions:
    """Words of the command's options; empty where they are left to what the files say."""

    name: str
    title: str
    family: str
    kind: str
    trigger: str
    safety_checker: str


def add(
    source: Annotated[
        str, typer.Argument(help="A Hugging Face id or link, a CivitAI link, a folder or a file.")
    ],
    to: Annotated[str, typer.Option(help="Model to which a LoRA, control, embedding … belongs.")] = "",
    name: Annotated[str, typer.Option("--name", "--as", help="Its name in the catalog.")] = "",
    title: Annotated[str, typer.Option(help="A model's name for members.")] = "",
    family: Annotated[str, typer.Option(help="A model's family, where its files do not say it.")] = "",
    kind: Annotated[str, typer.Option(help="model, lora, control, embedding, upscaler or vae.")] = "",
    file: Annotated[str, typer.Option(help="File of a Hugging Face id that has several.")] = "",
    trigger: Annotated[str, typer.Option(help="Words with which a LoRA was taught.")] = "",
    safety_checker: Annotated[str, typer.Option(help="Checker of a model that has none.")] = CHECKER,
    default: Annotated[bool, typer.Option("--default", help="Who chose no model gets this one.")] = False,
    in_place: Annotated[bool, typer.Option("--in-place", help="Leave a file or folder where it is.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Accept the licence unasked.")] = False,
    draw: Annotated[bool, typer.Option(help="Draw a first picture with a model.")] = True,
) -> None:
    """Fetch a model, or something for one (--to), and write it into the catalog.

    A bot and workers that run read the catalog again by themselves. What was cut goes on with the same
    command.
    """
    settings = start.configure(quiet=True)
    start.require("worker", "torch", "diffusers", "transformers", "huggingface_hub", "tomlkit")
    from easel.adding import origins

    options = EntryOptions(name, title, family, kind, trigger, safety_checker)
    catalog = _opened(settings)
    offer = origins.offered(source, file or None)
    entry = _entry_name(catalog, offer, options, to)
    _show_licence(offer, accepted=yes)
    here = Path(source).expanduser()
    stays = in_place or (here.is_file() and here.with_suffix("").is_dir())
    place = _received(catalog, offer, entry, here if stays else None, to=to)
    if to:
        _write_beside(settings, catalog, offer, options, to, entry, place, draw=draw)
    else:
        _write_model(settings, catalog, offer, options, entry, place, default=default, draw=draw)


def _opened(settings: Config) -> CatalogFile:
    catalog = CatalogFile(settings.catalog or settings.own_catalog)
    catalog.check_writable()
    if not catalog.path.exists():
        typer.echo(f"A catalog of your own begins: {catalog.path}. Easel reads it from now on.", err=True)
    return catalog


def _entry_name(catalog: CatalogFile, offer: Offered, options: EntryOptions, to: str) -> str:
    """The name that the new entry gets, refused before anything is fetched for it.

    Raises:
        FetchError: it is taken, or nobody says to which model the thing belongs.
    """
    from easel.adding.kinds import KINDS
    from easel.adding.remote import entry_name

    kind = options.kind or offer.kind
    if kind is not None and kind != "" and kind not in KINDS:
        raise FetchError(f"There is no kind {kind!r}: there are {', '.join(KINDS)}.")
    if to:
        catalog.refuse_missing(to)
    elif kind not in (None, "", "model"):
        raise _belongs_to_a_model(catalog, offer.title, str(kind))
    entry = options.name or entry_name(offer.title)
    if to and kind in TABLES:
        catalog.refuse_taken_beside(to, TABLES[str(kind)], entry)
    elif not to:
        catalog.refuse_taken(entry)
    return entry


def _belongs_to_a_model(catalog: CatalogFile, title: str, kind: str) -> FetchError:
    from easel.adding.kinds import KINDS

    return FetchError(
        f"{title} is {KINDS[kind]}, and no whole model: say with --to to which one it belongs"
        f" ({', '.join(catalog.current.models)})."
    )


def _show_licence(offer: Offered, *, accepted: bool) -> None:
    """Raises:
    FetchError: the licence was not accepted.
    """
    typer.echo(f"{offer.title}: licence {offer.license or 'not said'}")
    if accepted or not offer.license:
        return
    try:
        agreed = typer.confirm("Do you accept it?")
    except typer.Abort:
        raise FetchError("Nobody is here to accept the licence: say --yes.") from None
    if not agreed:
        raise FetchError("The licence was not accepted, so nothing was fetched.")


def _received(catalog: CatalogFile, offer: Offered, entry: str, here: Path | None, *, to: str) -> Path:
    """The place at which an offer's files lie now: `here`, or below the folder for models."""
    from easel.adding import origins
    from easel.adding.remote import entry_name

    if here is not None and here.exists():
        return here.absolute()
    folder = catalog.models_folder / entry_name(to) if to else catalog.models_folder
    suffix = Path(offer.files[0].name).suffix if offer.single else ""
    target = folder / f"{entry_name(entry)}{suffix}"
    if suffix in PICKLED and target.with_suffix(".safetensors").exists():
        return target.with_suffix(".safetensors")
    brought = not target.exists()
    origins.receive(offer, target)
    return _without_pickle(target, keep=not brought) if suffix in PICKLED else target


def _without_pickle(file: Path, *, keep: bool) -> Path:
    """The `.safetensors` file that is made of a pickle, of which no code is run.

    The pickle goes, unless it was there before: it may be the operator's only one.
    """
    from easel import conversion

    for made in conversion.convert(file):
        typer.echo(f"{made}: made of {file.name}, without running what else that may hold", err=True)
    if not keep:
        file.unlink()
    return file.with_suffix(".safetensors")


def _write_beside(
    settings: Config,
    catalog: CatalogFile,
    offer: Offered,
    options: EntryOptions,
    to: str,
    entry: str,
    place: Path,
    *,
    draw: bool,
) -> None:
    from easel.adding.kinds import kind_of

    kind = options.kind or offer.kind or kind_of(place)
    if kind == "model":
        raise FetchError(f"{offer.title} is a whole model: add it without --to.")
    keys: dict[str, Any] = {"source": catalog.named(place)}
    if kind == "lora" and (trigger := options.trigger or offer.trigger):
        keys["trigger"] = trigger
    if kind == "control":
        keys["reads"] = "edges" if "canny" in f"{offer.title} {place.name}".casefold() else "picture"
    if kind == "vae":
        catalog.set(to, "vae", keys["source"])
    else:
        catalog.add_to(to, TABLES[kind], entry, keys if kind != "embedding" else keys["source"])
    if draw and kind in ("lora", "control", "upscaler"):
        sample = _first_picture(settings, catalog, to, place, kind=kind, added=entry)
        if kind == "lora" and sample:
            catalog.set_beside(to, TABLES[kind], entry, {**keys, "sample": sample})
    catalog.save()
    typer.echo(f"{entry} was added to {to} ({kind}) in {catalog.path}.")


def _first_picture(
    settings: Config, catalog: CatalogFile, model: str, place: Path, *, kind: str = "model", added: str = ""
) -> str:
    """The picture as the catalog names it; empty where the safety check withholds it."""
    from easel.adding import trial

    preview = catalog.preview()
    sample = catalog.models_folder / f"{place.stem}.png"
    if kind != "model":
        sample = place.with_name(f"{place.stem}.png")
    sample = _free(sample)
    typer.echo(f"Drawing a first picture with {added or model} …", err=True)
    drawn = trial.draw(preview, model, sample, settings, kind=kind, added=added)
    if not drawn:
        typer.echo("The safety check withheld the first picture.", err=True)
        return ""
    typer.echo(f"{sample}: {trial.prompt_of(preview[model])}")
    return catalog.named(sample)


def _free(picture: Path) -> Path:
    """The path, or one with a number: people keep pictures of their own beside their files."""
    numbered = (picture.with_stem(f"{picture.stem}-{number}") for number in count(2))
    return next(path for path in chain([picture], numbered) if not path.exists())


def _write_model(
    settings: Config,
    catalog: CatalogFile,
    offer: Offered,
    options: EntryOptions,
    entry: str,
    place: Path,
    *,
    default: bool,
    draw: bool,
) -> None:
    from easel.adding import kinds

    kind = options.kind or offer.kind or kinds.kind_of(place)
    if kind != "model":
        raise _belongs_to_a_model(catalog, offer.title, kind)
    family = options.family or kinds.family_of(place)
    if not family:
        raise FetchError(f"{place} does not say of which family it is: say it with --family.")
    keys = _entry(catalog, offer, options, entry, place, family)
    catalog.add_model(entry, keys, default=default or not catalog.path.exists())
    catalog.preview()
    if draw and (sample := _first_picture(settings, catalog, entry, place)):
        catalog.set(entry, "sample", sample)
    catalog.save()
    typer.echo(f"{entry} was added to {catalog.path}: members choose it with --model {entry}.")


def _entry(
    catalog: CatalogFile, offer: Offered, options: EntryOptions, name: str, place: Path, family: str
) -> dict[str, Any]:
    """Keys of a model's table, in the order in which they are written."""
    from easel.adding.defaults import defaults

    keys: dict[str, Any] = {"title": options.title or offer.title, "source": catalog.named(place)}
    if options.family:
        keys["family"] = options.family
    keys |= defaults(place, family, name, offer.title, offer.made_for)
    if not (place / "safety_checker").is_dir():
        keys["safety_checker"] = options.safety_checker
    told = {"license": offer.license, "description": offer.description, "nsfw": offer.nsfw}
    return keys | {key: value for key, value in told.items() if value}


def remove(
    name: Annotated[str, typer.Argument(help="The model's name in the catalog.")],
    keep_files: Annotated[bool, typer.Option("--keep-files", help="Delete no file.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take a model out of the catalog, with the files that `add` has fetched for it alone."""
    settings = start.configure(quiet=True)
    catalog = CatalogFile(settings.catalog or settings.own_catalog)
    catalog.remove_model(name)
    ours = [] if keep_files else list(_files_of(catalog, name))
    if not yes and not typer.confirm(_question(name, ours)):
        raise FetchError(f"{name} stays.")
    left = catalog.save()
    for place in _unnamed(ours, left):
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        typer.echo(f"{place} was deleted.")
    typer.echo(f"{name} is in {catalog.path} no more; {left.default} is who chose none's.")


def _question(name: str, files: list[Path]) -> str:
    return f"Take {name} out" + (f", and delete {', '.join(map(str, files))}?" if files else "?")


def _files_of(catalog: CatalogFile, name: str) -> Iterator[Path]:
    """Files and folders that a model's entry names below the folder for models."""
    for place in _named_in(catalog.current[name].model_dump()):
        if catalog.models_folder.resolve() in place.parents and place.exists():
            yield place


def _unnamed(places: list[Path], left: Catalog) -> Iterator[Path]:
    """Yield the places that no entry needs, in whole or in part."""
    needed = [place for entry in left.models.values() for place in _named_in(entry.model_dump())]
    for place in dict.fromkeys(places):
        if not any(other.is_relative_to(place) or place.is_relative_to(other) for other in needed):
            yield place


def _named_in(value: object) -> Iterator[Path]:
    """Absolute paths anywhere in an entry, without links and `..` in them."""
    if isinstance(value, dict):
        for each in value.values():
            yield from _named_in(each)
    elif isinstance(value, str) and value.startswith("/"):
        yield Path(value).resolve()
