"""`easel models`: what the catalog offers, and whether each model can be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from easel import start
from storage import catalog
from storage.catalog import Catalog, ModelEntry
from storage.contract import Control, Lora, Reference, RequestChanges
from storage.errors import CatalogError

commands = typer.Typer(
    no_args_is_help=True, help="The catalog: list its models, check that they can be used."
)


@commands.command("list")
def list_models() -> None:
    """What members can choose from."""
    models = catalog.load(start.configure(quiet=True).catalog)
    table = Table(
        "model", "title", "family", "sizes", "steps", "sampler", "upscalers", "LoRAs", "steered by", "from"
    )
    for name, entry in models.models.items():
        table.add_row(
            f"{name} (default)" if name == models.default else name,
            entry.title,
            entry.family,
            f"{len(entry.sizes)}, up to {max(entry.sizes, key=lambda size: size[0] * size[1])}",
            f"{entry.num_inference_steps} of {entry.max_steps}",
            entry.scheduler,
            ", ".join(entry.upscalers) or ("one" if entry.upscaler else "none"),
            ", ".join(entry.loras) or "none",
            ", ".join([*entry.controls, *entry.adapters]) or "words",
            entry.source,
        )
    Console().print(table)


@commands.command()
def check(
    load: Annotated[bool, typer.Option(help="Also load each model and draw with it; needs torch.")] = False,
) -> None:
    """Say of each model what is missing; exit code 1 if something is."""
    settings = start.configure(quiet=True)
    models = catalog.load(settings.catalog)
    faults = {name: list(missing_files(entry)) for name, entry in models.models.items()}
    if load:
        start.require("worker", "torch", "diffusers", "transformers")
        for name in (name for name, found in faults.items() if not found):
            faults[name] += _cannot_draw(models, name, settings.device, settings.safety)
    for name, found in faults.items():
        typer.echo(f"{name}: {'; '.join(found) if found else 'fine'}", err=bool(found))
    if any(faults.values()):
        raise typer.Exit(1)


def missing_files(entry: ModelEntry) -> Iterator[str]:
    """What can be said against a model without loading it; a Hugging Face id is taken at its word."""
    source = Path(entry.source)
    if source.is_dir():
        if not (source / "model_index.json").is_file():
            yield f"{source} is not a diffusers folder: it has no model_index.json"
        elif entry.safety_checker is None and not (source / "safety_checker").is_dir():
            yield f"{source} has no safety_checker, and the catalog names none"
    elif source.is_absolute() or source.suffix == ".safetensors":
        if not source.is_file():
            yield f"{source} does not exist"
        elif entry.safety_checker is None:
            yield "a single file has no safety checker: name one with safety_checker"
    companions = (*entry.upscalers.values(), entry.upscaler, entry.describer, entry.segmenter)
    beside = dict.fromkeys(each.source for each in companions if each)
    for place in (entry.safety_checker, entry.vocabulary, *beside):
        if place and Path(place).is_absolute() and not Path(place).exists():
            yield f"{place} does not exist"
    yield from _missing_by_name(entry)


def _missing_by_name(entry: ModelEntry) -> Iterator[str]:
    named = {f"the LoRA {name}": (lora.source, lora.file) for name, lora in entry.loras.items()}
    named |= {f"the control {name}": (control.source, None) for name, control in entry.controls.items()}
    for role, adapter in entry.adapters.items():
        named[f"the image adapter for {role}"] = adapter.source, adapter.file
        named[f"the image encoder for {role}"] = adapter.image_encoder, None
    for title, (source, file) in named.items():
        place = Path(source, file or "")
        # What is neither a path nor a file may be a Hugging Face id.
        local = Path(source).is_absolute() or Path(source).suffix == ".safetensors"
        if local and not place.exists():
            yield f"{title} is not there: {place} does not exist"


def _cannot_draw(models: Catalog, name: str, device: str, safety: str) -> list[str]:
    from contextlib import closing

    from generator.models import Models
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
    except (CatalogError, OSError, RuntimeError, ValueError) as error:
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
