"""A prompt's pictures, once they are in the store: one begins, leads, or is read beside the words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from prompts.parser import Note, NoteKind, Parsed
from storage.catalog import Catalog
from storage.contract import MOST_REFERENCES, GenerationRequest, Reference, Role, Task
from storage.errors import Refused

Keys = Mapping[str, str]
"""Keys in the image store, by the links of what is there."""


class SeveralImages(Refused):
    """The model has no image adapter, without which one picture is all that a prompt may begin with."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


def beginning_with(parsed: Parsed, keys: Sequence[str], catalog: Catalog) -> Parsed:
    """With the pictures in front of its words: the first one leads where there is a control.

    One picture is what the drawing begins with; several are read beside the words.

    Raises:
        SeveralPictures
    """
    request = parsed.request
    rest = list(keys)
    if request.control is not None:
        request = request.changed(control=request.control.showing(rest.pop(0)))
    if rest and (len(rest) > 1 or request.control is not None):
        if Role.IMAGE not in catalog[request.model].adapters:
            raise SeveralImages(request.model)
        request = _reading(request, rest, parsed.image_weight)
    elif rest:
        request = request.changed(task=Task.IMAGE_TO_IMAGE, source_key=rest[0], strength=parsed.strength)
    return replace(parsed, request=request)


def used(parsed: Parsed, given: int) -> int:
    """Number of the pictures in front of its words that a prompt uses, of so many: the first ones."""
    leading = int(parsed.request.control is not None)
    if given > 1 and parsed.image_weight == 0:
        return leading
    return min(given, leading + MOST_REFERENCES)


def noting_left_out(parsed: Parsed, given: int) -> Parsed:
    """With a note of how many of the pictures given are too many."""
    left = given - int(parsed.request.control is not None) - MOST_REFERENCES
    if left <= 0 or parsed.image_weight == 0:
        return parsed
    note = Note(NoteKind.PICTURES_LEFT_OUT, "", str(left))
    return replace(parsed, notes=(*parsed.notes, note))


def _reading(request: GenerationRequest, keys: list[str], typed: float | None) -> GenerationRequest:
    """`--iw` 1 is the adapter's own scale; beyond that it rises slower, since the words are soon drowned."""
    weight = 1.0 if typed is None else typed**0.5
    reference = Reference(role=Role.IMAGE, keys=tuple(keys), weight=weight)
    return request.changed(references=(*request.references, reference))


def links(parsed: Iterable[Parsed]) -> list[str]:
    """All that is read beside the words, each once."""
    return list(dict.fromkeys(url for one in parsed for linked in one.linked for url in linked.urls))


def reading(parsed: Parsed, request: GenerationRequest, keys: Keys) -> GenerationRequest:
    """The request with what its prompt links to behind its flags."""
    references = tuple(
        Reference(
            role=linked.role,
            keys=tuple(keys[url] for url in linked.urls),
            links=linked.urls,
            weight=linked.weight,
        )
        for linked in parsed.linked
    )
    return request.changed(references=(*request.references, *references))


def known(request: GenerationRequest) -> Keys:
    """Store keys of the links in an earlier request's prompt."""
    return {
        url: key
        for reference in request.references
        for url, key in zip(reference.links, reference.keys, strict=False)
    }
