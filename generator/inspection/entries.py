"""Faults of a catalog's entries: files that are missing or damaged, and what Easel cannot draw with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from generator.inspection import acceptance, model_folders, weights
from generator.inspection.inspected import Inspection
from generator.inspection.inspecting import look
from storage import catalog_values
from storage.catalog_model import ModelEntry
from storage.errors import CatalogError

Judge = Callable[[Path], Iterator[str]]
"""Finds files that are missing or damaged in a folder."""


class _Beside(NamedTuple):
    """Something that an entry names beside its model; `key` is the catalog's, as `acceptance` knows it."""

    key: str
    source: str
    judge: Judge
    title: str = ""
    file: str | None = None


def faults(entry: ModelEntry, *, unchecked: bool = False) -> Iterator[str]:
    """Find faults of a model without loading it; what is not on this machine is taken at its word.

    If `unchecked`, it needs no safety checker.
    """
    model, reason = _identified(entry)
    if reason is None:
        yield from _of_model_files(entry)
        if not unchecked:
            yield from _of_checker(entry)
    else:
        yield f"{entry.source} cannot be drawn with: {reason}"
    for beside in _all_beside(entry):
        title = f"{beside.title} cannot be used: " if beside.title else ""
        yield from (f"{title}{fault}" for fault in _of_beside(beside, model, entry.stated_family))
    yield from _of_adapters(entry)
    yield from _of_words(entry)


def _identified(entry: ModelEntry) -> tuple[Inspection | None, str | None]:
    """The model, as far as it can be told, and the reason why Easel does not draw with it."""
    try:
        found = look(entry.source)
    except CatalogError:
        found = None  # its files tell more
    if found is None:
        return None, None
    reason = acceptance.refusal(found, "source", entry.stated_family)
    if reason is None and entry.zero_snr and not entry.prediction_type:
        reason = _of_pure_noise(found)
    if reason is None and Path(entry.source).is_file():
        reason = next(model_folders.faults_of_layout(Path(entry.source), found.base.family), None)
        reason = reason or _lacking(entry.source, found, vae=entry.vae)
    return (None if reason else found), reason


def _of_pure_noise(found: Inspection) -> str | None:
    if found.prediction is None or found.prediction.type != "epsilon":
        return None
    return "with `zero_snr` it has to be of v_prediction, and it is of epsilon: say so with `prediction_type`"


def _lacking(source: str, found: Inspection, *, vae: str | None = None) -> str | None:
    """Reason for which a single file is no model: it lacks parts that nothing beside it brings."""
    beside = Path(source).with_suffix("")
    brought = {
        "VAE": vae is not None or any(beside.glob("vae/*.safetensors")),
        "text encoder": any(beside.glob("text_encoder/*.safetensors")),
    }
    lacks = [part for part in found.missing if not brought.get(part)]
    return f"it holds no {' and no '.join(lacks)}, nor does a folder beside it" if lacks else None


def _of_beside(beside: _Beside, model: Inspection | None, family: str | None) -> Iterator[str]:
    lacks = list(_on_disk(beside))
    if lacks:
        yield from lacks
        return
    try:
        found = look(beside.source, beside.file)
    except CatalogError as error:
        yield str(error)
        return
    reason = found and (
        acceptance.refusal(found, beside.key, family)
        or (model and acceptance.misfit(found, model.base, beside.key))
        or (_lacking(beside.source, found) if beside.key == "inpainting" else None)
    )
    if reason:
        yield f"{Path(beside.source, beside.file or '')}: {reason}" if not beside.title else reason


def _of_adapters(entry: ModelEntry) -> Iterator[str]:
    """Problem of an adapter that has no file, or another image encoder than its own."""
    for role, adapter in entry.adapters.items():
        if adapter.file is None and not adapter.source.endswith(catalog_values.SAFE):
            yield f"the image adapter for {role}: say with `file` which file of {adapter.source} it is"
            continue
        try:
            found, encoder = look(adapter.source, adapter.file), look(adapter.image_encoder)
        except CatalogError:
            continue  # said already
        reason = found and encoder and acceptance.unread(found, encoder)
        if reason:
            yield f"the image adapter for {role} cannot be used: {reason}"


