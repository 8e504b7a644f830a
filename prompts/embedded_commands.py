"""The command that a picture's file carries: Easel's own request, A1111's words or ComfyUI's graph.

A file comes from anybody. What it says becomes a text that its reader sees and may have drawn, as if it were
typed: it brings words and flags that change a drawing, never a picture, another member's, or a set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import ValidationError

from prompts import parser, unparser
from prompts.pasted import infotext
from prompts.pasted.infotext import Infotext
from prompts.tokenizer import TokenizedPrompt, TypedFlag, clean, tokenize
from prompts.values import WrongValue
from storage import metadata
from storage.catalog import Catalog
from storage.catalog_values import plain_name
from storage.contract import GenerationRequest, Task


@dataclass(frozen=True)
class Carried:
    command: str
    """Ready to be drawn: it is understood."""
    exact: bool
    """True if it draws the very picture, as far as the catalog is the same."""
    lost: tuple[str, ...] = ()
    """Parts of the file's text for which Easel has no word."""


def read(texts: Mapping[str, str], catalog: Catalog) -> Carried | None:
    """The command in a file's texts (`storage.metadata`); None where there is none that could be drawn."""
    for found in (_own(texts, catalog), _foreign(texts, catalog)):
        if found is not None and _is_understood(found.command, catalog):
            return found
    return None


def _own(texts: Mapping[str, str], catalog: Catalog) -> Carried | None:
    try:
        request = GenerationRequest.model_validate_json(texts.get(metadata.EASEL, ""))
    except ValidationError:
        return None
    if not request.prompt or request.model not in catalog.models:
        return None
    begun = request.task is not Task.TEXT_TO_IMAGE or request.references or request.control is not None
    try:
        command = unparser.command(request, catalog)
        again = parser.parse(command, catalog).request
    except (parser.FlagError, WrongValue):
        return None
    exact = not begun and again == request.changed(num_images_per_prompt=again.num_images_per_prompt)
    return Carried(command, exact=exact)


def _foreign(texts: Mapping[str, str], catalog: Catalog) -> Carried | None:
    said = clean(texts.get(metadata.PARAMETERS, ""))
    found = infotext.read(said) or infotext.of_graph(texts.get(metadata.COMFYUI, ""))
    if found is None or not found.prompt.strip():
        return None
    given, lost = infotext.flags_of(found, catalog)
    words, adapters, absent = _adapters(found, given, catalog)
    negative = _adapters(replace(found, prompt=found.negative), given, catalog)[0]
    given = [TypedFlag("no", unparser.literal(negative)) if flag.name == "no" else flag for flag in given]
    kept = (*adapters, *(flag for flag in given if flag.value))
    command = str(TokenizedPrompt(unparser.literal(words), kept))
    return Carried(command, exact=False, lost=(*lost, *absent))


def _adapters(
    found: Infotext, given: list[TypedFlag], catalog: Catalog
) -> tuple[str, list[TypedFlag], list[str]]:
    """The words without LoRAs; those that the model has, and the names of the others."""
    protected = unparser.literal(clean(found.prompt))
    divided = tokenize(protected)
    model = next((flag.value for flag in given if flag.name == "model"), catalog.default)
    known = {plain_name(name) for name in catalog[model].loras}
    adapters, absent = [], []
    for flag in divided.flags:
        name = flag.value.partition(":")[0]
        if plain_name(name) in known:
            adapters.append(flag)
        else:
            absent.append(f"lora {name[:40]}")
    return divided.words, adapters, absent


def _is_understood(command: str, catalog: Catalog) -> bool:
    try:
        return len(parser.parse_all(command, catalog)) == 1
    except parser.FlagError:
        return False
