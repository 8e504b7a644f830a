"""What is wrong with a Chinese sentence, by rules that need no reader; `docs/chinese.md` has the terms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

DOCUMENT = Path(__file__).parents[2] / "docs" / "chinese.md"

HAN = r"[\u3400-\u4dbf\u4e00-\u9fff]"
WIDE = "，。：；！？、（）“”"
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
_TYPED = re.compile(r"`[^`]*`|\{\w+[^}]*\}|(?<!\w)/\w+(?: [a-z]+)?|(?:Report|Cancel) Job")
"""What stays as it is: code, fields, commands, and what menus are called."""
_DISCORD = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")

RULES = {
    "a blank between Chinese and letters, figures, code or mentions": re.compile(
        rf"{HAN}[A-Za-z0-9`<]|[A-Za-z0-9`>%]{HAN}"
    ),
    # A bullet or a dash may stand beside a bracket, as in `- …` and `） - `.
    "no blank beside a full-width sign": re.compile(rf"[{WIDE}] +(?![-·])|(?<![-·#>.\n ]) +[{WIDE}]"),
    "full-width punctuation beside Chinese": re.compile(rf"{HAN}[,;:!?()]|[,;:!?()]{HAN}|{HAN}\.(?!\w)"),
    "full-width brackets around Chinese": re.compile(rf"\([^()\n]*{HAN}[^()\n]*\)"),
    "no blank between Chinese characters": re.compile(rf"(?<=[^*]{HAN}) +{HAN}"),
    "nobody is spoken to as 您": re.compile("您"),
    "no sentence that ends with its owner": re.compile(r"属于\s*$"),
}
BROKEN = {
    "a blank between Chinese and letters, figures, code or mentions": "可取0 到 100",
    "no blank beside a full-width sign": "变化（强烈） <@1>",
    "full-width punctuation beside Chinese": "没有, 请再试",
    "full-width brackets around Chinese": "<@1> (快速)",
    "no blank between Chinese characters": "可取 任意值",
    "nobody is spoken to as 您": "您的任务",
    "no sentence that ends with its owner": "取消了一个任务，属于 ",
}
"""A sentence that breaks each rule."""


def faults(sentence: str) -> list[str]:
    """What is wrong with a sentence as Discord gets it."""
    code = CODE.sub("`x`", re.sub(r"\\(.)", r"\1", sentence))
    plain = code.replace("**", "").replace("~~", "")
    found = [rule for rule, wrong in RULES.items() if wrong.search(plain)]
    return [*found, *(["no mark of bold or italics to be seen"] if stray(sentence) else [])]


def stray(sentence: str) -> bool:
    """Whether an asterisk is seen where bold or italics were meant, as CommonMark renders it."""
    rendered = _DISCORD.render(re.sub(r"\\[*~]", "", sentence))
    return bool(re.search(r"\*|~~", re.sub(r"<code>.*?</code>", "", rendered, flags=re.DOTALL)))


@dataclass(frozen=True)
class Term:
    english: tuple[str, ...]
    chinese: tuple[str, ...]
    never: tuple[str, ...]

    def missing(self, english: str, chinese: str) -> bool:
        """Whether the English has the term and the Chinese lacks it."""
        words = "|".join(f"{re.escape(word)}s?" for word in self.english)
        asked = re.search(rf"(?<![\w-])(?:{words})(?![\w-])", _TYPED.sub("", english), re.IGNORECASE)
        return bool(asked) and not any(word in chinese for word in self.chinese)


@cache
def terms() -> tuple[Term, ...]:
    """The table of the document."""
    rows = [line for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith("|")]
    return tuple(_term(*row.strip("| ").split("|")) for row in rows[2:])


def _term(english: str, chinese: str, never: str = "") -> Term:
    bare = re.sub(r"\([^)]*\)", "", never)
    return Term(_words(english, ","), _words(chinese, "/"), _words(bare, ","))


def _words(cell: str, sign: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in cell.split(sign) if word.strip())
