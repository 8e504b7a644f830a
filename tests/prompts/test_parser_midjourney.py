"""Midjourney's flags: what each asks for, and how each is refused."""

from __future__ import annotations

from typing import Any

import pytest

from prompts import style_codes
from prompts.parser import (
    BY_NAME,
    FLAGS,
    FlagError,
    ImageLink,
    Meaning,
    NoteKind,
    Preferences,
    Problem,
    parse,
    parse_all,
)
from prompts.sentences import flag_problems, hints
from storage.catalog import Catalog
from storage.contract import Control, Role, Speed
from tests.prompts.catalogs import catalog

CATALOG = catalog()


def asked(flags: str) -> dict[str, Any]:
    """What the flags change of a request."""
    plain = parse("a fox", CATALOG, seed=1).request.model_dump()
    found = parse(f"a fox {flags}", CATALOG, seed=1).request.model_dump()
    return {name: value for name, value in found.items() if value != plain[name]}


@pytest.mark.parametrize(
    ("flags", "changes"),
    [
        ("--chaos 50", {"chaos": 50}),
        ("--c 100", {"chaos": 100}),
        ("--weird 3000", {"weird": 3000}),
        ("--w 1", {"weird": 1}),
        ("--stylize 0", {"stylize": 0}),
        ("--s 1000", {"stylize": 1000}),
        ("--raw", {"stylize": 0}),
        ("--style raw", {"stylize": 0}),
        ("--seed 5", {"seed": 5}),
        ("--sameseed 5", {"seed": 5, "sameseed": True}),
        ("--quality .25", {"num_inference_steps": 5}),
        ("--q .5", {"num_inference_steps": 10}),
        ("--q 2", {"num_inference_steps": 40}),
        ("--draft", {"num_inference_steps": 5}),
        ("--draft --steps 2", {"num_inference_steps": 1}),
        ("--steps 30 --q .5", {"num_inference_steps": 15}),
        ("--steps 1 --q .25", {"num_inference_steps": 1}),
        ("--cfg 7.5", {"guidance_scale": 7.5}),
        ("--stop 10", {"stop": 10}),
        ("--tile", {"tile": True}),
        ("--no fog, rain --no snow", {"negative_prompt": "fog, rain, snow"}),
        ("--video", {"video": True}),
        ("--video 1", {"video": True}),
        ("--ar 3:2", {"width": 160, "height": 112}),
        ("--lora blueprint", {"loras": ({"name": "blueprint", "weight": 1.0},)}),
        ("--lora BLUE-PRINT:.8", {"loras": ({"name": "blueprint", "weight": 0.8},)}),
        ("--lora blueprint:-2", {"loras": ({"name": "blueprint", "weight": -2.0},)}),
        ("--lora blueprint:1 --lora blueprint:0", {}),
        ("--lora blueprint:0", {}),
        ("--upscaler crisp", {"upscaler": "crisp"}),
        ("--upscaler soft", {}),
        ("--v 7", {}),
        ("--version 8.1", {}),
        ("--iw 2", {}),
        ("--sw 1000", {}),
        ("--cw 0", {}),
        ("--ow 1000", {}),
        ("--sref https://a.example/b.png", {}),
        ("--oref https://a.example/b.png", {}),
        ("--cref https://a.example/b.png <https://a.example/c.png>::2", {}),
        ("--fast", {}),
        ("--stealth", {}),
        ("--repeat 3", {}),
    ],
)
def test_each_flag_changes_what_it_names_and_nothing_else(flags: str, changes: dict[str, Any]) -> None:
    assert asked(flags) == changes


