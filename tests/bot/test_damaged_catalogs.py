"""A catalog is refused with a sentence, or a plain prompt can be drawn with it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from generator.inspection import entries
from prompts.parser import parse
from storage import catalog, samplers
from storage.catalog import Catalog
from storage.catalog_model import ModelEntry
from storage.errors import CatalogError

BOOK = catalog.shipped_catalog().parent
NUMBERS = some.one_of(some.integers(-5, 1200), some.floats(), some.sampled_from([10**30, 0, 1, 8, 64]))
VALUES = some.one_of(
    NUMBERS,
    some.booleans(),
    some.text(max_size=20),
    some.sampled_from(["model", "catalog.toml", "~", "a/b", "a/b/c", "x.ckpt", "y" * 3000, *samplers.NAMES]),
    some.lists(some.one_of(NUMBERS, some.text(max_size=5)), max_size=3),
    some.lists(some.lists(NUMBERS, min_size=2, max_size=2), max_size=2),
    some.dictionaries(some.text(max_size=4), NUMBERS, max_size=2),
)
KEYS = some.one_of(some.sampled_from(list(ModelEntry.model_fields)), some.text(max_size=6))


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def loaded(path: Path) -> Catalog | None:
    """The catalog, or None where a sentence that names the file says why not."""
    try:
        return catalog.load(path)
    except CatalogError as error:
        told = str(error)
    assert str(path) in told
    return None


@settings(max_examples=100, deadline=None)
@given(some.dictionaries(KEYS, VALUES, min_size=1, max_size=2))
def test_a_damaged_catalog_is_refused_or_can_be_drawn_with(damage: dict[str, Any]) -> None:
    entry = {"source": str(BOOK / "model"), "sizes": [[128, 128], [256, 64]]} | damage
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "catalog.toml")
        lines = [f"{json.dumps(key)} = {_toml(value)}" for key, value in entry.items()]
        path.write_text("\n".join(["[models.book]", *lines]), encoding="utf-8", errors="surrogatepass")
        found = loaded(path)
        if found is None or list(entries.faults(found["book"])):
            return
        request = parse("a red castle", found).request
    assert request == request.changed()
    assert (request.width, request.height) in found["book"].sizes
    assert request.scheduler in samplers.NAMES
    assert request.num_inference_steps <= found["book"].max_steps


@settings(max_examples=100, deadline=None)
@given(some.binary(max_size=60), some.integers(0, 400), some.integers(0, 60))
def test_any_bytes_are_a_catalog_or_told(data: bytes, at: int, gone: int) -> None:
    whole = b'default = "a"\n[models.a]\nsource = "x"\nsizes = [[64, 64]]\nguidance_scale = 3\n'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "catalog.toml")
        path.write_bytes(whole[:at] + data + whole[at + gone :])
        found = loaded(path)
        if found is not None:
            request = parse("a red castle", found).request
            assert (request.width, request.height) in found[request.model].sizes
