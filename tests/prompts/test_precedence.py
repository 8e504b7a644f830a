"""Text, the command's options, the member's own flags, their suffix and settings: which of them holds."""

from __future__ import annotations

import pytest

from prompts.parser import (
    LONGEST_SUFFIX,
    MOST_OPTIONS,
    FlagError,
    NoteKind,
    Parsed,
    Preferences,
    Problem,
    check_option,
    check_suffix,
    parse,
)
from prompts.sentences import flag_problems, notes
from storage.contract import Speed
from tests.prompts.catalogs import catalog

CATALOG = catalog()


def parsed(text: str, preferences: Preferences, **options: str) -> Parsed:
    return parse(text, CATALOG, preferences, options=options, seed=1)


EVERYTHING = Preferences(
    ratio="1:4",
    stylize=1,
    suffix="--s 2 --chaos 2 --ar 1:3 --no suffix",
    options={"mine": "ink --s 3 --chaos 3 --weird 3 --ar 1:2"},
)


def test_the_strongest_of_all_sources_holds() -> None:
    found = parsed("a fox --mine --weird 5", EVERYTHING, ar="10:7")
    assert found.text == "a fox ink --s 3 --chaos 3 --weird 5 --ar 10:7 --no suffix"
    request = found.request
    assert (request.prompt, request.stylize, request.chaos, request.weird) == ("a fox ink", 3, 3, 5)
    assert (request.width, request.negative_prompt) == (160, "suffix")
    assert found.notes == ()


def test_each_source_holds_where_no_stronger_one_speaks() -> None:
    assert parsed("a fox", EVERYTHING).text == "a fox --s 2 --chaos 2 --ar 1:3 --no suffix"
    assert parsed("a fox", Preferences(ratio="1:4", stylize=1)).text == "a fox --ar 1:4 --stylize 1"
    assert parsed("a fox --aspect 1:1 --stylize 9", EVERYTHING).request.stylize == 9
    assert parsed("a fox --c 0 --no trees", EVERYTHING).request.negative_prompt == "trees"


def test_what_is_shown_is_the_whole_prompt() -> None:
    found = parsed("a fox --mine", EVERYTHING)
    again = parse(found.command, CATALOG)
    assert again.request == found.request
    assert again.text == found.command


@pytest.mark.parametrize(
    ("text", "preferences", "stylize", "shown"),
    [
        ("a fox --raw", Preferences(), 0, "a fox --raw"),
        ("a fox --style raw", Preferences(), 0, "a fox --style raw"),
        ("a fox --style RAW --raw", Preferences(), 0, "a fox --style RAW --raw"),
        ("a fox --raw --s 50", Preferences(), 50, "a fox --raw --s 50"),
        ("a fox --raw", Preferences(stylize=50), 0, "a fox --raw"),
        ("a fox --style raw", Preferences(suffix="--s 50"), 0, "a fox --style raw"),
        ("a fox", Preferences(raw=True, stylize=50), 0, "a fox --raw"),
        ("a fox", Preferences(raw=True, suffix="--s 50"), 50, "a fox --s 50 --raw"),
        ("a fox --s 50", Preferences(raw=True), 50, "a fox --s 50 --raw"),
        ("a fox", Preferences(suffix="--raw", stylize=50), 0, "a fox --raw"),
        ("a fox", Preferences(raw=False, stylize=50), 50, "a fox --stylize 50"),
    ],
)
def test_raw_is_a_stylize_of_nothing_unless_one_is_typed(
    text: str, preferences: Preferences, stylize: int, shown: str
) -> None:
    found = parsed(text, preferences)
    assert (found.request.stylize, found.text) == (stylize, shown)
    assert parse(found.command, CATALOG).request == found.request


@pytest.mark.parametrize(
    ("text", "preferences", "speed", "stealth"),
    [
        ("a fox", Preferences(), None, None),
        ("a fox --fast --public", Preferences(), Speed.FAST, False),
        ("a fox --turbo --stealth", Preferences(speed=Speed.RELAX, stealth=False), Speed.TURBO, True),
        ("a fox", Preferences(speed=Speed.RELAX, stealth=True), Speed.RELAX, True),
        ("a fox --public", Preferences(suffix="--stealth --relax"), Speed.RELAX, False),
        ("a fox", Preferences(stealth=True, suffix="--public"), None, False),
    ],
)
def test_speed_and_visibility(
    text: str, preferences: Preferences, speed: Speed | None, stealth: bool | None
) -> None:
    found = parsed(text, preferences)
    assert (found.speed, found.stealth) == (speed, stealth)


