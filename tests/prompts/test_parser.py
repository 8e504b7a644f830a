"""The prompt language: what is understood, what is noted, and what is refused with which words."""

from __future__ import annotations

import pytest

from prompts import parser
from prompts.parser import (
    BY_NAME,
    FLAGS,
    FlagError,
    Meaning,
    NoteKind,
    Preferences,
    Problem,
    all_notes,
    parse,
    parse_all,
)
from prompts.tokenizer import tokenize
from prompts.values import Scope
from storage import model_families, samplers
from storage.catalog import Catalog
from storage.catalog_model import ModelEntry
from tests.prompts.catalogs import catalog

CATALOG = catalog()


def refused(text: str, **options: str) -> FlagError:
    with pytest.raises(FlagError) as caught:
        parse(text, CATALOG, options=options)
    return caught.value


def test_a_bare_prompt_takes_the_models_defaults() -> None:
    request = parse("a red castle", CATALOG, seed=7).request
    assert (request.prompt, request.negative_prompt, request.model) == ("a red castle", "", "picturebook")
    assert (request.width, request.height) == (128, 128)
    assert (request.num_inference_steps, request.guidance_scale, request.stylize) == (20, 5.0, 100)
    assert (request.scheduler, request.seed, request.num_images_per_prompt) == ("ddim", 7, 4)


def test_without_a_seed_every_command_draws_its_own() -> None:
    seeds = {parse("a red castle", CATALOG).request.seed for _ in range(8)}
    assert len(seeds) > 1


def test_every_flag_that_works_reaches_the_request() -> None:
    text = (
        "a red castle at night --ar 3:2 --stylize 250 --seed 4294967295 --no trees, fog --steps 30 --cfg 7.5 "
        "--sampler euler_a --model dream_xl"
    )
    request = parse(text, CATALOG).request
    assert request.model_dump(include={"prompt", "negative_prompt", "stylize", "seed"}) == {
        "prompt": "a red castle at night",
        "negative_prompt": "trees, fog",
        "stylize": 250,
        "seed": 2**32 - 1,
    }
    assert (request.num_inference_steps, request.guidance_scale) == (30, 7.5)
    assert (request.scheduler, request.model, request.width) == ("euler_a", "dream_xl", 1024)


@pytest.mark.parametrize(
    ("ratio", "size"),
    [
        ("1:1", (128, 128)),
        ("3:2", (160, 112)),
        ("2:3", (112, 160)),
        ("16:9", (176, 96)),
        ("1920:1080", (176, 96)),
        ("4:1", (208, 64)),
        ("1:4", (64, 208)),
        ("17:16", (128, 128)),
    ],
)
def test_any_ratio_is_snapped_to_a_size_of_the_model_and_shown_as_typed(
    ratio: str, size: tuple[int, int]
) -> None:
    parsed = parse(f"a boat --ar {ratio}", CATALOG)
    assert (parsed.request.width, parsed.request.height) == size
    assert parsed.text == f"a boat --ar {ratio}"


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("--ar 4:1", "13:4 (208×64)"),
        ("--aspect 1:2", "6:11 (96×176)"),
        ("--ar 5:4", None),
        ("--ar 6:5", "9:7 (144×112)"),
        ("--ar 100:97", "1:1 (128×128)"),
        ("--ar 100:98", None),
        ("--ar 10:7", None),
        ("--ar 13:7", None),
        ("--ar 1:1", None),
        ("", None),
    ],
)
def test_a_shape_that_is_over_three_percent_off_is_said_once(text: str, drawn: str | None) -> None:
    notes = all_notes(parse_all(f"a {{red, blue}} boat {text} --repeat 2", CATALOG))
    assert [note.detail for note in notes if note.kind is NoteKind.SNAPPED] == ([drawn] if drawn else [])


def test_a_shape_from_options_suffix_or_settings_is_said_too() -> None:
    for options, member in (
        ({"ar": "1:2"}, Preferences()),
        ({}, Preferences(suffix="--ar 1:2")),
        ({}, Preferences(ratio="1:2")),
    ):
        (note,) = parse("a boat", CATALOG, member, options=options).notes
        assert (note.kind, note.detail) == (NoteKind.SNAPPED, "6:11 (96×176)")


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("a fox —ar 3:2 —s 50", "a fox --ar 3:2 --s 50"),
        ("a fox ——ar 3:2", "a fox --ar 3:2"),
        ("a fox --aspect 3:2", "a fox --aspect 3:2"),
        ("a fox --AR 3:2", "a fox --ar 3:2"),
        ("a fox ---ar 3:2", "a fox --ar 3:2"),
        ("a fox --ar=3:2", "a fox --ar 3:2"),
        ("  a   fox\n\n--ar   3:2  ", "a fox --ar 3:2"),
        ("a\u200b fox\ufeff --ar \u202e3:2\x00", "a fox --ar 3:2"),
    ],
)
def test_what_is_typed_loosely_is_shown_plainly(typed: str, understood: str) -> None:
    parsed = parse(typed, CATALOG)
    assert parsed.text == understood
    assert parsed.request.width == 160 or "3:2" not in typed


