"""Tokens of a typed line: links to pictures, the text, then the flags with their values as typed.

The grammar is Midjourney's: flags stand at the end, begin with `--` and last until the next flag. Which flags
there are is not known here, nor in what forms people paste them: `prompts/pasted/normalizer.py` makes such
lines of those.
`<lora:name:weight>` in the text, as other programs write it, is the flag `--lora name:weight`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from prompts.image_links import ImageLink, leading

_INVISIBLE = {
    *range(0x20),
    *range(0x7F, 0xA0),
    0xAD,  # soft hyphen
    0x61C,
    0x180E,
    0x200B,  # ZWSP; the joiners U+200C and U+200D stay, emoji and Persian need them
    *range(0x200E, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
    *range(0xFFF9, 0xFFFC),
    *range(0xE0000, 0xE0080),
    *range(0xD800, 0xE000),  # lone surrogates: neither UTF-8 nor a database takes them
}
_REMOVED = {code: None for code in _INVISIBLE if not chr(code).isspace()}

QUOTED = r"""(?<![^\s(\[{]) (?: "[^"]*"(?!\w) | “[^“”]*” )"""
"""Letters to draw, as a verbose pattern: nothing in quotes is a flag or a weight."""

_QUOTED_OR_FLAG = re.compile(rf"{QUOTED} | (?<!\S) -- (?P<name> [A-Za-z][\w-]* )", re.VERBOSE)
DASHES = "-‐‑‒–—―⸺⸻−﹘﹣－ーｰ─━"
"""Signs that phones, pages and input methods write for the dashes before a flag's name."""
SEPARATORS = ",，、"
"""Signs between the items of a list."""
OPENING, CLOSING = "{｛", "}｝"
"""Braces around a set of permutations."""
_ESCAPE = re.compile(rf"\\(?=[{re.escape(DASHES)}{SEPARATORS}{OPENING}{CLOSING}():<])")
_ADAPTER = re.compile(
    r"(?<!\\)<(?:lora|lyco|hypernet):\s*([^:<>]*[^:<>\s])\s*(?::\s*([^\s:<>]*)[^<>]*)?>", re.IGNORECASE
)


@dataclass(frozen=True)
class TypedFlag:
    """A flag as it was typed: its name in lower case, and all that follows it up to the next flag."""

    name: str
    value: str = ""

    def __str__(self) -> str:
        return f"--{self.name} {self.value}".rstrip()


@dataclass(frozen=True)
class TokenizedPrompt:
    text: str
    """Links and words as typed."""
    flags: tuple[TypedFlag, ...] = ()

    def __str__(self) -> str:
        return " ".join(filter(None, [self.text, *map(str, self.flags)]))

    @property
    def images(self) -> tuple[ImageLink, ...]:
        """The links in front of the words."""
        return leading(self.text)[0]

    @property
    def words(self) -> str:
        """The text behind the links, with its weights and escapes."""
        return leading(self.text)[1]

    @property
    def prompt(self) -> str:
        """The words with their escapes resolved."""
        return unescaped(self.words)


def clean(text: str) -> str:
    """The text on one line: no control, direction or zero-width characters, no lone surrogates."""
    return " ".join(text.translate(_REMOVED).split())


def items(words: str) -> list[str]:
    """Items of a list, whichever commas stand between."""
    return [item for each in re.split(f"[{SEPARATORS}]", words) if (item := each.strip())]


def unescaped(words: str) -> str:
    r"""The text with its escapes resolved: `\--` is two dashes that begin no flag."""
    return _ESCAPE.sub("", words)


def tokenize(text: str) -> TokenizedPrompt:
    line = clean(text)
    found = [match for match in _QUOTED_OR_FLAG.finditer(line) if match["name"] is not None]
    ends = [*(match.start() for match in found), len(line)]
    flags = tuple(
        TypedFlag(match["name"].lower(), line[match.end() : end].removeprefix("=").strip())
        for match, end in zip(found, ends[1:], strict=True)
    )
    words, adapters = _without_adapters(line[: ends[0]])
    return TokenizedPrompt(words, (*adapters, *flags))


def _without_adapters(words: str) -> tuple[str, tuple[TypedFlag, ...]]:
    adapters = tuple(
        TypedFlag("lora", ":".join(filter(None, ("_".join(match[1].split()), match[2]))))
        for match in _ADAPTER.finditer(words)
    )
    return " ".join(_ADAPTER.sub(" ", words).split()), adapters
