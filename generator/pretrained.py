"""Networks from files: weights from `.safetensors` alone, and no code that comes with them is ever run.

Nothing else in `generator/` calls the loaders of diffusers and transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from diffusers.loaders.single_file_utils import SingleFileComponentError
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError, safe_open
from torch import Tensor

from storage.catalog_values import PICKLED, names_a_file

UNREADABLE = (
    *(OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, IndexError, ImportError),
    *(SafetensorError, SingleFileComponentError, UnpicklingError),
)
"""Exceptions that the loaders raise at files that are damaged, of another kind or missing."""


def network(kind: Any, source: str, **how: Any) -> Any:
    """A network or a pipeline from a folder or Hugging Face id."""
    return kind.from_pretrained(source, use_safetensors=True, trust_remote_code=False, **how)


def diffusers_network(kind: Any, source: str, **how: Any) -> Any:
    """One of diffusers' networks, whose loader knows of no code but its own."""
    return kind.from_pretrained(source, use_safetensors=True, **how)


def beside(kind: Any, source: str, **how: Any) -> Any:
    """A tokenizer, a processor or a configuration: what has no weights."""
    return kind.from_pretrained(source, trust_remote_code=False, **how)


def whole_file(kind: Any, file: str, **how: Any) -> Any:
    """A pipeline from one `.safetensors` file."""
    return kind.from_single_file(file, use_safetensors=True, **how)


def tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a `.safetensors` file on the CPU, and what its header says beside them."""
    with safe_open(file, framework="pt", device="cpu") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata() or {}  # noqa: SIM118


def file_of(source: str, file: str | None, usual: str) -> Path:
    """A weight file: the source itself, or a file of a folder or a Hugging Face id, from which it is fetched.

    Without a `file` it is the one of the `usual` name, or the only one of a folder.
    """
    place = Path(source)
    if place.is_dir():
        alone = sorted(place.glob("*.safetensors"))
        return place / (file or (alone[0].name if len(alone) == 1 else usual))
    return place if names_a_file(source) else Path(hf_hub_download(source, file or usual))


def add_image_adapters(pipeline: Any, places: Sequence[tuple[str, str, str]]) -> None:
    """Add IP-Adapters to a pipeline; each place is a folder or id, a subfolder and a file."""
    sources, folders, files = zip(*places, strict=True)
    pipeline.load_ip_adapter(
        list(sources), subfolder=list(folders), weight_name=list(files), image_encoder_folder=None
    )


def reason(source: str, error: BaseException) -> str:
    """Reason why a source cannot be loaded, in one sentence."""
    text = str(error).strip()
    if "trust_remote_code" in text:
        return (
            "it is of a kind that only code of its own can load, and Easel runs none that comes with a model."
            " Name one of a kind that transformers has."
        )
    if isinstance(error, UnpicklingError) or ("safetensors" in text and isinstance(error, OSError)):
        pickled = _pickled(source)
        if pickled is not None:
            return (
                f"{pickled} is a pickle, which may run code when it is read. Make a .safetensors file of it:"
                f" easel models convert {source}"
            )
        if not Path(source).exists():
            return (
                f"{_first_line(text, error)} (Where it has pickled weights alone, download it with"
                f" `hf download {source} --local-dir FOLDER`, make .safetensors files of them with"
                " `easel models convert FOLDER`, and name the folder.)"
            )
    return _first_line(text, error)


def _first_line(text: str, error: BaseException) -> str:
    return (text or type(error).__name__).splitlines()[0]


def _pickled(source: str) -> Path | None:
    """A pickle in a folder (or one of its own folders) that has no safe weights beside it."""
    place = Path(source)
    files = sorted(place.rglob("*")) if place.is_dir() else []
    for file in files:
        if file.suffix in PICKLED and not any(file.parent.glob("*.safetensors")):
            return file
    return None