@pytest.mark.parametrize(
    ("typed", "problem", "suggestion"),
    [
        ("--chaos 101", Problem.WRONG, "--chaos 100"),
        ("--c -5", Problem.WRONG, "--c 0"),
        ("--chaos", Problem.MISSING, None),
        ("--chaos wild", Problem.WRONG, None),
        ("--weird 3001", Problem.WRONG, "--weird 3000"),
        ("--w 1.5", Problem.WRONG, "--w 2"),
        ("--weird very weird", Problem.SURPLUS, None),
        ("--style", Problem.MISSING, None),
        ("--style raw please", Problem.SURPLUS, None),
        ("--raw 1", Problem.SURPLUS, None),
        ("--sameseed 4294967296", Problem.WRONG, "--sameseed 4294967295"),
        ("--sameseed", Problem.MISSING, None),
        ("--quality 0", Problem.WRONG, "--quality 0.25"),
        ("--q 6", Problem.WRONG, "--q 5"),
        ("--q high", Problem.WRONG, None),
        ("--draft 1", Problem.SURPLUS, None),
        ("--stop 9", Problem.WRONG, "--stop 10"),
        ("--stop 101", Problem.WRONG, "--stop 100"),
        ("--tile 2", Problem.SURPLUS, None),
        ("--iw 3.5", Problem.WRONG, "--iw 3"),
        ("--iw -1", Problem.WRONG, "--iw 0"),
        ("--iw", Problem.MISSING, None),
        ("--sref", Problem.MISSING, None),
        ("--sref abc", Problem.WRONG, None),
        ("--sref -5", Problem.WRONG, None),
        ("--sref 4294967296", Problem.WRONG, None),
        ("--sref 5::x", Problem.WRONG, "--sref 5"),
        ("--sref 1 2 3 4 5 6 7 8 9", Problem.SURPLUS, None),
        ("--sref https://a.example/b.png --model dream_xl", Problem.LINK, None),
        ("--sref 5 <https://a.example/b.png>::2 --model dream_xl", Problem.LINK, None),
        ("--sref https://a.example/b.png::x", Problem.WRONG, "--sref https://a.example/b.png"),
        ("--cref 123", Problem.WRONG, None),
        ("--oref a fox", Problem.SURPLUS, None),
        ("--oref https://a.example/b.png https://a.example/c.png", Problem.SURPLUS, None),
        ("--ow 1001", Problem.WRONG, "--ow 1000"),
        ("--control", Problem.MISSING, None),
        ("--control edges", Problem.NO_PICTURE, None),
        ("--control edge", Problem.WRONG, "--control edges"),
        ("--control edges:3", Problem.WRONG, "--control edges:2"),
        ("--control edges:0", Problem.WRONG, "--control edges:0.05"),
        ("--control edges depth", Problem.SURPLUS, None),
        ("--sw 1001", Problem.WRONG, "--sw 1000"),
        ("--sw", Problem.MISSING, None),
        ("--v", Problem.MISSING, None),
        ("--v seven", Problem.WRONG, None),
        ("--v 6.1 alpha", Problem.SURPLUS, None),
        ("--version 123", Problem.WRONG, None),
        ("--niji six", Problem.WRONG, None),
        ("--niji 5 6", Problem.SURPLUS, None),
        ("--repeat 1", Problem.WRONG, "--repeat 2"),
        ("--r 41", Problem.WRONG, "--r 40"),
        ("--repeat", Problem.MISSING, None),
        ("--repeat often", Problem.WRONG, None),
        ("--fast now", Problem.SURPLUS, None),
        ("--relax 5", Problem.SURPLUS, None),
        ("--public all", Problem.SURPLUS, None),
        ("--stealth 1", Problem.SURPLUS, None),
        ("--video 2", Problem.SURPLUS, None),
        ("--cref", Problem.MISSING, None),
        ("--cw 101", Problem.WRONG, "--cw 100"),
        ("--ow x", Problem.WRONG, None),
        ("--hd 2", Problem.SURPLUS, None),
        ("--motion", Problem.MISSING, None),
        ("--lora", Problem.MISSING, None),
        ("--lora blupring:.8", Problem.WRONG, "--lora blueprint:.8"),
        ("--lora blupring", Problem.WRONG, "--lora blueprint"),
        ("--lora :1", Problem.WRONG, None),
        ("--lora blueprint:3", Problem.WRONG, "--lora blueprint:2"),
        ("--lora blueprint:-2.5", Problem.WRONG, "--lora blueprint:-2"),
        ("--lora blueprint:much", Problem.WRONG, "--lora blueprint:1"),
        ("--lora blueprint:", Problem.WRONG, "--lora blueprint:1"),
        ("--lora blueprint a fox", Problem.WRONG, None),
        ("--upscaler", Problem.MISSING, None),
        ("--upscaler crips", Problem.WRONG, "--upscaler crisp"),
        ("--upscaler crisp please", Problem.SURPLUS, None),
        ("--zoom 3", Problem.WRONG, "--zoom 2"),
    ],
)
def test_each_flag_refuses_what_it_cannot_take(typed: str, problem: Problem, suggestion: str | None) -> None:
    text = f"a fox {typed}"
    with pytest.raises(FlagError) as caught:
        parse(text, CATALOG)
    error = caught.value
    assert (error.problem, error.suggestion, error.echo) == (problem, suggestion, text)
    assert f"`--{error.flag}`" in flag_problems(error.faults)


