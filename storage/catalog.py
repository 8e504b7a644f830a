"""The catalog: which models there are, what each allows, and what a request falls back to.

A catalog is a TOML file with one `[models.NAME]` table a model. Paths in it are relative to the file. With
`picturebook = true` what ships with Easel is offered behind its own.
"""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from storage.catalog_model import ModelEntry
from storage.catalog_values import CatalogTable, refuse_alike, refuse_unknown
from storage.errors import CatalogError

KEYS = ("default", "picturebook", "models")
"""Keys of a catalog's file."""


class Catalog(CatalogTable):
    default: str
    models: dict[str, ModelEntry]
    picturebook: bool = False
    """Models of the shipped catalog are offered as well, behind those that are named here."""
    off: frozenset[str] = frozenset()
    """Names that are not to be had in the place for which this is the offer."""

    def __getitem__(self, name: str) -> ModelEntry:
        return self.models[name]

    def versions(self, *, niji: bool = False) -> dict[float, str]:
        """The model that stands for each of Midjourney's versions; where two do, the first."""
        carried: dict[float, str] = {}
        for name, entry in self.models.items():
            for version in entry.versions:
                if version.startswith("niji") == niji:
                    carried.setdefault(float(version.removeprefix("niji ")), name)
        return carried


def shipped_catalog() -> Path:
    """The catalog that comes with Easel and names Picturebook alone. The package is found, not imported."""
    spec = importlib.util.find_spec("picturebook")
    if spec is None or spec.origin is None:
        raise CatalogError("Picturebook is not installed; set EASEL_CATALOG to a catalog of your own.")
    return Path(spec.origin).with_name("catalog.toml")


def load(path: Path | None = None) -> Catalog:
    """Read a catalog file, by default the shipped one.

    Raises:
        CatalogError: with a sentence that names the file, the entry and what is wrong with it.
    """
    path = (path or shipped_catalog()).absolute()
    raw = _toml(path)
    try:
        refuse_unknown(raw, KEYS)
        tables = raw.get("models", {})
        if not isinstance(tables, dict):
            raise ValueError("`models` is to be tables: [models.NAME]")  # noqa: TRY301, TRY004
        refuse_alike(tables, "models")
    except ValueError as error:
        raise CatalogError(f"The catalog {path}: {error}") from None
    models = {name: _entry(path, name, table) for name, table in tables.items()}
    shipped = _picturebook(path, raw)
    models |= {name: entry for name, entry in shipped.items() if name not in models}
    if not models:
        raise CatalogError(f"The catalog {path} names no model; add a [models.NAME] table.")
    default = raw.get("default", next(iter(models)))
    if not isinstance(default, str) or default not in models:
        raise CatalogError(
            f"The catalog {path} has no model {default!r}, its default; it has {', '.join(models)}."
        )
    return Catalog(default=default, models=models, picturebook=bool(shipped))


def _picturebook(path: Path, raw: dict[str, Any]) -> dict[str, ModelEntry]:
    wanted = raw.get("picturebook", False)
    if not isinstance(wanted, bool):
        raise CatalogError(f"The catalog {path}: `picturebook` is true or false.")
    return load().models if wanted else {}


def _toml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CatalogError(f"The catalog {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise CatalogError(f"The catalog {path} is not UTF-8 text (line {line}): save it as UTF-8.") from None
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers and nesting beyond Python's own limits, too
        raise CatalogError(f"The catalog {path} is not TOML: {error}.") from None


def _entry(path: Path, name: str, table: object) -> ModelEntry:
    if not isinstance(table, dict):
        raise CatalogError(
            f"Model {name!r} in {path} is {table!r} and no table: write [models.{name}], and below it"
            " `source` and `sizes`."
        )
    if "name" in table:
        raise CatalogError(
            f"Model {name!r} in {path}: its name is its table's, and no key; `title` may differ."
        )
    try:
        return ModelEntry.model_validate({"title": name, **table, "name": name}, context=path.parent)
    except ValidationError as error:
        faults = "; ".join(_fault(each) for each in error.errors(include_url=False))
        raise CatalogError(f"Model {name!r} in {path}: {faults}.") from None


def _fault(error: ErrorDetails) -> str:
    """One fault as a sentence: the key, what is wrong, and the value where it is short."""
    place = ".".join(str(part) for part in error["loc"])
    said = error["msg"].removeprefix("Value error, ").removesuffix(".")
    given = error["input"]
    if error["type"] not in ("missing", "value_error") and isinstance(given, str | int | float):
        said += f" (it is {given!r})" if len(repr(given)) < 100 else ""
    return f"{place}: {said}" if place else said
