"""Arithmetic of LoRAs: one layer's weights from the small ones that a file has for it, in float32.

The kinds are those of kohya's sd-scripts, LyCORIS and peft: low-rank (LoRA, LoCon, with a core tensor too),
LoHa, LoKr, whole differences and norms, each perhaps weight-decomposed (DoRA).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

Fields = Mapping[str, Tensor]
"""One layer's tensors in a file, by what they are."""


class Misfit(ValueError):
    """A layer's tensors make no change to it; the text is the reason."""


class Difference(NamedTuple):
    """The sum that is added at full strength, before `alpha`; `rank` is what `alpha` is measured by."""

    weight: Tensor
    rank: int | None = None


def _low_rank(fields: Fields) -> Difference:
    """`up` (out, r, …) and `down` (r, in, …); `mid` (r, r, height, width) is a convolution's core."""
    up, down = fields["up"].flatten(1), fields["down"]
    if "mid" in fields:
        product = torch.einsum("op,pqhw,qi->oihw", up, fields["mid"], down.flatten(1))
    else:
        product = up @ down.flatten(1)
    return Difference(product, len(down))


def _hadamard(fields: Fields) -> Difference:
    """LoHa: the product, number by number, of two low-rank ones."""
    factors = [
        _product(fields[f"hada_w{side}_a"], fields[f"hada_w{side}_b"], fields.get(f"hada_t{side}"))
        for side in (1, 2)
    ]
    return Difference(factors[0] * factors[1], len(fields["hada_w1_b"]))


def _kronecker(fields: Fields) -> Difference:
    """LoKr: Kronecker's product of two tensors, each whole or low-rank."""
    rank = None
    factors = []
    for side in (1, 2):
        whole = fields.get(f"lokr_w{side}")
        if whole is None:
            first, second = fields[f"lokr_w{side}_a"], fields[f"lokr_w{side}_b"]
            rank = len(second)
            whole = _product(first, second, fields.get(f"lokr_t{side}"))
        factors.append(whole)
    left, right = factors
    left = left.reshape(*left.shape, *[1] * (right.dim() - left.dim()))
    return Difference(torch.kron(left, right.contiguous()), rank)


def _product(first: Tensor, second: Tensor, core: Tensor | None) -> Tensor:
    """(out, r) times (r, in); with a core (r, r, height, width) `first` is (r, out)."""
    if core is None:
        return first.flatten(1) @ second.flatten(1)
    return torch.einsum("pqhw,po,qi->oihw", core, first.flatten(1), second.flatten(1))


def _whole(name: str) -> Callable[[Fields], Difference]:
    return lambda fields: Difference(fields[name])


_SIDES = tuple(
    (
        {f"lokr_w{side}"},
        {f"lokr_w{side}_a", f"lokr_w{side}_b"},
        {f"lokr_w{side}_a", f"lokr_w{side}_b", f"lokr_t{side}"},
    )
    for side in (1, 2)
)
_LOHA = frozenset({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"})

KINDS: Mapping[frozenset[str], Callable[[Fields], Difference]] = {
    frozenset({"up", "down"}): _low_rank,
    frozenset({"up", "down", "mid"}): _low_rank,
    _LOHA: _hadamard,
    _LOHA | {"hada_t1", "hada_t2"}: _hadamard,
    **{frozenset(first | second): _kronecker for first, second in itertools.product(*_SIDES)},
    frozenset({"diff"}): _whole("diff"),
    frozenset({"w_norm"}): _whole("w_norm"),
}
"""Tensors that make up each kind, and how."""

BIASES = ("diff_b", "b_norm", "bias_up")
BESIDE = frozenset({"alpha", "dora_scale", *BIASES})
"""Tensors that may stand beside any kind."""


def changed(weight: Tensor, fields: Fields, strength: float) -> Tensor:
    """A layer's weight, float32, with a file's change of it.

    Raises:
        Misfit: the tensors are of no known kind, or of another shape.
    """
    if fields.keys() <= {*BIASES, "alpha"}:
        return weight
    found, scale = _difference(fields)
    difference = _shaped(found, weight) * scale
    if "dora_scale" in fields:
        difference = _decomposed(weight + difference, fields["dora_scale"]) - weight
    return weight + strength * difference


def changed_bias(bias: Tensor | None, fields: Fields, strength: float) -> Tensor | None:
    """The same for its bias.

    Raises:
        Misfit: the layer has none, or one of another shape.
    """
    for name in (name for name in BIASES if name in fields):
        if bias is None:
            raise Misfit("it changes a bias that the layer does not have")
        scale = _difference(fields)[1] if name == "bias_up" else 1.0
        bias = bias + strength * scale * _shaped(fields[name], bias)
    return bias


def _difference(fields: Fields) -> tuple[Tensor, float]:
    """The difference, and what `alpha` makes of it."""
    kind = KINDS.get(frozenset(fields.keys() - BESIDE))
    if kind is None:
        raise Misfit(f"Easel knows no kind of LoRA made of {', '.join(sorted(fields))}")
    try:
        weight, rank = kind(fields)
    except (RuntimeError, IndexError) as error:
        raise Misfit("its tensors do not fit each other") from error
    alpha = fields.get("alpha")
    return weight, 1.0 if alpha is None or rank is None else alpha.item() / rank


def _shaped(difference: Tensor, like: Tensor) -> Tensor:
    """A linear layer's as one of a convolution of one pixel, and the other way round."""
    if difference.numel() != like.numel() or len(difference) != len(like):
        raise Misfit(f"it is made for a layer of {_size(difference)}, and this one is {_size(like)}")
    return difference.reshape(like.shape)


def _size(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape))


def _decomposed(weight: Tensor, magnitude: Tensor) -> Tensor:
    """DoRA: each output's weights at its magnitude (out, 1, …), or each input's at (1, in, …).

    As LyCORIS trains it: the direction is that of the whole sum.
    """
    by_output = magnitude.dim() == 1 or len(magnitude) == len(weight)
    if magnitude.numel() != (len(weight) if by_output else weight.shape[1]):
        raise Misfit(f"it has {magnitude.numel()} magnitudes for a layer of {_size(weight)}")
    kept = 0 if by_output else 1
    others = [side for side in range(weight.dim()) if side != kept]
    length = torch.linalg.vector_norm(weight, dim=others, keepdim=True)
    shape = [-1 if side == kept else 1 for side in range(weight.dim())]
    decomposed: Tensor = weight * (magnitude.reshape(shape) / (length + torch.finfo(torch.float32).eps))
    return decomposed