def test_every_flag_that_takes_something_is_tried_with_bad_input() -> None:
    """Each name of the table is refused with its sentence when it is given what it never takes."""
    for flag in FLAGS:
        for name in flag.names:
            wrong = "" if flag.value.form in ("CODE", "A, B") or name == "style" else "\\nonsense here"
            if flag.value.form == "CODE" and getattr(flag.value, "least", 1) == 0:
                continue
            with pytest.raises(FlagError) as caught:
                parse(f"a fox --{name} {wrong}", CATALOG)
            assert f"`--{name}`" in flag_problems(caught.value.faults)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (
            "--sref https://a.example/b.png --model dream_xl",
            "needs an image adapter, which this model does not have",
        ),
        ("--control edges", "`--control` needs a picture that leads: put a link to one in front of the text"),
        ("--control canny", "takes one of edges, Depth, perhaps with a weight up to 2 such as `edges:.8`"),
        ("--oref 5", "`--oref` takes a link to a picture, not `5`."),
        ("--v castle", "`--v` takes a version's number (models here have 5.2, 7, 8.1), not `castle`."),
    ],
)
def test_refusals_say_what_to_type_instead(typed: str, sentence: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse(f"a fox {typed}", CATALOG)
    assert sentence in flag_problems(caught.value.faults)


@pytest.mark.parametrize(
    ("typed", "model"),
    [
        ("", "picturebook"),
        ("--v 7", "picturebook"),
        ("--v 8.1", "picturebook"),
        ("--version 5.2", "dream_xl"),
        ("--niji 5", "dream_xl"),
        ("--niji", "dream_xl"),
        ("--v 7.0", "picturebook"),
        ("--v 6.1", "picturebook"),
        ("--v 4 --model dream_xl", "dream_xl"),
        ("--niji 9 --v 7", "picturebook"),
    ],
)
def test_versions_stand_for_models_of_the_catalog(typed: str, model: str) -> None:
    parsed = parse(f"a fox {typed}", CATALOG)
    assert parsed.request.model == model
    assert parsed.text == f"a fox {typed}".strip()


def test_a_version_that_no_model_carries_is_noted() -> None:
    assert hints([parse("a fox --v 6.1 --niji 4", CATALOG)], CATALOG) == [
        "No model here stands for `--v 6.1`, so it changed nothing.",
        "No model here stands for `--niji 4`, so it changed nothing.",
    ]
    alone = Catalog(default="picturebook", models={"picturebook": CATALOG["picturebook"]})
    (note,) = parse("a fox --niji", alone).notes
    assert (note.kind, note.flag) == (NoteKind.NO_VERSION, "niji")


@pytest.mark.parametrize("style", ["4a", "cute", "scenic", "random-32", "bC9xJ1kQ"])
def test_other_styles_have_no_meaning_here(style: str) -> None:
    parsed = parse(f"a fox --style {style}", CATALOG)
    assert parsed.request.stylize == 100
    assert hints([parsed], CATALOG) == [
        f"`--style {style}` changed nothing: of Midjourney's styles only `--style raw` has a meaning here."
    ]


def test_a_style_code_is_a_mix_of_two_looks_and_the_same_for_all() -> None:
    looks = CATALOG["picturebook"].style_phrases
    first = parse("a fox --sref 123", CATALOG).request
    assert first.style_words == parse("a castle at night --sref 123", CATALOG).request.style_words
    assert len(set(first.style_words.split(", "))) == 2
    assert set(first.style_words.split(", ")) <= set(looks)
    mixes = {parse(f"a fox --sref {code}", CATALOG).request.style_words for code in range(60)}
    assert len(mixes) == len(looks) * (len(looks) - 1)


def test_several_codes_mix_what_each_picks() -> None:
    entry = CATALOG["picturebook"]
    both = parse("a fox --sref 1 2", CATALOG).request.style_words.split(", ")
    assert set(both) == {
        look for code in (1, 2) for look in style_codes.style_words((code,), entry).split(", ")
    }
    assert len(set(both)) == len(both)
    assert parse("a fox --sref 1 --sref 2", CATALOG).request.style_words == ", ".join(both)


def test_a_random_style_is_shown_as_its_code() -> None:
    parsed = parse("a fox --sref random 5 RANDOM --s 9", CATALOG, seed=1)
    shown = parsed.text.removeprefix("a fox --sref ").removesuffix(" --s 9").split()
    assert len(shown) == 3
    assert shown[1] == "5"
    assert all(code.isdecimal() for code in shown)
    assert parse(parsed.text, CATALOG, seed=1).request == parsed.request
    assert len({parse("a fox --sref random", CATALOG).text for _ in range(5)}) > 1


def test_how_strong_a_style_is() -> None:
    weights = [
        parse(f"a fox --sref 5 --sw {n}", CATALOG).request.style_weight for n in (1, 10, 100, 500, 1000)
    ]
    assert weights == sorted(set(weights))
    assert weights[-1] == 1000
    assert parse("a fox --sref 5", CATALOG).request.style_weight == weights[2] == 501
    assert parse("a fox --sref 5 --sw 0", CATALOG, seed=1).request == parse("a fox", CATALOG, seed=1).request


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("--sref 1::2 3", "All that stands after `--sref` counts the same here, whatever its weight."),
        (
            "--cref https://a.example/b.png::2",
            "All that stands after `--cref` counts the same here, whatever its weight.",
        ),
        ("--cw 50", "`--cw` changed nothing without `--cref`."),
        ("--ow 50", "`--ow` changed nothing without `--oref`."),
        ("--ow 5 --model dream_xl", "`--ow` changed nothing: Dream XL cannot read such pictures."),
        (
            "--oref https://a.example/b.png --model dream_xl",
            "`--oref` changed nothing: Dream XL cannot read such pictures.",
        ),
        (
            "--control pose --model dream_xl",
            "`--control` changed nothing: Dream XL has no control networks here.",
        ),
        ("--sref 5 --model dream_xl", "`--sref` changed nothing: Dream XL has no styles for codes to pick."),
        ("--sw 50", "`--sw` changed nothing without `--sref`."),
        ("--iw 2", "`--iw` changed nothing without a link to a picture in front of the text."),
        ("--q 5", "`--q` was drawn in 50 steps, the most that this model takes."),
        ("--ar 4:1", "`--ar` is drawn as 13:4 (208×64): the nearest of the shapes that this model knows."),
    ],
)
def test_what_is_not_quite_done_is_said(typed: str, sentence: str) -> None:
    assert hints([parse(f"a fox {typed}", CATALOG)], CATALOG) == [sentence]


