"""Models drawn with by what a catalog says of them, and model files changed in one thing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from generator.engine.engine import Engine
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest
from tests.generator import original_layout
from tests.generator.reference import Images


def asked(**wish: Any) -> GenerationRequest:
    fields = {"prompt": "a red castle", "width": 64, "height": 64, "seed": 5}
    more = {"num_inference_steps": 3, "num_images_per_prompt": 2}
    return GenerationRequest.model_validate(fields | more | wish)


def entry(source: Path | str, **keys: Any) -> ModelEntry:
    return ModelEntry(name="m", title="M", source=str(source), sizes=((64, 64),), **keys)


def drawn(source: Path | str, wish: GenerationRequest | None = None, **keys: Any) -> Images:
    with Engine.open(str(source), device="cpu", entry=entry(source, **keys)) as engine:
        return engine.submit(wish or asked()).result()


def layout(folder: Path, of: Path) -> Path:
    """Everything but the weights, as an operator would fetch it."""
    return Path(shutil.copytree(of, folder, ignore=shutil.ignore_patterns("*.safetensors")))


def scheduled(folder: Path, to: Path, **keys: Any) -> Path:
    """The same model with other keys in its scheduler's config."""
    shutil.copytree(folder, to)
    file = to / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | keys))
    return to


def marked(folder: Path, file: Path, *markers: str) -> Path:
    """The model in a single file, with empty tensors of these names."""
    return original_layout.write(folder, file, markers=markers)


def rewritten(file: Path, *, without: Sequence[str] = (), metadata: dict[str, str] | None = None) -> Path:
    """The file without tensors whose names begin so, or with other metadata."""
    lost = tuple(without)
    kept = {name: weight for name, weight in load_file(file).items() if not (lost and name.startswith(lost))}
    save_file(kept, file, metadata=metadata)
    return file
