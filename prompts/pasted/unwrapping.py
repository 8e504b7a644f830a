"""Strip the surroundings of a prompt that was copied from a message, a list or a web page.

Only what is no part of a prompt goes: quotes and code marks round all of it, a command in front, who drew it.
"""

from __future__ import annotations

import json
import re

from prompts.pasted import chatter

_ENTITIES = {
    "&#8211;": "–", "&#8212;": "—", "&ndash;": "–", "&mdash;": "—", "&minus;": "−", "&#45;": "-",
    "&quot;": '"', "&#39;": "'", "&#8220;": "“", "&#8221;": "”", "&nbsp;": " ", "&#160;": " ",
}  # fmt: skip
_ENTITY = re.compile("|".join(map(re.escape, _ENTITIES)))
_ESCAPED_LINE = re.compile(r"\\n(?=[A-Z])")
_MOST_LAYERS = 12

_CHROME = re.compile(
    r"(?:Replying to .{1,60}|.{1,60} used /\w+|APP|BOT|Image|U1 U2 U3 U4|V1 V2 V3 V4|[\s|:=-]*"
    r"|.{0,60}\b(?:Today|Yesterday) at \d.*|.{1,40} — \d{1,2}[/.]\d.*|parameters)\s*",
    re.IGNORECASE,
)
"""Lines that stand round a message in a chat, and rules between parts of a page."""
_WEIGHED = re.compile(r"\s*Important tokens\s.*?(?=[1-9]\uFE0F?\u20E3)", re.DOTALL | re.IGNORECASE)
"""The beginning of `/shorten`'s answer: the words with marks that show how much each weighs."""

_HAS_FLAG = re.compile(r"[-‐‑‒–—―⸺⸻−﹘﹣－ー]\s?[A-Za-zａ-ｚ][\w-]*")
_FENCE = re.compile(r"\s*(?P<bar>`{1,3})(?:[a-z]{1,10}\n)?(?P<text>[^`].*?)(?P=bar)\s*", re.DOTALL)
_PAIRS = (
    ('"', '"'), ("“", "”"), ("„", "“"), ("”", "”"), ("«", "»"), ("»", "«"), ("「", "」"), ("『", "』"),
    ("'", "'"), ("‘", "’"), ("《", "》"), ('\\"', '\\"'), ("||", "||"), ("**", "**"), ("__", "__"),
    ("*", "*"), ("_", "_"), ("~~", "~~"),
)  # fmt: skip
"""The longer of two that begin alike comes first."""