@pytest.mark.parametrize(
    "text",
    [
        "a well--known fox",
        "a fox -- and a bird",
        "a fox — and a bird",
        "a fox—red and quick",
        'a sign that says "--ar 3:2"',
        "a sign that says “—ar 3:2”",
        "a fox -ar",
        "a fox --3",
        'a 5" tall fox and a 6" cat',
    ],
)
def test_dashes_within_words_and_quotes_are_text(text: str) -> None:
    parsed = parse(text, CATALOG)
    assert parsed.request.prompt == parsed.text == text


def test_escaped_dashes_are_text_and_stay_escaped_in_what_is_stored() -> None:
    parsed = parse(r"a fox \--ar 3:2", CATALOG)
    assert parsed.request.prompt == "a fox --ar 3:2"
    assert parsed.text == r"a fox \--ar 3:2"
    assert parse(parsed.text, CATALOG).request.prompt == parsed.request.prompt


def test_inches_begin_no_quote() -> None:
    assert parse('a 5" fox --ar 3:2 --no 6" cats', CATALOG).request.negative_prompt == '6" cats'


def test_a_sampler_that_the_model_does_not_run_is_refused_with_those_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = model_families.ModelFamily("nowhere:Few", ("euler", "heun"))
    monkeypatch.setitem(model_families.FAMILIES, "few", line)
    few = ModelEntry(name="few", title="Few", source="nowhere", sizes=((64, 64),), family="few")
    both = Catalog(default="picturebook", models={**CATALOG.models, "few": few})
    with pytest.raises(FlagError) as caught:
        parse("a fox --sampler ddim --model few", both)
    (fault,) = caught.value.faults
    assert (fault.problem, fault.given, fault.expected) == (Problem.WRONG, "ddim", "one of euler, heun")
    assert parse("a fox --sampler heun --model few", both).request.scheduler == "heun"
    assert parse("a fox --model few", both).request.scheduler == "euler"
    assert parse("a fox --sampler ddim", both).request.scheduler == "ddim"


def test_a_model_of_pure_noise_offers_the_samplers_that_can() -> None:
    entry = ModelEntry(name="v", title="V", source="some/id", sizes=((64, 64),), zero_snr=True)
    with pytest.raises(FlagError) as caught:
        parse("a fox --sampler heun", Catalog(default="v", models={"v": entry}))
    (fault,) = caught.value.faults
    assert fault.given == "heun"
    assert (
        fault.expected == f"one of {', '.join(name for name in samplers.NAMES if name in samplers.ZERO_SNR)}"
    )


@pytest.mark.parametrize("name", samplers.NAMES)
def test_every_sampler_is_known_by_its_name(name: str) -> None:
    assert parse(f"a fox --sampler {name}", CATALOG).request.scheduler == name


@pytest.mark.parametrize("typed", ["DPM++ 2M Karras", "dpm++2m-karras", "DPM++_2M_KARRAS"])
def test_a_sampler_may_be_written_as_other_programs_do(typed: str) -> None:
    assert parse(f"a fox --sampler {typed} --s 5", CATALOG).request.scheduler == "dpm++2m_karras"


def test_no_may_stand_more_than_once() -> None:
    assert parse("a fox --no a tree, fog --no rain", CATALOG).request.negative_prompt == "a tree, fog, rain"
    assert parse("狐狸 --no 树，雾、(雨：1.3)", CATALOG).request.negative_prompt == "树, 雾, (雨：1.3)"
    assert parse("狐狸 --no 树，，雾、", CATALOG).request.negative_prompt == "树, 雾"


PASTED = (
    "a fox --v 6.1 --q 2 --p --style raw --hd --chaos 20 --ar 3:2 --tile --weird 500 --sref 123 --sw 100 "
    "--fast --stop 90 --oref https://c.example/d --p abc d --ow 5 --profile --exp 10 --sd --sv 6 --stealth "
    "--video 1 --motion low --loop --end https://e.example --bs 2 --zoom 1.5 --upbeta"
)


