"""Facts that a catalog's source tells of itself before its weights are loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

from generator.inspection import acceptance, model_folders
from generator.inspection.inspecting import inspect
from storage import model_families
from storage.errors import CatalogError

_CONFIGURATIONS = ["model_index.json", "*/config.json", "*/scheduler_config.json"]
"""Files by which a model is known before its weights are fetched."""


def unusable(source: str, reason: str) -> CatalogError:
    return CatalogError(f"The model at {source} cannot be loaded: {reason}")


def is_single_file(source: str) -> bool:
    return source.endswith(".safetensors")


def layout_beside(file: str) -> Path:
    """The diffusers folder that describes a single file's networks: of the same name, without the suffix."""
    return Path(file).with_suffix("")


def family_of(source: str, stated: str | None = None) -> str:
    """Of which family a folder, a single file or a Hugging Face id is; `stated` by the catalog.

    Raises:
        CatalogError: there is nothing of the kind, or Easel cannot draw with it; the text says what it is.
    """
    if not is_single_file(source) and not Path(source).is_file() and not index(source):
        raise unusable(source, "it is no diffusers model, for it has no model_index.json.")
    try:
        found = inspect(source)
    except CatalogError as error:
        raise unusable(source, _told_of_it(source, str(error))) from None
    reason = acceptance.refusal(found, "source", stated)
    if reason is None and is_single_file(source):
        reason = next(model_folders.faults_of_layout(Path(source), found.base.family), None)
    if reason is not None:
        raise unusable(source, f"{reason}.")
    return found.base.family or stated or next(iter(model_families.FAMILIES))


def _told_of_it(source: str, text: str) -> str:
    begin = f"{source} "
    return f"it {text.removeprefix(begin)}" if text.startswith(begin) else text


def index(source: str) -> dict[str, Any]:
    """`model_index.json` of a folder or a Hugging Face id; empty where it has none.

    Raises:
        CatalogError: there is no such folder, and no such id or no Hub to ask.
    """
    folder = Path(source) if Path(source).is_dir() else _from_hub(source)
    try:
        found = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except OSError:
        return {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise unusable(source, "its model_index.json is not JSON, or not an object.")
    return found


def _from_hub(source: str) -> Path:
    try:
        # Unlike `hf_hub_download`, it does not try for half a minute where there is no network.
        return Path(snapshot_download(source, allow_patterns=_CONFIGURATIONS))
    except HFValidationError:
        raise unusable(source, "there is no such folder.") from None
    except RepositoryNotFoundError:
        reason = "there is neither such a folder nor such a model on Hugging Face, or it needs your HF_TOKEN."
        raise unusable(source, reason) from None
    except LocalEntryNotFoundError:
        reason = (
            "there is no such folder, nor is it in the Hugging Face cache, and the Hub cannot be reached from"
            " here. Where there is a network, `easel models check --load` fetches it."
        )
        raise unusable(source, reason) from None
    except OSError as error:
        raise unusable(source, f"Hugging Face answers {error}".splitlines()[0]) from error
