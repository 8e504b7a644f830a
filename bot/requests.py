"""A request from the flags that hold, and what is worth saying of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot import style_codes, weights
from bot.faults import Note, NoteKind
from bot.flag_table import BY_NAME
from bot.grammar import TypedFlag, unescaped
from bot.translation import _
from storage.catalog import ModelEntry
from storage.contract import GenerationRequest, Lora, Part

SNAP_TOLERANCE = 1.15
"""Above this factor between the ratio asked for and the one drawn, the member is told."""
DRAFT = 0.25
STYLE_WEIGHT = 100


def request_of(
    parts: tuple[Part, ...], values: Mapping[str, Any], entry: ModelEntry, seed: int
) -> GenerationRequest:
    """`values` by the flags' names; `seed` where they have none."""
    width, height = entry.nearest_size(values.get("ar", 1.0))
    looks = style_codes.style_words(values.get("sref", ()), entry)
    look_weight = style_codes.style_weight(values.get("sw", STYLE_WEIGHT)) if looks else 0
    return GenerationRequest(
        model=entry.name,
        prompt=weights.plain(parts),
        parts=parts if weights.weighs(parts) else (),
        negative_prompt=unescaped(", ".join(values.get("no", ()))),
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
        chaos=values.get("chaos", 0),
        weird=values.get("weird", 0),
        stop=values.get("stop", 100),
        tile="tile" in values,
        video="video" in values,
        loras=_loras(values.get("lora", ())),
        upscaler=_upscaler(values.get("upscaler"), entry),
    )


def _loras(typed: Iterable[Lora]) -> tuple[Lora, ...]:
    """Those that change anything, in one order however they were typed; of one named twice the last."""
    weights = {lora.name: lora.weight for lora in typed}
    return tuple(Lora(name=name, weight=weight) for name, weight in sorted(weights.items()) if weight)


def _upscaler(name: str | None, entry: ModelEntry) -> str | None:
    return None if name == next(iter(entry.upscalers), None) else name


def _is_raw(values: Mapping[str, Any]) -> bool:
    return "raw" in values or "style" in values


def _steps(values: Mapping[str, Any], entry: ModelEntry) -> int:
    quality: float = DRAFT if "draft" in values else values.get("quality", 1)
    steps: int = values.get("steps", entry.num_inference_steps)
    return max(1, round(steps * quality))


def notes_on(
    request: GenerationRequest,
    flags: Sequence[TypedFlag],
    values: Mapping[str, Any],
    entry: ModelEntry,
    *,
    pictures: bool,
) -> list[Note]:
    """Where what is drawn is not quite what `flags`, those that hold, ask for."""
    typed = {BY_NAME[flag.name].name: flag for flag in flags}
    notes = []
    if "ar" in values:
        factor = request.width / request.height / values["ar"]
        if abs(math.log(factor)) > math.log(SNAP_TOLERANCE):
            notes.append(Note(NoteKind.SNAPPED, typed["ar"].name, f"{request.width}×{request.height}"))
    if _steps(values, entry) > entry.max_steps:
        notes.append(Note(NoteKind.STEPS_LIMITED, typed["quality"].name, str(entry.max_steps)))
    if "sref" in values and not entry.style_phrases:
        notes.append(Note(NoteKind.NO_STYLES, "sref", entry.title))
    elif "sref" in values and "::" in typed["sref"].value:
        notes.append(Note(NoteKind.CODES_UNWEIGHTED, "sref"))
    if "sw" in values and "sref" not in values:
        notes.append(Note(NoteKind.ALONE, "sw", _("a style by `--sref CODE`")))
    if "iw" in values and not pictures:
        notes.append(Note(NoteKind.ALONE, "iw", _("a link to a picture in front of the text")))
    return notes
