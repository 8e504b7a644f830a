"""The first picture of what is added: it proves that a model draws with it, and shows members how."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from storage.catalog import Catalog
from storage.catalog_model import ModelEntry
from storage.config import Config
from storage.contract import Control, GenerationRequest, Lora
from storage.errors import CatalogError, FetchError

if TYPE_CHECKING:
    import PIL.Image

    from generator.worker.models import Models

PROMPT = "a lighthouse on a cliff above the sea at sunset"


def draw(
    models: Catalog,
    name: str,
    place: Path,
    settings: Config,
    *,
    kind: str = "model",
    added: str = "",
) -> bool:
    """Draw one picture by a model's own defaults into a PNG; False where the safety check withholds it.

    With a LoRA, control or upscaler that was `added` to the model, it is drawn with that.

    Raises:
        FetchError: something cannot be loaded, or does not draw.
    """
    from generator import pretrained
    from generator.worker.models import Models

    alone = Catalog(default=name, models={name: models[name]})
    try:
        models_alone = Models(alone, settings.device, settings.safety, memory_limit=settings.memory)
        with closing(models_alone) as loaded:
            image = _drawn(loaded, models[name], kind, added)
            (verdict,) = loaded.safety(name).check([image])
    except (CatalogError, *pretrained.UNREADABLE) as error:
        reason = str(error).splitlines()[0] or type(error).__name__
        raise FetchError(f"{added or name} was not added, because it does not draw: {reason}") from None
    if verdict.unsafe:
        return False
    image.save(place)
    return True


def prompt_of(entry: ModelEntry) -> str:
    """Words of the first picture: a small model's own, where it has any."""
    return next(iter(entry.prompts), PROMPT)


def _drawn(loaded: Models, entry: ModelEntry, kind: str, added: str) -> PIL.Image.Image:
    engine, request = loaded.engine(entry.name), _request(entry)
    if kind == "lora":
        words = f"{request.prompt}, {entry.loras[added].trigger}".strip(", ")
        request = request.changed(prompt=words, loras=(Lora(name=added),))
    (image,) = engine.submit(request).result()
    if kind == "control":
        controlled = request.changed(control=Control(kind=added, key="the first one"))
        (image,) = engine.submit(controlled, control=image).result()
    elif kind == "upscaler":
        image = loaded.upscaler(entry.name, added).enlarge(image, 2, lambda _: None)
    return image


def _request(entry: ModelEntry) -> GenerationRequest:
    width, height = entry.sizes[0]
    return GenerationRequest(
        model=entry.name,
        prompt=prompt_of(entry),
        width=width,
        height=height,
        num_inference_steps=entry.num_inference_steps,
        guidance_scale=entry.guidance_scale,
        scheduler=entry.scheduler,
        seed=1,
        num_images_per_prompt=1,
    )
