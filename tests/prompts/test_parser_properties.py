"""What must hold of the prompt language whatever is typed."""

from __future__ import annotations

import contextlib
import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompts import sentences
from prompts.diagnostics import MOST_COMMANDS
from prompts.markdown import length
from prompts.parser import (
    BY_NAME,
    FLAGS,
    LONGEST,
    Flag,
    FlagError,
    Meaning,
    Preferences,
    Scope,
    check_option,
    check_suffix,
    parse,
    parse_all,
)
from storage import samplers
from tests.prompts.catalogs import catalog

CATALOG = catalog()
relaxed = settings(suppress_health_check=[HealthCheck.too_slow])

pieces = st.one_of(
    st.sampled_from(
        [*(f"--{name}" for name in BY_NAME), "—ar", "—s", "--", "—", "---", "--x", "--mine", "--dusk"]
    ),
    st.sampled_from(
        [
            "3:2",
            "16:9",
            "250",
            "0",
            "-1",
            "1.5",
            ".5",
            "raw",
            "ddim",
            "a, b",
            ",",
            ":",
            "=",
            "`",
            "random",
            "7",
        ]
    ),
    st.sampled_from(
        [
            "a",
            "red",
            "fox",
            "狐狸",
            "\n",
            "\u200b",
            "\u202e",
            "\x00",
            "\ud800",
            "é",
            "🦊",
            '"',
            "“",
            "”",
            "\\",
        ]
    ),
    st.sampled_from(
        [
            "{",
            "}",
            "{a, b}",
            "{a, {b, c}}",
            "｛",
            "｝",
            "｛红，蓝｝",
            "\\｛",
            "\\,",
            "\\{",
            "::",
            "::2",
            "a::-1",
            "b::.5",
            "(",
            ")",
            "(a:1.3)",
            ":2)",
        ]
    ),
    st.sampled_from(
        [
            "https://a.example/b.png",
            "<https://a.example/c>::2",
            "<lora:blueprint:.8>",
            "<lora:y>",
            "\\(",
            "(at 5:30)",
        ]
    ),
    st.text(max_size=8),
)
commands = st.one_of(
    st.text(max_size=200),
    st.tuples(st.lists(pieces, max_size=25), st.sampled_from([" ", "", "  "])).map(lambda p: p[1].join(p[0])),
)
preferences = st.sampled_from(
    [
        Preferences(),
        Preferences("dream_xl", "3:2", 50),
        Preferences(raw=True, stylize=50, suffix="--chaos 20 --no fog --sref random"),
        Preferences(
            suffix="--s 9999 words --x", options={"mine": "{ink, oil} --ar 3:2", "dusk": "at dusk --s 5"}
        ),
        Preferences(options={"mine": "--mine --dusk", "dusk": '"{', "ar": "--s 5", "x": ""}),
    ]
)


def _refusal(error: FlagError) -> str:
    sentence = sentences.flag_problems(error.faults)
    assert sentence
    assert length(sentence) <= 1800
    return sentence


@relaxed
@given(commands, preferences)
def test_any_text_parses_or_is_refused_with_a_sentence(text: str, member: Preferences) -> None:
    try:
        parsed = parse(text, CATALOG, member)
    except FlagError as error:
        _refusal(error)
    else:
        assert parsed.request.prompt or parsed.images
        assert len(parsed.text) <= LONGEST
        parsed.text.encode("utf-8")
        for sentence in sentences.hints([parsed], CATALOG):
            assert 0 < length(sentence) <= 2000


@relaxed
@given(commands, preferences)
def test_any_text_is_so_many_commands_or_is_refused(text: str, member: Preferences) -> None:
    try:
        parsed = parse_all(text, CATALOG, member)
    except FlagError as error:
        _refusal(error)
    else:
        assert 1 <= len(parsed) <= MOST_COMMANDS
        assert all(each.repeat == 1 for each in parsed)


