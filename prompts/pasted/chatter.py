"""An assistant's reply without what it says round the prompt that it hands over: `Here is a prompt: …`.

Only what hands one over goes: a sentence that names it, and an offer behind its quotes or on a last line.
"""

from __future__ import annotations

import re

_AGREES = (
    r"(?:sure(?:\s+thing)?|absolutely|certainly|of\s+course|great|okay|ok|no\s+problem|got\s+it)\s*[!,.]\s*"
)
_FRONT = re.compile(
    rf"""
    \s* (?:{_AGREES})? (?:
        here\s*(?:['’]s|\s(?:is|are))\s [^:\n"“]{{0,80}}? \b(?:prompts?|version|one)\b [^:\n"“]{{0,60}} :
      | here\s+you\s+go \s* [-:!.—–]
      | try\s+this(?:\s+(?:one|prompt|version))? \s* :
      | voici\s+(?:votre|ton|le|un)\s+prompt [^:\n]{{0,40}} :
      | hier\s+ist\s+(?:dein|ihr|der|ein)\s+prompt [^:\n]{{0,40}} :
      | aqu[íi]\s+(?:tienes?|est[áa])\s+(?:tu|el|un)\s+prompt [^:\n]{{0,40}} :
      | ecco\s+(?:il|un)\s+(?:tuo\s+)?prompt [^:\n]{{0,40}} :
      | (?:这是|以下是)(?:你的|您的)?(?:提示词|提示詞) [:：]
    ) \s*
    """,
    re.VERBOSE | re.IGNORECASE,
)
_OFFERED = re.compile(
    r"""
    (?P<prompt> ["“«`].*["”»`] | .*\n ) \s*
    (?: let\s+me\s+know | feel\s+free | i\s+hope | hope\s+(?:this|that|it) | would\s+you\s+like
      | want\s+me\s+to | if\s+you(?:['’]d|\s+would)\s+like | enjoy ) \b [^\n"“]*
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_QUOTED = re.compile(
    r"""["“](?P<words>[^"“”]+)["”] \s* (?: (?:with|and|using|plus)\b \s* )? (?P<flags>[-–—].*)?""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_TITLED = re.compile(r"(?:\d{1,2}[.)]\s+)?\*\*(?P<title>[^*\n]{1,60})\*\*(?=\s*[-–—:])")


def prompt_of(reply: str) -> str:
    """The prompt alone; a text that is no such reply, as it is."""
    front = _FRONT.match(reply)
    text = reply[front.end() if front else 0 :].strip()
    if offered := _OFFERED.fullmatch(text):
        text = offered["prompt"].strip()
    if front is None:
        return text
    if quoted := _QUOTED.fullmatch(text):
        return " ".join(filter(None, [quoted["words"], quoted["flags"]]))
    return _TITLED.sub(lambda found: found["title"], text, count=1) if _TITLED.match(text) else text
