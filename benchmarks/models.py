"""The models of the benchmark by name, each opened twice: in Easel's engine and as diffusers' pipeline.

Each side has networks of its own, because the engine may lay them out anew for its device.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import diffusers
import torch
import transformers

from benchmarks import published
from benchmarks.pipeline import Pipeline, any_attention
from generator import devices
from generator.compiling.compiler import Compiler, users_folder
from generator.engine.device_thread import DeviceThread
from generator.engine.engine import Engine
from generator.families.sd import StableDiffusion
from generator.families.sdxl import StableDiffusionXL
from storage import catalog

NAMES = ("picturebook", *published.ARCHITECTURES)


@dataclass(frozen=True)
class Model:
    """`make` gives a new pipeline of diffusers' for a number type, perhaps on the device already."""

    name: str
    title: str
    family: Literal["sd", "sdxl"]
    pixels: int
    make: Callable[[torch.dtype, torch.device], Any]


def quiet() -> None:
    """No bar for every file that is loaded, no advice of diffusers' on what is meant here."""
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    logging.getLogger("diffusers").setLevel(logging.ERROR)


def named(name: str) -> Model:
    """One of `NAMES`, or a diffusers folder."""
    if name in published.ARCHITECTURES:
        architecture = published.ARCHITECTURES[name]
        make = partial(published.pipeline, architecture)
        return Model(name, architecture.title, architecture.family, architecture.pixels, make)
    if name == "picturebook":
        return _in_folder(name, "Picturebook", catalog.shipped_catalog().parent / "model")
    return _in_folder(name, Path(name).name, Path(name))


KINDS = {"sd": StableDiffusion, "sdxl": StableDiffusionXL}


def open_engine(model: Model, device: torch.device) -> Engine:
    """As `Engine.open`, also where there is no folder to load."""
    return Engine(family(model, device), DeviceThread(device), compiler=Compiler(users_folder()))


def family(model: Model, device: torch.device) -> StableDiffusion:
    dtype = devices.dtype(device)
    return KINDS[model.family](model.make(dtype, device), device, dtype)


def open_pipeline(model: Model, device: torch.device) -> Pipeline:
    """In the engine's precision, otherwise as diffusers makes it."""
    return Pipeline(model.make(devices.dtype(device), device).to(device), any_attention)


def _in_folder(name: str, title: str, folder: Path) -> Model:
    kind_name: Literal["sd", "sdxl"] = (
        "sdxl" if "XL" in _json(folder / "model_index.json")["_class_name"] else "sd"
    )
    scale = 2 ** (len(_json(folder / "vae" / "config.json")["block_out_channels"]) - 1)
    pixels = _json(folder / "unet" / "config.json")["sample_size"] * scale
    kind = KINDS[kind_name]

    def make(dtype: torch.dtype, device: torch.device) -> Any:
        del device
        return kind.pipeline_class.from_pretrained(str(folder), dtype=dtype, **kind.load_arguments)

    return Model(name, title, kind_name, pixels, make)


def _json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content