def test_more_steps_than_the_model_takes_are_never_asked_for() -> None:
    assert parse("a fox --steps 50 --q 4", CATALOG).request.num_inference_steps == 50


@pytest.mark.parametrize(
    ("text", "images", "prompt"),
    [
        ("https://a.example/b.png a fox", [("https://a.example/b.png", 1)], "a fox"),
        ("<https://a.example/b.png> a fox", [("https://a.example/b.png", 1)], "a fox"),
        (
            "https://a.example/b.png::2 HTTPS://c.example/d::-.5? a fox",
            [("https://a.example/b.png", 2), ("HTTPS://c.example/d", -0.5)],
            "a fox",
        ),
        (
            "<https://a.example/b>::0.5 https://c.example/d.webp::1 a fox",
            [("https://a.example/b", 0.5), ("https://c.example/d.webp", 1)],
            "a fox",
        ),
        ("https://a.example/b.gif?x=1&y=2#z --ar 3:2", [("https://a.example/b.gif?x=1&y=2#z", 1)], ""),
        ("https://a.example/b.png hot::2 dog::-1", [("https://a.example/b.png", 1)], "hot dog"),
        ("https://a.example/b.png::2 ::3 fox", [("https://a.example/b.png", 2)], "fox"),
        ("http:// a fox", [], "http:// a fox"),
        ("ftp://a.example/b.png a fox", [], "ftp://a.example/b.png a fox"),
    ],
)
def test_links_in_front_are_pictures(text: str, images: list[tuple[str, float]], prompt: str) -> None:
    parsed = parse(text, CATALOG)
    assert parsed.images == tuple(ImageLink(url, weight) for url, weight in images)
    assert parsed.request.prompt == prompt
    assert parsed.text == text


