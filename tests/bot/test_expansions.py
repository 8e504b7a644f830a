"""What a short text can become is bounded before it becomes it: counted in work, not in seconds."""

from __future__ import annotations

import contextlib
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actions import word_filter
from prompts import parser, sentences, vocabulary, weights
from prompts.diagnostics import MOST_COMMANDS
from prompts.parser import LONGEST, FlagError, Preferences, Problem, parse_all
from prompts.tokenizer import tokenize
from storage import prompts, words
from storage.backends import Backends
from storage.config import Config
from storage.tables import Batch, Job
from tests.bot.pressing import job_rows
from tests.bot.simulated import World, answer, press
from tests.prompts.catalogs import catalog

CATALOG = catalog()
LIGATURE = "\ufdfa"
"""One character that NFKC writes in 18."""
NUMBERS = ", ".join(map(str, range(MOST_COMMANDS)))
relaxed = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])

pieces = st.sampled_from(
    [LIGATURE, "ﬃ", "㍿", "a ", "\u0301", "{a,b}", "{", ",", "}", "“", '"', "(a", ":1.1)", "::2 ", "--no x ",
     "--mine ", "--repeat 40 ", "--zz9 ", "<lora:a>", "https://a.b/c ", "\\"]
)  # fmt: skip
texts = st.lists(st.tuples(pieces, st.integers(1, 900)), max_size=8).map(
    lambda runs: "".join(piece * times for piece, times in runs)[:6000]
)
"""Up to the 6,000 characters that all of a command's options may have."""


@relaxed
@given(texts, st.text(alphabet=f"a {LIGATURE}{{,}}", max_size=1000), st.booleans())
def test_whatever_is_typed_what_is_understood_is_bounded(text: str, meaning: str, suffix: bool) -> None:
    own = Preferences(options={"mine": meaning}, suffix="--no x " * 100 if suffix else None)
    parsed = []
    with contextlib.suppress(FlagError):
        parsed = parse_all(text, CATALOG, own)
    assert len(parsed) <= MOST_COMMANDS
    for one in parsed:
        for said in (one.text, one.request.prompt):
            assert len(unicodedata.normalize("NFKC", said)) <= LONGEST


@pytest.mark.parametrize(
    "text",
    [
        f"{{{NUMBERS}}} {LIGATURE * 3700}",
        LIGATURE * (LONGEST // 18 + 1),
        "--mine " * 570,
        f"a --no {LIGATURE * 300}",
    ],
)
def test_what_would_be_too_long_is_refused_before_it_is(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    divided = _counting(monkeypatch, "prompts.precedence.tokenize", tokenize)
    with pytest.raises(FlagError) as caught:
        parse_all(text, CATALOG, Preferences(options={"mine": "--no a " * 140}))
    assert caught.value.problem is Problem.TOO_LONG
    assert sum(divided) <= 2 * len(text)
    assert "at most 4,000" in sentences.flag_problems(caught.value.faults)


def _counting(monkeypatch: pytest.MonkeyPatch, name: str, real: Callable[..., Any]) -> list[int]:
    """The length of each text that a function is called with."""
    lengths: list[int] = []

    def counted(text: str, *args: Any) -> Any:
        lengths.append(len(text))
        return real(text, *args)

    monkeypatch.setattr(name, counted)
    return lengths


def test_a_batch_has_no_more_words_compared_than_one_prompt(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "words.txt"
    known.write_text("castle\nhill")
    small = catalog(known)
    compared = _counting(monkeypatch, "prompts.sentences.vocabulary.nearest_known", vocabulary.nearest_known)
    sets = ", ".join(" ".join(f"zq{place}x{word}" for word in range(10)) for place in range(MOST_COMMANDS))
    sentences.hints(parse_all(f"{{{sets}}}", small), small)
    assert len(compared) == vocabulary.MOST_NAMED


def test_nested_brackets_multiply_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []
    real = weights._emphasis

    def counted(product: float, number: str) -> float:
        calls.append(product)
        return real(product, number)

    monkeypatch.setattr(weights, "_emphasis", counted)
    depth = 700
    parts = weights.read("(a" * depth + ":1.0)" * depth)
    assert weights.plain(parts) == "a" * depth
    assert len(calls) <= 2 * depth


@pytest.mark.parametrize("opening", ["“", '"', "<lora:", "https://", "{", "("])
def test_marks_that_never_close_are_looked_at_once(opening: str) -> None:
    """Each of them would be a scan to the end: the regular expressions stop at the next one."""
    parsed = parse_all(f"{opening} " * (LONGEST // (len(opening) + 1)), CATALOG, attached=True)
    assert len(parsed) == 1


def test_a_quotation_ends_before_the_next_begins() -> None:
    assert [flag.name for flag in tokenize("“a “b --ar 3:2” c --ar 2:1").flags] == ["ar"]


@contextmanager
def _watched(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """For each text that is normalised, whether its thread was in a transaction that writes."""
    writing = threading.local()
    seen: list[bool] = []
    database, real = world.backends.database, word_filter._visible

    @contextmanager
    def flagged(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with original(*args, **kwargs) as session:
            writing.now = True
            try:
                yield session
            finally:
                writing.now = False

    def visible(text: str) -> str:
        if len(text) > 100:
            seen.append(getattr(writing, "now", False))
        return real(text)

    original = database.writing
    monkeypatch.setattr(database, "writing", flagged)
    monkeypatch.setattr(word_filter, "_visible", visible)
    word_filter.readings.cache_clear()
    yield seen


async def test_a_prompt_is_normalised_once_and_while_nobody_waits_to_write(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = world.member("alice")
    with world.backends.database.writing() as session:
        words.forbid(session, world.guild.id, 99, "spider")
    long = "a red castle " * 20
    with _watched(world, monkeypatch) as seen:
        await alice.slash(world.channel, "imagine", prompt=long)
        assert seen == [False]
        asked = await alice.slash(world.channel, "imagine", prompt=f"{long} {{{NUMBERS}}}")
        await press(alice, answer(asked), "Yes")
        assert seen == [False] * (1 + MOST_COMMANDS)
    with world.backends.database.reading() as session:
        assert session.query(Batch).one().state == "confirmed"
        assert session.query(Job).count() == 1 + MOST_COMMANDS


async def test_the_command_that_froze_the_bot_is_refused(world: World) -> None:
    alice = world.member("alice")
    prompt = f"{{{','.join(map(str, range(MOST_COMMANDS)))}}} {LIGATURE * 3700}"
    refused = await alice.slash(world.channel, "imagine", prompt=prompt)
    assert "characters" in answer(refused).content
    assert job_rows(world) == []


def test_many_words_are_searched_by_the_first(config: Config) -> None:
    with closing(Backends.open(config)) as backends, backends.database.reading() as session:
        assert prompts.past(session, 1, "a b c d " * 700) == []
        assert prompts.recalled(session, 1, " ".join(map(str, range(3000)))) is None


def test_forty_long_prompts_take_the_words_apart_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeats are one prompt: forty of them are compared forty times and read once."""
    word_filter.readings.cache_clear()
    read = _counting(monkeypatch, "actions.word_filter._visible", word_filter._visible)
    for one in parser.parse_all("red castle " * 300 + "--repeat 40", CATALOG):
        word_filter.forbidden_words(one.request.prompt, ["spider"] * 500)
    assert len([length for length in read if length > 100]) == 1
