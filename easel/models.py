"""`easel models`: what the catalog offers, and whether each model can be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from easel import memory_fits, model_info, start, weight_fits
from easel.adding import commands as adding
from generator.inspection import entries
from storage import catalog
from storage.catalog import Catalog
from storage.catalog_companions import DraftEntry
from storage.catalog_model import ModelEntry
from storage.config import Config
from storage.contract import Control, Lora, Reference, RequestChanges, Task
from storage.errors import CatalogError

commands = typer.Typer(
    no_args_is_help=True,
    help="The catalog: add models and remove them, list them, check that they can be used.",
)
commands.command()(adding.add)
commands.command()(adding.remove)


commands.command()(model_info.info)


@commands.command("list")
def list_models() -> None:
    """List the models that members can choose from."""
    settings = start.configure(quiet=True)
    models, fits = catalog.load(settings.catalog_file), memory_fits.fits(settings)
    for name, entry in models.models.items():
        typer.echo(f"{name} (default)" if name == models.default else name)
        for what, said in (_facts(entry) | {"memory": memory_fits.sentence(fits(entry))}).items():
            typer.echo(f"  {what:<12}{said}")


def _facts(entry: ModelEntry) -> dict[str, str]:
    width, height = max(entry.sizes, key=lambda size: size[0] * size[1])
    return {
        "title": entry.title,
        "licence": entry.license or "not said",
        "family": entry.family_name,
        "sizes": f"{len(entry.sizes)}, up to {width} × {height}",
        "steps": f"{entry.num_inference_steps} of {entry.max_steps}",
        "sampler": entry.scheduler,
        "inpainting": entry.inpainting or "by the model itself",
        "refiner": entry.refiner or "none",
        "upscalers": ", ".join(entry.upscalers) or ("one" if entry.upscaler else "none"),
        "LoRAs": ", ".join(entry.loras) or "none",
        "steered by": ", ".join([*entry.controls, *entry.adapters]) or "words",
        "from": entry.source,
        "missing": "; ".join(entries.faults(entry)) or "nothing",
    }


@commands.command()
def check(
    load: Annotated[bool, typer.Option(help="Also load each model and draw with it; needs torch.")] = False,
) -> None:
    """Say of each model what is missing; exit code 1 if something is."""
    settings = start.configure(quiet=True)
    models = catalog.load(settings.catalog_file)
    faults = {name: list(entries.faults(entry)) for name, entry in models.models.items()}
    _compare(models, faults)
    if load:
        start.require("worker", "torch", "diffusers", "transformers")
        for name in (name for name, found in faults.items() if not found):
            faults[name] += _cannot_draw(models, name, settings)
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


def _cannot_draw(models: Catalog, name: str, settings: Config) -> list[str]:
    from contextlib import closing

    from generator import pretrained
    from generator.worker.models import Models
    from storage.contract import GenerationRequest

    alone = Catalog(default=name, models={name: models[name]})
    width, height = min(models[name].sizes, key=lambda size: size[0] * size[1])
    try:
        loading = Models(alone, settings.device, settings.safety, memory_limit=settings.memory)
        with Console(stderr=True).status(f"Drawing with {name} …"), closing(loading) as loaded:
            request = GenerationRequest(
                model=name,
                prompt="a red house",
                width=width,
                height=height,
                num_inference_steps=2,
                scheduler=models[name].scheduler,
                seed=1,
                num_images_per_prompt=1,
                refine=models[name].refined_from,
            )
            images = loaded.engine(name).submit(request).result()
            for changes in _variants(models[name]):
                loaded.engine(name).submit(
                    request.changed(**changes),
                    control=images[0],
                    references=dict.fromkeys(models[name].adapters, images),
                ).result()
            if models[name].inpainting is not None:
                part = request.changed(task=Task.INPAINTING, parent_image_id=1, mask_key="mask")
                loaded.engine(name, part.task).submit(part, image=images[0], mask=images[0]).result()
            if models[name].upscaler is not None:
                for upscaler in models[name].upscalers or (None,):
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
    if entry.draft is not None:
        yield _draft_of(entry.drafting(), entry.draft)
    for kind in entry.controls:
        yield {"control": Control(kind=kind, key="picture")}
    for role in entry.adapters:
        yield {"references": (Reference(role=role, keys=("picture",)),)}


def _draft_of(entry: ModelEntry, draft: DraftEntry) -> RequestChanges:
    return {
        "num_inference_steps": entry.num_inference_steps,
        "guidance_scale": entry.guidance_scale,
        "scheduler": entry.scheduler,
        "loras": tuple(Lora(name=name, weight=weight) for name, weight in draft.loras.items()),
    }
