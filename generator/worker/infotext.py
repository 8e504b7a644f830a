"""A picture's parameters in the words of Stable Diffusion's first web interface (A1111), which most programs
for such pictures read: the prompt with its weights, `Negative prompt:`, and a line of values.

It says what those programs can say. Parts of a prompt with weights of their own have no word there: the
heaviest stands plain, lighter ones as `(words:share)`, and what weighs below 0 is a negative prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from generator.worker.weight_hashes import Hashes
from storage import samplers
from storage.contract import GenerationRequest, Part, Phrase, Task

_ESCAPED = str.maketrans({"(": r"\(", ")": r"\)"})
_BEGUN = (Task.IMAGE_TO_IMAGE, Task.INPAINTING)


def infotext(request: GenerationRequest, hashes: Hashes) -> str:
    lines = [" ".join([_wanted(request), *_loras(request)]).strip()]
    if unwanted := ", ".join(filter(None, [*_unwanted(request.parts), _named(request)])):
        lines.append(f"Negative prompt: {unwanted}")
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in _facts(request, hashes).items()))
    return "\n".join(lines)


def _wanted(request: GenerationRequest) -> str:
    parts = [part for part in request.parts if part.weight > 0]
    if not parts:
        return request.prompt
    heaviest = max(part.weight for part in parts)
    return ", ".join(_weighed(part.phrases, part.weight / heaviest) for part in parts)


def _unwanted(parts: Iterable[Part]) -> list[str]:
    parts = list(parts)
    heaviest = max((part.weight for part in parts), default=1.0)
    return [_weighed(part.phrases, -part.weight / heaviest) for part in parts if part.weight < 0]


def _named(request: GenerationRequest) -> str:
    """The parts that `--no` names, with their weights."""
    parts = request.negative_parts
    if not parts:
        return request.negative_prompt
    heaviest = max(part.weight for part in parts) or 1.0
    return ", ".join(_weighed(part.phrases, part.weight / heaviest) for part in parts)


def _weighed(phrases: Iterable[Phrase], share: float) -> str:
    """`a (green:1.3) boat`; what is meant as strongly as the rest needs no brackets."""
    return "".join(_phrase(phrase.text, round(phrase.emphasis * share, 2)) for phrase in phrases)


def _phrase(text: str, weight: float) -> str:
    words = text.strip()
    if weight == 1 or not words:
        return text
    before, _, after = text.partition(words)
    return f"{before}({words.translate(_ESCAPED)}:{weight:g}){after}"


def _loras(request: GenerationRequest) -> list[str]:
    return [f"<lora:{lora.name}:{lora.weight:g}>" for lora in request.loras]


def _facts(request: GenerationRequest, hashes: Hashes) -> dict[str, str]:
    sampler, levels = samplers.elsewhere(request.scheduler)
    facts = {
        "Steps": str(request.num_inference_steps),
        "Sampler": sampler,
        "Schedule type": levels,
        "CFG scale": f"{request.guidance_scale:g}",
        "Seed": str(request.seed),
        "Size": f"{request.width}x{request.height}",
        "Model hash": hashes.model,
        "Model": request.model,
        "Denoising strength": f"{request.strength:g}" if request.task in _BEGUN else "",
        "Lora hashes": ", ".join(f"{name}: {found}" for name, found in sorted(hashes.loras.items())),
        "Version": _version(),
    }
    return {name: value for name, value in facts.items() if value}


def _version() -> str:
    try:
        return f"Easel {version('easel-discord')}"
    except PackageNotFoundError:
        return "Easel"


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ',:"\n') else value
