"""Kinds of LoRAs as files have them, each with the sum by hand that it stands for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from generator.families import loading
from generator.families.base import WeightedLora
from generator.families.sd import StableDiffusion
from storage.catalog_companions import LoraEntry
from tests.generator.reference import Pipeline
from tests.generator.sharing import stable_diffusion

CPU = torch.device("cpu")
Matrix = NDArray[np.float64]
Shape = tuple[int, ...]
RANK = 3

BLOCK = "down_blocks.1.attentions.0"
LINEAR = [
    ("unet", f"{BLOCK}.transformer_blocks.0.attn1.to_q"),
    ("unet", f"{BLOCK}.transformer_blocks.0.attn2.to_v"),
    ("unet", f"{BLOCK}.transformer_blocks.0.ff.net.0.proj"),
    ("text_encoder", "encoder.layers.1.self_attn.q_proj"),
    ("text_encoder", "encoder.layers.0.mlp.fc1"),
]
CONVOLUTIONS = [("unet", f"{BLOCK}.proj_in"), ("unet", "mid_block.resnets.1.conv1"), ("unet", "conv_in")]
NORMS = [
    ("unet", "mid_block.resnets.0.norm2"),
    ("unet", f"{BLOCK}.transformer_blocks.0.norm2"),
    ("text_encoder", "encoder.layers.0.layer_norm1"),
]
BEGIN = {"unet": "lora_unet_", "text_encoder": "lora_te_text_model_"}


class Made(NamedTuple):
    """A layer's tensors in a file, and what they add to its weights at full strength, by hand."""

    tensors: dict[str, Tensor]
    added: Callable[[Matrix], Matrix]


Kind = Callable[[Shape], Made]


def noise(*shape: int) -> Tensor:
    return torch.randn(shape) * 0.3


def exact(tensor: Tensor) -> Matrix:
    found: Matrix = tensor.detach().double().numpy()
    return found


def outer_sum(first: Tensor, second: Tensor) -> Matrix:
    """(out, r) times (r, …): a sum of outer products."""
    terms = [np.multiply.outer(exact(first)[:, k], exact(second)[k]) for k in range(second.shape[0])]
    found: Matrix = np.sum(terms, axis=0)
    return found


def core_sum(first: Tensor, core: Tensor, second: Tensor) -> Matrix:
    """(r, out), (r, r, h, w) and (r, in): a sum over both ranks."""
    total = np.zeros((first.shape[1], second.shape[1], *core.shape[2:]))
    for p in range(core.shape[0]):
        for q in range(core.shape[1]):
            both = np.outer(exact(first)[p], exact(second)[q])
            total += both[..., None, None] * exact(core)[p, q]
    return total


def lora(shape: Shape, *, alpha: float | None = 1.5) -> Made:
    out, *rest = shape
    up, down = noise(out, RANK), noise(RANK, *rest)
    tensors = {"lora_up.weight": up.reshape(out, RANK, *[1] * (len(shape) - 2)), "lora_down.weight": down}
    scale = 1.0 if alpha is None else alpha / RANK
    if alpha is not None:
        tensors["alpha"] = torch.tensor(alpha)
    return Made(tensors, lambda _: scale * outer_sum(up, down))


def lora_without_alpha(shape: Shape) -> Made:
    return lora(shape, alpha=None)


def locon_with_a_core(shape: Shape) -> Made:
    out, read, *kernel = shape
    up, core, down = noise(out, RANK, 1, 1), noise(RANK, RANK, *kernel), noise(RANK, read, 1, 1)
    tensors = {
        "lora_up.weight": up,
        "lora_mid.weight": core,
        "lora_down.weight": down,
        "alpha": torch.tensor(2.0),
    }
    return Made(tensors, lambda _: 2 / RANK * core_sum(up[..., 0, 0].T, core, down[..., 0, 0]))


def loha(shape: Shape) -> Made:
    out, *rest = shape
    a, b, c, d = (
        noise(out, RANK),
        noise(RANK, math.prod(rest)),
        noise(out, RANK),
        noise(RANK, math.prod(rest)),
    )
    tensors = {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d, "alpha": torch.tensor(1.0)}
    return Made(tensors, lambda _: (outer_sum(a, b) * outer_sum(c, d) / RANK).reshape(shape))


def loha_with_cores(shape: Shape) -> Made:
    out, read, *kernel = shape
    a, b, c, d = noise(RANK, out), noise(RANK, read), noise(RANK, out), noise(RANK, read)
    s, t = noise(RANK, RANK, *kernel), noise(RANK, RANK, *kernel)
    tensors = {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d, "hada_t1": s, "hada_t2": t}
    return Made(tensors, lambda _: core_sum(a, s, b) * core_sum(c, t, d))


