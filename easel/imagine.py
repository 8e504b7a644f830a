"""`easel imagine`: a prompt with its flags to a PNG, by the same code as on Discord, without Discord."""

from __future__ import annotations

import shutil
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, UnidentifiedImageError
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from easel import start
from storage import catalog
from storage.catalog import Catalog
from storage.config import Config
from storage.contract import GenerationRequest, Task
from storage.errors import ConfigError


def imagine(
    prompt: Annotated[str | None, typer.Argument(help="Text and flags, as after /imagine.")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The PNG to write.")] = Path("easel.png"),
    single: Annotated[bool, typer.Option("--single", help="Image 1 alone, not the grid of four.")] = False,
    from_image: Annotated[
        Path | None, typer.Option(help="Draw again what this PNG says it was drawn with.")
    ] = None,
) -> None:
    """Draw without Discord: a grid of four, or one picture."""
    settings = start.configure(quiet=True)
    models = catalog.load(settings.catalog_file)
    if prompt is not None and from_image is None:
        request = _parsed(prompt, models)
    elif from_image is not None and prompt is None:
        request = read_request(from_image, models)
    else:
        raise typer.BadParameter("give either a prompt or --from-image PNG.")
    if single:
        request = request.changed(num_images_per_prompt=1)
    start.require("worker", "torch", "diffusers", "transformers")
    _check_writable(out, request)
    withheld = draw(request, models, settings, out)
    typer.echo(f"{out}: {request.prompt} · {request.width} × {request.height} · --seed {request.seed}")
    if withheld:
        typer.echo(f"{withheld} of {request.num_images_per_prompt} withheld by the safety check.", err=True)
    if withheld == request.num_images_per_prompt:
        raise typer.Exit(1)


def _parsed(prompt: str, models: Catalog) -> GenerationRequest:
    from prompts import parser, sentences

    try:
        parsed, *others = parser.parse_all(prompt, models)
    except parser.FlagError as error:
        typer.echo(sentences.flag_problems(error.faults), err=True)
        raise typer.Exit(2) from None
    if others:
        raise typer.BadParameter(f"these are {1 + len(others)} jobs; one at a time is drawn here.")
    if parsed.images or parsed.linked:
        raise typer.BadParameter("links to pictures work on Discord alone; here words are drawn.")
    for line in sentences.hints([parsed], models):
        typer.echo(line, err=True)
    return parsed.request


def read_request(file: Path, models: Catalog) -> GenerationRequest:
    """The request that a PNG of Easel's carries; of one image of a grid, that image alone.

    Raises:
        ConfigError: the file has none, or one that cannot be drawn from the file alone.
    """
    from generator.worker.output import read_request as parameters_of

    try:
        request = parameters_of(file.read_bytes())
    except UnidentifiedImageError:
        raise ConfigError(f"{file} cannot be drawn again: it is no picture.") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be drawn again: {error.strerror or error}.") from None
    except (ValueError, Image.DecompressionBombError) as error:
        raise ConfigError(f"{file} cannot be drawn again: {error}.") from None
    if request.task is not Task.TEXT_TO_IMAGE or request.references or request.control is not None:
        raise ConfigError(f"{file} was made from another picture, which the file does not hold.")
    if request.model not in models.models:
        raise ConfigError(f"{file} was drawn with {request.model!r}, which the catalog does not name.")
    return request


def _check_writable(out: Path, request: GenerationRequest) -> None:
    """Raises:
    ConfigError: the picture could not be written when it is drawn, or would not find room.
    """
    try:
        is_new = not out.exists()
        out.open("ab").close()
        if is_new:
            out.unlink()
        free = shutil.disk_usage(out.absolute().parent).free
    except OSError as error:
        raise _unwritable(out, error) from None
    most = 4 * request.width * request.height * request.num_images_per_prompt
    if free < most:
        raise ConfigError(
            f"{out} cannot be written: {free:,} bytes are free there, and it may need {most:,}."
        )


def _unwritable(out: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{out} cannot be written: {error.strerror}. Name another file with --out.")


def draw(request: GenerationRequest, models: Catalog, settings: Config, out: Path) -> int:
    """Draw, check and write; returns how many images were withheld.

    Raises:
        ConfigError: the file cannot be written.
    """
    from generator.worker import output
    from generator.worker.models import Models
    from generator.worker.weight_hashes import hashes_of
    from storage import image_encoding

    loading = Models(models, settings.device, settings.safety, memory_limit=settings.memory)
    with _progress() as progress, closing(loading) as loaded:
        bar = progress.add_task(f"Loading {models[request.model].title}", total=None)
        engine = loaded.engine(request.model)
        progress.update(bar, description="Drawing", total=1.0)
        drawing: Future[list[Image.Image]] = engine.submit(
            request, on_progress=lambda step: progress.update(bar, completed=step.fraction)
        )
        images = drawing.result()
        progress.update(bar, description="Checking", completed=1.0)
        verdicts = loaded.safety(request.model).check(images)
    shown = [
        image_encoding.veil(image) if verdict.unsafe else image
        for image, verdict in zip(images, verdicts, strict=True)
    ]
    whole = shown[0] if len(shown) == 1 else image_encoding.grid(shown)
    said = output.parameters(request, hashes_of(request, models))
    try:
        out.write_bytes(image_encoding.png_bytes(whole, said))
    except OSError as error:
        raise _unwritable(out, error) from None
    return sum(verdict.unsafe for verdict in verdicts)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        transient=True,
    )
