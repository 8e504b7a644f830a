"""Normalising the latents of a trained autoencoder."""

import torch
from diffusers import AutoencoderKL
from torch import Tensor


@torch.no_grad()
def normalise_latents(vae: AutoencoderKL, latents: Tensor) -> None:
    """Shift and scale the autoencoder's own latents so that every channel has mean 0 and deviation 1.

    ``latents`` (n, 4, h, w) are samples of its present ones. The change is folded into the two 1×1
    convolutions on either side of the latents, so that the autoencoder as a whole stays what it is,
    night scenes lie as near to the noise as day scenes do, and the scaling factor is exactly 1.
    """
    mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    channels = len(mean)
    into, out = vae.quant_conv, vae.post_quant_conv
    if into is None or out is None or into.bias is None or out.bias is None:
        raise ValueError("the autoencoder has no convolutions around its latents")
    into.weight[:channels] /= deviation.view(-1, 1, 1, 1)
    into.bias[:channels] = (into.bias[:channels] - mean) / deviation
    into.bias[channels:] -= 2 * deviation.log()
    out.bias += (out.weight[:, :, 0, 0] @ mean.unsqueeze(1)).squeeze(1)
    out.weight *= deviation.view(1, -1, 1, 1)
    vae.register_to_config(scaling_factor=1.0)
