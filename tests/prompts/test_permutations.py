"""Permutations and repeats: one text that is many commands."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.parser import FlagError, NoteKind, Preferences, Problem, all_notes, parse, parse_all
from prompts.permutations import permutations
from prompts.sentences import flag_problems, hints
from prompts.tokenizer import tokenize
from tests.prompts.catalogs import catalog

CATALOG = catalog()
NOTHING = Preferences()


def texts(text: str, preferences: Preferences = NOTHING) -> list[str]:
    return [parsed.text for parsed in parse_all(text, CATALOG, preferences)]


def refused(text: str, preferences: Preferences = NOTHING) -> FlagError:
    with pytest.raises(FlagError) as caught:
        parse_all(text, CATALOG, preferences)
    return caught.value


@pytest.mark.parametrize(
    ("text", "alternatives"),
    [
        ("a fox", ["a fox"]),
        ("a {red, blue} fox", ["a red fox", "a blue fox"]),
        ("a {red,blue,} fox", ["a red fox", "a blue fox", "a fox"]),
        ("{a, b} {c, d}", ["a c", "a d", "b c", "b d"]),
        ("a {red, {light, dark} blue} fox", ["a red fox", "a light blue fox", "a dark blue fox"]),
        (r"a {red\, blue, green} fox", ["a red, blue fox", "a green fox"]),
        (r"a {b {c\, d, e}, f}", ["a b c, d", "a b e", "a f"]),
        ("a fox --ar {3:2, 1:1}", ["a fox --ar 3:2", "a fox --ar 1:1"]),
        ("a fox --{chaos 50, weird 100}", ["a fox --chaos 50", "a fox --weird 100"]),
        ("a fox {--tile, }", ["a fox --tile", "a fox"]),
        ("a {fox::2, cat} dog::-1", None),
        ("{a, a}", ["a", "a"]),
        ("a fox --no {fog, rain}", ["a fox --no fog", "a fox --no rain"]),
        ("{红，蓝、绿}狐狸", ["红狐狸", "蓝狐狸", "绿狐狸"]),
        ("{红\\，蓝，绿}狐狸", ["红，蓝狐狸", "绿狐狸"]),
        ("｛红，蓝、绿｝狐狸", ["红狐狸", "蓝狐狸", "绿狐狸"]),
        ("｛红,{浅，深}蓝} fox", ["红 fox", "浅蓝 fox", "深蓝 fox"]),
        ("｛红\\，蓝，绿｝狐狸", ["红，蓝狐狸", "绿狐狸"]),
        ("狐狸 --ar ｛3：2，1：1｝", ["狐狸 --ar 3:2", "狐狸 --ar 1:1"]),
        ("{https://a.example/b.png, } a fox", ["https://a.example/b.png a fox", "a fox"]),
    ],
)
def test_a_set_stands_for_each_of_its_items(text: str, alternatives: list[str] | None) -> None:
    if alternatives is None:
        assert refused(text).problem is Problem.WEIGHT_SUM
    else:
        assert texts(text) == alternatives


@pytest.mark.parametrize(
    "text",
    [
        "a {fox}",
        "a {fox, cat",
        "a fox, cat}",
        "a } { b",
        "{}",
        r"\{a, b\}",
        r"\{a, b}",
        "{{a} b",
        "｛狐狸｝",
        "｛红，蓝",
        r"\｛红，蓝｝",
        r"｛红，蓝\｝",
        "红，蓝｝",
    ],
)
def test_other_braces_are_text(text: str) -> None:
    assert texts(text) == [text]


_ASCII = str.maketrans("｛｝，、", "{},,")


@given(st.text("{}｛｝,，、\\ab", max_size=14))
def test_chinese_signs_mean_what_the_others_do(text: str) -> None:
    found, plain = permutations(text), permutations(text.translate(_ASCII))
    assert found.count == plain.count
    assert [each.translate(_ASCII) for each in found.texts()] == plain.texts()


@given(st.text("｛｝{}，、,红蓝", max_size=12))
def test_escaped_braces_are_no_set(text: str) -> None:
    escaped = re.sub("[{}｛｝]", r"\\\g<0>", text)
    assert permutations(escaped).texts() == [escaped]
    assert tokenize(escaped).prompt == text


def test_what_becomes_a_set_by_mistake_stays_escaped() -> None:
    assert texts(r"{ {a\, b, c} }") == [r"{ a\, b }", "{ c }"]
    for parsed in parse_all(r"{ {a\, b, c} }", CATALOG):
        assert texts(parsed.text) == [parsed.text]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("{a,b} {a,b} {a,b} {a,b} {a,b} {a,b}", "64"),
        ("{" + ",".join("a" * 41) + "}", "41"),
        ("{a,b,c} --repeat 14", "42"),
        ("{a,b,c} {--repeat 10,--repeat 4}", "42"),
        ("{a,b}" * 100, "more than a billion"),
        ("{a,b}" * 3000, "more than a billion"),
        ("{a," * 41 + "b" + "}" * 41, "42"),
        ("{a," * 3000 + "b" + "}" * 3000, "3,001"),
    ],
)
def test_more_than_forty_are_refused_with_their_number(text: str, count: str) -> None:
    error = refused(text)
    assert error.problem is Problem.TOO_MANY
    sentence = flag_problems(error.faults)
    assert f"That would be {count} jobs at once; a command may become at most 40." == sentence
    assert error.echo == text


def test_forty_are_allowed() -> None:
    assert len(texts("{a,b,c,d} {a,b} --r 5")) == 40
    assert len(texts("{a," * 39 + "b" + "}" * 39)) == 40


def test_a_fault_in_one_refuses_all_with_what_was_typed() -> None:
    error = refused("a {fox, cat --ar 9:1}")
    assert (error.problem, error.suggestion) == (Problem.WRONG, "--ar 4:1")
    assert error.echo == "a {fox, cat --ar 9:1}"


def test_the_text_before_its_expansion_may_be_long_but_not_endless() -> None:
    many = "{" + ",".join("x" * 500 for _ in range(10)) + "}"
    assert len(texts(many)) == 10
    assert refused("x" * 20_000).problem is Problem.TOO_LONG
    assert refused("{a,b}" + "x" * 4000).problem is Problem.TOO_LONG


def test_sets_in_the_members_own_options_multiply_too() -> None:
    own = Preferences(options={"ink": "{ink, oil} --ar 3:2", "size": "--ar {1:1, 2:1}"})
    assert texts("a {fox, cat} --ink", own) == [
        "a fox ink --ar 3:2",
        "a fox oil --ar 3:2",
        "a cat ink --ar 3:2",
        "a cat oil --ar 3:2",
    ]
    assert texts("a fox {--ink, --size}", own) == [
        "a fox ink --ar 3:2",
        "a fox oil --ar 3:2",
        "a fox --ar 1:1",
        "a fox --ar 2:1",
    ]
    huge = Preferences(options={"x": "{a,b}" * 20})
    assert refused("a fox --x", huge).problem is Problem.TOO_MANY


def test_one_command_alone_leaves_braces_as_they_are() -> None:
    parsed = parse("a {red, blue} fox", CATALOG)
    assert parsed.text == "a {red, blue} fox"


def test_repeats_draw_seeds_of_their_own() -> None:
    parsed = parse_all("a fox --repeat 5", CATALOG)
    assert [each.text for each in parsed] == ["a fox"] * 5
    assert len({each.request.seed for each in parsed}) > 1
    assert not all_notes(parsed)


@pytest.mark.parametrize("flag", ["seed", "sameseed"])
def test_repeats_of_a_fixed_seed_take_the_next_seeds_and_say_so(flag: str) -> None:
    parsed = parse_all(f"a fox --{flag} 4294967290 --r 3", CATALOG)
    assert [each.request.seed for each in parsed] == [4294967290, 4294967294, 2]
    assert [each.text for each in parsed] == [
        f"a fox --{flag} 4294967290",
        f"a fox --{flag} 4294967294",
        f"a fox --{flag} 2",
    ]
    assert all(each.request.sameseed == (flag == "sameseed") for each in parsed)
    (note,) = all_notes(parsed)
    assert (note.kind, note.detail) == (NoteKind.SEEDS_APART, "4294967290, 4294967294, 2")
    (sentence,) = hints(parsed, CATALOG)
    assert sentence.startswith("With one `--seed` all repeats would be the same")
    assert sentence.endswith("4294967290, 4294967294, 2, …")


def test_permutations_of_a_fixed_seed_share_it() -> None:
    parsed = parse_all("a {red, blue} fox --seed 5", CATALOG)
    assert [each.request.seed for each in parsed] == [5, 5]
    assert not all_notes(parsed)
    assert [each.request.seed for each in parse_all("a fox --r 2", CATALOG, seed=7)] == [7, 11]


def test_repeats_draw_style_codes_of_their_own_and_show_them() -> None:
    parsed = parse_all("a fox --sref random --r 6", CATALOG)
    assert len({each.text for each in parsed}) == 6
    assert "random" not in "".join(each.text for each in parsed)


def test_parse_says_how_often_a_command_repeats() -> None:
    once = parse("a fox --repeat 7 --ar 3:2", CATALOG)
    assert (once.repeat, once.text) == (7, "a fox --ar 3:2")
    assert [each.repeat for each in parse_all("a fox --repeat 2", CATALOG)] == [1, 1]


def test_notes_of_many_are_told_once() -> None:
    parsed = parse_all("a {red, blue} fox --p --ar {4:1, 10:7}", CATALOG)
    assert len(hints(parsed, CATALOG)) == 2
