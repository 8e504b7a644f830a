"""Pipelines of diffusion models: loaded from a folder, a file or a Hugging Face id, and checked."""

from __future__ import annotations

from typing import Any

import torch

from generator import pretrained
from generator.families.sources import is_single_file, layout_beside, unusable

PREDICTIONS = ("epsilon", "v_prediction", "sample")
"""Prediction types of diffusion models in diffusers' scheduler configs."""


def load(kind: Any, source: str, dtype: torch.dtype, **arguments: Any) -> Any:
    """A pipeline of this class.

    Raises:
        CatalogError: its tokenizer lacks its files, or its scheduler is of another kind of model.
        Exception: one of `pretrained.UNREADABLE`.
    """
    pipeline = _loaded(kind, source, dtype, arguments)
    _check_words(source, pipeline)
    _check_scheduler(source, pipeline.scheduler)
    return pipeline


def _loaded(kind: Any, source: str, dtype: torch.dtype, arguments: dict[str, Any]) -> Any:
    if is_single_file(source):
        layout = layout_beside(source)
        config = {"config": str(layout)} if layout.is_dir() else {}
        return pretrained.whole_file(kind, source, dtype=dtype, **arguments, **config)
    return pretrained.network(kind, source, dtype=dtype, **arguments)


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
    flow = scheduler.config.get("use_flow_sigmas") or not hasattr(scheduler, "alphas_cumprod")
    if flow or scheduler.config.prediction_type not in PREDICTIONS:
        raise unusable(
            source,
            f"its scheduler, {type(scheduler).__name__}, is not one of a diffusion model, and no sampler of"
            " Stable Diffusion fits it.",
        )
