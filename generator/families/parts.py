"""A call with the networks that it runs, as one module: what is compiled of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Part(torch.nn.Module):
    """Called as the function is; its weights are those of the networks."""

    def __init__(self, call: Callable[..., Tensor], *networks: torch.nn.Module) -> None:
        super().__init__()
        self._call = call
        self.networks = torch.nn.ModuleList(networks)

    def forward(self, *inputs: Any) -> Tensor:
        return self._call(*inputs)

    @property
    def called(self) -> list[Any]:
        return list(self.networks)

    @property
    def weights(self) -> dict[str, Tensor]:
        named = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        return {name: weight.detach() for name, weight in named.items()}
