"""Sizes, steps, guidance and sampler that suit a model, by what its files and its name say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from easel.adding.kinds import read_json

Sizes = list[list[int]]

_SIZES: dict[int, Sizes] = {
    512: [[512, 512], [640, 448], [448, 640], [768, 384], [384, 768]],
    768: [[768, 768], [896, 640], [640, 896], [1024, 576], [576, 1024]],
    1024: [
        [1024, 1024], [1152, 896], [896, 1152], [1216, 832], [832, 1216], [1344, 768], [768, 1344],
        [1536, 640], [640, 1536],
    ],
}  # fmt: skip
_NATIVE = {"sd": 512, "sdxl": 1024, "zimage": 1024, "flux2_klein": 1024, "qwen_image": 1024}
"""Side in pixels of what a family was trained on, where nothing says otherwise."""
_FLOW = {"zimage": (28, 4.0), "flux2_klein": (28, 4.0), "qwen_image": (30, 4.0)}
"""Steps and guidance of families of flow matching."""
_FEW_STEPS = re.compile(r"(?<!\d)(\d{1,2})[ _-]?steps?(?![a-z])")


def defaults(place: Path, family: str, *said: str) -> dict[str, Any]:
    """Keys of a model's entry; `said` are its names and whatever else tells of it."""
    words = " ".join([place.name, *said]).casefold()
    native = _native_size(place, family, words)
    if family in _FLOW:
        sampling = _of_flow(place, family, words)
    else:
        sampling = _few_steps(place, words) or _many_steps(place, family)
    return {"sizes": _SIZES.get(native, [[native, native]]), **sampling}


def _native_size(place: Path, family: str, words: str) -> int:
    unet, vae = read_json(place / "unet" / "config.json"), read_json(place / "vae" / "config.json")
    latent, blocks = unet.get("sample_size"), vae.get("block_out_channels")
    if isinstance(latent, int) and isinstance(blocks, list) and blocks:
        return max(8, (latent << len(blocks) - 1) // 8 * 8)
    return 768 if family == "sd" and "768" in words else _NATIVE.get(family, 512)


def _of_flow(place: Path, family: str, words: str) -> dict[str, Any]:
    """Distilled models take few steps and no guidance, of which Z-Image has none at 0, others at 1."""
    steps, guidance = _FLOW[family]
    if family == "zimage" and "turbo" in words:
        steps, guidance = 9, 0.0
    elif read_json(place / "model_index.json").get("is_distilled") is True:
        steps, guidance = 4, 1.0
    return _sampling(steps, guidance, "euler", 100)


def _few_steps(place: Path, words: str) -> dict[str, Any]:
    """Sampling of a model that was distilled to few steps; empty for any other."""
    steps = next((int(found) for found in _FEW_STEPS.findall(words) if 0 < int(found) <= 16), 0)
    pipeline = str(read_json(place / "model_index.json").get("_class_name", ""))
    scheduler = read_json(place / "scheduler" / "scheduler_config.json").get("_class_name", "")
    if "LatentConsistency" in pipeline or scheduler == "LCMScheduler" or re.search(r"\blcm\b|[_-]lcm", words):
        guided = read_json(place / "unet" / "config.json").get("time_cond_proj_dim") is not None
        return _sampling(steps or 6, 8.0 if guided else 1.0, "lcm", 20)
    if "lightning" in words or re.search(r"\bhyper\b|[_-]hyper", words):
        return _sampling(steps or 4, 1.0, "euler", 20)
    if "turbo" in words:
        return _sampling(steps or 4, 1.0, "euler_a", 20)
    return {}


def _many_steps(place: Path, family: str) -> dict[str, Any]:
    told = read_json(place / "scheduler" / "scheduler_config.json")
    if told.get("prediction_type") == "v_prediction" and told.get("rescale_betas_zero_snr"):
        return _sampling(28, 5.0, "euler", 100)
    return _sampling(28 if family == "sdxl" else 25, 6.0 if family == "sdxl" else 7.5, "dpm++2m_karras", 100)


def _sampling(steps: int, guidance: float, sampler: str, most: int) -> dict[str, Any]:
    return {
        "num_inference_steps": steps,
        "max_steps": most,
        "guidance_scale": guidance,
        "scheduler": sampler,
    }
