"""Parameters that other programs write beside a picture, read as flags: A1111's text with `Negative prompt:`
and a line of values, on one line or several, and ComfyUI's graph.

Only what is certain is read: at least two values that A1111 writes, at the text's end, in lines or between
commas or bars; or one of them behind a label (`prompts/pasted/labelled_prompts.py`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prompts.diagnostics import Note, NoteKind
from prompts.flags import BY_NAME
from prompts.pasted import labelled_prompts
from prompts.tokenizer import QUOTED, TokenizedPrompt, TypedFlag, clean, tokenize
from prompts.values import plain_value
from storage import samplers
from storage.catalog import Catalog
from storage.catalog_values import plain_name
from storage.contract import SEED_SPACE

_NAMES = {
    "steps": r"(?:Sampling[ ])?Steps",
    "sampler": r"Sampler(?:[ ]name)?|Sampling[ ]method",
    "cfg scale": r"CFG(?:[ ]scale)?|Guidance(?:[ ]scale)?|Scale",
    "seed": r"Seed",
    "size": r"Size|Resolution",
    "model": r"Model",
    "schedule type": r"Schedule[ ]type|Scheduler",
}
"""Parameters that are read, by A1111's names in lower case, as it and others write them."""
_ANY_NAME = "|".join([*_NAMES.values(), r"Model[ ]hash", r"Clip[ ]skip"])
_NUMBERED = "|".join(_NAMES[name] for name in ("steps", "cfg scale", "seed"))
_STARTS = re.compile(
    rf"""
    {QUOTED}
    | (?P<values> (?<!\S)
        (?: (?:{_NUMBERED}):[ ]?-?\d | (?:{_NAMES["sampler"]}):[ ] | (?:{_NAMES["size"]}):[ ]?\d+[x×]\d ) )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_VALUE = re.compile(
    rf"""
    \s* (?: (?P<name> [A-Za-z][\w\ /+.-]{{0,40}} ) : )?
    (?P<value> \s*"(?:\\.|[^"\\])*" | [^,|;\n]*? )
    \s* (?: [,|;\n] | (?<=\s)(?=(?:{_ANY_NAME}):) | $ )
    """,
    re.VERBOSE,
)
"""A name in capitals ends a value too: lines become blanks where they are pasted into a field of one line."""
_HEADING = re.compile(r"^\s*parameters\s*:?\s+", re.IGNORECASE)
_LEAST_VALUES = 2
_SILENT = frozenset(
    {"model hash", "version", "lora hashes", "ti hashes", "hashes", "denoising strength", "schedule type"}
)
"""Values that say nothing about the prompt, or belong to another one of them."""
_LONGEST_NOTED = 60
_WIDEST = 4
_CFG = 30.0
_GRAPH_DEPTH = 20


@dataclass(frozen=True)
class Infotext:
    prompt: str
    negative: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    """By A1111's names in lower case, such as `cfg scale`."""
    rest: tuple[str, ...] = ()
    """Between the values, what has no name."""


def expand(text: str, catalog: Catalog) -> tuple[str, tuple[Note, ...]]:
    """The text with flags in place of another program's values; and what of them is lost.

    A flag that stands there already holds. Values with no words in front are left as they are.
    """
    if _values_start(clean(text)) is None:
        return text, ()
    typed = tokenize(text)
    words, settings = _apart(typed.text)
    found = read(typed.text)
    if found is None or not settings or not found.prompt:
        return text, ()
    held = {BY_NAME[flag.name].decides for flag in typed.flags if flag.name in BY_NAME} - {"lora"}
    flags, lost = flags_of(found, catalog)
    added = (flag for flag in flags if flag.name != "no" and BY_NAME[flag.name].decides not in held)
    notes = (Note(NoteKind.VALUES_LOST, "", ", ".join(lost)),) if lost else ()
    return str(TokenizedPrompt(words, (*typed.flags, *added))), notes


def read(text: str) -> Infotext | None:
    """None where it is a prompt and nothing else."""
    words, settings = _apart(text)
    labelled = labelled_prompts.split(words)
    values: dict[str, str] = {}
    rest: list[str] = []
    for name, value in _pairs(settings):
        if name:
            values.setdefault(name, value)
        elif value:
            rest.append(value)
    if labelled is None:
        return Infotext(words, values=values, rest=tuple(rest)) if len(values) >= _LEAST_VALUES else None
    return Infotext(_trimmed(labelled.positive), labelled.negative, values, tuple(rest))


def _apart(text: str) -> tuple[str, str]:
    """The words, without the heading that A1111's file has in a PNG, and the values."""
    start = _values_start(text)
    if start is None:
        return _trimmed(text), ""
    return _trimmed(_HEADING.sub("", text[:start], count=1)), text[start:]


def _values_start(text: str) -> int | None:
    """Place of the first value; None where there is none outside quotes."""
    return next((each.start() for each in _STARTS.finditer(text) if each["values"]), None)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """The names in lower case, A1111's where it has one."""
    for match in _VALUE.finditer(text):
        value = match["value"].strip()
        if value.startswith('"') and value.endswith('"') and len(value) > 1:
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        yield _name((match["name"] or "").strip()), value


def _name(written: str) -> str:
    for name, ways in _NAMES.items():
        if re.fullmatch(ways, written, re.VERBOSE | re.IGNORECASE):
            return name
    return written.casefold()


def _trimmed(text: str) -> str:
    return text.strip().rstrip(",").strip()


