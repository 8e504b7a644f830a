"""Pipelines of diffusion models: loaded from a folder, a file or a Hugging Face id, and checked."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL

from generator import pretrained
from generator.families import checkpoints, part_files, single_files
from generator.families.sources import is_single_file, unusable
from storage import noise_levels
from storage.catalog_files import ModelFiles
from storage.noise_levels import V_PREDICTION, NoiseMarkers

PREDICTIONS = ("epsilon", "v_prediction", "sample")
"""Prediction types of diffusion models in diffusers' scheduler configs."""


def load(kind: Any, files: ModelFiles, device: torch.device, dtype: torch.dtype, **arguments: Any) -> Any:
    """A pipeline of this class, in the machine's own memory; what has to be tried is tried on the device.

    Raises:
        CatalogError: its tokenizer lacks its files, its scheduler is of another kind of model, or its files
            do not fit each other.
        Exception: one of `pretrained.UNREADABLE`.
    """
    if is_single_file(files.source):
        pipeline = single_files.load(kind, files, device, dtype, arguments)
    else:
        parts = part_files.named(files, files.source, dtype)
        pipeline = pretrained.network(kind, files.source, dtype=dtype, **arguments, **parts)
    _check_words(files.source, pipeline)
    _check_scheduler(files.source, pipeline.scheduler)
    _check_networks(files, pipeline)
    _tell_noise(files, pipeline)
    return pipeline


def _check_words(source: str, pipeline: Any) -> None:
    """A tokenizer whose files are missing is loaded all the same, and knows no word."""
    for number in ("", "_2"):
        tokenizer = getattr(pipeline, f"tokenizer{number}", None)
        encoder = getattr(pipeline, f"text_encoder{number}", None)
        if tokenizer is not None and encoder is not None and 2 * len(tokenizer) < encoder.config.vocab_size:
            raise unusable(source, f"tokenizer{number} lacks its files: it knows {len(tokenizer)} tokens.")


def _check_scheduler(source: str, scheduler: Any) -> None:
    """Every sampler is built from this config: from one of flow matching diffusers takes whatever keys it
    knows, says nothing, and draws by noise levels that the model was never trained with.
    """
    if "sigma_data" in scheduler.config:
        raise unusable(source, checkpoints.EDM)
    flow = scheduler.config.get("use_flow_sigmas") or not hasattr(scheduler, "alphas_cumprod")
    if flow or scheduler.config.prediction_type not in PREDICTIONS:
        raise unusable(
            source,
            f"its scheduler, {type(scheduler).__name__}, is not one of a diffusion model, and no sampler of"
            " Stable Diffusion fits it.",
        )


def _check_networks(files: ModelFiles, pipeline: Any) -> None:
    vae = pipeline.vae
    if not isinstance(vae, AutoencoderKL):
        raise unusable(files.source, f"its VAE is an {type(vae).__name__}, and is to be an AutoencoderKL.")
    drawn, decoded = pipeline.unet.config.out_channels, vae.config.latent_channels
    if drawn != decoded:
        reason = f"its UNet draws {drawn} channels, and its VAE decodes {decoded}: they are of two models."
        raise unusable(files.source, reason)
    _check_width(files, pipeline)
    for name, network in pipeline.components.items():
        if isinstance(network, torch.nn.Module):
            part_files.check_whole(files.source, name, network)
        layers = getattr(getattr(network, "config", None), "num_hidden_layers", None)
        if name.startswith("text_encoder") and layers is not None and files.clip_skip >= layers:
            raise unusable(
                files.source, f"clip_skip is {files.clip_skip}, and its {name} has {layers} layers."
            )


def _check_width(files: ModelFiles, pipeline: Any) -> None:
    """A UNet reads what all text encoders say side by side."""
    encoders = (getattr(pipeline, name, None) for name in ("text_encoder", "text_encoder_2"))
    told = sum(encoder.config.hidden_size for encoder in encoders if encoder is not None)
    read = pipeline.unet.config.cross_attention_dim
    if isinstance(read, int) and read != told:
        reason = f"its UNet reads words of {read} numbers, and its text encoders say {told}: they are of two"
        raise unusable(files.source, f"{reason} models.")


def _tell_noise(files: ModelFiles, pipeline: Any) -> None:
    """Put into the scheduler's config what the catalog says of noise, else what the UNet's file does.

    Of a file only markers of what is rare are heeded: most tools write `epsilon` without being asked.
    """
    told = NoiseMarkers()
    if is_single_file(files.weights_file):
        told = noise_levels.of_header(checkpoints.header_of(files.weights_file))
    changes: dict[str, Any] = {}
    if files.prediction_type or told.prediction_type == V_PREDICTION:
        changes["prediction_type"] = files.prediction_type or V_PREDICTION
    zero_snr = told.zero_snr if files.zero_snr is None else files.zero_snr
    if zero_snr is not None:
        changes["rescale_betas_zero_snr"] = zero_snr
    if zero_snr:
        changes["timestep_spacing"] = "trailing"
    single_files.change_noise(pipeline, **changes)
    if zero_snr and pipeline.scheduler.config.prediction_type == "epsilon":
        reason = "with `zero_snr` it has to be of v_prediction: it finds nothing in pure noise by epsilon."
        raise unusable(files.source, reason)