@relaxed
@given(commands)
def test_anything_may_be_tried_as_a_suffix_or_an_option(text: str) -> None:
    for attempt in (lambda: check_suffix(text, CATALOG), lambda: check_option(text, text, {}, CATALOG)):
        try:
            attempt()
        except FlagError as error:
            _refusal(error)


@relaxed
@given(commands)
def test_a_suffix_that_was_taken_holds(text: str) -> None:
    with contextlib.suppress(FlagError):
        suffix = check_suffix(text, CATALOG)
        assert check_suffix(suffix, CATALOG) == suffix


values = st.fixed_dictionaries(
    {},
    optional={
        "ar": st.tuples(st.integers(1, 40), st.integers(1, 40)).map(
            lambda sides: f"{max(sides[0], 10)}:{max(sides[1], 10)}"
        ),
        "stylize": st.integers(0, 1000).map(str),
        "raw": st.just(""),
        "seed": st.integers(0, 2**32 - 1).map(str),
        "no": st.sampled_from(["trees", "a, b", "fog and rain"]),
        "steps": st.integers(1, 50).map(str),
        "quality": st.sampled_from([".25", "0.5", "2", "5"]),
        "cfg": st.sampled_from(["0", "7.5", "30", ".5", "5."]),
        "sampler": st.sampled_from(samplers.NAMES),
        "model": st.sampled_from(["picturebook", "dream_xl"]),
        "chaos": st.integers(0, 100).map(str),
        "weird": st.integers(0, 3000).map(str),
        "stop": st.integers(10, 100).map(str),
        "tile": st.just(""),
        "video": st.sampled_from(["", "1"]),
        "sref": st.sampled_from(["5", "5 6", "7::2 8"]),
        "sw": st.integers(0, 1000).map(str),
        "lora": st.sampled_from(["blueprint", "blueprint:.5", "stained_glass:-1 blueprint:2"]),
        "upscaler": st.just("crisp"),
        "relax": st.just(""),
        "stealth": st.just(""),
        "hd": st.just(""),
    },
)
texts = st.lists(
    st.sampled_from(
        [
            "a red fox",
            "(dusk:1.3)",
            "((a:1.2) b:.5)",
            "hot::2",
            "fog::-.5",
            "x::",
            "{ink, oil}",
            "｛墨、{红，蓝}｝",
            "\\｛x，y\\｝",
            "{a, {b, c\\, d}}",
            "\\{x, y\\}",
            "{x}",
            "}",
            "\\(a:1.2)",
            "<lora:blueprint:.8>",
            "--mine",
            "--dusk",
            'says "--ar (a:2) b::2"',
            "5:30",
        ]
    ),
    min_size=1,
    max_size=5,
).map(" ".join)
sensible = st.tuples(
    st.sampled_from(["", "https://a.example/b.png ", "<https://a.example/b>::1.5 https://c.example "]),
    texts,
    values.map(lambda chosen: " ".join(f"--{name} {value}" for name, value in chosen.items())),
    st.sampled_from(["", "--sref random 5", "--repeat 2", "—no \\{a, b\\}", "--mine"]),
).map(lambda parts: f"{parts[0]}{parts[1]} {parts[2]} {parts[3]}")


# A quote that is open in one of them and closed in another makes text of what stands between.
unquoted = st.one_of(commands.map(lambda text: text.replace('"', "").replace("“", "")), sensible)
tame = st.sampled_from(
    [
        Preferences(),
        Preferences("dream_xl", "3:2", 50),
        Preferences(raw=True, stylize=50, suffix="--chaos 20 --no fog --sref random"),
        Preferences(options={"mine": "ink and oil --ar 3:2", "dusk": "at dusk --s 5"}, suffix="--s 9999"),
    ]
)


