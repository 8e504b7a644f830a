"""Links to pictures as people write them: bare, in `<…>` or brackets, in Markdown, with a comma behind.

A link is read without what surrounds it, and keeps what belongs to it: `…/Boat_(painting)` its bracket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WIDE = "，。；！？、：）】」』》〉”’"
"""Chinese and typographic signs: no address has them as they are, so words may follow without a blank."""
_CLOSING = rf"[)\]>}}|`\"'*_~.,;:!?…{_WIDE}]"
_LINK = re.compile(
    rf"""
    (?P<opening> (?: !?\[[^\]]*\]\( | [(\[<{{|`"'*_~“‘（【「『《〈] )* )
    (?P<url> https?://[^\s<>{_WIDE}]+? )
    (?P<closing> (?: (?!::[-.0-9]) {_CLOSING} ){{0,20}}+ )
    (?: ::(?P<weight> -?(?: [0-9]{{1,4}}(?:\.[0-9]{{1,4}})? | \.[0-9]{{1,4}} ) ) {_CLOSING}{{0,20}}+ )?
    (?: \s+ "[^"]*" \s* \) {_CLOSING}{{0,20}}+ )?
    (?: (?=\s|$) | (?<=[{_WIDE}]) | (?<=[,;]) (?=\S{{0,3}}https?://) )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LABEL = re.compile(r"!?\[[^\]]*\]\((?=<?https?://)", re.IGNORECASE)
_GLUED = re.compile(r"(?<=[,;])(?=<?https?://)", re.IGNORECASE)
_BETWEEN = re.compile(r"\s* (?: [,;，；、] \s* )*", re.VERBOSE)


@dataclass(frozen=True)
class ImageLink:
    url: str
    weight: float = 1.0


def leading(text: str) -> tuple[tuple[ImageLink, ...], str]:
    """The links that a text begins with, and what stands behind them."""
    links: list[ImageLink] = []
    place = 0
    while (match := _LINK.match(text, place)) and _is_closed(match):
        links.append(_link(match))
        place = match.end()
        if between := _BETWEEN.match(text, place):
            place = between.end()
    return tuple(links), text[place:]


def single(word: str) -> ImageLink | None:
    """The link that a word is."""
    match = _LINK.fullmatch(word.strip())
    return _link(match) if match and _is_closed(match) else None


def words(text: str) -> list[str]:
    """A text at its blanks, where a link is one word whatever its label says."""
    return _GLUED.sub(" ", _LABEL.sub("(", text)).split()


def _is_closed(match: re.Match[str]) -> bool:
    """True if a bracket that opens before the link is not rather one around words: `(https://… a boat)`."""
    return not match["opening"].endswith(("(", "[")) or any(sign in match[0] for sign in ")]")


def _link(match: re.Match[str]) -> ImageLink:
    """With the closing brackets behind it that close one of its own."""
    url, closing = match["url"], match["closing"]
    while closing.startswith(")") and url.count("(") > url.count(")"):
        url, closing = url + ")", closing[1:]
    return ImageLink(url, float(match["weight"] or 1))
