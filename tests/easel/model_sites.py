"""Stand-ins for Hugging Face's Hub and for CivitAI on this machine: endpoints, files, refusals, faults."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "0" * 40


@dataclass
class Repository:
    """A model of the Hub."""

    files: dict[str, bytes]
    card: dict[str, Any] = field(default_factory=dict)
    refused: tuple[int, str] | None = None
    """Status and error code with which it is refused to who brings no token."""
    hashes: dict[str, str] = field(default_factory=dict)
    """SHA-256 of some files where they are to be wrong."""


@dataclass
class Download:
    """A file of CivitAI's."""

    data: bytes
    needs_token: bool = False


class ModelSites:
    """Both sites at one address. Requests are noted with their `Range`."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.models: dict[int, dict[str, Any]] = {}
        self.downloads: dict[str, Download] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.cut_after: int | None = None
        """Bytes after which the next file's connection is cut, once."""
        self._server = _Server(("127.0.0.1", 0), _Answers)
        self._server.sites = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def publish(self, id_: str, folder: Path, **card: Any) -> Repository:
        """Put a folder's files onto the Hub."""
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        files = {name: path.read_bytes() for name, path in found.items()}
        self.repositories[id_] = Repository(files, card)
        return self.repositories[id_]

    def put_on_civitai(
        self,
        number: int,
        name: str,
        data: bytes,
        *,
        kind: str = "Checkpoint",
        base: str = "SD 1.5",
        **more: Any,
    ) -> Download:
        """Put a file onto CivitAI as a model with one version, whose number is ten times the model's."""
        file = {
            "name": name,
            "type": "Model",
            "sizeKB": len(data) / 1024,
            "primary": True,
            "hashes": {"SHA256": hashlib.sha256(data).hexdigest().upper()},
            "downloadUrl": f"{self.url}/api/download/models/{number * 10}",
        }
        version = {"id": number * 10, "modelId": number, "name": "v1", "baseModel": base, "files": [file]}
        self.models[number] = {
            "id": number,
            "name": Path(name).stem.title(),
            "type": kind,
            "nsfw": False,
            "allowNoCredit": False,
            "allowCommercialUse": ["Image"],
            "allowDerivatives": True,
            "modelVersions": [version | more],
        }
        self.downloads[str(number * 10)] = Download(data)
        return self.downloads[str(number * 10)]


class _Server(ThreadingHTTPServer):
    sites: ModelSites

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever has read enough hangs up; its traceback would stand among what the command says."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def sites(self) -> ModelSites:
        assert isinstance(self.server, _Server)
        return self.server.sites

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.sites.asked.append((path, self.headers.get("Range")))
        for pattern, answer in _ROUTES.items():
            if found := re.fullmatch(pattern, path):
                answer(self, *found.groups())
                return
        self._file(b"<html>A page</html>", type_="text/html; charset=utf-8")

    def civitais_model(self, number: str) -> None:
        self._json(self.sites.models.get(int(number)))

    def civitais_version(self, number: str) -> None:
        versions = [each for model in self.sites.models.values() for each in model["modelVersions"]]
        self._json(next((each for each in versions if each["id"] == int(number)), None))

    def civitais_download(self, number: str) -> None:
        found = self.sites.downloads[number]
        if found.needs_token and self.headers.get("Authorization") != "Bearer key":
            self._refuse(401, "")
        else:
            self._file(found.data)

    def described(self, id_: str) -> None:
        repository = self.sites.repositories.get(id_)
        if repository is None:
            self._refuse(404, "RepoNotFound")
        elif self._let_in(repository):
            siblings = [_sibling(repository, name) for name in repository.files]
            card = repository.card
            self._json({"id": id_, "sha": COMMIT, "siblings": siblings, "cardData": card, "tags": []})

    def resolved(self, id_: str, name: str) -> None:
        repository = self.sites.repositories[id_]
        if self._let_in(repository):
            self._file(repository.files[name])

    def _let_in(self, repository: Repository) -> bool:
        if repository.refused is None or "Authorization" in self.headers:
            return True
        self._refuse(*repository.refused)
        return False

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, value: Any) -> None:
        if value is None:
            self._refuse(404, "")
        else:
            self._file(json.dumps(value).encode(), type_="application/json", whole=True)

    def _file(self, data: bytes, *, type_: str = "application/octet-stream", whole: bool = False) -> None:
        tag = f'"{hashlib.sha256(data).hexdigest()}"'
        is_same = self.headers.get("If-Range", tag) == tag
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if is_same else None
        begin = int(wanted[1]) if wanted else 0
        if begin and begin >= len(data):
            self._refuse(416, "")
            return
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Type", type_)
        self.send_header("Content-Length", str(len(data) - begin))
        self.send_header("ETag", tag)
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[begin : self._until(begin, len(data), whole=whole)])

    def _until(self, begin: int, end: int, *, whole: bool) -> int:
        """End of what is sent: the whole, or as much as comes before the connection is cut."""
        cut = self.sites.cut_after
        if cut is None or whole or end - begin <= cut:
            return end
        self.sites.cut_after = None
        self.close_connection = True
        return begin + cut

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (as it is declared)
        pass


_ROUTES: dict[str, Callable[..., None]] = {
    r"/api/v1/models/(\d+)": _Answers.civitais_model,
    r"/api/v1/model-versions/(\d+)": _Answers.civitais_version,
    r"/api/download/models/(\d+)": _Answers.civitais_download,
    r"/api/models/(.+?)(?:/revision/[^/]+)?": _Answers.described,
    r"/(.+?)/resolve/[^/]+/(.+)": _Answers.resolved,
}


def _sibling(repository: Repository, name: str) -> dict[str, Any]:
    data = repository.files[name]
    told: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": "0" * 40}
    if name.endswith(".safetensors"):
        sha256 = repository.hashes.get(name, hashlib.sha256(data).hexdigest())
        told["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 130}
    return told


@pytest.fixture
def model_sites(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelSites]:
    sites = ModelSites()
    monkeypatch.setenv("HF_ENDPOINT", sites.url)
    monkeypatch.setenv("CIVITAI_URL", sites.url)
    for name in ("HF_TOKEN", "CIVITAI_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield sites
    sites.close()
