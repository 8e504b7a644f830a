"""Copy a tree of modules without copying its parameters: the copy's layers can be changed, the weights are
shared.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch

Network = TypeVar("Network", bound=torch.nn.Module)


def clone_sharing_weights(network: Network) -> Network:
    """The same network in layers of its own, with the very same weights."""
    shared = {id(weight): weight for weight in (*network.parameters(), *network.buffers())}
    return copy.deepcopy(network, shared)