def test_links_alone_are_enough_to_be_understood() -> None:
    parsed = parse("https://a.example/b.png https://a.example/c.png --iw .5", CATALOG)
    assert (len(parsed.images), parsed.image_weight, parsed.request.prompt) == (2, 0.5, "")
    assert parsed.notes == ()


def test_an_attached_picture_is_as_good_as_a_link() -> None:
    parsed = parse("--iw 2", CATALOG, attached=True)
    assert (parsed.image_weight, parsed.request.prompt, parsed.notes) == (2, "", ())
    (parsed,) = parse_all("", CATALOG, attached=True)
    assert parsed.command == f"--seed {parsed.request.seed}"


@pytest.mark.parametrize(
    ("typed", "strength"), [("", 0.7), ("--iw 0", 1.0), ("--iw 1", 0.7), ("--iw 2", 0.4), ("--iw 3", 0.1)]
)
def test_the_more_a_picture_weighs_the_less_of_it_is_drawn_anew(typed: str, strength: float) -> None:
    assert parse(f"https://a.example/b.png a fox {typed}", CATALOG).strength == strength


def test_a_link_within_the_text_is_words_and_that_is_said() -> None:
    parsed = parse("a fox like https://a.example/b.png", CATALOG)
    assert parsed.images == ()
    assert hints([parsed], CATALOG) == [
        "`https://a.example/b.png` was read as words: a link to a picture stands in front of the text."
    ]


def test_words_are_looked_up_without_weights_links_and_marks(tmp_path: Any) -> None:
    words = tmp_path / "words.txt"
    words.write_text("a red fox")
    parsed = parse(
        "https://dragon.example/x.png a (red:1.3) fox::2 unicorn::-.5 <lora:blueprint:1> --no snakes --v 7",
        catalog(words),
    )
    assert parsed.unknown_words == ("unicorn",)


def test_custom_zoom_reads_how_far_it_goes() -> None:
    parsed = parse("a fox --zoom 1.5", CATALOG)
    assert parsed.zoom == 1.5
    (said,) = hints([parsed], CATALOG)
    assert said.startswith("`--zoom 1.5` changed nothing here: it is for the form of the button Custom Zoom")


def test_speed_and_visibility_stand_beside_the_request() -> None:
    assert parse("a fox --relax", CATALOG).speed is Speed.RELAX
    assert parse("a fox", CATALOG).speed is None
    assert parse("a fox --stealth", CATALOG).stealth is True
    assert parse("a fox", CATALOG, Preferences(stealth=True)).stealth is True


