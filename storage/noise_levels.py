"""Facts about noise that a model's source tells of itself: what is predicted, and levels up to pure noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from storage.weights_header import WeightsHeader, read

V_PREDICTION = "v_prediction"

_PREDICTIONS = {"v": V_PREDICTION, V_PREDICTION: V_PREDICTION, "epsilon": "epsilon", "eps": "epsilon"}
"""Values of `modelspec.prediction_type`."""
_ARCHITECTURES = {"stable-diffusion-v2-768-v": V_PREDICTION, "stable-diffusion-v2-512": "epsilon"}
"""Values of `modelspec.architecture` that tell of it too."""


class NoiseMarkers(NamedTuple):
    """Answers of a file or a folder; each is None where it says nothing."""

    prediction_type: str | None = None
    zero_snr: bool | None = None


def of_header(header: WeightsHeader) -> NoiseMarkers:
    """By the marker tensors `v_pred` and `ztsnr`, and by metadata of Stability AI's model specification."""
    spec = header.metadata
    prediction = _PREDICTIONS.get(spec.get("modelspec.prediction_type", "").casefold())
    prediction = prediction or _ARCHITECTURES.get(spec.get("modelspec.architecture", "").casefold())
    if "v_pred" in header.shapes:
        prediction = V_PREDICTION
    return NoiseMarkers(prediction, True if "ztsnr" in header.shapes else None)


def of_source(source: str) -> NoiseMarkers:
    """Of a folder or a single file on this machine; a file's own word goes before the folder's beside it."""
    place = Path(source)
    if not place.is_file():
        return _of_folder(place)
    try:
        told = of_header(read(place))
    except (OSError, ValueError):
        return NoiseMarkers()
    beside = _of_folder(place.with_suffix(""))
    return NoiseMarkers(
        told.prediction_type or beside.prediction_type,
        beside.zero_snr if told.zero_snr is None else told.zero_snr,
    )


def _of_folder(folder: Path) -> NoiseMarkers:
    try:
        config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
        return NoiseMarkers(config.get("prediction_type"), config.get("rescale_betas_zero_snr"))
    except (OSError, ValueError, AttributeError, RecursionError):
        return NoiseMarkers()
