"""Models on Hugging Face, through its own client, which resumes what was cut and reads HF_TOKEN."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo
from tqdm.auto import tqdm

from easel.adding import downloads
from easel.adding.kinds import read_json
from easel.adding.remote import Advance, Offered, RemoteFile, safe_name
from storage.catalog_values import PICKLED
from storage.errors import FetchError

SITE = "huggingface.co"
INDEX = "model_index.json"
_DESCRIPTIONS = (".json", ".txt", ".model")
_VARIANT = re.compile(r"\.(fp16|bf16|fp32|non_ema|ema)(?=[.-])")


def endpoint() -> str | None:
    """Another address of the Hub: the variable HF_ENDPOINT."""
    return os.environ.get("HF_ENDPOINT")


def is_link(source: str) -> bool:
    return source.startswith(("http://", "https://")) and urlsplit(source).netloc in (SITE, f"www.{SITE}")


def of_link(link: str) -> tuple[str, str | None, str | None]:
    """Id, file and revision of a link to a model's page, to one of its branches or to one of its files."""
    path = urlsplit(link).path.rstrip("/")
    found = re.fullmatch(r"/([^/]+/[^/]+)(?:/(?:blob|resolve)/([^/]+)/(.+)|/tree/([^/]+))?", path)
    if found is None:
        raise FetchError(
            f"{link} names no model: take the address of a model's page, or of one of its files."
        )
    file, revision = found[3], found[2] or found[4]
    return found[1], file and unquote(file), revision and unquote(revision)


def offered(id_: str, file: str | None, revision: str | None = None) -> Offered:
    """A model of the Hub: a folder in diffusers' layout, or the one file that is asked for or there.

    Raises:
        FetchError: there is no such model, it needs an account, or it has nothing that Easel reads.
    """
    with _spoken_of(id_):
        told = HfApi(endpoint=endpoint()).model_info(id_, revision=revision, files_metadata=True)
    files = {each.name: each for each in _files(told)}
    parts = _parts(id_, told.sha) if INDEX in files and file is None else None
    chosen = _chosen(id_, files, file, parts)
    card: Any = told.card_data or {}
    names = [card.get(key) for key in ("license_name", "license", "license_link")]
    return Offered(
        title=id_.rpartition("/")[2],
        files=chosen,
        fetch=partial(_fetch_alone if len(chosen) == 1 else _fetch, id_, told.sha),
        single=len(chosen) == 1,
        made_for=_text(card.get("base_model")),
        license=" ".join(dict.fromkeys(name for name in map(_text, names) if name and name != "other")),
        trigger=_text(card.get("instance_prompt")),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ", ".join(map(str, value)) if isinstance(value, list) else ""


def _files(told: ModelInfo) -> Iterator[RemoteFile]:
    for each in told.siblings or ():
        sha256 = each.lfs.sha256 if each.lfs else None
        yield RemoteFile(safe_name(each.rfilename), each.size, sha256)


def _chosen(
    id_: str, files: dict[str, RemoteFile], file: str | None, parts: Collection[str] | None
) -> Sequence[RemoteFile]:
    if file is not None:
        if file not in files:
            raise FetchError(f"{id_} has no file {file!r}; it has {', '.join(sorted(files)[:12])}.")
        return [files[file]]
    if parts is not None or "config.json" in files:
        return _layout(id_, files, parts)
    whole = [name for name in files if name.endswith(".safetensors")]
    if len(whole) == 1:
        return [files[whole[0]]]
    if whole:
        raise FetchError(f"{id_} has several files: say one with --file ({', '.join(sorted(whole)[:12])}).")
    raise _without_weights(id_, files)


def _layout(id_: str, files: dict[str, RemoteFile], parts: Collection[str] | None) -> Sequence[RemoteFile]:
    """Files of a folder in diffusers' layout: what describes it, and one set of weights of each of its parts.

    Whole checkpoints that lie beside the parts are other forms of the same, and left out. Without `parts` it
    is one network alone.
    """
    if parts is None:
        wanted = _part(id_, [name for name in files if "/" not in name])
    else:
        wanted = [name for name in files if "/" not in name and name.endswith(_DESCRIPTIONS)]
        for part in parts:
            wanted += _part(id_, [name for name in files if str(PurePosixPath(name).parent) == part])
    if not any(name.endswith(".safetensors") for name in wanted):
        raise _without_weights(id_, files)
    return [files[name] for name in wanted]


def _part(id_: str, names: Sequence[str]) -> list[str]:
    """Files of one folder that are needed: half precision only where there is no other."""
    weights = [name for name in names if name.endswith(".safetensors")]
    if not weights and any(name.endswith(PICKLED) for name in names):
        raise _without_weights(id_, names)
    plain = [name for name in weights if not _VARIANT.search(name)]
    chosen = plain or [name for name in weights if ".fp16." in name] or weights
    variant = None if plain or not chosen else _VARIANT.search(chosen[0])
    return chosen + [
        name
        for name in names
        if name.endswith(_DESCRIPTIONS)
        and (not (found := _VARIANT.search(name)) or (variant and found[0] == variant[0]))
    ]


def _parts(id_: str, revision: str | None) -> Collection[str]:
    """Folders that a pipeline's index names, read before anything large is fetched.

    Raises:
        FetchError: it has no UNet, so it is no Stable Diffusion.
    """
    with tempfile.TemporaryDirectory() as folder, _spoken_of(id_):
        index = read_json(
            Path(hf_hub_download(id_, INDEX, revision=revision, local_dir=folder, endpoint=endpoint()))
        )
    if "unet" not in index:
        kind = index.get("_class_name", "pipeline of another kind")
        raise FetchError(f"{id_} is a {kind}: Easel draws with Stable Diffusion 1.x, 2.x and XL alone.")
    return [part for part, kind in index.items() if isinstance(kind, list) and None not in kind]


def _without_weights(id_: str, files: Iterable[str]) -> FetchError:
    if any(name.endswith(PICKLED) for name in files):
        return FetchError(
            f"{id_} has pickles, which may run code, where .safetensors files are wanted: `hf download {id_}"
            " --local-dir FOLDER`, `easel models convert FOLDER`, then add the folder."
        )
    return FetchError(
        f"{id_} has no weights that Easel reads: it has {', '.join(sorted(files)[:12]) or 'no files'}."
    )


def _fetch(id_: str, revision: str | None, file: RemoteFile, target: Path, advance: Advance) -> None:
    """Bring a file to where it belongs in its folder; the client goes on with what was cut."""
    target.parent.mkdir(parents=True, exist_ok=True)
    root = target
    for _ in PurePosixPath(file.name).parts:
        root = root.parent
    with _spoken_of(id_):
        place = hf_hub_download(
            id_,
            file.name,
            revision=revision,
            local_dir=root,
            endpoint=endpoint(),
            tqdm_class=_advancing(advance),
        )
    downloads.check_hash(file, Path(place))


def _fetch_alone(id_: str, revision: str | None, file: RemoteFile, target: Path, advance: Advance) -> None:
    """Bring one file, whatever its name and folders are there, to its place here.

    The client keeps those names: the file comes in a folder beside its place.
    """
    folder = target.with_name(target.name + downloads.PART)
    _fetch(id_, revision, file, folder / file.name, advance)
    (folder / file.name).replace(target)
    shutil.rmtree(folder)


def forget_cache(folder: Path) -> None:
    """Delete what the client notes beside the files it brings."""
    shutil.rmtree(folder / ".cache" / "huggingface", ignore_errors=True)
    if (folder / ".cache").is_dir() and not any((folder / ".cache").iterdir()):
        (folder / ".cache").rmdir()


def _advancing(advance: Advance) -> type[tqdm[Any]]:
    """The client's own bar as ours."""

    class Bar(tqdm):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "disable": True})
            advance(int(kwargs.get("initial", 0)))

        def update(self, n: float | None = 1) -> bool | None:
            advance(int(n or 0))
            return None

    return Bar


