"""Models' folders, judged by their files: what has no weights too, and nothing but Python is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from generator.inspection.weights import faults_of_network, faults_of_network_config, read_json
from storage import model_families

NETWORKS = ("vae", "text_encoder")
TOKENIZERS = ("tokenizer",)
SECOND = {"sdxl": ("text_encoder_2", "tokenizer_2")}
"""Parts that a family has besides."""
LIBRARIES = ("diffusers", "transformers")
"""Libraries of known parts; one of another name is code that comes with the model."""
WORDS = ("vocab.json", "vocab.txt", "spiece.model", "tokenizer.model")
"""In which tokenizers without a tokenizer.json keep their words."""
PICTURES = ("preprocessor_config.json", "processor_config.json")


def faults_of_model(folder: Path, family: str, *, weights: bool = True) -> Iterator[str]:
    """Find faults of a model's folder in diffusers' layout; `family` is what it is where it does not say.

    Without `weights` it is the layout that lies beside a single file.
    """
    index = read_json(folder / "model_index.json")
    if not index:
        yield f"{folder} is not a diffusers folder: it has no model_index.json, or one that says nothing"
        return
    kind = index.get("_class_name", "")
    if not isinstance(kind, str):
        yield f"{folder}/model_index.json names no pipeline: its `_class_name` has to be a name"
        return
    name = model_families.of_pipeline(kind) or family
    networks = (model_families.FAMILIES[name].denoiser, *NETWORKS)
    more = SECOND.get(name, ())
    judge = faults_of_network if weights else faults_of_network_config
    for part in (*networks, *TOKENIZERS, *more, "scheduler"):
        fault = _fault_of_name(index.get(part))
        if fault:
            yield f"{folder}/model_index.json {fault} as its `{part}`"
        elif part.startswith("tokenizer"):
            yield from faults_of_tokenizer(folder / part)
        elif part == "scheduler":
            yield from _faults_of_json(folder / part, ("scheduler_config.json",))
        else:
            yield from judge(folder / part)
    if weights and _is_named(index.get("safety_checker")):
        yield from faults_of_checker(folder / "safety_checker", folder / "feature_extractor")


def faults_of_refiner(folder: Path) -> Iterator[str]:
    """Find faults of a folder of Stable Diffusion XL's refiner, which reads the second text encoder alone."""
    for part in ("unet", "vae", "text_encoder_2"):
        yield from faults_of_network(folder / part)
    yield from faults_of_tokenizer(folder / "tokenizer_2")


def faults_of_layout(file: Path, family: str | None) -> Iterator[str]:
    """Find the fault that a layout beside a single file of this family is of another."""
    layout = file.with_suffix("")
    told = model_families.of_folder(str(layout))
    if told not in (family, None):
        yield f"it is of the family {family!r}, but the layout in {layout} is not"


def faults_of_checker_source(folder: Path) -> Iterator[str]:
    """Find faults of a folder that is a safety checker, or of a model that has one."""
    alone = (folder / "config.json").is_file() or not (folder / "model_index.json").is_file()
    if alone:
        return faults_of_checker(folder, folder)
    return faults_of_checker(folder / "safety_checker", folder / "feature_extractor")


def faults_of_checker(network: Path, processor: Path) -> Iterator[str]:
    """Find faults of a safety checker, and of what prepares pictures for it."""
    yield from faults_of_network(network)
    yield from _faults_of_json(processor, PICTURES)


def faults_of_reader(folder: Path) -> Iterator[str]:
    """Find faults of a companion that deals with pictures and words: a describer, a segmenter."""
    yield from faults_of_network(folder)
    if folder.is_dir():
        yield from _faults_of_json(folder, PICTURES)
        yield from faults_of_tokenizer(folder)


def faults_of_tokenizer(folder: Path) -> Iterator[str]:
    """Find faults of a tokenizer, in either of transformers' layouts."""
    if not folder.is_dir():
        yield f"{folder} does not exist"
    elif (folder / "tokenizer.json").is_file():
        yield from _faults_of_json(folder, ("tokenizer.json",))
    elif (folder / "vocab.json").is_file():
        yield from _faults_of_json(folder, ("vocab.json",))
        if not (folder / "merges.txt").is_file():
            yield f"{folder} has no merges.txt"
    elif not any((folder / name).is_file() for name in WORDS):
        yield f"{folder} has no tokenizer: neither tokenizer.json, nor vocab.json and merges.txt"


def _faults_of_json(folder: Path, names: tuple[str, ...]) -> Iterator[str]:
    """Problem of the first that is there of several files."""
    if not folder.is_dir():
        yield f"{folder} does not exist"
        return
    there = next((name for name in names if (folder / name).is_file()), None)
    if there is None:
        yield f"{folder} has no {names[0]}"
    elif read_json(folder / there) is None:
        yield f"{folder / there} is not JSON"


def _fault_of_name(named: Any) -> str | None:
    """Problem of a part of the index: the library and the kind."""
    if not _is_named(named):
        return "names nothing"
    library, kind = named
    if library not in LIBRARIES:
        return f"names {library}.{kind}, and Easel runs no code that comes with a model,"
    return None


def _is_named(named: Any) -> bool:
    return isinstance(named, list) and len(named) == 2 and all(isinstance(name, str) for name in named)
