"""LoRAs and their kin, told by the names and shapes of their tensors, and kohya's notes beside them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

from generator.inspection import bases
from generator.inspection.bases import Base
from generator.inspection.headers import Header

_DOWN = re.compile(r"[._](lora_down|lora_A|lora\.down)(\.default)?\.weight$")
_FORMS = {
    "DoRA": re.compile(r"\.(dora_scale|lora_magnitude_vector)"),
    "LoHa": re.compile(r"\.hada_w1_"),
    "LoKr": re.compile(r"\.lokr_w1"),
    "OFT": re.compile(r"\.oft_(blocks|diag)"),
    "norms": re.compile(r"\.(w_norm|b_norm)$"),
    "full": re.compile(r"\.diff(_b)?$"),
}
_READS_WORDS = re.compile(r"attn2[._](processor[._])?to_[kv]")
_OTHERS: tuple[tuple[str, str], ...] = (
    (r"double_stream_modulation", "FLUX.2"),
    (r"(double|single)_blocks[._]|single_transformer_blocks[._]", "FLUX.1"),
    (r"joint_blocks[._]", "Stable Diffusion 3"),
    (r"img_mod[._]|add_q_proj.*txt_mlp", "Qwen-Image"),
    (r"(noise|context)_refiner[._]|layers[._]\d+[._](attention|feed_forward)", "Z-Image or Lumina 2"),
    (r"(^|[._])blocks[._]\d+[._](self|cross)_attn", "Wan"),
    (r"transformer[._]transformer_blocks[._]|lora_transformer_", "a transformer, as Stable Diffusion 3 has"),
)
"""Layers of models of which Easel knows no base by width."""
_MOST_WORDS = 5


def forms(header: Header) -> tuple[str, ...]:
    """Forms in which it changes weights; empty for what is no LoRA."""
    found = [form for form, mark in _FORMS.items() if any(mark.search(name) for name in header.tensors)]
    downs = [tensor.shape for name, tensor in header.tensors.items() if _DOWN.search(name)]
    if any(len(shape) == 4 and shape[2:] != (1, 1) for shape in downs):
        found.insert(0, "LoCon")
    elif downs:
        found.insert(0, "LoRA")
    return tuple(found)


def base(header: Header) -> Base:
    """The model for which it was made."""
    width = next(_widths(header), None)
    if width is not None:
        return bases.of_width(width)
    other = next(
        (name for mark, name in _OTHERS if any(re.search(mark, key) for key in header.tensors)), None
    )
    if other is not None:
        return Base(other)
    told = header.metadata.get("modelspec.architecture") or header.metadata.get("ss_base_model_version") or ""
    found = bases.of_metadata(told)
    if found is None and any(re.match(r"lora_te2_|text_encoder_2\.", name) for name in header.tensors):
        found = bases.of_width(None, "sdxl")
    return found or bases.UNKNOWN


def _widths(header: Header) -> Iterator[int]:
    """Width of the words that a layer of cross-attention reads, by whatever changes one."""
    for name, tensor in header.tensors.items():
        if not _READS_WORDS.search(name):
            continue
        shape = tensor.shape
        if _DOWN.search(name) or name.endswith((".diff", ".hada_w1_b", ".oft_in")):
            yield shape[-1]
        elif name.endswith((".lokr_w1", ".lokr_w1_b")):
            stem = name.rpartition(".")[0]
            other = header.shape(f"{stem}.lokr_w2") or header.shape(f"{stem}.lokr_w2_b")
            if other:
                yield shape[-1] * other[-1]


def trigger_words(header: Header) -> tuple[str, ...]:
    """Tags that at least half as many of its pictures had as the commonest, at most five."""
    phrase = header.metadata.get("modelspec.trigger_phrase")
    if phrase:
        return (phrase,)
    try:
        folders = json.loads(header.metadata.get("ss_tag_frequency", "{}"))
        counts: Counter[str] = Counter()
        for tags in folders.values():
            counts.update({tag.strip(): int(number) for tag, number in tags.items()})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return ()
    common = counts.most_common(_MOST_WORDS)
    return tuple(tag for tag, number in common if tag and 2 * number >= common[0][1])