def flags_of(found: Infotext, catalog: Catalog) -> tuple[list[TypedFlag], list[str]]:
    """Its flags; and the values, as they were written, that have none."""
    readers = {
        "steps": _steps,
        "sampler": _sampler,
        "cfg scale": _cfg,
        "seed": _seed,
        "size": _size,
        "model": _model,
    }
    flags = [TypedFlag("no", found.negative)] if found.negative else []
    lost = [_short(each) for each in found.rest]
    for name, value in found.values.items():
        if name in _SILENT:
            continue
        flag = readers[name](plain_value(value), found, catalog) if name in readers else None
        if flag is not None:
            flags.append(flag)
        elif (name, value) != ("seed", "-1"):
            lost.append(_short(f"{name}: {value}"))
    return flags, lost


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_NOTED else f"{text[: _LONGEST_NOTED - 1]}…"


def _steps(value: str, found: Infotext, catalog: Catalog) -> TypedFlag | None:
    if not re.fullmatch(r"[0-9]{1,6}", value) or not int(value):
        return None
    named = _named(found.values.get("model", ""), catalog) or catalog.default
    return TypedFlag("steps", str(min(int(value), catalog[named].max_steps)))


def _sampler(value: str, found: Infotext, catalog: Catalog) -> TypedFlag | None:
    name = samplers.from_elsewhere(value, found.values.get("schedule type", ""))
    named = _named(found.values.get("model", ""), catalog) or catalog.default
    return TypedFlag("sampler", name) if name in catalog[named].samplers else None


def _cfg(value: str, found: Infotext, catalog: Catalog) -> TypedFlag | None:  # noqa: ARG001
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,15})?", value):
        return None
    return TypedFlag("cfg", f"{min(float(value), _CFG):.15g}")


def _seed(value: str, found: Infotext, catalog: Catalog) -> TypedFlag | None:  # noqa: ARG001
    fits = re.fullmatch(r"[0-9]{1,15}", value) and int(value) < SEED_SPACE
    return TypedFlag("seed", str(int(value))) if fits else None


def _size(value: str, found: Infotext, catalog: Catalog) -> TypedFlag | None:  # noqa: ARG001
    size = re.fullmatch(r"([1-9][0-9]{0,4})[x×]([1-9][0-9]{0,4})", value)
    if size is None:
        return None
    width, height = int(size[1]), int(size[2])
    if max(width, height) > _WIDEST * min(width, height):
        return None
    common = math.gcd(width, height)
    return TypedFlag("ar", f"{width // common}:{height // common}")


def _model(value: str, found: Infotext, catalog: Catalog) -> TypedFlag | None:  # noqa: ARG001
    named = _named(value, catalog)
    return None if named is None else TypedFlag("model", named)


def _named(value: str, catalog: Catalog) -> str | None:
    """The model of that name or title, which may end as a file's does."""
    wanted = plain_name(re.sub(r"\.(safetensors|ckpt)$", "", value))
    for name, entry in catalog.models.items():
        if wanted and wanted in (plain_name(name), plain_name(entry.title)):
            return name
    return None


def of_graph(text: str) -> Infotext | None:
    """Read ComfyUI's graph, if one sampler draws from two plain texts; None for any other graph."""
    try:
        graph = json.loads(text)
    except (ValueError, RecursionError):
        return None
    nodes = {key: node for key, node in graph.items() if _is_node(node)} if isinstance(graph, dict) else {}
    drawing = [node["inputs"] for node in nodes.values() if node["class_type"] == "KSampler"]
    if len(drawing) != 1:
        return None
    inputs = drawing[0]
    positive = _linked(nodes, inputs.get("positive"), "CLIPTextEncode").get("text")
    negative = _linked(nodes, inputs.get("negative"), "CLIPTextEncode").get("text", "")
    if not isinstance(positive, str) or not isinstance(negative, str):
        return None
    canvas = _linked(nodes, inputs.get("latent_image"), "EmptyLatentImage")
    checkpoint, loras = _weights(nodes, inputs.get("model"))
    values = {
        "steps": inputs.get("steps"),
        "sampler": inputs.get("sampler_name"),
        "schedule type": inputs.get("scheduler"),
        "cfg scale": inputs.get("cfg"),
        "seed": inputs.get("seed"),
        "size": f"{canvas.get('width')}x{canvas.get('height')}" if canvas else None,
        "model": checkpoint,
    }
    plain = {name: str(value) for name, value in values.items() if isinstance(value, str | int | float)}
    return Infotext(" ".join([positive, *loras]), negative, plain)


def _is_node(node: object) -> bool:
    return (
        isinstance(node, dict)
        and isinstance(node.get("class_type"), str)
        and isinstance(node.get("inputs"), dict)
    )


def _linked(nodes: Mapping[str, Any], link: object, kind: str) -> Mapping[str, Any]:
    """The inputs of the node of this kind that a link leads to; none where it leads elsewhere."""
    node = nodes.get(str(link[0])) if isinstance(link, list) and link else None
    return node["inputs"] if node is not None and node["class_type"] == kind else {}


def _weights(nodes: Mapping[str, Any], link: object) -> tuple[object, list[str]]:
    """The checkpoint's name, and the LoRAs between it and the sampler."""
    loras: list[str] = []
    for _ in range(_GRAPH_DEPTH):
        lora = _linked(nodes, link, "LoraLoader")
        if not lora:
            break
        name = str(lora.get("lora_name", "")).removesuffix(".safetensors")
        loras.append(f"<lora:{name}:{lora.get('strength_model', 1)}>")
        link = lora.get("model")
    return _linked(nodes, link, "CheckpointLoaderSimple").get("ckpt_name"), loras
