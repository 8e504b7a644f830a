"""Keys of a model's table that say which files it is made of, and how it was trained."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from storage import model_families, noise_levels
from storage.catalog_values import CatalogTable, Source

FILES_OF_DIFFUSION = ("unet", "vae", "prediction_type", "zero_snr", "guidance_rescale", "clip_skip")
"""Keys that only families of noise prediction read."""


class ModelFiles(CatalogTable):
    """A model's files, and what the catalog says of them beyond what they say themselves."""

    source: Source
    """Folder, single `.safetensors` file or Hugging Face id."""
    family: Annotated[str, AfterValidator(model_families.known)] = "sd"
    """Family where the source does not say its own."""
    unet: Source | None = None
    """`.safetensors` file, folder or Hugging Face id of a UNet in the place of the source's."""
    vae: Source | None = None
    """`.safetensors` file, folder or Hugging Face id of an autoencoder in the place of the source's."""
    sha256: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{64}$")] | None = None
    """Of `unet` where there is one, else of `source`, which then is a single file."""
    prediction_type: Literal["epsilon", "v_prediction"] | None = None
    """diffusers' name of what its UNet predicts; None: as its files say."""
    zero_snr: bool | None = None
    """True if its noise levels were rescaled to end in pure noise; None: as its files say."""
    guidance_rescale: Annotated[float, Field(ge=0, le=1)] = 0.0
    """diffusers' `guidance_rescale`: part of guidance's contrast that is taken back."""
    clip_skip: Annotated[int, Field(ge=0, le=11)] = 0
    """diffusers' `clip_skip`: last layers of the text encoders that a prompt does not go through."""

    @model_validator(mode="after")
    def _files_fit_together(self) -> Self:
        if self.sha256 is not None and not self.weights_file.endswith(".safetensors"):
            raise ValueError(f"sha256: it is that of a single file, and {self.weights_file} is none")
        if self.zero_snr and self.prediction_type == "epsilon":
            raise ValueError(
                "zero_snr: it is for v_prediction: a model of `prediction_type` epsilon finds nothing in pure"
                " noise"
            )
        return self

    @property
    def stated_family(self) -> str | None:
        """The family that the catalog states; None where it leaves that to the source."""
        return self.family if "family" in self.model_fields_set else None

    @property
    def weights_file(self) -> str:
        """The file, or else the folder or id, that its UNet is read from."""
        return self.unet or self.source

    def ends_in_pure_noise(self) -> bool:
        """True if its noise levels end without any signal, by the catalog's word or its files'."""
        if self.zero_snr is not None:
            return self.zero_snr
        told = [noise_levels.of_source(each).zero_snr for each in (self.weights_file, self.source)]
        return any(told)