@relaxed
@given(st.one_of(commands, sensible))
def test_what_is_printed_parses_to_the_same(text: str) -> None:
    with contextlib.suppress(FlagError):
        first = parse(text, CATALOG)
        again = parse(first.command, CATALOG)
        assert (again.request, again.images, again.speed) == (first.request, first.images, first.speed)
        assert again.text == first.command
        assert parse(first.text, CATALOG, seed=first.request.seed).request == first.request


@relaxed
@given(unquoted, tame)
def test_what_settings_add_is_printed_too(text: str, member: Preferences) -> None:
    with contextlib.suppress(FlagError):
        for first in parse_all(text, CATALOG, member):
            (again,) = parse_all(first.command, CATALOG)
            assert again.request == first.request
            assert again.text == first.command


@relaxed
@given(values, st.randoms())
def test_flags_in_any_order_mean_the_same(chosen: dict[str, str], order: random.Random) -> None:
    typed = [f"--{name} {value}" for name, value in chosen.items()]
    shuffled = list(typed)
    order.shuffle(shuffled)
    first = parse(" ".join(["a fox", *typed]), CATALOG, seed=1)
    second = parse(" ".join(["a fox", *shuffled]), CATALOG, seed=1)
    assert first.request == second.request
    assert set(first.notes) == set(second.notes)
    assert (first.speed, first.stealth) == (second.speed, second.stealth)


NEUTRAL = [flag for flag in FLAGS if flag.default is not None]


@pytest.mark.parametrize("flag", NEUTRAL, ids=lambda flag: flag.name)
@pytest.mark.parametrize("model", CATALOG.models)
@relaxed
@given(chosen=values)
def test_a_neutral_value_is_as_good_as_no_flag(flag: Flag, model: str, chosen: dict[str, str]) -> None:
    entry = CATALOG[model]
    others = {name: value for name, value in chosen.items() if name not in (flag.name, "model")}
    if flag.name == "stylize":
        others.pop("raw", None)
    text = " ".join(["a fox", *(f"--{name} {value}" for name, value in others.items())])
    asked = Preferences(model=model)
    plain = parse(text, CATALOG, asked, seed=1)
    neutral = parse(f"{text} --{flag.name} {flag.neutral(entry)}", CATALOG, asked, seed=1)
    assert neutral.request == plain.request


def test_every_range_has_a_neutral_value_where_there_can_be_one() -> None:
    without = {flag.name for flag in FLAGS if flag.meaning is Meaning.WORKS and flag.default is None}
    assert without == {
        "style", "raw", "seed", "sameseed", "no", "draft", "tile", "sref", "cref", "oref", "control", "lora",
        "v", "niji", "repeat", "fast", "relax", "turbo", "public", "stealth", "video",
    }  # fmt: skip


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
@relaxed
@given(st.text(max_size=12))
def test_no_flag_chokes_on_a_value(flag: Flag, value: str) -> None:
    for name in flag.names:
        with contextlib.suppress(FlagError):
            parse(f"a fox --{name} {value}", CATALOG)
    assert flag.value.expected(Scope(CATALOG, CATALOG["dream_xl"]))


@pytest.mark.parametrize(
    "text",
    [
        "“" * 4000,
        '"a ' * 2000,
        "--x " * 1000,
        "—" * 4000,
        "--s " * 1000,
        "-" * 4000,
        " \\--" * 900,
        "x" * 100_000,
        "{" * 8000,
        "{" * 8000 + "}" * 8000,
        "{a," * 4000 + "}" * 4000,
        "{a,b}" * 3000,
        "{a," * 38 + "{" * 1900 + "}" * 1938,
        "(" * 4000,
        "(" * 800 + "a" + ":1.0)" * 600,
        "a::" * 1300,
        ":1)" * 1300,
        "<lora:" * 600,
        "https://a " * 400,
        "\\" * 4000,
    ],
)
def test_nothing_takes_long(text: str) -> None:
    for attempt in (parse, parse_all):
        begun = time.process_time()
        with contextlib.suppress(FlagError):
            attempt(text, CATALOG)
        assert time.process_time() - begun < 2.0
