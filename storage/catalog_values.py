"""Values that a catalog's tables hold, and the sentences for those that they cannot."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

Side = Annotated[int, Field(ge=8, le=16384, multiple_of=8)]

Size = tuple[Side, Side]

PICKLED = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
"""Endings of files that are Python programs as much as weights."""

SAFE = ".safetensors"
FILES = (SAFE, ".gguf", *PICKLED)
"""Endings of all files of weights that people have."""


def plain_name(name: str) -> str:
    """The form in which names are compared: members may type `dream-xl` for `Dream XL`."""
    return re.sub(r"[\s_-]", "", name.casefold())


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("it is to be one line of text without spaces around it")
    return text


def _whole(text: str) -> str:
    ending = Path(text).suffix
    if ending.lower() == SAFE != ending:
        raise ValueError(f"{text}: rename the file so that it ends in {SAFE}, and name that")
    if ending.lower() in PICKLED:
        raise ValueError(
            f"{text} is a pickle, which may run code when it is read: make a .safetensors file of it with"
            " `easel models convert FILE`, and name that"
        )
    return text


def _resolve(source: str, info: ValidationInfo) -> str:
    """A path beside the catalog where there is one, else what it says (a Hugging Face id)."""
    if info.context is None:
        return source
    local: Path = info.context / Path(source).expanduser()
    try:
        return str(local) if local.exists() or names_a_file(source) else source
    except (OSError, RuntimeError) as error:
        raise ValueError(f"it cannot be looked for: {error}") from None


def names_a_file(source: str) -> bool:
    """True for a source that can only be a file or folder of this machine, and no Hugging Face id."""
    return source.endswith(FILES) or not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", source)


def resolve_file(file: str, info: ValidationInfo) -> str:
    return file if info.context is None else str(info.context / file)


Line = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]

Source = Annotated[
    str, Field(min_length=1, max_length=1000), AfterValidator(_printable), AfterValidator(_whole),
    AfterValidator(_resolve),
]  # fmt: skip

File = Annotated[str, Field(min_length=1), AfterValidator(_printable), AfterValidator(_whole)]


class CatalogTable(BaseModel):
    """A table of the catalog, which has no other keys than these."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def changed(self, **changes: Any) -> Self:
        """The same table with other values, looked at like those of a file."""
        own = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self).model_validate({**own, **changes})

    @model_validator(mode="before")
    @classmethod
    def _knows_its_keys(cls, table: Any) -> Any:
        if isinstance(table, dict):
            refuse_unknown(table, cls.model_fields)
        return table


def refuse_unknown(given: Iterable[str], known: Collection[str]) -> None:
    """Raises:
    ValueError: there is an unknown key; the text says which known one is nearest.
    """
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}."
            raise ValueError(f"there is no key `{key}`: {hint}")


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
"""Name that members type to choose one of several."""


def sourced(given: object) -> object:
    return {"source": given} if isinstance(given, str) else given


Steps = Annotated[int, Field(ge=1, le=1000)]

Guidance = Annotated[float, Field(ge=0, le=50)]

Strength = Annotated[float, Field(gt=0, le=1)]


def refuse_alike(names: Iterable[str], key: str) -> None:
    """Raises:
    ValueError: two of the names are one to members, who need not type capitals, spaces and hyphens.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(plain_name(name), name)
        if other != name or not plain_name(name):
            raise ValueError(f"{key}: members cannot tell {name!r} from {other!r}: name one otherwise")