def test_speed_and_visibility_of_the_settings_say_nothing_of_the_picture() -> None:
    assert parsed("a fox", Preferences(speed=Speed.RELAX, stealth=True)).text == "a fox"


def test_an_option_of_ones_own_is_text_flags_or_both_wherever_it_stands() -> None:
    own = Preferences(options={"ink": "in black ink", "wide": "--ar 3:2 --s 5", "both": "at dusk --ar 2:1"})
    assert parsed("a fox --ink", own).text == "a fox in black ink"
    assert parsed("a fox --INK and a cat --s 9", own).text == "a fox in black ink and a cat --s 9"
    assert parsed("a fox --wide --ink", own).text == "a fox in black ink --ar 3:2 --s 5"
    assert parsed("a fox --s 9 --both", own).text == "a fox at dusk --s 9 --ar 2:1"
    assert parsed("a fox --wide --ar 1:1", own).text == "a fox --s 5 --ar 1:1"
    assert parsed("--ink", own).text == "in black ink"
    assert parsed('a sign "--ink"', own).text == 'a sign "--ink"'


def test_no_option_takes_the_place_of_a_flag() -> None:
    own = Preferences(options={"ar": "--s 5"})
    assert parsed("a fox --ar 3:2", own).text == "a fox --ar 3:2"


def test_options_are_not_expanded_within_options() -> None:
    own = Preferences(options={"loop": "more --loops", "loops": "again --loop"})
    found = parsed("a fox --loops", own)
    assert found.text == "a fox again --loop"
    nested = Preferences(options={"one": "ink --two", "two": "oil"})
    (note,) = parsed("a fox --one", nested).notes
    assert (note.kind, note.flag, note.detail) == (NoteKind.CUSTOM_UNUSABLE, "one", "--two")


def test_what_was_set_and_no_longer_works_never_stands_in_the_way() -> None:
    broken = Preferences(
        model="sold",
        suffix="orange::-1 --s 9999 --chaos 5 --stilyze 3",
        options={"mine": "ink --ar wide --weird 5"},
    )
    found = parsed("a fox --mine", broken)
    assert found.text == "a fox ink --weird 5 --chaos 5"
    assert notes(found.notes) == [
        "`--ar wide` in your option `--mine` cannot be used; `/prefer option set` changes it.",
        "`--s 9999` in your suffix cannot be used; `/prefer suffix` changes it.",
        "`--stilyze 3` in your suffix cannot be used; `/prefer suffix` changes it.",
        "Your setting `--model` `sold` cannot be used any more; `/settings` changes it.",
        "`orange::-1` in your suffix cannot be used; `/prefer suffix` changes it.",
    ]


def test_ranges_of_a_suffix_are_those_of_the_model_that_draws() -> None:
    steps = Preferences(suffix="--steps 100")
    assert parsed("a fox --model dream_xl", steps).request.num_inference_steps == 100
    (note,) = parsed("a fox", steps).notes
    assert (note.kind, note.detail) == (NoteKind.SUFFIX_UNUSABLE, "100")


def test_of_a_suffix_that_contradicts_itself_the_last_holds() -> None:
    found = parsed("a fox", Preferences(suffix="--seed 5 --sameseed 6"))
    assert (found.request.seed, found.request.sameseed) == (6, True)
    assert found.notes == ()


def test_a_suffixs_flags_without_meaning_are_not_told_with_every_command() -> None:
    assert parsed("a fox", Preferences(suffix="--p --v 4")).notes == ()
    assert [note.flag for note in parsed("a fox --p", Preferences(suffix="--hd")).notes] == ["p"]


def test_the_model_may_come_from_anywhere() -> None:
    assert parsed("a fox", Preferences(suffix="--niji 6")).request.model == "dream_xl"
    assert parsed("a fox --v 7", Preferences(model="dream_xl")).request.model == "picturebook"
    assert parsed("a fox --v 3", Preferences(model="dream_xl")).request.model == "dream_xl"
    assert parsed("a fox --v 7", Preferences(), model="dream_xl").request.model == "picturebook"