_NAMES = (
    r"(?:(?:the|my|full|final|midjourney|mj|image|text|positive|main|sd|ai)[ ]+)*prompts?(?:[ ]*\#?\d{1,3})?"
    r"|(?:正向|正面)?(?:提示词|提示詞|咒语|關鍵詞|关键词)|(?:正の)?プロンプト|промпт|프롬프트|описание|positive(?=\s*[:：])"
)
_WHO = r"(?:<@[!&]?\d+>|@[\w.]+)"
_FRONT = re.compile(
    rf"""
    \s* (?:
        (?:{_WHO}\s+)? [/!] (?:imagine|dream|draw|create|image|img|paint|generate)\b /? \s*
            (?: prompt\b \s* [:：=]? \s* )?
      | imagine \s+ prompt \s* [:：] \s*
      | imagine \s* [:：] \s*
      | [^\w\s"'(<\[{{-]{{0,4}} \s* (?: {_NAMES} ) \s* (?: [*_]{{0,3}} \s* [:：=] [*_]{{0,3}} | [ ]-[ ] ) \s*
      | (?:[>›]\s+|>>>\s*)
      | (?: [-*•·→▪‣] | \(?\d{{1,2}}[.)] | [a-z]\) | [1-9]\uFE0F?\u20E3 ) [ ]+ (?:\[[ x]?\][ ]+)?
        (?=[^\W\d]|[*"“«{{(<]) (?! (?:ar|v|s|c|no|q|w|aspect|style|niji|stylize|seed|chaos)\b )
      | [^/]{{0,60}}? (?=(?<!\S)/imagine\s+prompt\b)
      | <@[!&]?\d+> \s* (?: [a-z ]{{1,20}} : \s+ )?
      | \[\d{{1,2}}:\d\d(?:\ [AP]M)?\] \s+ [\w.\ ]{{1,32}} : \s+
      | \#[\w-]{{1,32}} \s* \| \s+
      | \#{{1,6}} \s+
      | ~~[^~]{{1,200}}~~ \s* (?:new:\s*)?
      | (?: {_NAMES} ) [ ]* \n
      | \#prompt \s+
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)

_DREAM = re.compile(r"\s*[!/]dream\b")
_OF_DREAM = {"s": "steps", "S": "seed", "C": "cfg", "W": "width", "H": "height", "A": "sampler", "n": "count"}
"""Flags of Stable Diffusion's first bot, which had one letter and one dash."""
_LETTER = re.compile(rf"(?<!\S)-([{''.join(_OF_DREAM)}])(?=[ ]?[\w.])")

_DONE = r"(?:\[?\([^()]*\)\]?(?:\(<?https?://[^\s<>]*>?\))?\s*)*"
_OF_A_MESSAGE = re.compile(
    rf"\*\*(?P<text>.+?)\*\*\s*[-–—]\s*[^*\n]{{0,60}}?{_WHO}[^*]*", re.DOTALL | re.IGNORECASE
)
_BOLD = re.compile(r"\*\*(?P<text>[^*]+)\*\*")
_SIGNED = re.compile(
    rf"""
    \s+ [-–—] \s+
    (?: (?:Image\ \#\d | (?:Upscaled|Variations|Vary|Zoom|Pan|Remix|Remaster|Make)[^@<\n]{{0,40}}?) \s+
        (?:by\s+)? )?
    {_WHO} \s* {_DONE} $
    """,
    re.VERBOSE,
)
_SEED = re.compile(r"\*\*(?:seed|种子)\*\*[:：]?\s*(\d{1,10})", re.IGNORECASE)
_EDITED = re.compile(r"\s*\((?:edited|已编辑|bearbeitet)\)\s*$")


def unwrapped(text: str) -> str:
    """The prompt alone. What it returns has nothing more to take off, but for hundreds of layers."""
    text = _ESCAPED_LINE.sub("\n", _ENTITY.sub(lambda found: _ENTITIES[found[0]], text))
    for _ in range(_MOST_LAYERS):
        before = text
        for taken_off in _LAYERS:
            text = taken_off(text).strip()
        if text == before:
            break
    return text


def _of_message(text: str) -> str:
    """Take the prompt out of a message of Midjourney's bot, or this one: `**prompt** - @who (fast)`."""
    if found := _OF_A_MESSAGE.search(text):
        return found["text"]
    flagged = [match["text"] for match in _BOLD.finditer(text) if " --" in match["text"]]
    if len(flagged) == 1:
        seed = _SEED.search(text)
        return f"{flagged[0]} --seed {seed[1]}" if seed else flagged[0]
    return _EDITED.sub("", _SIGNED.sub("", text))


def _lines(text: str) -> str:
    """Without the lines of a chat or a page that are no part of a prompt."""
    if "\n" not in text:
        return text
    lines = text.split("\n")
    return "\n".join(line for line in lines if not line.strip() or not _CHROME.fullmatch(line))


def _of_json(text: str) -> str:
    """A prompt with its settings as programs hand them on: `{"prompt": …, "aspect_ratio": "16:9"}`."""
    if not (text.startswith("{") and '"' in text):
        return text
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(fields, dict) or not isinstance(fields.get("prompt"), str):
        return text
    settings = (
        f"--{name} {value}"
        for name, value in fields.items()
        if name != "prompt"
        and isinstance(value, str | int | float)
        and not isinstance(value, bool)
        and value != ""
    )
    return " ".join([fields["prompt"], *settings])


def _within_marks(text: str) -> str:
    """Without quotes or code marks round all of it, where there are flags within: else they are letters."""
    if (found := _FENCE.fullmatch(text)) and "`" not in found["text"]:
        return found["text"].strip()
    for opening, closing in _PAIRS:
        inner = text[len(opening) : len(text) - len(closing)]
        if not (text.startswith(opening) and text.endswith(closing)) or len(text) < 2 + len(opening):
            continue
        if _HAS_FLAG.search(inner) and _whole(inner, opening, closing):
            return inner.strip()
    return text


def _whole(inner: str, opening: str, closing: str) -> bool:
    """True if the marks belong together, rather than to two quotes at the ends: `"cat", "dog"`."""
    if opening != closing:
        depth = 0
        for character in inner:
            depth += (character == opening) - (character == closing)
            if depth < 0:
                return False
        return True
    marks = [place for place in range(len(inner)) if inner.startswith(opening, place)]
    if not marks:
        return True
    # An inner quote opens behind a blank, a pair's end closes behind a letter.
    return opening in "\"'" and (marks[0] == 0 or inner[marks[0] - 1].isspace())


def _of_shorten(text: str) -> str:
    return _WEIGHED.sub("", text, count=1) if _WEIGHED.match(text) else text


def _of_dream(text: str) -> str:
    if not _DREAM.match(text):
        return text
    return _LETTER.sub(lambda found: f"--{_OF_DREAM[found[1]]} ", text)


def _without_front(text: str) -> str:
    found = _FRONT.match(text)
    return text[found.end() :] if found else text


_LAYERS = (
    _of_json, _of_shorten, _lines, chatter.prompt_of, _within_marks, _of_message, _of_dream, _without_front,
)  # fmt: skip
