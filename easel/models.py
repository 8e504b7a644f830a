"""`easel models`: what the catalog offers, and whether each model can be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from easel import memory_fits, model_folders, start, weight_files, weight_fits
from storage import catalog, catalog_values
from storage.catalog import Catalog
from storage.catalog_model import ModelEntry
from storage.contract import Control, Lora, Reference, RequestChanges
from storage.errors import CatalogError

commands = typer.Typer(
    no_args_is_help=True, help="The catalog: list its models, check that they can be used."
)


@commands.command("list")
def list_models() -> None:
    """List the models that members can choose from."""
    settings = start.configure(quiet=True)
    models, fits = catalog.load(settings.catalog), memory_fits.fits(settings)
    for name, entry in models.models.items():
        typer.echo(f"{name} (default)" if name == models.default else name)
        for what, said in (_facts(entry) | {"memory": memory_fits.sentence(fits(entry))}).items():
            typer.echo(f"  {what:<12}{said}")


def _facts(entry: ModelEntry) -> dict[str, str]:
    width, height = max(entry.sizes, key=lambda size: size[0] * size[1])
    return {
        "title": entry.title,
        "family": entry.family,
        "sizes": f"{len(entry.sizes)}, up to {width} × {height}",
        "steps": f"{entry.num_inference_steps} of {entry.max_steps}",
        "sampler": entry.scheduler,
        "upscalers": ", ".join(entry.upscalers) or ("one" if entry.upscaler else "none"),
        "LoRAs": ", ".join(entry.loras) or "none",
        "steered by": ", ".join([*entry.controls, *entry.adapters]) or "words",
        "from": entry.source,
    }


@commands.command()
def check(
    load: Annotated[bool, typer.Option(help="Also load each model and draw with it; needs torch.")] = False,
) -> None:
    """Say of each model what is missing; exit code 1 if something is."""
    settings = start.configure(quiet=True)
    models = catalog.load(settings.catalog)
    faults = {name: list(missing_files(entry)) for name, entry in models.models.items()}
    _compare(models, faults)
    if load:
        start.require("worker", "torch", "diffusers", "transformers")
        for name in (name for name, found in faults.items() if not found):
            faults[name] += _cannot_draw(models, name, settings.device, settings.safety)
    for name, found in faults.items():
        typer.echo(f"{name}: {'; '.join(found) if found else 'fine'}", err=bool(found))
    if any(faults.values()):
        raise typer.Exit(1)


def _compare(models: Catalog, faults: dict[str, list[str]]) -> None:
    """Add what weights lack of their networks, for models of which nothing else is to be said."""
    if not weight_fits.can_compare():
        typer.echo("Weights are not compared with their config.json: torch is not installed here.", err=True)
        return
    for name in (name for name, found in faults.items() if not found):
        faults[name] += weight_fits.misfits(models.models[name])


@commands.command()
def convert(
    place: Annotated[Path, typer.Argument(help="A pickled file, or a folder of some.")],
) -> None:
    """Make .safetensors files of pickled weights (.bin, .ckpt, .pt, .pth), which stay where they are."""
    start.require("worker", "torch", "safetensors")
    from easel import conversion

    for file in conversion.convert(place):
        typer.echo(file)


def missing_files(entry: ModelEntry) -> Iterator[str]:
    """Find faults of a model without loading it; a Hugging Face id is taken at its word."""
    yield from _faults_of_source(entry)
    upscalers = (*entry.upscalers.values(), entry.upscaler)
    for source in dict.fromkeys(each.source for each in upscalers if each):
        yield from _on_disk(source, weight_files.faults_of_network)
    for reader in (entry.describer, entry.segmenter):
        if reader is not None:
            yield from _on_disk(reader.source, model_folders.faults_of_reader)
    yield from _faults_of_words(entry)
    yield from _faults_by_name(entry)


def _faults_of_source(entry: ModelEntry) -> Iterator[str]:
    source = Path(entry.source)
    if source.is_dir():
        yield from model_folders.faults_of_model(source, entry.family)
    elif catalog_values.names_a_file(entry.source):
        if not source.is_file():
            yield f"{source} does not exist"
            return
        yield from weight_files.faults_of_file(source)
        layout = source.with_suffix("")
        if layout.is_dir():
            yield from model_folders.faults_of_model(layout, entry.family, weights=False)
    if entry.safety_checker is not None:
        yield from _on_disk(entry.safety_checker, _faults_of_checker)
    elif source.is_file():
        yield "a single file has no safety checker: name one with safety_checker"
    elif source.is_dir() and not (source / "safety_checker").is_dir():
        yield f"{source} has no safety_checker, and the catalog names none"


def _faults_of_checker(folder: Path) -> Iterator[str]:
    alone = (folder / "config.json").is_file() or not (folder / "model_index.json").is_file()
    if alone:
        return model_folders.faults_of_checker(folder, folder)
    return model_folders.faults_of_checker(folder / "safety_checker", folder / "feature_extractor")


def _faults_of_words(entry: ModelEntry) -> Iterator[str]:
    if entry.vocabulary is None:
        return
    try:
        Path(entry.vocabulary).read_bytes().decode("utf-8")
    except FileNotFoundError:
        yield f"{entry.vocabulary} does not exist"
    except OSError as error:
        yield f"{entry.vocabulary} cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        yield f"{entry.vocabulary} is not UTF-8 text: save it as UTF-8"


def _faults_by_name(entry: ModelEntry) -> Iterator[str]:
    for name, lora in entry.loras.items():
        yield from _titled(
            f"the LoRA {name}", _on_disk(lora.source, weight_files.faults_of_weights, lora.file)
        )
    for name, control in entry.controls.items():
        faults = _on_disk(control.source, weight_files.faults_of_network)
        yield from _titled(f"the control {name}", faults)
    for role, adapter in entry.adapters.items():
        if adapter.file is None and not adapter.source.endswith(".safetensors"):
            yield f"the image adapter for {role}: say with `file` which file of {adapter.source} it is"
        faults = _on_disk(adapter.source, weight_files.faults_of_weights, adapter.file)
        yield from _titled(f"the image adapter for {role}", faults)
        faults = _on_disk(adapter.image_encoder, weight_files.faults_of_network)
        yield from _titled(f"the image encoder for {role}", faults)


def _titled(title: str, faults: Iterable[str]) -> Iterator[str]:
    return (f"{title} cannot be used: {fault}" for fault in faults)


def _on_disk(source: str, judge: Callable[[Path], Iterator[str]], file: str | None = None) -> Iterator[str]:
    """Problem of a source, where it is no Hugging Face id; `judge` looks into a folder."""
    place = Path(source, file or "")
    if not Path(source).exists() and not catalog_values.names_a_file(source):
        return
    if not place.exists():
        yield f"{place} does not exist"
    elif place.is_dir():
        yield from judge(place)
    else:
        yield from weight_files.faults_of_file(place)


def _cannot_draw(models: Catalog, name: str, device: str, safety: str) -> list[str]:
    from contextlib import closing

    from generator import pretrained
    from generator.worker.models import Models
    from storage.contract import GenerationRequest

    alone = Catalog(default=name, models={name: models[name]})
    width, height = min(models[name].sizes, key=lambda size: size[0] * size[1])
    try:
        with (
            Console(stderr=True).status(f"Drawing with {name} …"),
            closing(Models(alone, device, safety)) as loaded,
        ):
            request = GenerationRequest(
                model=name,
                prompt="a red house",
                width=width,
                height=height,
                num_inference_steps=2,
                scheduler=models[name].scheduler,
                seed=1,
                num_images_per_prompt=1,
            )
            images = loaded.engine(name).submit(request).result()
            for changes in _variants(models[name]):
                loaded.engine(name).submit(
                    request.changed(**changes),
                    control=images[0],
                    references=dict.fromkeys(models[name].adapters, images),
                ).result()
            for upscaler in models[name].upscalers:
                loaded.upscaler(name, upscaler)
            loaded.safety(name).check(images)
            if models[name].describer is not None:
                loaded.describer(name).likeliest(images[0])
            if models[name].segmenter is not None:
                loaded.segmenter(name).find(images[0], request.prompt)
    except (CatalogError, *pretrained.UNREADABLE) as error:
        return [str(error).splitlines()[0] or type(error).__name__]
    return []


def _variants(entry: ModelEntry) -> Iterator[RequestChanges]:
    """A request's changes for each thing that may be added to the model."""
    for lora in entry.loras:
        yield {"loras": (Lora(name=lora),)}
    for kind in entry.controls:
        yield {"control": Control(kind=kind, key="picture")}
    for role in entry.adapters:
        yield {"references": (Reference(role=role, keys=("picture",)),)}