def test_settings_come_from_a_members_row() -> None:
    row = {
        "model": "dream_xl",
        "raw": True,
        "speed": "relax",
        "stealth": True,
        "suffix": "--s 5",
        "options": {"a": "b"},
    }
    assert Preferences.of(row) == Preferences(
        model="dream_xl", raw=True, speed=Speed.RELAX, stealth=True, suffix="--s 5", options={"a": "b"}
    )
    assert Preferences.of({}) == Preferences()
    assert Preferences.of({"speed": "warp", "suffix": None, "options": None}) == Preferences()


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("--s 250  —ar 3:2", "--s 250 --ar 3:2"),
        ("", ""),
        ("--no fog, rain --sref random --p", "--no fog, rain --sref random --p"),
        ("--steps 100", "--steps 100"),
        ("--relax --stealth --raw", "--relax --stealth --raw"),
    ],
)
def test_a_suffix_is_tried_when_it_is_set(typed: str, stored: str) -> None:
    assert check_suffix(typed, CATALOG) == stored


@pytest.mark.parametrize(
    ("typed", "problem", "sentence"),
    [
        ("orange::-1", Problem.SUFFIX_TEXT, "`orange::-1` is text"),
        ("in ink --s 5", Problem.SUFFIX_TEXT, "A suffix is made of flags alone"),
        ("--s 9999", Problem.WRONG, "Did you mean `--s 1000`?"),
        ("--steps 101", Problem.WRONG, "from 1 to 50"),
        ("--mine", Problem.UNKNOWN, "Unrecognized parameter: `--mine`"),
        ("--no " + "x" * LONGEST_SUFFIX, Problem.TOO_LONG, "at most 1,000"),
    ],
)
def test_a_suffix_that_could_not_be_used_is_refused(typed: str, problem: Problem, sentence: str) -> None:
    with pytest.raises(FlagError) as caught:
        check_suffix(typed, CATALOG)
    assert caught.value.problem is problem
    assert sentence in flag_problems(caught.value.faults)


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("mine", "in ink", ("mine", "in ink")),
        ("--Mine", "  in   ink --ar 3:2", ("mine", "in ink --ar 3:2")),
        ("—my-own_2", "{ink, oil} --{ar 3:2, tile}", ("my-own_2", "{ink, oil} --{ar 3:2, tile}")),
        ("a", "dog::-.5", ("a", "dog::-.5")),
    ],
)
def test_an_option_is_tried_when_it_is_set(name: str, value: str, stored: tuple[str, str]) -> None:
    assert check_option(name, value, {}, CATALOG) == stored


FULL = {f"o{n}": "ink" for n in range(MOST_OPTIONS)}


@pytest.mark.parametrize(
    ("name", "value", "there", "problem", "sentence"),
    [
        ("ar", "--s 5", {}, Problem.OPTION_TAKEN, "`--ar` is a flag already"),
        ("hd", "--s 5", {}, Problem.OPTION_TAKEN, "`--hd` is a flag already"),
        ("two words", "ink", {}, Problem.OPTION_NAME, "cannot be the name of an option"),
        ("", "ink", {}, Problem.OPTION_NAME, "cannot be the name of an option"),
        ("9", "ink", {}, Problem.OPTION_NAME, "the first a letter"),
        ("x" * 33, "ink", {}, Problem.OPTION_NAME, "up to 32"),
        ("mine", " ", {}, Problem.OPTION_EMPTY, "something to stand for"),
        ("mine", "--ar wide", {}, Problem.WRONG, "`--ar` takes"),
        ("mine", "ink --{s 5, other}", {}, Problem.UNKNOWN, "`--other`"),
        ("mine", "{a,b}" * 9, {}, Problem.TOO_MANY, "512 jobs"),
        ("mine", "x" * 1001, {}, Problem.TOO_LONG, "1,001 characters"),
        ("mine", "ink", FULL, Problem.OPTIONS_FULL, "You have 20 options already"),
    ],
)
def test_an_option_that_could_not_be_used_is_refused(
    name: str, value: str, there: dict[str, str], problem: Problem, sentence: str
) -> None:
    with pytest.raises(FlagError) as caught:
        check_option(name, value, there, CATALOG)
    assert caught.value.problem is problem
    assert sentence in flag_problems(caught.value.faults)


def test_an_option_may_be_changed_when_there_are_as_many_as_may_be() -> None:
    assert check_option("o3", "oil", FULL, CATALOG) == ("o3", "oil")