def test_nothing_of_midjourneys_is_unknown() -> None:
    working = (
        "ar aspect chaos c weird w stylize s style raw seed sameseed quality q draft steps cfg stop tile no "
        "iw sref sw cref cw oref ow control lora upscaler v version niji model sampler repeat r fast relax "
        "turbo refine public stealth video"
    )
    noted = (
        "edit sv p profile exp hd sd motion loop end bs zoom h uplight "
        "upbeta upanime test testp creative hq vibe newclip nostretch old beta"
    )
    names = {
        meaning: {name for flag in FLAGS if flag.meaning is meaning for name in flag.names}
        for meaning in Meaning
    }
    assert names == {Meaning.WORKS: set(working.split()), Meaning.NOTED: set(noted.split())}
    assert set(BY_NAME) == names[Meaning.WORKS] | names[Meaning.NOTED]


def test_loras_add_up_in_one_order() -> None:
    expected = ({"name": "Stained_Glass", "weight": 0.5}, {"name": "blueprint", "weight": -1.0})
    for typed in ("--lora blueprint:-1 stainedglass:.5", "--lora stained_glass:.5 --lora blueprint:-1"):
        assert asked(typed) == {"loras": expected}


def test_an_unknown_lora_is_refused_with_those_there_are() -> None:
    with pytest.raises(FlagError) as caught:
        parse("a fox --lora blupring:.8", CATALOG)
    assert flag_problems(caught.value.faults) == (
        "`--lora` takes one of blueprint, Stained_Glass, with a weight from -2 to 2 such as `blueprint:.8`, "
        "not `blupring:.8`. Did you mean `--lora blueprint:.8`?"
    )


def test_a_model_without_loras_or_upscalers_says_so_and_draws() -> None:
    parsed = parse("a fox --lora ink:.8 --upscaler crisp --model dream_xl", CATALOG)
    assert (parsed.request.loras, parsed.request.upscaler) == ((), None)
    assert hints([parsed], CATALOG) == [
        "`--lora` changed nothing: Dream XL has no LoRAs here.",
        "`--upscaler` changed nothing: Dream XL has no upscalers here to choose from.",
    ]


def test_a_lora_that_weighs_nothing_is_none() -> None:
    assert parse("a fox --lora blueprint:0", CATALOG).request.loras == ()


A, B, C = (f"https://a.example/{name}.png" for name in "abc")


@pytest.mark.parametrize(
    ("typed", "linked"),
    [
        (f"--sref {A} 5 <{B}>::2", [(Role.STYLE, (A, B), 1.0)]),
        (f"--sref {A} --sref {B} --sw 1000", [(Role.STYLE, (A, B), 1.995)]),
        (f"--sref {A} --sw 10", [(Role.STYLE, (A,), 0.501)]),
        (f"--sref {A} {A}", [(Role.STYLE, (A,), 1.0)]),
        (f"--sref {A} --sw 0", []),
        (f"--cref {A} {B}", [(Role.SUBJECT, (A, B), 1.0)]),
        (f"--cref {A} --cw 0", [(Role.SUBJECT, (A,), 0.4)]),
        (f"--oref {A} --ow 400", [(Role.SUBJECT, (A,), 1.516)]),
        (f"--oref {A} --ow 0", []),
        (f"--oref {A} --sref {B}", [(Role.STYLE, (B,), 1.0), (Role.SUBJECT, (A,), 1.0)]),
        (f"--oref {A} --model dream_xl", []),
    ],
)
def test_pictures_behind_flags_are_read_in_their_role(
    typed: str, linked: list[tuple[Role, tuple[str, ...], float]]
) -> None:
    parsed = parse(f"a fox {typed}", CATALOG)
    found = [(each.role, each.urls, round(each.weight, 3)) for each in parsed.linked]
    assert found == linked
    assert parsed.request.references == ()
    assert parsed.text == f"a fox {typed}"


