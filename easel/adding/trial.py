"""The first picture of a model that is added: it proves that the model draws, and shows members how."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from storage.catalog import Catalog
from storage.contract import GenerationRequest
from storage.errors import CatalogError, FetchError

PROMPT = "a lighthouse on a cliff above the sea at sunset"


def draw(models: Catalog, name: str, device: str, safety: str, place: Path) -> bool:
    """Draw one picture with a model's own defaults into a PNG; False where the safety check withholds it.

    Raises:
        FetchError: the model cannot be loaded, or cannot draw.
    """
    from generator import pretrained
    from generator.worker.models import Models

    entry = models[name]
    alone = Catalog(default=name, models={name: entry})
    width, height = entry.sizes[0]
    request = GenerationRequest(
        model=name,
        prompt=next(iter(entry.prompts), PROMPT),
        width=width,
        height=height,
        num_inference_steps=entry.num_inference_steps,
        guidance_scale=entry.guidance_scale,
        scheduler=entry.scheduler,
        seed=1,
        num_images_per_prompt=1,
    )
    try:
        with closing(Models(alone, device, safety)) as loaded:
            (image,) = loaded.engine(name).submit(request).result()
            (verdict,) = loaded.safety(name).check([image])
    except (CatalogError, *pretrained.UNREADABLE) as error:
        reason = str(error).splitlines()[0] or type(error).__name__
        raise FetchError(f"{name} was not added, because it does not draw: {reason}") from None
    if verdict.unsafe:
        return False
    image.save(place)
    return True
