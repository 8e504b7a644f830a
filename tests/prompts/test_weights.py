"""Multi-prompts and emphasis: what each part of a prompt weighs."""

from __future__ import annotations

import pytest

from prompts.parser import FlagError, NoteKind, Preferences, Problem, parse
from prompts.sentences import flag_problems
from storage.contract import GenerationRequest, Part
from tests.prompts.catalogs import catalog

CATALOG = catalog()


def request(text: str) -> GenerationRequest:
    return parse(text, CATALOG, seed=1).request


def refused(text: str) -> FlagError:
    with pytest.raises(FlagError) as caught:
        parse(text, CATALOG)
    return caught.value


def parts(text: str) -> list[tuple[str, float]]:
    return [("".join(phrase.text for phrase in part.phrases), part.weight) for part in request(text).parts]


def phrases(text: str) -> list[tuple[str, float]]:
    (part,) = request(text).parts
    return [(phrase.text, phrase.emphasis) for phrase in part.phrases]


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("hot:: dog", [("hot", 1), ("dog", 1)]),
        ("hot::2 dog", [("hot", 2), ("dog", 1)]),
        ("hot::2 dog::-1", [("hot", 2), ("dog", -1)]),
        ("hot::1.5 dog::-.5", [("hot", 1.5), ("dog", -0.5)]),
        ("hot::+2 dog::", [("hot", 2), ("dog", 1)]),
        ("a hot day:: a wet dog::3 grass", [("a hot day", 1), ("a wet dog", 3), ("grass", 1)]),
        ("hot ::2 dog", [("hot", 2), ("dog", 1)]),
        ("hot:: 2 dogs", [("hot", 1), ("2 dogs", 1)]),
        ("hot::2dogs", [("hot", 1), ("2dogs", 1)]),
        ("hot::0 dog", [("hot", 0), ("dog", 1)]),
        ("::2 hot:: ::3 dog::::", [("hot", 1), ("dog", 1)]),
        ("red::.1 green::.2 blue::-.29", [("red", 0.1), ("green", 0.2), ("blue", -0.29)]),
    ],
)
def test_a_multi_prompt_has_parts_of_their_own_weight(text: str, understood: list[tuple[str, float]]) -> None:
    assert parts(text) == understood
    assert request(text).prompt == " ".join(words for words, _ in understood)


@pytest.mark.parametrize("text", ["dog", "dog::", "dog::2", "dog::.1", "::5 dog"])
def test_a_part_alone_is_all_there_is_whatever_it_weighs(text: str) -> None:
    assert request(text).parts == ()
    assert request(text).prompt == "dog"


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("hot::1 dog::-1", "0"),
        ("dog::-1", "-1"),
        ("dog::0", "0"),
        ("a::.1 b::.2 c::-.3", "0"),
        ("a:: b::-2.5", "-1.5"),
    ],
)
def test_a_sum_that_is_not_above_zero_is_refused(text: str, total: str) -> None:
    error = refused(text)
    assert (error.problem, error.faults[0].given) == (Problem.WEIGHT_SUM, total)
    assert f"add up to `{total}`" in flag_problems(error.faults)
    assert error.echo == text


@pytest.mark.parametrize("text", ["hot::101 dog", "hot:: dog::-100.5", "hot::999999999 dog"])
def test_a_weight_out_of_its_range_is_refused(text: str) -> None:
    error = refused(text)
    assert error.problem is Problem.WEIGHT
    assert "from -100 to 100" in flag_problems(error.faults)


@pytest.mark.parametrize("text", ["::", ":: ::2", '""' + "::"])
def test_weights_without_words_are_an_empty_prompt(text: str) -> None:
    if text.startswith('"'):
        assert request(text).prompt == '""'
    else:
        assert refused(text).problem is Problem.EMPTY


def test_no_is_the_negative_prompt_and_outside_the_sum() -> None:
    found = request("hot:: dog::-.5 --no fog, rain, snow")
    assert found.negative_prompt == "fog, rain, snow"
    assert [part.weight for part in found.parts] == [1, -0.5]


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("a (red:1.3) fox", [("a ", 1), ("red", 1.3), (" fox", 1)]),
        ("(red:1.3)-haired fox", [("red", 1.3), ("-haired fox", 1)]),
        ("(a:1.2) (b:.5)", [("a ", 1.2), ("b", 0.5)]),
        ("((a:1.2) b:1.5)", [("a", 1.8), (" b", 1.5)]),
        ("(a (b) c:2) (d)", [("a (b) c ", 2), ("(d)", 1)]),
        ("a (red : 1.3) fox", [("a ", 1), ("red ", 1.3), (" fox", 1)]),
        ("(in 2049:1.3) fox", [("in 2049", 1.3), (" fox", 1)]),
        ("(一只狐狸:1.5) x", [("一只狐狸", 1.5), (" x", 1)]),
    ],
)
def test_brackets_with_a_number_are_emphasis(text: str, understood: list[tuple[str, float]]) -> None:
    assert phrases(text) == understood
    assert request(text).prompt == "".join(words for words, _ in understood).strip()


