"""Models at CivitAI: its links and its REST API (`/api/v1/models/ID`, `/api/v1/model-versions/ID`)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from easel.adding import downloads
from easel.adding.remote import Offered, RemoteFile, safe_name
from storage.errors import FetchError

SITE = "https://civitai.com"
KINDS = {
    "Checkpoint": "model",
    "LORA": "lora",
    "LoCon": "lora",
    "DoRA": "lora",
    "TextualInversion": "embedding",
    "Controlnet": "control",
    "VAE": "vae",
    "Upscaler": "upscaler",
}
_DRAWN = re.compile(r"SD 1|SD 2|SDXL|Pony|Illustrious|NoobAI|Other|$", re.IGNORECASE)
"""Base models, as CivitAI names them, that Easel may draw with; the weights themselves decide."""
_PAGE = re.compile(r"/models/(\d+)")
_DOWNLOAD = re.compile(r"/api/download/models/(\d+)")


def site() -> str:
    """CivitAI's address, or a mirror's: the variable CIVITAI_URL."""
    return os.environ.get("CIVITAI_URL", SITE).rstrip("/")


def is_link(source: str) -> bool:
    hosts = {urlsplit(site()).netloc, "civitai.com", "www.civitai.com"}
    return source.startswith(("http://", "https://")) and urlsplit(source).netloc in hosts


def offered(link: str) -> Offered:
    """The file behind a link: to a model's page (its newest version, or the one it says) or to a download.

    Raises:
        FetchError: there is nothing of the kind, or Easel cannot use it.
    """
    model, version = _looked_up(link)
    kind = KINDS.get(model.get("type", ""))
    if kind is None:
        raise FetchError(f"{link} is of the kind {model.get('type')!r}, which Easel cannot use.")
    made_for = version.get("baseModel") or ""
    if not _DRAWN.match(made_for):
        raise FetchError(
            f"{link} is made for {made_for}; Easel draws with Stable Diffusion 1.x, 2.x and XL alone."
        )
    file = _file(version, link)
    return Offered(
        title=f"{model.get('name', 'model')} {version.get('name', '')}".strip(),
        files=(file,),
        fetch=partial(downloads.fetch, _headers(file.url)),
        single=True,
        kind=kind,
        made_for=made_for,
        license=_license(model),
        trigger=", ".join(version.get("trainedWords") or ()),
        nsfw=bool(model.get("nsfw")),
    )


def _headers(url: str) -> dict[str, str]:
    """The token goes to CivitAI alone: files may lie elsewhere."""
    return downloads.headers(os.environ.get("CIVITAI_TOKEN") if is_link(url) else None)


def _looked_up(link: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The model and its version that a link names, as the API tells them."""
    parts = urlsplit(link)
    chosen = parse_qs(parts.query).get("modelVersionId", [""])[0]
    if download := _DOWNLOAD.search(parts.path):
        chosen = download[1]
    if chosen.isdecimal():
        version = _asked(f"model-versions/{chosen}")
        model = _asked(f"models/{version['modelId']}") if "modelId" in version else version["model"]
        return model, version
    page = _PAGE.search(parts.path)
    if page is None:
        raise FetchError(
            f"{link} names no model: take the address of a model's page (…/models/NUMBER) or of its download."
        )
    model = _asked(f"models/{page[1]}")
    if not model.get("modelVersions"):
        raise FetchError(f"{link} has no version that can be downloaded.")
    return model, model["modelVersions"][0]


def _asked(path: str) -> dict[str, Any]:
    url = f"{site()}/api/v1/{path}"
    try:
        answer = httpx2.get(url, headers=_headers(url), follow_redirects=True, timeout=downloads.TIMEOUT_S)
        downloads.refuse(answer, url)
        found = answer.json()
    except httpx2.HTTPError as error:
        raise FetchError(f"{url} does not answer ({type(error).__name__}): try it later.") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise FetchError(f"{url} answers something else than CivitAI does: is CIVITAI_URL right?")
    return found


def _file(version: Mapping[str, Any], link: str) -> RemoteFile:
    """The version's weights: the primary file, `.safetensors` where there is one."""
    files = [file for file in version.get("files", ()) if file.get("downloadUrl")]
    models = [file for file in files if file.get("type") in ("Model", "Pruned Model", "VAE", None)] or files
    if not models:
        raise FetchError(f"{link} has no file that can be downloaded.")
    best = max(models, key=lambda file: (_is_safe(file), bool(file.get("primary"))))
    size = best.get("sizeKB")
    return RemoteFile(
        name=safe_name(str(best.get("name", ""))),
        size=None if size is None else int(float(size) * 1024),
        sha256=(best.get("hashes") or {}).get("SHA256"),
        url=str(best["downloadUrl"]),
    )


def _is_safe(file: Mapping[str, Any]) -> bool:
    return str(file.get("name", "")).endswith(".safetensors")


def _license(model: Mapping[str, Any]) -> str:
    """Permissions that CivitAI notes of a model, in one line."""
    commercial = model.get("allowCommercialUse") or "None"
    uses = commercial if isinstance(commercial, str) else ", ".join(commercial) or "None"
    said = ["no credit needed" if model.get("allowNoCredit") else "credit the creator"]
    said.append("no commercial use" if uses == "None" else f"commercial use: {uses.strip('{}')}")
    said.append("merges allowed" if model.get("allowDerivatives") else "no merges")
    return f"CivitAI: {'; '.join(said)}"
