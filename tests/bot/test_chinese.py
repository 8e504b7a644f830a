"""Every Chinese sentence keeps the rules of `docs/chinese.md`, its fields filled as the bot fills them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterator

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from prompts.translation import DOMAIN, LOCALES
from tests.bot import chinese
from tests.bot.chinese import CODE, Term

FILLED = {
    "again": "请再试一次。",
    "because": "原因：吵闹",
    "counts": "已完成 1/4、2 个绘制中",
    "current": "无",
    "action": "变化（强烈）",
    "doing": "正在放大 · ",
    "done": "变化（强烈）· ",
    "entries": "2 项正在运行或等待。",
    "expected": "0 到 100 之间的整数",
    "head": "### 你的收藏",
    "knows": "",
    "label": "高",
    "line": "放大（2×）（任务 3）",
    "made": "2 × 放大（2×）、1 × 变化",
    "member": "<@1>",
    "mode": "（快速）",
    "own": "",
    "perhaps": "你是不是想写 `--ar`？",
    "place": " - 前面约有 3 个任务",
    "rest": " 等",
    "said": "（对方服务器返回 404）",
    "sentence": "无法读取这张图片。",
    "speed": "快速",
    "state": "已取消",
    "until": "，<t:1:f> 解除",
    "visibility": "公开",
    "what": " **3 个任务**及其提示词、**4 张图片**",
    "which": "（第 1 个文件，共 2 个）",
    "words": "`red`",
}
"""Fields that hold Chinese, or nothing, or a mention; every other holds a name or a figure."""


@pytest.fixture(scope="module")
def translations() -> Catalog:
    with (LOCALES / "zh_CN" / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
        return read_po(file)


def pairs(translations: Catalog) -> Iterator[tuple[str, str]]:
    """Every sentence in English and in Chinese, which has one form."""
    for one in translations:
        if one.id:
            english = one.id if isinstance(one.id, str) else one.id[-1]
            yield english, one.string if isinstance(one.string, str) else next(iter(one.string or ("",)))


class _Filled(string.Formatter):
    """`{name}` becomes what it stands for in the bot; formats such as `:.1f` are for figures."""

    def get_value(self, key: int | str, args: object, kwargs: object) -> object:  # noqa: ARG002
        return FILLED.get(str(key), "7")

    def format_field(self, value: object, format_spec: str) -> str:
        return str(value) if not format_spec else format(float(str(value)), format_spec)


def filled(sentence: str) -> str:
    return (
        _Filled().vformat(sentence, (), {}) if re.search(r"\{\w+[:}]", CODE.sub("", sentence)) else sentence
    )


def test_every_sentence_keeps_the_rules(translations: Catalog) -> None:
    found = {said: chinese.faults(filled(said)) for _english, said in pairs(translations)}
    assert {said: wrong for said, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("rule", chinese.RULES)
def test_a_broken_rule_is_found(rule: str) -> None:
    assert rule in chinese.faults(chinese.BROKEN[rule])


@pytest.mark.parametrize("broken", ["**当前后缀：**无", "副本**：蒙版** 会", "*没有关", "** 显示 **"])
def test_a_mark_that_is_seen_is_found(broken: str) -> None:
    assert chinese.stray(broken)
    assert not chinese.stray("**当前后缀**：无；`**` 和 \\*")


@pytest.mark.parametrize("term", chinese.terms(), ids=lambda term: term.english[0])
def test_each_term_has_one_translation(translations: Catalog, term: Term) -> None:
    said = dict(pairs(translations))
    assert [english for english in said if term.missing(english, said[english])] == []
    assert [form for form in said.values() if any(word in form for word in term.never)] == []


def test_a_missing_term_is_found() -> None:
    (grid,) = [term for term in chinese.terms() if term.english == ("grid",)]
    assert grid.missing("Only grids", "只看四格图")
    assert "四格图" in grid.never
    assert not grid.missing("Only `grid`", "只看")


def test_what_is_typed_stays_as_it_is(translations: Catalog) -> None:
    def typed(sentence: str) -> Counter[str]:
        return Counter(re.findall(r"`[^`]+`|(?<!\w)--[a-z]+|(?<!\w)/(?:mod|imagine)(?: [a-z]+)?", sentence))

    said = pairs(translations)
    assert {english: form for english, form in said if set(typed(english)) ^ set(typed(form))} == {}
