"""What a process lets torch choose from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from generator.compiling import attention


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = torch.backends.cuda.cudnn_sdp_enabled()
    yield
    torch.backends.cuda.enable_cudnn_sdp(before)


@pytest.mark.parametrize(("device", "left"), [("cuda:1", False), ("cpu", True)])
def test_a_gpu_is_kept_from_what_nobody_compared(device: str, left: bool) -> None:
    torch.backends.cuda.enable_cudnn_sdp(True)
    attention.trust(torch.device(device))
    assert torch.backends.cuda.cudnn_sdp_enabled() is left