def _all_beside(entry: ModelEntry) -> Iterator[_Beside]:
    yield from _companions_of(entry)
    yield from _networks_of(entry)
    for name, lora in {**entry.always_loras, **entry.loras}.items():
        file = lora.file or _only_file(lora.source)
        yield _Beside("loras", lora.source, weights.faults_of_weights, f"the LoRA {name}", file)
    for name, embedding in entry.embeddings.items():
        title = f"the embedding {name}"
        yield _Beside("embeddings", embedding.source, weights.faults_of_weights, title, embedding.file)
    for kind, control in entry.controls.items():
        yield _Beside("controls", control.source, weights.faults_of_network, f"the control {kind}")
    for role, adapter in entry.adapters.items():
        title = f"the image adapter for {role}"
        yield _Beside("adapters", adapter.source, weights.faults_of_weights, title, adapter.file)
        encoder = f"the image encoder for {role}"
        yield _Beside("image_encoder", adapter.image_encoder, weights.faults_of_network, encoder)


def _only_file(source: str) -> str | None:
    """The file of weights that a folder has alone; None for what is no such folder."""
    found = [file.name for file in Path(source).glob("*.safetensors")] if Path(source).is_dir() else []
    return found[0] if len(found) == 1 else None


def _companions_of(entry: ModelEntry) -> Iterator[_Beside]:
    upscalers = (*entry.upscalers.values(), entry.upscaler)
    for source in dict.fromkeys(each.source for each in upscalers if each):
        yield _Beside("upscalers", source, weights.faults_of_network)
    if entry.describer is not None:
        yield _Beside("describer", entry.describer.source, model_folders.faults_of_reader)
    if entry.segmenter is not None:
        yield _Beside("segmenter", entry.segmenter.source, model_folders.faults_of_reader)
    if entry.safety_checker is not None:
        yield _Beside("safety_checker", entry.safety_checker, model_folders.faults_of_checker_source)


def _networks_of(entry: ModelEntry) -> Iterator[_Beside]:
    """Networks in the place of the model's own, for all or for some of its jobs; a part's may be in the
    folder of a whole model.
    """
    whole = partial(model_folders.faults_of_model, family=entry.family)
    judges: dict[str, tuple[str | None, Judge]] = {
        "unet": (entry.unet, weights.faults_of_network),
        "vae": (entry.vae, weights.faults_of_network),
        "inpainting": (entry.inpainting, whole),
        "refiner": (entry.refiner, model_folders.faults_of_refiner),
    }
    for key, (source, judge) in judges.items():
        if source is not None:
            part = Path(source, key)
            yield _Beside(key, str(part) if part.is_dir() else source, judge, f"its `{key}`")


def _of_model_files(entry: ModelEntry) -> Iterator[str]:
    source = Path(entry.source)
    if source.is_dir():
        yield from model_folders.faults_of_model(source, entry.family)
    elif catalog_values.names_a_file(entry.source):
        if not source.is_file():
            yield f"{source} does not exist"
            return
        yield from weights.faults_of_file(source)
        layout = source.with_suffix("")
        if layout.is_dir():
            yield from model_folders.faults_of_model(layout, entry.family, weights=False)


def _of_checker(entry: ModelEntry) -> Iterator[str]:
    source = Path(entry.source)
    if entry.safety_checker is not None:
        return
    if source.is_file():
        yield "a single file has no safety checker: name one with safety_checker"
    elif source.is_dir() and not (source / "safety_checker").is_dir():
        yield f"{source} has no safety_checker, and the catalog names none"


def _of_words(entry: ModelEntry) -> Iterator[str]:
    if entry.vocabulary is None:
        return
    try:
        Path(entry.vocabulary).read_bytes().decode("utf-8")
    except FileNotFoundError:
        yield f"{entry.vocabulary} does not exist"
    except OSError as error:
        yield f"{entry.vocabulary} cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        yield f"{entry.vocabulary} is not UTF-8 text: save it as UTF-8"


def _on_disk(beside: _Beside) -> Iterator[str]:
    """Problem of a source, where it is no Hugging Face id."""
    place = Path(beside.source, beside.file or "")
    if not Path(beside.source).exists() and not catalog_values.names_a_file(beside.source):
        return
    if not place.exists():
        yield f"{place} does not exist"
    elif place.is_dir():
        yield from beside.judge(place)
    else:
        yield from weights.faults_of_file(place)