@contextmanager
def _spoken_of(id_: str) -> Iterator[None]:
    """Turns what the Hub refuses into one sentence.

    Raises:
        FetchError
    """
    try:
        yield
    except GatedRepoError:
        raise FetchError(
            f"{id_} asks for an account: accept its terms on its page, and set HF_TOKEN to a token of yours."
        ) from None
    except RepositoryNotFoundError:
        raise FetchError(
            f"There is no file or folder {id_!r}, and no such model on Hugging Face (or set HF_TOKEN)."
        ) from None
    except HFValidationError:
        raise FetchError(f"{id_!r} is no file or folder here, and no Hugging Face id.") from None
    except EntryNotFoundError as error:
        if isinstance(error, LocalEntryNotFoundError):
            raise _unreachable(id_) from None
        raise FetchError(f"{id_} has lost a file meanwhile: start the command again.") from None
    except (OfflineModeIsEnabled, httpx2.HTTPError) as error:
        if isinstance(error, HfHubHTTPError):
            raise _refused(id_, error) from None
        raise _unreachable(id_) from None


def _unreachable(id_: str) -> FetchError:
    return FetchError(
        f"{id_}: the Hub cannot be reached, or the connection was cut; the same command goes on from there."
    )


def _refused(id_: str, error: HfHubHTTPError) -> FetchError:
    status = error.response.status_code if error.response is not None else "an error"
    if status in (401, 403):
        return FetchError(f"{id_} needs an account ({status}): set HF_TOKEN to a token of yours.")
    return FetchError(f"{id_} cannot be had: Hugging Face answers {status}. Try it later.")