def lokr(shape: Shape, *, first_whole: bool, second_whole: bool, core: bool = False) -> Made:
    out, read, *kernel = shape
    first, second = (2, 2), (out // 2, read // 2, *kernel)
    tensors = {"alpha": torch.tensor(2.0)}
    left, right = noise(*first), noise(*second)
    parts: dict[str, Matrix] = {"left": exact(left), "right": exact(right)}
    if first_whole:
        tensors["lokr_w1"] = left
    else:
        tensors |= {"lokr_w1_a": noise(2, RANK), "lokr_w1_b": noise(RANK, 2)}
        parts["left"] = outer_sum(tensors["lokr_w1_a"], tensors["lokr_w1_b"])
    if second_whole:
        tensors["lokr_w2"] = right
    elif core:
        tensors |= {"lokr_w2_a": noise(RANK, second[0]), "lokr_w2_b": noise(RANK, second[1])}
        tensors["lokr_t2"] = noise(RANK, RANK, *kernel)
        parts["right"] = core_sum(tensors["lokr_w2_a"], tensors["lokr_t2"], tensors["lokr_w2_b"])
    else:
        tensors |= {"lokr_w2_a": noise(second[0], RANK), "lokr_w2_b": noise(RANK, math.prod(second[1:]))}
        parts["right"] = outer_sum(tensors["lokr_w2_a"], tensors["lokr_w2_b"]).reshape(second)
    scale = 1.0 if first_whole and second_whole else 2 / RANK

    def added(weight: Matrix) -> Matrix:
        whole = np.zeros(shape)
        for row in range(2):
            for column in range(2):
                rows = slice(row * second[0], (row + 1) * second[0])
                columns = slice(column * second[1], (column + 1) * second[1])
                whole[rows, columns] = parts["left"][row, column] * parts["right"]
        return scale * whole

    return Made(tensors, added)


def lokr_of_two_whole(shape: Shape) -> Made:
    return lokr(shape, first_whole=True, second_whole=True)


def lokr_of_a_product(shape: Shape) -> Made:
    return lokr(shape, first_whole=True, second_whole=False)


def lokr_of_two_products(shape: Shape) -> Made:
    return lokr(shape, first_whole=False, second_whole=False)


def lokr_with_a_core(shape: Shape) -> Made:
    return lokr(shape, first_whole=True, second_whole=False, core=True)


def full(shape: Shape) -> Made:
    whole = noise(*shape)
    return Made({"diff": whole}, lambda _: exact(whole))


def dora(shape: Shape, *, by: int) -> Made:
    """Each output's weights, or each input's, at a length of their own."""
    plain = lora(shape)
    length = torch.rand(shape[by]) + 0.5
    sides = [-1 if side == by else 1 for side in range(len(shape))]

    def added(weight: Matrix) -> Matrix:
        merged = weight + plain.added(weight)
        for place in range(shape[by]):
            part = (slice(None),) * by + (place,)
            merged[part] *= exact(length)[place] / np.sqrt((merged[part] ** 2).sum())
        return merged - weight

    return Made(plain.tensors | {"dora_scale": length.reshape(sides)}, added)


def dora_by_output(shape: Shape) -> Made:
    return dora(shape, by=0)


def dora_by_input(shape: Shape) -> Made:
    return dora(shape, by=1)


def loha_with_dora(shape: Shape) -> Made:
    plain, weighed = loha(shape), dora_by_output(shape)
    length = weighed.tensors["dora_scale"]

    def added(weight: Matrix) -> Matrix:
        merged = weight + plain.added(weight)
        norms = np.sqrt((merged**2).sum(axis=tuple(range(1, merged.ndim)), keepdims=True))
        found: Matrix = exact(length) * merged / norms - weight
        return found

    return Made(plain.tensors | {"dora_scale": length}, added)


EVERYWHERE = (
    lora, lora_without_alpha, loha, lokr_of_two_whole, lokr_of_a_product, lokr_of_two_products, full,
    dora_by_output, dora_by_input, loha_with_dora,
)  # fmt: skip
_TURNS = itertools.cycle(EVERYWHERE)


def mixed(shape: Shape) -> Made:
    """Each layer of another kind than the one before."""
    return next(_TURNS)(shape)


OF_KERNELS = (locon_with_a_core, loha_with_cores, lokr_with_a_core)


class Merged(NamedTuple):
    file: Path
    by_hand: dict[tuple[str, str], Matrix]
    """Weights of changed layers, by part and path."""


def layer_of(network: Any, path: str) -> Any:
    return (
        getattr(network, "text_model", network).get_submodule(path)
        if "encoder." in path
        else network.get_submodule(path)
    )


def written(
    place: Path,
    folder: Path,
    kind: Kind,
    strength: float,
    *,
    dtype: torch.dtype = torch.float32,
) -> Merged:
    """A file of one kind in kohya's names, for layers of all sorts in which it has a meaning."""
    torch.manual_seed(len(kind.__name__))
    pipeline = pipeline_of(folder)
    tensors: dict[str, Tensor] = {}
    by_hand = {}
    for part, path in CONVOLUTIONS if kind in OF_KERNELS else LINEAR + CONVOLUTIONS:
        weight = layer_of(pipeline.components[part], path).weight.detach()
        made = kind(tuple(weight.shape))
        name = BEGIN[part] + path.replace(".", "_")
        tensors |= {
            f"{name}.{field}": tensor.contiguous().to(dtype) for field, tensor in made.tensors.items()
        }
        by_hand[part, path] = exact(weight) + strength * made.added(exact(weight))
    save_file(tensors, place / "lora.safetensors")
    return Merged(place / "lora.safetensors", by_hand)


@cache
def plain(folder: Path) -> StableDiffusion:
    """The model, which nothing here may change."""
    return stable_diffusion(loading.load(str(folder), CPU))


@cache
def pipeline_of(folder: Path) -> Any:
    return Pipeline(folder).pipeline


def loaded(folder: Path, file: Path, strength: float = 1.0) -> tuple[StableDiffusion, StableDiffusion]:
    """The model, and with the LoRA."""
    family = plain(folder)
    return family, stable_diffusion(family.with_loras([WeightedLora(LoraEntry(source=str(file)), strength)]))


def networks(family: StableDiffusion) -> dict[str, Any]:
    return {"unet": family.unet, "text_encoder": family.read_by[0]}
