"""A prompt as a message, a code block or a file name shows it. What is stored is never escaped."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, unquote

from prompts.tokenizer import clean, tokenize

INVITER = r"""
(?: discord(?:app)?
    (?= \.(?:gg|new|gifts?|me|io)
      | \.com\.? (?: :\d+ )? / (?: [^\s/?\#]* / )* (?:invite|template|gifts|servers|oauth2) )
  | (?: dsc | invite ) (?= \.gg ) )
"""
"""The name, as a verbose pattern, of a host that lets who clicks join a server or add an app."""
_ACTS = rf"""
    (?P<invite> {INVITER} )
    | (?P<everyone> @(?=everyone|here) )
    | (?P<mark> [\\*_~|`<\[\]] )
"""
_LINK = r"""(?P<link> https?://[^\s<>]*[^\s<>.,;:!?'"“”)\]}*_~|`\\] )"""
_PIECE = re.compile(f"{_LINK} | {_ACTS}", re.VERBOSE | re.IGNORECASE)
_OF_TEXT = re.compile(_ACTS, re.VERBOSE | re.IGNORECASE)
_LINE_START = re.compile(r"(?:-?#|>|[-+]\s|(?P<number>\d+)[.)]\s)")
_ELLIPSIS = "…"
UNSEEN = "\u200b"
"""Divides what would act; `clean` takes it away again from what is copied."""
_FILE_NAME = 60
_FILE_NAME_MEMBER = 20


def length(text: str) -> int:
    """Length as Discord counts it: UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def show_prompt(text: str, budget: int) -> str:
    """The text escaped for a message, in at most `budget` UTF-16 units, on one line.

    Nothing in it mentions, unfurls, formats or begins a heading; what does not fit is cut with `…`, never
    between a backslash and its character nor within a link.
    """
    pieces = _escaped(clean(text))
    if sum(length(piece) for piece in pieces) <= budget:
        return "".join(pieces)
    kept, left = [], budget - length(_ELLIPSIS)
    for piece in pieces:
        left -= length(piece)
        if left < 0:
            break
        kept.append(piece)
    return "".join(kept).rstrip() + _ELLIPSIS if budget > 0 else ""


def _escaped(line: str) -> list[str]:
    """Pieces of which none may be cut."""
    pieces = []
    end = 0
    if start := _LINE_START.match(line):
        end = start.end("number") if start["number"] else 0
        pieces += [*line[:end], f"\\{line[end]}"]
        end += 1
    for match in _PIECE.finditer(line, end):
        pieces += line[end : match.start()]
        link = match["link"]
        pieces += [_escaped_piece(match)] if link is None else _link(link)
        end = match.end()
    pieces += line[end:]
    return pieces


def _link(link: str) -> list[str]:
    """It may be clicked, but is not unfurled; an invitation is text that reads the same."""
    if not invites(link):
        # Bold text ends at the first two asterisks, and a mention acts, in a link or not; else it is inert.
        return [f"<{re.sub('[*]|@(?=everyone|here)', lambda mark: quote(mark[0]), link)}>"]
    pieces: list[str] = []
    end = 0
    broken = link.replace("://", f":{UNSEEN}//")
    for match in _OF_TEXT.finditer(broken):
        pieces += [*broken[end : match.start()], _escaped_piece(match)]
        end = match.end()
    return [*pieces, *broken[end:]]


def invites(link: str) -> bool:
    """True if a link leads to an invitation, as far as a browser would undo how it is written."""
    plain = unicodedata.normalize("NFKC", unquote(link)).casefold().replace("\u3002", ".").replace("\\", "/")
    seen = "".join(char for char in plain if unicodedata.category(char) not in ("Cf", "Mn"))
    return re.search(INVITER, seen, re.VERBOSE) is not None


def _escaped_piece(match: re.Match[str]) -> str:
    return f"\\{match[0]}" if match["mark"] else f"{match[0]}{UNSEEN}"


def fence(text: str) -> str:
    """The text as a code block, to be copied as it is."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    bar = "`" * max(3, longest + 1)
    return f"{bar}\n{text}\n{bar}"


def code(text: str, budget: int = 80) -> str:
    """A few typed words within a sentence."""
    short = clean(text)
    if "`" in short:
        return f"“{show_prompt(short, budget)}”"
    return f"`{clip(short, budget)}`"


def clip(text: str, budget: int) -> str:
    """At most so many characters of a text."""
    return text if len(text) <= budget else text[: budget - 1] + _ELLIPSIS


def file_name(member: str, text: str, job_id: int, extension: str = "png") -> str:
    """`<member>_<words>_<job id>.<extension>`, of a–z, 0–9 and _ alone."""
    who = _plain(member)[:_FILE_NAME_MEMBER].strip("_") or "member"
    room = _FILE_NAME - len(who) - 1
    words = _plain(tokenize(text).prompt)
    if len(words) > room:
        words = words[: room + 1].rpartition("_")[0] or words[:room]
    return f"{who}_{words.strip('_') or 'picture'}_{job_id}.{extension}"


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "_", letters).strip("_")
