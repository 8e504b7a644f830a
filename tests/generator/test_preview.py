from __future__ import annotations

import numpy as np
import pytest
import torch

from generator.families import latent_preview, loading
from tests.generator.sharing import stable_diffusion


class MeanColours:
    """An autoencoder whose latents are known: a mix of the mean colours of its patches."""

    latent_scale = 8
    mix = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -0.5], [0.3, 0.0, 1.0], [0.1, 0.1, 0.1]])

    def posterior(self, pixels: torch.Tensor) -> object:
        means = torch.nn.functional.avg_pool2d(pixels, self.latent_scale)
        latents = torch.einsum("oc,nchw->nohw", self.mix, means)

        class Posterior:
            def mode(self) -> torch.Tensor:
                return latents

        return Posterior()

    def scaled(self, latents: torch.Tensor) -> torch.Tensor:
        return latents * 0.2


def test_the_map_is_found_that_gives_colours_back() -> None:
    autoencoder = MeanColours()
    colours = latent_preview.fit_colours(autoencoder)
    pixels = latent_preview.colour_fields(2, 64)
    latents = autoencoder.scaled(autoencoder.posterior(pixels * 2 - 1).mode())  # type: ignore[attr-defined]
    shown = colours.images(latents, (8, 8))
    expected = torch.nn.functional.avg_pool2d(pixels, 8).movedim(1, -1).numpy()
    for image, wanted in zip(shown, expected, strict=True):
        assert np.abs(np.asarray(image) / 255 - wanted).max() < 0.03


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("alpha_bar", [0.9, 0.3, 0.02])
def test_the_clean_picture_is_seen_through_the_noise(kind: str, alpha_bar: float) -> None:
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    alpha, sigma = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    noisy = alpha * clean + sigma * noise
    output = {"epsilon": noise, "v_prediction": alpha * noise - sigma * clean, "sample": clean}[kind]
    torch.testing.assert_close(latent_preview.clean_estimate(noisy, output, alpha_bar, kind), clean)


@pytest.mark.parametrize("folder", ["sd_folder", "sdxl_folder"])
def test_every_family_gets_a_map_of_its_own(request: pytest.FixtureRequest, folder: str) -> None:
    family = stable_diffusion(loading.load(str(request.getfixturevalue(folder)), torch.device("cpu")))
    assert family.colours.weight.shape == (4, 3)
    assert family.colours.weight.isfinite().all()
