"""What people paste: what is read, what is named, and what stays words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompts.parser import FlagError, parse, parse_all
from prompts.pasted.normalizer import read
from prompts.sentences import hints
from storage.contract import Lora
from tests.prompts.catalogs import catalog

CATALOG = catalog()


@pytest.mark.parametrize(
    "text",
    [
        "a well-known t-shirt",
        "sci-fi city, rock-'n'-roll -- a study",
        "x - ar - y",
        "a 1920s--style ballroom",
        "a fox — and a bird",
        "a fox—red and quick",
        "a mother-in-law",
        "a lake — no boats, no people",
        r"a fox \--ar 3:2",
        r"a fox \–ar 3:2",
        '"OPEN LATE"',
        '"a cat", "a dog"',
        "imagine a world where trees walk",
        "a car -fast",
        "STOP AND GO BREAK",
        "a {red} fox",
        r"a fox \--",
        "here is a castle: tall and red",
        "a sign, feel free to enter",
        'a robot says "hello" let me know',
        "**a** fox",
    ],
)
def test_what_is_no_flag_stays_words(text: str) -> None:
    parsed = parse(text, CATALOG)
    assert parsed.text == text
    assert parse_all(parsed.text, CATALOG)[0].text == text


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("a green boat at dusk –ar 16:9 –stylize 300", "a green boat at dusk --ar 16:9 --stylize 300"),
        ("a boat — ar 3:2", "a boat --ar 3:2"),
        ("castle--ar 16:9", "castle --ar 16:9"),
        ("城堡--ar 16:9", "城堡 --ar 16:9"),
        ("a boat -ar 16:9 -s 50", "a boat --ar 16:9 --s 50"),
        ("a boat (--ar 16:9)", "a boat --ar 16:9"),
        ("a boat － － ａｒ １６：９", "a boat --ar 16:9"),
        ('"a boat --ar 16:9"', "a boat --ar 16:9"),
        ('"a sign that says "OPEN" --ar 16:9"', 'a sign that says "OPEN" --ar 16:9'),
        ("/imagine prompt: a boat --ar 3:2", "a boat --ar 3:2"),
        ("**a boat --ar 3:2** - <@1> (fast)", "a boat --ar 3:2"),
        ("**a boat** - Variations (Strong) by @alice (fast, stealth)", "a boat"),
        ("**a boat --ar 3:2** - <@1>（快速）", "a boat --ar 3:2"),
        ("正在为图片 #2 生成强变化，提示词：**a boat** - @alice（等待开始）", "a boat"),
        ("**a boat --ar 3:2**\n**Job ID**: 7\n**seed** 5", "a boat --ar 3:2 --seed 5"),
        ("**a boat --ar 3:2**\n**任务 ID**：7\n**种子**：5", "a boat --ar 3:2 --seed 5"),
        ("a boat --ar 4:5, --v 7", "a boat --ar 4:5 --v 7"),
        ("a boat --stop 80%.", "a boat --stop 80"),
        ("a boat --ar 1.85:1", "a boat --ar 1.85:1"),
        ("a boat --w 512 --h 768", "a boat --ar 2:3"),
        ("a boat --negative fog, birds", "a boat --no fog, birds"),
        ("a boat Negative prompt: fog, birds", "a boat --no fog, birds"),
        ("a boat Negative prompt: fog, Negative prompt: birds", "a boat --no fog, birds"),
        ("a boat BREAK a cliff", "a boat, a cliff"),
        ("{{{a boat}}} at sea", "(a boat:1.16) at sea"),
        ('{"prompt": "a boat", "aspect_ratio": "16:9", "seed": 5}', "a boat --ar 16:9 --seed 5"),
        ("a boat --seed random", "a boat"),
        ("a boat --ar square", "a boat --ar 1:1"),
        ("a boat --", "a boat"),
        ("a boat — --ar 3:2 –", "a boat --ar 3:2"),
        ("a boat --sampler DPM++ 2M --scheduler karras", "a boat --sampler dpm++2m_karras"),
        ("a boat --scheduler normal --sampler euler_a", "a boat --sampler euler_a"),
        ("a boat --scheduler ddim", "a boat --sampler ddim"),
        ("!dream a boat -s 30 -S 12 -C 7 -W 512 -H 768 -n 2", "a boat --steps 30 --seed 12 --cfg 7 --ar 2:3"),
        ("Important tokens\n**boat** ~~very~~ blue\n1️⃣ a blue boat --ar 3:2", "a blue boat --ar 3:2"),
        ("#prompt a boat --ar 3:2", "a boat --ar 3:2"),
        ("Sure! Here's a prompt for you: a boat --ar 3:2", "a boat --ar 3:2"),
        ("Here you go: a boat --ar 3:2", "a boat --ar 3:2"),
        ('Great, try this: "a boat" with --ar 3:2 and --s 9', "a boat --ar 3:2 --s 9"),
        ('"a boat --ar 3:2"\n\nLet me know if you want changes.', "a boat --ar 3:2"),
        ("Hier ist dein Prompt: a boat --ar 3:2", "a boat --ar 3:2"),
        ("这是您的提示词：小船 --ar 3:2", "小船 --ar 3:2"),
        ("Here are two prompts:\n1. **Boat** - a boat --ar 3:2", "Boat - a boat --ar 3:2"),
    ],
)
def test_what_is_certain_is_read(text: str, understood: str) -> None:
    assert [parsed.text for parsed in parse_all(text, CATALOG)] == [understood]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a boat -ar wide", "`-ar wide` was read as words. A flag begins with two dashes and stands behind"),
        ("a boat – ar 16:9 in fog", "`– ar 16:9` was read as words."),
        ("a boat –stilyze 300", "`–stilyze 300` was read as words."),
        ('a sign that says "--ar 16:9"', "`--ar 16:9` stands in quotes and was read as letters to draw"),
        ("a boat --negative fog", "`--negative` was read as `--no fog`, as it is written here."),
        ("a boat --w 512 --h 768", "Width and height were read as the picture's shape, `--ar 2:3`."),
        ("a boat --width 512", "`--width` changed nothing: a picture's shape takes both sides"),
        ("a boat --count 2", "`--count` changed nothing: there are always four pictures"),
        ("a boat --seed -1", "`--seed -1` was left out: without a seed, each drawing takes a random one."),
        ("a boat AND a dog", "`AND` was read as a word."),
        ("a boat BREAK a dog", "`BREAK` of other programs was read as a comma."),
        ("a boat, aspect ratio: 16:9", "`aspect ratio: 16:9` was read as words."),
        ("a boat 16:9", "`16:9` was read as words."),
        ("a boat, v 6, fog", "`v 6` was read as words."),
        ("a boat, size: 512x768", "`size: 512x768` was read as words."),
        ("a boat _ar 1:1", "`_ar 1:1` was read as words."),
        ("a boat, stylize 250", "`stylize 250` was read as words."),
        ("a boat [no text]", "`no text` was read as words."),
        ("a boat at sea with no people", "`no people` was read as words."),
        ("a boat --clip_skip 2", "`--clip_skip` has no meaning here"),
        ("a boat --scheduler karras --sampler euler_a", "`--scheduler` has no meaning here"),
        (
            "a boat --scheduler karras --sampler dpm++2m",
            "`--scheduler` was read as `--sampler dpm++2m_karras`",
        ),
        (
            "a {red} fox",
            "`{red}` was read with its braces. Weight is written `(red:1.3)`; braces hold a choice",
        ),
    ],
)
def test_what_is_doubtful_is_named_whatever_the_model_knows(text: str, sentence: str) -> None:
    for model in CATALOG.models:
        said = hints(parse_all(text, CATALOG, options={"model": model}), CATALOG)
        assert any(line.startswith(sentence) for line in said), said


@pytest.mark.parametrize(
    "text", ["chess at 10:15", "a deck of cards, d 20", "3:1 ink to water", "no man's land"]
)
def test_numbers_and_negations_within_words_are_no_flags(text: str) -> None:
    assert parse(text, CATALOG).notes == ()


def test_a_control_is_told_which_link_leads() -> None:
    with pytest.raises(FlagError) as caught:
        parse("a boat https://a.example/b.png --control edges", CATALOG)
    assert caught.value.suggestion == "https://a.example/b.png a boat"


def test_another_models_name_is_not_likened_to_one_of_ours() -> None:
    with pytest.raises(FlagError) as caught:
        parse("a boat --model dreamshaper_8", CATALOG)
    assert caught.value.suggestion is None


def test_a_lora_with_blanks_in_its_name_is_one() -> None:
    parsed = parse("a boat <lora:Stained Glass:.5>", CATALOG)
    assert parsed.request.loras == (Lora(name="Stained_Glass", weight=0.5),)
    with pytest.raises(FlagError, match="lora"):
        parse("a boat <lora:Soft Light XL:0.7>", CATALOG)


def test_a_random_seed_is_another_one_each_time() -> None:
    seeds = {parse("a boat --seed -1", CATALOG).request.seed for _ in range(5)}
    assert len(seeds) > 1


def test_an_unknown_flag_is_never_likened_to_one_that_does_nothing() -> None:
    with pytest.raises(FlagError) as caught:
        parse("a boat --bogus", CATALOG)
    assert caught.value.suggestion is None


_pieces = st.sampled_from(
    [
        "a", "boat", "-", "–", "—", "--", "－－", "-ar", "–ar", "ar", "16:9", "16：9", "no", "—no", "s",
        "250", ",", '"', "“", "”", "`", "**", "(", ")", "prompt:", "/imagine", "BREAK", "{{", "}}", "\\",
        "--w 5", "--h 7", "<lora:blueprint:1>", "--seed -1", "Negative prompt:", "--tile", "> ", "1.",
        "@alice", "\n", "城",
    ]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.tuples(st.lists(_pieces, max_size=14), st.sampled_from([" ", ""])))
def test_what_was_read_reads_as_itself(typed: tuple[list[str], str]) -> None:
    pieces, between = typed
    line = read(between.join(pieces)).line
    assert read(line).line == line
    try:
        first = parse_all(between.join(pieces), CATALOG)[0]
    except FlagError:
        return
    again = parse_all(first.command, CATALOG)[0]
    assert (again.request, again.text) == (first.request, first.command)