def test_a_prompt_pasted_from_midjourney_runs_with_notes() -> None:
    parsed = parse(PASTED, CATALOG)
    assert parsed.request.prompt == "a fox"
    assert parsed.request.width == 160
    noted = [note.flag for note in parsed.notes if note.kind is NoteKind.NO_MEANING]
    assert noted == [
        "p", "hd", "p", "profile", "exp", "sd", "sv", "motion", "loop", "end", "bs", "upbeta",
    ]  # fmt: skip
    assert [linked.urls for linked in parsed.linked] == [("https://c.example/d",)]
    assert (parsed.request.chaos, parsed.request.weird, parsed.request.stop) == (20, 500, 90)
    assert parsed.text == PASTED


@pytest.mark.parametrize(
    "flag", [flag for flag in FLAGS if flag.meaning is Meaning.NOTED], ids=lambda f: f.name
)
def test_no_noted_flag_swallows_the_next_one(flag: parser.Flag) -> None:
    value = "" if flag.value.form == "" else "2" if flag.value.form == "N" else "raw"
    value = "https://a.example/b.png" if flag.name == "edit" else value
    parsed = parse(f"a fox --{flag.name} {value} --ar 10:7", CATALOG)
    assert parsed.request.width == 160
    assert [note.flag for note in parsed.notes] == [flag.name]


@pytest.mark.parametrize(
    ("text", "flag", "suggestion"),
    [
        ("a fox --aspekt 3:2", "aspekt", "--aspect"),
        ("a fox --styl 5", "styl", "--style"),
        ("a fox --sede 5", "sede", "--seed"),
        ("a fox --samplr ddim", "samplr", "--sampler"),
        ("a fox --s250", "s250", "--s 250"),
        ("a fox --ar16:9", "ar16", "--ar 16:9"),
        ("a fox --xyzzy", "xyzzy", None),
    ],
)
def test_an_unknown_flag_is_refused_with_the_nearest_name(
    text: str, flag: str, suggestion: str | None
) -> None:
    error = refused(text)
    assert (error.problem, error.flag, error.suggestion) == (Problem.UNKNOWN, flag, suggestion)
    assert error.echo == text


@pytest.mark.parametrize(
    ("typed", "problem", "suggestion"),
    [
        ("--ar 5:1", Problem.WRONG, "--ar 4:1"),
        ("--ar 1:9", Problem.WRONG, "--ar 1:4"),
        ("--ar 0:1", Problem.WRONG, None),
        ("--ar 3:2:1", Problem.WRONG, None),
        ("--ar wide", Problem.WRONG, None),
        ("--ar", Problem.MISSING, None),
        ("--ar 3:2 1:1", Problem.SURPLUS, None),
        ("--stylize 1001", Problem.WRONG, "--stylize 1000"),
        ("--s -1", Problem.WRONG, "--s 0"),
        ("--s 2.5", Problem.WRONG, "--s 2"),
        ("--s high", Problem.WRONG, None),
        ("--s ٣", Problem.WRONG, None),
        ("--seed 4294967296", Problem.WRONG, "--seed 4294967295"),
        ("--seed 1_000", Problem.WRONG, None),
        (f"--seed {'9' * 3000}", Problem.WRONG, "--seed 4294967295"),
        ("--seed", Problem.MISSING, None),
        ("--no", Problem.MISSING, None),
        ("--no ,", Problem.MISSING, None),
        ("--steps 0", Problem.WRONG, "--steps 1"),
        ("--steps 51", Problem.WRONG, "--steps 50"),
        ("--cfg 30.5", Problem.WRONG, "--cfg 30"),
        ("--cfg nan", Problem.WRONG, None),
        ("--cfg inf", Problem.WRONG, None),
        ("--cfg 1e3", Problem.WRONG, None),
        ("--sampler eulre", Problem.WRONG, "--sampler euler"),
        ("--sampler ddim please", Problem.SURPLUS, None),
        ("--sampler", Problem.MISSING, None),
        ("--model picturbook", Problem.WRONG, "--model picturebook"),
        ("--model zzz", Problem.WRONG, None),
        ("--chaos castle", Problem.WRONG, None),
        ("--tile castle", Problem.SURPLUS, None),
        ("--v", Problem.MISSING, None),
    ],
)
def test_a_wrong_value_refuses_the_command_with_its_range(
    typed: str, problem: Problem, suggestion: str | None
) -> None:
    text = f"a fox {typed}"
    error = refused(text)
    assert (error.problem, error.suggestion) == (problem, suggestion)
    assert error.flag is not None
    assert typed.startswith(f"--{error.flag}")
    assert error.faults[0].expected
    assert error.echo == text


