"""A command that was typed or pasted as one line, read as the page's list of commands would have made it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from simcord.enums import OptionType
from simcord.interactions import command_leaves

_IN_WORDS = (OptionType.STRING, OptionType.INTEGER, OptionType.NUMBER, OptionType.BOOLEAN)
_YES_AND_NO = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_FROM_THE_LIST = "Type `/` and choose `/{name}` from the list that opens: it asks for each of them."


class NotTyped(Exception):
    """The line is no command that can be typed; the sentence says what to do instead."""


@dataclass(frozen=True)
class TypedCommand:
    """A command and the options that were typed with it."""

    root: dict[str, Any]
    path: list[str]
    leaf: dict[str, Any]
    options: dict[str, Any]


def read(commands: Sequence[dict[str, Any]], line: str) -> TypedCommand:
    """The command that a line beginning with `/` means, among those that its member sees.

    Raises:
        NotTyped: there is none of this name, or not with such options.
    """
    root, path, leaf = _command(commands, line)
    rest = re.split(r"\s+", line.strip(), maxsplit=len(path))[len(path) :]
    options = _options(leaf, rest[0].strip() if rest else "", " ".join(path))
    return TypedCommand(root, path, leaf, options)


def _command(
    commands: Sequence[dict[str, Any]], line: str
) -> tuple[dict[str, Any], list[str], dict[str, Any]]:
    words = line.removeprefix("/").casefold().split()
    leaves = [(root, path, leaf) for root in commands for path, leaf in command_leaves(root)]
    for found in sorted(leaves, key=lambda found: len(found[1]), reverse=True):
        if words[: len(found[1])] == found[1]:
            return found
    first = words[0] if words else ""
    below = ["/" + " ".join(path) for _, path, _ in leaves if path[0] == first]
    if below:
        raise NotTyped(f"`/{first}` wants another word: {', '.join(f'`{name}`' for name in below)}.")
    near = get_close_matches(first, {path[0] for _, path, _ in leaves}, n=1, cutoff=0.5)
    meant = f" Did you mean `/{near[0]}`?" if near else ""
    raise NotTyped(
        f"There is no command `/{first[:100]}` here.{meant} "
        "Type `/` to see them all, or `/help` for an overview."
    )


def _options(leaf: dict[str, Any], text: str, name: str) -> dict[str, Any]:
    """`/imagine prompt: a castle ratio: 3:2`, as Discord copies it; else all of it is the first option."""
    declared = {option["name"]: option for option in leaf.get("options") or []}
    named = re.compile(rf"(?:^|\s)({'|'.join(map(re.escape, declared)) or '(?!)'}):\s*")
    if not text:
        values = {}
    elif named.match(text):
        parts = named.split(text)
        values = dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
    elif declared:
        values = {next(iter(declared)): text}
    else:
        raise NotTyped(f"`/{name}` stands alone: nothing follows it.")
    missing = [each for each, option in declared.items() if option.get("required") and not values.get(each)]
    if missing:
        raise NotTyped(f"`/{name}` also wants `{'`, `'.join(missing)}`. " + _FROM_THE_LIST.format(name=name))
    return {each: _value(declared[each], value, name) for each, value in values.items()}


def _value(option: dict[str, Any], value: str, name: str) -> Any:
    if option["type"] not in _IN_WORDS:
        raise NotTyped(f"`{option['name']}` cannot be typed. " + _FROM_THE_LIST.format(name=name))
    if option["type"] == OptionType.BOOLEAN:
        if value.casefold() not in _YES_AND_NO:
            raise NotTyped(f"`{option['name']}` is `true` or `false`, not `{value[:100]}`.")
        return _YES_AND_NO[value.casefold()]
    choices = {str(choice["name"]).casefold(): choice["value"] for choice in option.get("choices") or []}
    return str(choices.get(value.casefold(), value))
