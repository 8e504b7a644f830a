"""A request from the flags that hold, and what is worth saying of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from prompts import style_codes, weights
from prompts.diagnostics import Note, NoteKind
from prompts.flags import BY_NAME
from prompts.image_links import ImageLink
from prompts.negative_prompt import joined
from prompts.tokenizer import TypedFlag
from prompts.translation import _
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest, Lora, Part, Role

SNAP_TOLERANCE = 1.03
"""Above this factor between the ratio asked for and the one drawn, the member is told."""
DRAFT = 0.25
STYLE_WEIGHT = 100
REFERENCES: Mapping[str, str] = MappingProxyType({"sref": "sw", "cref": "cw", "oref": "ow"})
"""Flags that name what is taken over, and those that say how much of it."""


@dataclass(frozen=True)
class Linked:
    """Pictures behind links, which an image adapter is to read beside the words."""

    role: Role
    urls: tuple[str, ...]
    weight: float


def linked_of(values: Mapping[str, Any]) -> tuple[Linked, ...]:
    """Links of `--sref`, `--cref` and `--oref`, if they weigh anything."""
    styles = (each for each in values.get("sref", ()) if isinstance(each, ImageLink))
    subjects = (*values.get("cref", ()), *values.get("oref", ()))
    weight = _of_hundred(values.get("ow", 100)) if "oref" in values else _of_character(values.get("cw", 100))
    found = (
        Linked(Role.STYLE, _urls(styles), _of_hundred(values.get("sw", STYLE_WEIGHT))),
        Linked(Role.SUBJECT, _urls(subjects), weight),
    )
    return tuple(linked for linked in found if linked.urls and linked.weight)


def _urls(links: Iterable[ImageLink]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(link.url for link in links))


def _of_hundred(typed: float) -> float:
    """`--sw` and `--ow`, 0–1000, as a share of the adapter's own scale, which is 100: 1000 is about twice."""
    return float((typed / 100) ** 0.3)


def _of_character(typed: float) -> float:
    """`--cw`, 0–100: elsewhere its 0 still keeps the face."""
    return 0.4 + 0.6 * typed / 100


def request_of(
    parts: tuple[Part, ...], values: Mapping[str, Any], entry: ModelEntry, seed: int
) -> GenerationRequest:
    """`values` by the flags' names; `seed` where they have none."""
    entry, preset = _drafting(values, entry)
    width, height = entry.nearest_size(values.get("ar", 1.0))
    unwanted = joined(values.get("no", ()))
    codes = [each for each in values.get("sref", ()) if isinstance(each, int)]
    looks = style_codes.style_words(codes, entry)
    look_weight = style_codes.style_weight(values.get("sw", STYLE_WEIGHT)) if looks else 0
    return GenerationRequest(
        model=entry.name,
        prompt=weights.plain(parts),
        parts=parts if weights.weighs(parts) else (),
        negative_prompt=weights.plain(unwanted),
        negative_parts=unwanted if weights.weighs(unwanted) else (),
        width=width,
        height=height,
        num_inference_steps=min(_steps(values, entry), entry.max_steps),
        guidance_scale=values.get("cfg", entry.guidance_scale),
        scheduler=values.get("sampler", entry.scheduler),
        seed=values.get("seed", values.get("sameseed", seed)),
        sameseed="sameseed" in values,
        stylize=values.get("stylize", 0 if _is_raw(values) else entry.stylize),
        style_words=looks if look_weight else "",
        style_weight=look_weight,
        loras=_loras((*preset, *values.get("lora", ()))),
        control=values.get("control"),
        upscaler=_upscaler(values.get("upscaler"), entry),
        refine=values.get("refine", entry.refined_from),
        **_taken_as_they_are(values),
    )


def _taken_as_they_are(values: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: BY_NAME[name].field for name in values}
    return {field: values[name] for name, field in fields.items() if field is not None}


def _loras(typed: Iterable[Lora]) -> tuple[Lora, ...]:
    """LoRAs that change anything, in one order however they were typed; of one named twice the last."""
    weights = {lora.name: lora.weight for lora in typed}
    return tuple(Lora(name=name, weight=weight) for name, weight in sorted(weights.items()) if weight)


def _upscaler(name: str | None, entry: ModelEntry) -> str | None:
    return None if name == next(iter(entry.upscalers), None) else name


def _is_raw(values: Mapping[str, Any]) -> bool:
    return "raw" in values or "style" in values


def _drafting(values: Mapping[str, Any], entry: ModelEntry) -> tuple[ModelEntry, tuple[Lora, ...]]:
    """The model as a draft is drawn with it, where one is asked for, and that draft's LoRAs."""
    if "draft" not in values or entry.draft is None:
        return entry, ()
    loras = entry.draft.loras.items()
    return entry.drafting(), tuple(Lora(name=name, weight=weight) for name, weight in loras)


def _steps(values: Mapping[str, Any], entry: ModelEntry) -> int:
    """Of a draft that the model has no preset for a quarter."""
    quality: float = DRAFT if "draft" in values and entry.draft is None else values.get("quality", 1)
    steps: int = values.get("steps", entry.num_inference_steps)
    return max(1, round(steps * quality))


def notes_on(
    request: GenerationRequest,
    flags: Sequence[TypedFlag],
    values: Mapping[str, Any],
    entry: ModelEntry,
    *,
    images: bool,
) -> list[Note]:
    """Notes on differences between what is drawn and what `flags`, those that hold, ask for."""
    typed = {BY_NAME[flag.name].name: flag for flag in flags}
    notes = []
    if "ar" in values:
        factor = request.width / request.height / values["ar"]
        if abs(math.log(factor)) > math.log(SNAP_TOLERANCE):
            notes.append(Note(NoteKind.SNAPPED, typed["ar"].name, shape(request.width, request.height)))
    if _steps(values, entry) > entry.max_steps:
        notes.append(Note(NoteKind.STEPS_LIMITED, typed["quality"].name, str(entry.max_steps)))
    notes += _notes_on_references(typed, values, entry)
    if "iw" in values and not images:
        notes.append(Note(NoteKind.ALONE, "iw", _("a link to a picture in front of the text")))
    return notes


def shape(width: int, height: int) -> str:
    """A size as a sentence gives it: the ratio first."""
    shared = math.gcd(width, height)
    return f"{width // shared}:{height // shared} ({width}×{height})"


def _notes_on_references(
    typed: Mapping[str, TypedFlag], values: Mapping[str, Any], entry: ModelEntry
) -> list[Note]:
    notes = []
    if not entry.style_phrases and any(isinstance(style, int) for style in values.get("sref", ())):
        notes.append(Note(NoteKind.NO_STYLES, "sref", entry.title))
    weighed = [name for name in REFERENCES if name in values and "::" in typed[name].value]
    notes += [Note(NoteKind.CODES_UNWEIGHTED, name) for name in weighed]
    alone = [name for name in REFERENCES if REFERENCES[name] in values and name not in values]
    return notes + [Note(NoteKind.ALONE, REFERENCES[name], f"`--{name}`") for name in alone]
