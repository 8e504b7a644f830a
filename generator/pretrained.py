"""Networks from files: weights from `.safetensors` alone, and no code that comes with them is ever run.

Nothing else in `generator/` calls the loaders of diffusers and transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from diffusers.loaders.single_file_utils import (
    SingleFileComponentError,
    convert_controlnet_checkpoint,
    create_diffusers_clip_model_from_ldm,
)
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from storage.catalog_values import PICKLED, names_a_file

UNREADABLE = (
    *(OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, IndexError, ImportError),
    *(SafetensorError, SingleFileComponentError, UnpicklingError),
)
"""Exceptions that the loaders raise at files that are damaged, of another kind or missing."""


HALF = "fp16"
"""diffusers' and transformers' name of the variant of weights whose files end in `.fp16.safetensors`."""


def network(kind: Any, source: str, **how: Any) -> Any:
    """A network or a pipeline from a folder or Hugging Face id."""
    how |= _variant(_folder(source) / how.get("subfolder", ""))
    return kind.from_pretrained(source, use_safetensors=True, trust_remote_code=False, **how)


def diffusers_network(kind: Any, source: str, **how: Any) -> Any:
    """One of diffusers' networks, whose loader knows of no code but its own."""
    how |= _variant(_folder(source) / how.get("subfolder", ""))
    return kind.from_pretrained(source, use_safetensors=True, **how)


def configuration(kind: Any, source: str, folder: str) -> dict[str, Any]:
    """The configuration of one of diffusers' networks; empty where the source has none in this folder."""
    try:
        found: dict[str, Any] = kind.load_config(source, subfolder=folder)
    except OSError:
        return {}
    return found


def weights(file: str) -> dict[str, Tensor]:
    """Tensors of a `.safetensors` file by their names."""
    return load_file(file)


def network_of(kind: Any, tensors: dict[str, Tensor], layout: str, folder: str, dtype: torch.dtype) -> Any:
    """One of diffusers' networks from its tensors, by the configuration in a folder of `layout`.

    They are named as in diffusers, or as in the first Stable Diffusion.
    """
    return kind.from_single_file(tensors, config=layout, subfolder=folder, dtype=dtype, use_safetensors=True)


def text_encoder_of(
    kind: Any, tensors: dict[str, Tensor], layout: str, folder: str, dtype: torch.dtype
) -> Any:
    """A CLIP text encoder from the tensors of a whole checkpoint, as `network_of`."""
    return create_diffusers_clip_model_from_ldm(
        kind, tensors, subfolder=folder, config=layout, torch_dtype=dtype, local_files_only=True
    )


def _folder(source: str) -> Path:
    """The folder of a source: itself, or where the Hugging Face cache keeps an id."""
    if Path(source).is_dir():
        return Path(source)
    try:
        kept = [try_to_load_from_cache(source, name) for name in ("model_index.json", "config.json")]
    except HFValidationError:
        return Path(source)
    return next((Path(file).parent for file in kept if isinstance(file, str)), Path(source))


def _variant(folder: Path) -> dict[str, str]:
    """The argument that asks for half precision, where a network in a folder has weights in nothing else."""
    halves = [*folder.glob(f"*.{HALF}.safetensors"), *folder.glob(f"*/*.{HALF}.safetensors")]
    alone = [half for half in halves if not half.with_name(half.name.replace(f".{HALF}.", ".")).exists()]
    return {"variant": HALF} if alone else {}


def control_weights(given: dict[str, Tensor], layers_per_block: int) -> dict[str, Tensor]:
    """A ControlNet's weights under diffusers' keys, whatever layout they come in."""
    converted: dict[str, Tensor] = convert_controlnet_checkpoint(
        given, {"layers_per_block": layers_per_block}
    )
    for old, new in _XL_SIZES.items():  # which diffusers' conversion leaves behind
        for name in (f"{old}.weight", f"{old}.bias"):
            found = given.get(name, given.get(f"control_model.{name}"))
            if found is not None:
                converted[name.replace(old, new)] = found
    return converted


_XL_SIZES = {"label_emb.0.0": "add_embedding.linear_1", "label_emb.0.2": "add_embedding.linear_2"}
"""Layers by which a network for XL reads a picture's size, in the original layout and diffusers'."""


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


def local_file(source: str, folder: str, name: str) -> Path:
    """The file of a folder or Hugging Face id, downloaded where it is not here yet."""
    if Path(source).exists():
        return Path(source, folder, name)
    return Path(hf_hub_download(source, name, subfolder=folder or None))


def reason(source: str, error: BaseException) -> str:
    """Reason why a source cannot be loaded, in one sentence."""
    text = str(error).strip()
    if "meta tensor" in text:
        return (
            "it lacks some of the tensors that its configuration asks for: it is a model of another size, or"
            " a part of one."
        )
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
    first = (text or type(error).__name__).splitlines()[0]
    return first.partition(" If you want to instead overwrite")[0]


def _pickled(source: str) -> Path | None:
    """A pickle in a folder (or one of its own folders) that has no safe weights beside it."""
    place = Path(source)
    files = sorted(place.rglob("*")) if place.is_dir() else []
    for file in files:
        if file.suffix in PICKLED and not any(file.parent.glob("*.safetensors")):
            return file
    return None