def test_all_faults_are_told_at_once() -> None:
    error = refused("a fox --s 2000 --cfg 99 --ar 9:1")
    assert [fault.flag for fault in error.faults] == ["s", "cfg", "ar"]


def test_text_after_the_flags_is_refused_as_in_midjourney() -> None:
    error = refused("--ar 3:2 a fox")
    assert error.faults[0].given == "a fox"


@pytest.mark.parametrize("text", ["", "   ", "\u200b", "--ar 3:2", "—s 5"])
def test_a_prompt_without_words_is_refused(text: str) -> None:
    assert refused(text).problem is Problem.EMPTY


def test_the_expanded_prompt_has_at_most_4000_characters() -> None:
    assert parse("x" * 4000, CATALOG).request.prompt == "x" * 4000
    assert refused("x" * 4001).problem is Problem.TOO_LONG
    with pytest.raises(FlagError) as caught:
        parse("x" * 3995, CATALOG, Preferences(ratio="3:2"))
    assert caught.value.problem is Problem.TOO_LONG
    assert caught.value.faults[0].given == str(3995 + len(" --ar 3:2"))


def test_the_text_beats_the_option_beats_the_setting() -> None:
    settings = Preferences(model="dream_xl", ratio="2:3", stylize=0)
    by_setting = parse("a fox", CATALOG, settings)
    assert (by_setting.request.model, by_setting.request.stylize) == ("dream_xl", 0)
    assert by_setting.text == "a fox --model dream_xl --ar 2:3 --stylize 0"

    assert parse("a fox --s 5", CATALOG, Preferences(ratio="3:2")).text == "a fox --s 5 --ar 3:2"

    by_option = parse("a fox", CATALOG, settings, options={"model": "picturebook", "ar": "10:7"})
    assert (by_option.request.model, by_option.request.width) == ("picturebook", 160)
    assert not by_option.notes

    in_text = parse("a fox --aspect 1:1", CATALOG, settings, options={"ar": "3:2"})
    assert (in_text.request.width, in_text.request.height) == (1024, 1024)
    (note,) = in_text.notes
    assert (note.kind, note.flag, note.detail) == (NoteKind.OPTION_OVERRULED, "aspect", "3:2")


def test_the_ranges_are_those_of_the_model_that_is_asked() -> None:
    assert parse("a fox --model dream_xl --steps 100", CATALOG).request.num_inference_steps == 100
    assert refused("a fox --steps 100").suggestion == "--steps 50"
    assert refused("a fox --steps 100 --model nothing").suggestion == "--steps 50"


def test_a_setting_that_cannot_be_used_any_more_is_left_out_and_said() -> None:
    parsed = parse("a fox", CATALOG, Preferences(model="sold", ratio="wide", stylize=9999))
    assert parsed.text == "a fox"
    assert {note.kind for note in parsed.notes} == {NoteKind.SETTING_UNUSABLE}
    assert [note.detail for note in parsed.notes] == ["sold", "wide", "9999"]


def test_a_refused_command_keeps_its_options_in_the_echo() -> None:
    assert refused("a fox --s 9999", ar="3:2").echo == "a fox --s 9999 --ar 3:2"


def test_settings_are_read_from_a_members_row() -> None:
    row = {"model": "dream_xl", "ratio": None, "stylize": 50, "language": "zh-CN"}
    assert Preferences.of(row) == Preferences(model="dream_xl", stylize=50)


def test_a_seed_is_taken_out_of_a_stored_prompt() -> None:
    assert str(parser.without(tokenize("a fox --seed 5 --ar 3:2"), "seed")) == "a fox --ar 3:2"
    quoted = tokenize('says "--seed 5" --s 5')
    assert str(parser.without(quoted, "seed", "stylize")) == 'says "--seed 5"'


def test_the_table_is_sound() -> None:
    names = [name for flag in FLAGS for name in (flag.name, *flag.aliases)]
    assert len(names) == len(set(names)) == len(BY_NAME)
    assert all(flag.help for flag in FLAGS if flag.meaning is Meaning.WORKS)


def test_help_has_a_line_for_each_flag_that_works() -> None:
    lines = parser.help_lines(Scope(CATALOG, CATALOG["picturebook"]))
    assert lines[0].startswith("`--ar --aspect W:H`")
    assert "from 1 to 50" in next(line for line in lines if "--steps" in line)
    assert len(lines) == sum(flag.meaning is Meaning.WORKS for flag in FLAGS)
