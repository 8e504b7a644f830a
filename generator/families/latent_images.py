"""Images and latents: what families share whose autoencoder is an `AutoencoderKL`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import PIL.Image
import torch
from diffusers.image_processor import VaeImageProcessor
from torch import Tensor

from generator.families.base import Family
from generator.families.latent_preview import LatentColours
from generator.families.parts import VaeDecoder


class LatentImages(Family):
    """A family that draws latents of an `AutoencoderKL`."""

    vae: Any
    latent_scale: int
    patch = 1
    """Latents along one side of what the network takes for one token."""
    decoder: Callable[[Tensor], Tensor]
    """Module that `decode` calls: the autoencoder's own, or something quicker that does the same."""
    colours: LatentColours

    def _take_autoencoder(self, vae: Any) -> None:
        self.vae = vae
        self.decoder = VaeDecoder(vae)
        self._take_processors(2 ** (len(vae.config.block_out_channels) - 1))

    def _take_processors(self, latent_scale: int) -> None:
        self.latent_scale = latent_scale
        self._images = VaeImageProcessor(vae_scale_factor=self.latent_scale)
        self._masks = VaeImageProcessor(
            vae_scale_factor=self.latent_scale,
            do_normalize=False,
            do_binarize=False,
            do_convert_grayscale=True,
        )

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        step = self.latent_scale * self.patch
        if width % step or height % step:
            raise ValueError(f"{width}×{height} is not a multiple of {step} pixels")
        return (self.latent_channels, height // self.latent_scale, width // self.latent_scale)

    @property
    def latent_channels(self) -> int:
        return int(self.vae.config.latent_channels)

    def pixels(self, image: PIL.Image.Image, width: int, height: int) -> Tensor:
        """As diffusers' image-to-image pipelines prepare it."""
        pixels: Tensor = self._images.preprocess(image.convert("RGB"), height=height, width=width)
        return pixels

    def mask(self, image: PIL.Image.Image, width: int, height: int) -> Tensor:
        """(1, 1, height, width): 1 where the mask is white, 0 where it is black, between where it is grey.

        Without grey it is diffusers' at any size: what is between after it was resized becomes either.
        """
        grey = image.convert("L")
        mask: Tensor = self._masks.preprocess(grey, height=height, width=width)
        return mask if any(grey.histogram()[1:-1]) else mask.ge(0.5).to(mask.dtype)

    def source_latents(self, pixels: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        posterior = self.posterior(pixels)
        return self.scaled(torch.cat([posterior.sample(rng) for rng in rngs]))

    def posterior(self, pixels: Tensor) -> Any:
        """The distribution of latents of one picture; draw from it and hand the draw to `scaled`."""
        return self.vae.encode(pixels.to(self.device, self.vae.dtype)).latent_dist

    def scaled(self, latents: Tensor) -> Tensor:
        """The VAE's latents as the denoiser wants them."""
        mean, std = self._latent_statistics(latents)
        scaled: Tensor = (latents - mean) * self._scaling_factor / std
        return scaled.to(self.dtype)

    def decode(self, latents: Tensor) -> Tensor:
        latents = latents.to(self.vae.dtype)
        mean, std = self._latent_statistics(latents)
        return self.decoder(latents * std / self._scaling_factor + mean)

    def images(self, pixels: Tensor) -> list[PIL.Image.Image]:
        images: list[PIL.Image.Image] = self._images.postprocess(pixels, output_type="pil")
        return images

    def preview(self, latents: Tensor, size: tuple[int, int]) -> list[PIL.Image.Image]:
        return self.colours.images(latents, size)

    @property
    def _scaling_factor(self) -> float:
        """1 for autoencoders that have statistics alone."""
        return float(self.vae.config.get("scaling_factor", 1.0))

    def _latent_statistics(self, latents: Tensor) -> tuple[Tensor | float, Tensor | float]:
        mean, std = self.vae.config.get("latents_mean"), self.vae.config.get("latents_std")
        if mean is None or std is None:
            return self.vae.config.get("shift_factor") or 0.0, 1.0
        shape = (1, -1, 1, 1)
        return latents.new_tensor(mean).view(shape), latents.new_tensor(std).view(shape)
