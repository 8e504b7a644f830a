"""The choice among torch's attentions on a GPU."""

from __future__ import annotations

import torch
from torch.nn.attention import SDPBackend

from generator import devices

TRUSTED = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]

QUICKEST = [SDPBackend.CUDNN_ATTENTION, *TRUSTED]
"""cuDNN's is up to twice as quick (an H200, 40 to 160 numbers a head); its numbers have to be looked at."""


def trust(device: torch.device) -> None:
    """Let this process have none but the trusted ones, where it does not say otherwise.

    On the largest GPUs torch takes cuDNN's first by itself.
    """
    if devices.abilities(device).compiled:
        torch.backends.cuda.enable_cudnn_sdp(False)
