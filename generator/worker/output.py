"""A finished image as a file: PNG with everything that made it, readable back."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import PIL.Image
from pydantic import ValidationError

from generator.worker.infotext import infotext
from generator.worker.weight_hashes import Hashes
from storage import image_encoding, metadata
from storage.contract import GenerationRequest, Reference

NO_HASHES = Hashes()


def encode(
    image: PIL.Image.Image, request: GenerationRequest, index: int, hashes: Hashes = NO_HASHES
) -> bytes:
    """Image `index` of the request's grid as PNG."""
    return image_encoding.png_bytes(image, parameters_of_image(request, index, hashes))


def encode_all(
    images: Sequence[PIL.Image.Image], request: GenerationRequest, hashes: Hashes = NO_HASHES
) -> list[bytes]:
    """The request's images as PNGs, side by side: the encoder lets other threads go on."""
    with ThreadPoolExecutor(len(images)) as encoders:
        return list(
            encoders.map(lambda index: encode(images[index], request, index, hashes), range(len(images)))
        )


def of_image(request: GenerationRequest, index: int) -> GenerationRequest:
    """The request for image `index` of a grid alone; of a `sameseed` grid the whole one.

    There each picture begins from the first one's noise too, which its own seed does not tell.
    """
    if request.sameseed:
        return request
    return request.changed(seed=request.seed_of(index), num_images_per_prompt=1)


def parameters_of_image(request: GenerationRequest, index: int, hashes: Hashes) -> dict[str, str]:
    """As `parameters`, of image `index` of the request's grid; other programs read its own seed."""
    alone = of_image(request, index)
    own = alone.changed(seed=request.seed_of(index))
    return {**parameters(alone, hashes), metadata.PARAMETERS: infotext(own, hashes)}


def parameters(request: GenerationRequest, hashes: Hashes = NO_HASHES) -> dict[str, str]:
    """Texts for the file: the request for Easel, and `parameters` as most other programs read them.

    What links to pictures were typed is nobody's business: one may hold a key that lets its bearer in.
    """
    unlinked = (Reference(role=each.role, keys=each.keys, weight=each.weight) for each in request.references)
    shared = request.changed(references=tuple(unlinked))
    return {
        metadata.PARAMETERS: infotext(request, hashes),
        metadata.EASEL: shared.model_dump_json(),
        "Software": "Easel",
    }


def read_request(data: bytes) -> GenerationRequest:
    """Read the request with which a picture of Easel's was drawn; of one image of a grid, that image alone.

    Raises:
        ValueError: it holds no request, or one that this version does not understand.
    """
    text = metadata.read(data).get(metadata.EASEL)
    if text is None:
        raise ValueError("it holds no parameters of Easel's")
    try:
        return GenerationRequest.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"its parameters are not understood ({error.error_count()} faults)") from None
