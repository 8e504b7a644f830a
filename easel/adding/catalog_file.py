"""The catalog's file, changed so that its comments and its order stay."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, cast

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable, Table

from storage import catalog
from storage.catalog import Catalog
from storage.catalog_values import plain_name
from storage.errors import CatalogError, FetchError

BEGUN = """\
# The models that Easel draws with (`easel models add`, `remove`, `list`). docs/operating.md has the keys.
# Bot and workers read this file again when it changes.
picturebook = true
"""
MODELS_FOLDER = "models"

P = ParamSpec("P")
_Change = Callable[Concatenate["CatalogFile", P], None]


def _made_again(change: _Change[P]) -> _Change[P]:
    """A change that `save` makes once more where the file is another one by then."""

    @wraps(change)
    def noted(file: CatalogFile, /, *args: P.args, **kwargs: P.kwargs) -> None:
        change(file, *args, **kwargs)
        file.changes.append(lambda now: change(now, *args, **kwargs))

    return noted


class CatalogFile:
    """Changes stay in memory until `save`, which writes all of them or nothing.

    What others write meanwhile stays: a model takes long to come.

    Raises:
        CatalogError: the file does not read, or the changes make a catalog that does not.
    """

    current: Catalog
    """The catalog as it was before the changes."""

    def __init__(self, path: Path) -> None:
        """The file; a new one that offers Picturebook as well where there is none yet."""
        self.path = path
        self._begin()

    def _begin(self) -> None:
        self.changes: list[Callable[[CatalogFile], None]] = []
        self._before = _bytes_of(self.path)
        self.current = catalog.load(None if self._before is None else self.path)
        text = BEGUN if self._before is None else self._before.decode("utf-8-sig")
        try:
            self._document = tomlkit.parse(text)
        except TOMLKitError as error:
            raise CatalogError(f"The catalog {self.path} cannot be changed by a program: {error}.") from None

    @property
    def models_folder(self) -> Path:
        """The folder for what is fetched: beside the file, or the file's own if it is called so."""
        beside = self.path.parent
        return beside if beside.name == MODELS_FOLDER else beside / MODELS_FOLDER

    def named(self, place: Path) -> str:
        """A path as an entry has it: relative to the catalog's file where it is below its folder."""
        try:
            return place.absolute().relative_to(self.path.parent.absolute()).as_posix()
        except ValueError:
            return str(place.absolute())

    def refuse_taken(self, name: str) -> None:
        """Raises:
        FetchError: the catalog has a model of this name, or one that members could not tell from it.
        """
        taken = {plain_name(known): known for known in self.current.models}
        if known := taken.get(plain_name(name)):
            raise FetchError(
                f"The catalog {self.path} has a model {known!r} already: say another name with --name,"
                f" or take it out with `easel models remove {known}`."
            )

    def refuse_missing(self, model: str) -> None:
        """Raises:
        FetchError: the file itself has no model of this name.
        """
        self._table_of(model)

    def refuse_taken_beside(self, model: str, key: str, name: str) -> None:
        """Raises:
        FetchError: a model has something of this name below `key` already.
        """
        named: Any = self._table_of(model).get(key, {})
        if plain_name(name) in map(plain_name, named):
            raise FetchError(
                f"{model!r} has something called {name!r} in its {key} already: say another --as."
            )

    @_made_again
    def add_model(self, name: str, entry: Mapping[str, Any], *, default: bool) -> None:
        """Write a model's table behind the others; with `default` it is who chose none's.

        Raises:
            FetchError: the name is taken.
        """
        self.refuse_taken(name)
        table = tomlkit.table()
        for key, value in entry.items():
            table.add(key, _item(value))
        self._tables().append(name, table)
        if default:
            self._set_default(name)

    @_made_again
    def set(self, model: str, key: str, value: Any) -> None:
        """Change one key of a model's table."""
        self._table_of(model)[key] = _item(value)

    def check_writable(self) -> None:
        """Raises:
        OSError: the file, or the folder for what is fetched, cannot be written to.
        """
        self.models_folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.path.parent, self.models_folder):
            with tempfile.TemporaryFile(dir=folder):
                pass

    @_made_again
    def add_to(self, model: str, key: str, name: str, value: Any) -> None:
        """Put something into a model's table, below `key` by its name.

        Raises:
            FetchError: the file has no such model, or something of that name.
        """
        table = self._table_of(model)
        if key == "upscalers" and "upscaler" in table:
            table["upscalers"] = tomlkit.inline_table()
            table["upscalers"]["default"] = table.pop("upscaler")
        self.refuse_taken_beside(model, key, name)
        if key not in table:
            inline = isinstance(table, InlineTable)
            table.append(key, tomlkit.inline_table() if inline else tomlkit.table())
        named: Any = table[key]
        named.append(name, _item(value))

    @_made_again
    def set_beside(self, model: str, key: str, name: str, value: Any) -> None:
        """Change what a model has below `key` by this name."""
        named: Any = self._table_of(model)[key]
        named[name] = _item(value)

    @_made_again
    def remove_model(self, name: str) -> None:
        """Take a model out, Picturebook included.

        Raises:
            FetchError: there is no such model, or no other would be left.
        """
        if name not in self.current.models:
            raise FetchError(
                f"The catalog {self.path} has no model {name!r}; it has {', '.join(self.current.models)}."
            )
        rest = [known for known in self.current.models if known != name]
        if not rest:
            raise FetchError(f"{name!r} is the catalog's only model: add another before you take it out.")
        if name in self._tables():
            self._tables().remove(name)
        else:
            self._document["picturebook"] = False
        if self._document.get("default") == name:
            self._set_default(rest[0])

    def save(self) -> Catalog:
        """Write the file in one step, if it reads, and return what it says now.

        Raises:
            CatalogError: it would not read; the file is as it was.
            FetchError: what others wrote meanwhile leaves no place for a change.
        """
        self._catch_up()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        mode = self.path.stat().st_mode & 0o777 if self.path.exists() else 0o644
        with tempfile.NamedTemporaryFile("wb", dir=self.path.parent, suffix=".toml", delete=False) as file:
            draft = Path(file.name)
            file.write(tomlkit.dumps(self._document).encode())
        try:
            changed = self._read(draft)
            draft.chmod(mode)
            draft.replace(self.path)
        finally:
            draft.unlink(missing_ok=True)
        return changed

    def _catch_up(self) -> None:
        if _bytes_of(self.path) != self._before:
            changes = self.changes
            self._begin()
            for change in changes:
                change(self)

    def preview(self) -> Catalog:
        """The catalog with the changes, without writing it.

        Raises:
            CatalogError: it would not read.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("wb", dir=self.path.parent, suffix=".toml") as file:
            file.write(tomlkit.dumps(self._document).encode())
            file.flush()
            return self._read(Path(file.name))

    def _read(self, draft: Path) -> Catalog:
        try:
            return catalog.load(draft)
        except CatalogError as error:
            raise CatalogError(str(error).replace(str(draft), str(self.path))) from None

    def _set_default(self, name: str) -> None:
        if "default" in self._document:
            self._document["default"] = name
            return
        # A key of the file's own has to stand above all tables.
        first = tomlkit.document()
        first.add("default", tomlkit.item(name))
        head = tomlkit.dumps(first)
        self._document = tomlkit.parse(_above_tables(tomlkit.dumps(self._document), head))

    def _tables(self) -> Table:
        if "models" not in self._document:
            self._document.append("models", tomlkit.table(is_super_table=True))
        tables: Any = self._document["models"]
        if isinstance(tables, InlineTable):
            raise CatalogError(
                f"The catalog {self.path} has its models on one line: write each as a table, [models.NAME]."
            )
        return cast("Table", tables)

    def _table_of(self, model: str) -> Table:
        if model not in self._tables():
            known = ", ".join(self._tables()) or "none"
            raise FetchError(f"The catalog {self.path} has no model {model!r} of its own; it has {known}.")
        return cast("Table", self._tables()[model])


def _bytes_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _above_tables(text: str, head: str) -> str:
    lines = text.splitlines(keepends=True)
    place = next((number for number, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
    while place and not lines[place - 1].strip():
        place -= 1
    # Comments that stand right above the first table are that table's.
    while place and lines[place - 1].lstrip().startswith("#"):
        place -= 1
    return "".join([*lines[:place], head, *lines[place:]])


def _item(value: Any) -> Any:
    """A value as it is written: a table within a table on one line."""
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        for key, each in value.items():
            table.append(key, _item(each))
        return table
    return tomlkit.item(value)
