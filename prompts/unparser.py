"""A request as the command that asks for it: what is typed again is drawn again."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from prompts import request_builder, style_codes, weights
from prompts.flags import FLAGS
from prompts.pasted import near_flags, normalizer
from prompts.pasted.normalizer import settled
from prompts.permutations import permutations
from prompts.tokenizer import CLOSING, DASHES, OPENING, TokenizedPrompt, TypedFlag, tokenize
from storage.catalog import Catalog
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest, Part, Phrase

_BRACE = f"[{OPENING}{CLOSING}]"
_ACTS = re.compile(rf"{_BRACE}|[():<]|^(?<!\\)(?=[{re.escape(DASHES)}])")
_LINK_IN_FRONT = re.compile(r"^(?:\s*<?https?://)+", re.IGNORECASE)


def command(request: GenerationRequest, catalog: Catalog) -> str:
    """The words and flags of a request that begins with no picture, for a model of the catalog."""
    entry = catalog[request.model]
    flags = [*_drawing(request, entry), *_looks(request, entry), *_others(request)]
    if request.model != catalog.default:
        flags.append(TypedFlag("model", request.model))
    seed = "sameseed" if request.sameseed else "seed"
    flags.append(TypedFlag(seed, str(request.seed)))
    return str(TokenizedPrompt(_words(request), tuple(flags)))


def literal(text: str) -> str:
    """Words of somebody else's: with their weights, but no flag, set, part or link among them."""
    unlinked = _LINK_IN_FRONT.sub("", text)
    without = re.sub(rf"(?<!\\)({_BRACE})|(?<!\\)(?=::)", r"\\\1", near_flags.escaped(unlinked))
    return without if not tokenize(normalizer.read(without).line).images else without.replace("://", " ")


def _words(request: GenerationRequest) -> str:
    """As plainly as it is read back the same."""
    parts = request.parts or (Part(phrases=(Phrase(text=request.prompt),)),)
    ways = [
        partial(_phrase, spell=spell, inside=inside) for spell in (str, _escaped) for inside in (False, True)
    ]
    spelled = [_typed(parts, way) for way in ways]
    return next((text for text in spelled if _reads_as(text, parts)), spelled[-1])


def _reads_as(text: str, parts: tuple[Part, ...]) -> bool:
    divided, _ = settled(text)
    return (
        str(divided) == text
        and not divided.flags
        and not divided.images
        and permutations(text).count == 1
        and weights.read(divided.words) == parts
    )


def _escaped(text: str) -> str:
    return near_flags.escaped(_ACTS.sub(r"\\\g<0>", text))


def _typed(parts: tuple[Part, ...], way: Callable[[Phrase], str]) -> str:
    if len(parts) == 1:
        return _phrases(parts[0], way)
    return " ".join(f"{_phrases(part, way)}::{part.weight!r}" for part in parts)


def _phrases(part: Part, way: Callable[[Phrase], str]) -> str:
    return "".join(map(way, part.phrases))


def _phrase(phrase: Phrase, spell: Callable[[str], str], *, inside: bool) -> str:
    """`(words:1.3)`, with the blanks around them inside the brackets or outside."""
    text = spell(phrase.text)
    words = text if inside else text.strip()
    return (
        text
        if phrase.emphasis == 1 or not words
        else text.replace(words, f"({words}:{phrase.emphasis!r})", 1)
    )


def _drawing(request: GenerationRequest, entry: ModelEntry) -> list[TypedFlag]:
    flags = []
    if (request.width, request.height) != entry.nearest_size(1.0):
        flags.append(TypedFlag("ar", f"{request.width}:{request.height}"))
    if request.negative_parts:
        plainly = partial(_phrase, spell=_escaped, inside=False)
        flags.append(TypedFlag("no", _typed(request.negative_parts, plainly)))
    elif request.negative_prompt:
        flags.append(TypedFlag("no", _escaped(request.negative_prompt)))
    if request.num_inference_steps != entry.num_inference_steps:
        flags.append(TypedFlag("steps", str(request.num_inference_steps)))
    if request.guidance_scale != entry.guidance_scale:
        flags.append(TypedFlag("cfg", f"{request.guidance_scale:.15g}"))
    if request.scheduler != entry.scheduler:
        flags.append(TypedFlag("sampler", request.scheduler))
    if request.refine != entry.refined_from:
        flags.append(TypedFlag("refine", f"{request.refine:.15g}"))
    flags += [TypedFlag("lora", f"{lora.name}:{lora.weight!r}") for lora in request.loras]
    return flags


def _looks(request: GenerationRequest, entry: ModelEntry) -> list[TypedFlag]:
    flags = []
    if request.stylize != entry.stylize:
        flags.append(TypedFlag("stylize", str(request.stylize)))
    if request.style_words and (codes := style_codes.codes_of(request.style_words, entry)):
        flags.append(TypedFlag("sref", " ".join(map(str, codes))))
        weight = style_codes.typed_weight(request.style_weight)
        if weight != request_builder.STYLE_WEIGHT:
            flags.append(TypedFlag("sw", str(weight)))
    return flags


def _others(request: GenerationRequest) -> list[TypedFlag]:
    flags = []
    for flag in FLAGS:
        if flag.field is None:
            continue
        value = getattr(request, flag.field)
        if value != GenerationRequest.model_fields[flag.field].default:
            flags.append(TypedFlag(flag.name, "" if value is True else str(value)))
    if request.upscaler is not None:
        flags.append(TypedFlag("upscaler", request.upscaler))
    return flags
