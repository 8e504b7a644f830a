"""Every request is judged: against Discord's official OpenAPI document, and against limits it is looser than.

The document (`discord-openapi.json`, from discord/discord-api-spec) is not part of this repository. It is
looked for in `../shared/reference` and at `EASEL_DISCORD_OPENAPI`.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.bot.discord_server.world import Json, Upload

DOCUMENT = Path(
    os.environ.get(
        "EASEL_DISCORD_OPENAPI",
        Path(__file__).parents[4] / "shared" / "reference" / "discord-openapi.json",
    )
)
HOW_TO_GET_IT = (
    f"Discord's OpenAPI document is not at {DOCUMENT}: download specs/openapi.json of"
    " github.com/discord/discord-api-spec and set EASEL_DISCORD_OPENAPI to it"
)
REQUEST_LIMIT = 25 * 2**20
_EMPTY: Registry[Any] = Registry()


@dataclass
class Call:
    """One request of the bot. `template` is its path as the document writes it."""

    method: str
    template: str
    path: str
    parameters: dict[str, str]
    query: dict[str, str]
    payload: Any
    files: list[Upload]
    authorization: str | None
    size: int
    at: float
    status: int = 0
    answer: Any = None
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = self.payload.get("content") if isinstance(self.payload, dict) else None
        return f"{self.method} {self.path} -> {self.status} {said or ''}"


@cache
def _registry() -> Any:
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    resource: Resource[Any] = DRAFT202012.create_resource(document)
    return _EMPTY.with_resource("urn:discord", resource)


@cache
def _document() -> Json:
    contents: Json = _registry()["urn:discord"].contents
    return contents


@cache
def _validator(template: str, method: str, content_type: str) -> Draft202012Validator:
    place = "/".join(part.replace("~", "~0").replace("/", "~1") for part in (template, method.lower()))
    kind = content_type.replace("/", "~1")
    schema = {"$ref": f"urn:discord#/paths/{place}/requestBody/content/{kind}/schema"}
    return Draft202012Validator(schema, registry=_registry())


def judge(call: Call) -> Iterator[str]:
    """What is wrong with a request, a sentence each."""
    found = list(_against_document(call)) if DOCUMENT.exists() else []
    yield from found
    if not found:
        yield from _against_limits(call)


def _against_limits(call: Call) -> Iterator[str]:
    if call.size > REQUEST_LIMIT:
        yield f"request of {call.size} bytes"
    if len(call.files) > 10:
        yield f"{len(call.files)} files"
    yield from _uploads(call)
    body = call.payload
    if isinstance(body, dict) and "data" in body and call.template.endswith("/callback"):
        body = body["data"] or {}
    if isinstance(body, dict):
        yield from _message(body)


def _against_document(call: Call) -> Iterator[str]:
    operation = _document()["paths"].get(call.template, {}).get(call.method.lower())
    if operation is None:
        yield "no such operation in the document"
        return
    known = {item["name"] for item in operation.get("parameters", []) if item["in"] == "query"}
    for name in set(call.query) - known:
        yield f"unknown query parameter {name}"
    if call.payload is None:
        if operation.get("requestBody", {}).get("required"):
            yield "a body is required"
        return
    content_type = "multipart/form-data" if call.files else "application/json"
    payload = _with_string_ids(call.payload)
    if call.files:
        payload = {**payload, **{upload.field: upload.filename for upload in call.files}}
    yield from _errors(call.template, call.method, content_type, json.dumps(payload, sort_keys=True))


@cache
def _errors(template: str, method: str, content_type: str, payload: str) -> list[str]:
    """Each bot sends the same commands, for one, and these take long."""
    errors = _validator(template, method, content_type).iter_errors(json.loads(payload))
    return [f"{error.json_path}: {error.message[:300]}" for error in errors]


def _with_string_ids(value: Any, key: str = "") -> Any:
    """Ids as strings: discord.py writes some as numbers, which Discord takes."""
    if isinstance(value, dict):
        return {name: _with_string_ids(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_string_ids(item, key) for item in value]
    is_id = key in ("id", "users", "roles") or key.endswith("_id")
    return str(value) if is_id and isinstance(value, int) and not isinstance(value, bool) else value


def _uploads(call: Call) -> Iterator[str]:
    for upload in call.files:
        if not re.fullmatch(r"files\[\d\]", upload.field):
            yield f"file in field {upload.field}"
        if not upload.data:
            yield f"{upload.filename} is empty"
    if call.files and isinstance(call.payload, dict):
        body = call.payload.get("data") or call.payload
        described = {str(item["id"]) for item in body.get("attachments") or []}
        sent = {upload.field.removeprefix("files[").removesuffix("]") for upload in call.files}
        if not sent <= described:
            yield f"files {sent} but attachments {described}"


def _message(body: Json) -> Iterator[str]:
    content = body.get("content") or ""
    if len(content.encode("utf-16-le")) // 2 > 2000:
        yield f"content of {len(content)} characters"
    if "nonce" in body and len(str(body["nonce"])) > 25:
        yield f"nonce {body['nonce']!r}"
    mentions = any(mark in content for mark in ("<@", "@everyone", "@here"))
    if mentions and body.get("allowed_mentions") is None:
        yield "mentions without allowed_mentions"
    yield from _mention_rules(body.get("allowed_mentions"))
    yield from _components(body.get("components") or [])
    if sum(_embed_size(embed) for embed in body.get("embeds") or []) > 6000:
        yield "embeds of more than 6000 characters"
    if len(body.get("choices") or []) > 25:
        yield "more than 25 choices"


def _mention_rules(allowed: Json | None) -> Iterator[str]:
    for kind in ("users", "roles"):
        if allowed and kind in (allowed.get("parse") or []) and allowed.get(kind):
            yield f"allowed_mentions: parse {kind} and a list of {kind} exclude each other"


def _components(rows: list[Json]) -> Iterator[str]:
    items = list(_walk(rows))
    ids = Counter(item["custom_id"] for item in items if item.get("custom_id"))
    for custom_id, times in ids.items():
        if times > 1:
            yield f"custom_id {custom_id} {times} times in one message"
        if not 1 <= len(custom_id) <= 100:
            yield f"custom_id of {len(custom_id)} characters"
    if len(items) > 40:
        yield f"{len(items)} components"
    if len(rows) > 5 and all(row["type"] == 1 for row in rows):
        yield f"{len(rows)} rows of buttons"
    for item in items:
        if item["type"] == 2 and not (item.get("label") or item.get("emoji")):
            yield f"button without label: {item}"
        if len(item.get("label") or "") > 80:
            yield f"label of {len(item['label'])} characters"


def _walk(items: list[Json]) -> Iterator[Json]:
    for item in items:
        yield item
        yield from _walk(item.get("components") or [])
        for single in (item.get("accessory"), item.get("component")):
            if single:
                yield single


def _embed_size(embed: Json) -> int:
    fields = embed.get("fields") or []
    return (
        len(embed.get("title") or "")
        + len(embed.get("description") or "")
        + len((embed.get("footer") or {}).get("text") or "")
        + len((embed.get("author") or {}).get("name") or "")
        + sum(len(item["name"]) + len(item["value"]) for item in fields)
    )