def test_codes_and_pictures_of_a_style_go_together() -> None:
    mixed = parse(f"a fox --sref 1 {A} 2", CATALOG).request
    assert mixed.style_words == parse("a fox --sref 1 2", CATALOG).request.style_words
    assert parse(f"a fox --sref {A}", CATALOG).request.style_words == ""


@pytest.mark.parametrize(
    ("typed", "kind", "weight"),
    [("edges", "edges", 1.0), ("EDGES:.5", "edges", 0.5), ("depth:2", "Depth", 2.0)],
)
def test_a_control_is_chosen_by_name_and_weight(typed: str, kind: str, weight: float) -> None:
    for parsed in (
        parse(f"{A} a fox --control {typed}", CATALOG),
        parse(f"a fox --control {typed}", CATALOG, attached=True),
    ):
        assert parsed.request.control == Control(kind=kind, weight=weight)


def test_weights_of_several_pictures_are_said_to_change_nothing() -> None:
    assert hints([parse(f"{A}::2 {B} a fox", CATALOG)], CATALOG) == [
        "The pictures before your text count the same here, whatever their weights."
    ]
    assert parse(f"{A}::2 a fox", CATALOG).notes == ()


def test_edit_is_read_as_pictures_in_front_of_the_words_and_said() -> None:
    parsed = parse(f"a fox --ar 10:7 --edit {A} {B} make it (snow:1.3)", CATALOG, seed=1)
    before = parse(f"{A} {B} a fox make it (snow:1.3) --ar 10:7", CATALOG, seed=1)
    assert (parsed.request, parsed.images) == (before.request, before.images)
    assert [note.kind for note in parsed.notes] == [NoteKind.NOT_EDITED]
    assert parse(parsed.text, CATALOG, seed=1) == parsed
    assert parse(f"--edit {A}", CATALOG).images == (ImageLink(A),)


@pytest.mark.parametrize("value", ["", "make it snow", " ".join(["https://a.example/b.png"] * 5)])
def test_edit_without_pictures_or_with_too_many_is_refused(value: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse(f"a fox --edit {value}", CATALOG)
    assert "up to 4 links to pictures" in flag_problems(caught.value.faults)


@pytest.mark.parametrize(
    ("typed", "held", "sentence"),
    [
        ("--ar 3:2 --ar 1:1", "--ar 1:1", "`--ar 3:2` gave way to `--ar`, which stands behind it."),
        ("--c 5 --chaos 6", "--chaos 6", "`--c 5` gave way to `--chaos`, which stands behind it."),
        ("--seed 5 --sameseed 6", "--sameseed 6", "`--seed 5` gave way to `--sameseed`"),
        ("--fast --relax", "--relax", "`--fast` gave way to `--relax`"),
        ("--v 7 --model dream_xl", "--model dream_xl", "`--v 7` gave way to `--model`"),
        ("--model dream_xl --v 7", "--v 7", "`--model dream_xl` gave way to `--v`"),
        ("--draft --q 1", "--q 1", "`--draft` gave way to `--q`"),
        (f"--oref {A} --cref {B}", f"--cref {B}", f"`--oref {A}` gave way to `--cref`"),
        ("--c 1 --c 2 --c 3", "--c 3", "`--c 2` gave way to `--c`"),
    ],
)
def test_of_two_flags_that_decide_the_same_the_last_holds(typed: str, held: str, sentence: str) -> None:
    parsed = parse(f"a fox {typed}", CATALOG, seed=1)
    assert parsed.text == f"a fox {held}"
    assert parsed.request == parse(f"a fox {held}", CATALOG, seed=1).request
    assert any(said.startswith(sentence) for said in hints([parsed], CATALOG))


def test_the_same_flag_twice_is_no_news() -> None:
    parsed = parse("a fox --tile --tile --ar 10:7 --ar 10:7", CATALOG)
    assert (parsed.text, parsed.notes) == ("a fox --tile --ar 10:7", ())
