"""A finished image as a file: PNG with everything that made it, readable back. Pillow only."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import PIL.Image
from pydantic import ValidationError

from storage import pictures
from storage.contract import GenerationRequest

KEY = "easel"
"""The text chunk that holds the request as JSON."""


def encode(image: PIL.Image.Image, request: GenerationRequest, index: int) -> bytes:
    """Image `index` of the request's grid as PNG."""
    return pictures.png_bytes(image, parameters(of_image(request, index)))


def encode_all(images: Sequence[PIL.Image.Image], request: GenerationRequest) -> list[bytes]:
    """The request's images as PNGs, side by side: the encoder lets other threads go on."""
    with ThreadPoolExecutor(len(images)) as encoders:
        return list(encoders.map(lambda index: encode(images[index], request, index), range(len(images))))


def of_image(request: GenerationRequest, index: int) -> GenerationRequest:
    """The request for image `index` of a grid alone; of a `sameseed` grid the whole one.

    There each picture begins from the first one's noise too, which its own seed does not tell.
    """
    if request.sameseed:
        return request
    return request.changed(seed=request.seed_of(index), num_images_per_prompt=1)


def parameters(request: GenerationRequest) -> dict[str, str]:
    """Text chunks: the request for Easel, and `parameters` as most programs for such pictures read them."""
    lines = [request.prompt]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    facts = {
        "Steps": request.num_inference_steps,
        "Sampler": request.scheduler,
        "CFG scale": request.guidance_scale,
        "Seed": request.seed,
        "Size": f"{request.width}x{request.height}",
        "Model": request.model,
    }
    lines.append(", ".join(f"{name}: {value}" for name, value in facts.items()))
    return {"parameters": "\n".join(lines), KEY: request.model_dump_json(), "Software": "Easel"}


def read_request(data: bytes) -> GenerationRequest:
    """What a PNG of Easel's was drawn with; of one image of a grid, that image alone.

    Raises:
        ValueError: it holds no request, or one that this version does not understand.
        OSError: it is no picture.
    """
    text = pictures.read_parameters(data).get(KEY)
    if text is None:
        raise ValueError("it holds no parameters of Easel's")
    try:
        return GenerationRequest.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"its parameters are not understood ({error.error_count()} faults)") from None