@pytest.mark.parametrize(
    "text",
    [
        "a (red) fox",
        "a [red] fox [v2]",
        "a fox (at 5:30)",
        "a screen (16:9)",
        "a fox (red:big)",
        "(a:1.3",
        "a:1.3)",
        ":1.3)",
        "(:1.3)",
        "( :1.3)",
        "smile :) fox (:",
        'a sign "(red:1.3)" and "hot:: dog::-1"',
    ],
)
def test_other_brackets_are_text(text: str) -> None:
    assert request(text).prompt == text
    assert request(text).parts == ()


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        (r"a \(red:1.3\) fox", "a (red:1.3) fox"),
        (r"a \(red:1.3) fox", "a (red:1.3) fox"),
        (r"std\::vector", "std::vector"),
        (r"a \<lora:x:1> fox", "a <lora:x:1> fox"),
        (r"a \{red, blue\} fox", "a {red, blue} fox"),
    ],
)
def test_a_backslash_makes_text_of_a_mark(text: str, prompt: str) -> None:
    parsed = parse(text, CATALOG)
    assert parsed.request.prompt == prompt
    assert parsed.request.parts == ()
    assert parsed.text == text


@pytest.mark.parametrize("text", ["a (red:10.5) fox", "a (red:-1) fox", "((a:5) b:3)", "(red:99)"])
def test_emphasis_out_of_its_range_is_refused(text: str) -> None:
    error = refused(text)
    assert error.problem is Problem.EMPHASIS
    assert "from 0 to 10" in flag_problems(error.faults)


def test_emphasis_within_parts() -> None:
    first, second = request("a (red:1.3) fox::2 dog").parts
    assert [(phrase.text, phrase.emphasis) for phrase in first.phrases] == [
        ("a ", 1),
        ("red", 1.3),
        (" fox", 1),
    ]
    assert second == Part.model_validate({"phrases": [{"text": "dog"}]})


def test_brackets_do_not_reach_across_parts() -> None:
    assert parts("(a::2 b:1.3)") == [("(a", 2), ("b:1.3)", 1)]


def test_weights_of_one_say_nothing() -> None:
    assert request("a (red:1) fox").parts == ()
    assert request("a (red:1) fox") == request("a red fox")


def test_lora_in_the_text_is_the_flag() -> None:
    parsed = parse("a fox <lora:blueprint:.8> at dusk <lora:stained_glass> --ar 10:7", CATALOG)
    assert parsed.request.prompt == "a fox at dusk"
    assert parsed.text == "a fox at dusk --lora blueprint:.8 --lora stained_glass --ar 10:7"
    assert [(lora.name, lora.weight) for lora in parsed.request.loras] == [
        ("Stained_Glass", 1.0),
        ("blueprint", 0.8),
    ]
    assert parsed.notes == ()
    assert parse(parsed.text, CATALOG, seed=parsed.request.seed).request == parsed.request


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("(fog:0) fox", "fox"),
        ("a cottage (with trees:0) at night", "a cottage at night"),
        ("a cottage, (trees:0), fog", "a cottage, fog"),
        ("a cottage (in fog:0), trees", "a cottage, trees"),
        ("(trees:0), a cottage", "a cottage"),
        ("a cottage, (trees, fog:0)", "a cottage"),
        ("a cottage, ((trees:0) and (fog:3):0), (rain:.0)", "a cottage"),
        ("一座小屋，(树:0)，雾", "一座小屋, 雾"),
        ("a (red:0)-haired fox", "a -haired fox"),
    ],
)
def test_what_weighs_nothing_is_left_out(text: str, prompt: str) -> None:
    assert request(text) == request(prompt)
    assert request(f"a --no {text}") == request(f"a --no {prompt}")


@pytest.mark.parametrize("nothing", ["(trees:0)", "(trees, fog:0)", "trees::0", "(trees:0), (fog:0)"])
def test_no_with_nothing_that_weighs_is_no_negative_prompt(nothing: str) -> None:
    assert request(f"a cottage with trees --no {nothing}") == request("a cottage with trees")


def test_text_of_nothing_is_an_empty_prompt() -> None:
    assert refused("(fog:0)").problem is Problem.EMPTY


@pytest.mark.parametrize(
    "words",
    [
        "(worst quality, low quality:1.4)",
        "fog, (rain:.5), snow",
        "((fog:1.2) rain:1.5)",
        "fog::2 rain",
        "fog::2, (rain:1.3)::.5 snow",
        r"\(fog:1.3\)",
        '"(fog:1.3)"',
        "(at 5:30)",
    ],
)
def test_no_weighs_as_the_text_does(words: str) -> None:
    text, found = request(words), request(f"a fox --no {words}")
    assert (found.negative_prompt, found.negative_parts) == (text.prompt, text.parts)
    assert (found.prompt, found.parts) == ("a fox", ())


def test_several_no_are_one_list_and_multi_prompts_stand_beside_it() -> None:
    found = request("a fox --no (fog:1.2), rain --no (snow:0) --no ice --no a::2 b")
    assert [("".join(each.text for each in part.phrases), part.weight) for part in found.negative_parts] == [
        ("fog, rain, ice", 1),
        ("a", 2),
        ("b", 1),
    ]
    # A bracket ends with its flag.
    assert request("a fox --no (fog --no rain:11)").negative_prompt == "(fog, rain:11)"


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("(fog:11)", Problem.EMPHASIS),
        ("fog::101", Problem.WEIGHT),
        ("fog::-1", Problem.WEIGHT_BELOW),
        ("fog::2 rain::-1", Problem.WEIGHT_BELOW),
    ],
)
def test_a_wrong_weight_in_no_is_refused_and_in_a_suffix_left_out(typed: str, problem: Problem) -> None:
    error = refused(f"a fox --no {typed}")
    assert (error.problem, error.flag) == (problem, "no")
    assert flag_problems(error.faults)
    kept = parse("a fox", CATALOG, Preferences(suffix=f"--no {typed}"), seed=1)
    assert kept.request == request("a fox")
    assert [note.kind for note in kept.notes] == [NoteKind.SUFFIX_UNUSABLE]
