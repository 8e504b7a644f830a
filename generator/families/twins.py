"""Networks that share their weights: what is changed about the layers of one is not about the other's."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch

Network = TypeVar("Network", bound=torch.nn.Module)


def twin_of(network: Network) -> Network:
    """The same network in layers of its own, with the very same weights."""
    shared = {id(weight): weight for weight in (*network.parameters(), *network.buffers())}
    return copy.deepcopy(network, shared)
