# ruff: noqa: E501
"""What other programs say of a picture becomes a command, and Easel's own draws it again."""

from __future__ import annotations

import io
import json
from typing import Any

import PIL.Image
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from generator.worker import output
from prompts import embedded_commands, unparser
from prompts.diagnostics import FlagError, NoteKind
from prompts.parser import parse, parse_all
from prompts.tokenizer import DASHES, clean, tokenize, unescaped
from storage import catalog, image_encoding, metadata
from tests.bot import drawing
from tests.bot.simulated import World, answer, labels, press

CATALOG = catalog.load()
IMAGE = PIL.Image.new("RGB", (8, 8), "red")
GRAPH: dict[str, Any] = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "picturebook.safetensors"}},
    "2": {"class_type": "LoraLoader", "inputs": {"model": ["1", 0], "lora_name": "blueprint.safetensors", "strength_model": 0.5}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red castle", "clip": ["2", 1]}},
    "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "fog", "clip": ["2", 1]}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 768, "height": 512, "batch_size": 1}},
    "6": {
        "class_type": "KSampler",
        "inputs": {
            "model": ["2", 0], "positive": ["3", 0], "negative": ["4", 0], "latent_image": ["5", 0],
            "seed": 7, "steps": 12, "cfg": 6.5, "sampler_name": "dpmpp_2m", "scheduler": "karras",
        },
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("pasted", "command"),
    [
        (
            "a green boat Negative prompt: fog Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 12, Size: 512x768",
            "a green boat --no fog --steps 20 --sampler euler_a --cfg 7 --seed 12 --ar 2:3",
        ),
        (
            "a boat,\nnegative prompt: (fog:1.2), rain\nSteps: 20, Sampler: DPM++ 2M Karras, Seed: -1, Model: Picturebook",
            "a boat --no (fog:1.2), rain --steps 20 --sampler dpm++2m_karras --model picturebook",
        ),
        ("a boat Negative prompt: fog", "a boat --no fog"),
        ("a boat, Steps: 20, Seed: 3", "a boat --steps 20 --seed 3"),
        ("a boat <lora:blueprint:0.8> Steps: 9, Seed: 3", "a boat --lora blueprint:0.8 --steps 9 --seed 3"),
        ("a boat Steps: 9, Size: 512x512 --ar 3:2", "a boat --ar 3:2 --steps 9"),
        ("a boat Steps: 9000, CFG scale: 99, Seed: 3", "a boat --steps 100 --cfg 30 --seed 3"),
        ('a boat Steps: 9, Lora hashes: "a: 1, b: 2", Seed: 3', "a boat --steps 9 --seed 3"),
        (
            "a boat\nSteps: 9\nSampler: LMS\nCFG scale: 7\nSeed: 3",
            "a boat --steps 9 --sampler lms --cfg 7 --seed 3",
        ),
        (
            "a boat Steps: 9 Sampler: Euler a CFG scale: 7 Seed: 3",
            "a boat --steps 9 --sampler euler_a --cfg 7 --seed 3",
        ),
        ("a boat Steps: 9 | Sampler: DPM++ 2S a | Seed: 3", "a boat --steps 9 --sampler dpm++2s --seed 3"),
        (
            "parameters\n\na boat\nNegative prompt: fog\nSteps: 9, Seed: 3",
            "a boat --no fog --steps 9 --seed 3",
        ),
        ("a boat. Steps: 9, CFG: 7, Seed: 3.", "a boat. --steps 9 --cfg 7 --seed 3"),
        (
            "a boat\nUndesired Content: fog\nSteps: 9, Guidance: 5, Seed: 3",
            "a boat --no fog --steps 9 --cfg 5 --seed 3",
        ),
        ("a boat 反向提示词：雾 Steps: 9, Seed: 3", "a boat --no 雾 --steps 9 --seed 3"),
    ],
)
def test_pasted_values_are_flags(pasted: str, command: str) -> None:
    parsed = parse(pasted, CATALOG)
    assert parsed.text == command
    assert {note.kind for note in parsed.notes} <= {NoteKind.LABEL_READ}
    (one,) = parse_all(pasted, CATALOG, seed=1)
    assert one.text == command


@pytest.mark.parametrize(
    "words",
    [
        "a sign that says Steps: 3",
        'a sign "Steps: 20, Seed: 3"',
        "Seed: a story",
        'a "Negative prompt: fog" sign',
    ],
)
def test_what_is_not_certain_stays_words(words: str) -> None:
    assert parse(words, CATALOG).text == words


def test_what_has_no_word_here_is_named() -> None:
    parsed = parse("a boat Steps: 9, Sampler: Restart, Clip skip: 2, Model: dream, Seed: 3, blue", CATALOG)
    (note,) = parsed.notes
    assert note.kind is NoteKind.VALUES_LOST
    assert note.detail == "blue, sampler: Restart, clip skip: 2, model: dream"
    (note,) = parse("a boat Steps: 9, Seed: 3, Variation seed: 4", CATALOG).notes
    assert note.detail == "variation seed: 4"
    assert parsed.text == "a boat --steps 9 --seed 3"


def test_a_graph_of_comfyui() -> None:
    found = embedded_commands.read({metadata.COMFYUI: json.dumps(GRAPH)}, CATALOG)
    assert found is not None
    assert found.command == (
        "a red castle --lora blueprint:0.5 --no fog --steps 12 --sampler dpm++2m_karras --cfg 6.5 --seed 7 "
        "--ar 3:2 --model picturebook"
    )


@pytest.mark.parametrize(
    "graph",
    [
        "", "[]", "{}", "nonsense", "[" * 100_000, '{"6": {"class_type": "KSampler", "inputs": []}}',
        json.dumps({**GRAPH, "7": GRAPH["6"]}),
        json.dumps({**GRAPH, "3": {"class_type": "Wildcards", "inputs": {"text": "a {red, blue} castle"}}}),
        json.dumps({**GRAPH, "3": {"class_type": "CLIPTextEncode", "inputs": {"text": ["9", 0]}}}),
    ],
)  # fmt: skip
def test_a_graph_that_is_not_certain_is_none(graph: str) -> None:
    assert embedded_commands.read({metadata.COMFYUI: graph}, CATALOG) is None


hostile = st.lists(
    st.one_of(
        st.sampled_from(
            ["--ar 3:2", "—chaos 9", "--stealth", "{a, b}", "｛红，蓝｝", "a::2", "::", "https://a.example/b.png", "\\", "\\{", '"', "(", ")",
             ":1.3)", "<lora:x:1>", "<lora:blueprint:.5>", "--", "\u200b", "@everyone", "Steps: 1, Seed: 2", "Negative prompt:"]
        ),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    ),
    max_size=8,
).map(" ".join)  # fmt: skip


@given(hostile, hostile)
def test_a_strangers_file_brings_no_flag_link_or_set_of_its_own(prompt: str, negative: str) -> None:
    said = f"{prompt}\nNegative prompt: {negative}\nSteps: 9, Seed: 3"
    found = embedded_commands.read({metadata.PARAMETERS: said}, CATALOG)
    if found is None:
        return
    (parsed,) = parse_all(found.command, CATALOG)
    assert not parsed.images
    assert not parsed.linked
    names = {flag.name for flag in tokenize(parsed.text).flags}
    assert names <= {"no", "steps", "seed", "lora"}
    assert {lora.name for lora in parsed.request.loras} <= {"blueprint"}


_dashed = st.lists(
    st.sampled_from(
        [*DASHES, "--", "- -", " ", " ", "ar", "no", "s", "v", "tile", "bogus", "negative", "16:9", "5", "x", "Ö", "城", ",", "\\"]
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=300)
@given(_dashed)
@example(["- -", "no", "-", "Ö"])
@example(["--", "ar", "--", "no", "-", "Ö"])
@example(["--", "ar", "ー"])
def test_no_dash_of_somebody_elses_words_begins_a_flag(pieces: list[str]) -> None:
    words = clean(f"a boat {''.join(pieces)}".replace("\\-", "-"))
    parsed = parse(unparser.literal(words), CATALOG)
    assert not tokenize(parsed.text).flags
    assert parsed.notes == () or {note.kind for note in parsed.notes} == {NoteKind.LIKE_FLAG}
    assert parsed.request.prompt == unescaped(words)


words = st.lists(
    st.sampled_from(
        ["a", "red castle", "(green:1.3)", "((boat:1.2) at sea:.5)", "hot::2", "dog::-.5", "night::", "\\{a\\}", "\\--no", "\\–ar 3:2", "\\— s 5", "fox\\--ar 3:2", "\\-", "(x)", '"a (b:2)"']
    ),
    min_size=1,
    max_size=5,
)  # fmt: skip
typed = st.lists(
    st.sampled_from(
        ["--ar 3:2", "--no fog, rain", "--steps 7", "--cfg 3.3", "--sampler euler_a", "--lora blueprint:-.4", "--s 250", "--raw",
         "--sref 7", "--sref 7 8 9 --sw 300", "--sref 4 --sw 0", "--c 20", "--weird 100", "--stop 80", "--tile", "--video",
         "--sameseed 5", "--seed 9", "--draft"]
    ),
    max_size=6,
    unique_by=lambda flag: flag.split()[0].replace("sameseed", "seed"),
)  # fmt: skip


@given(words, typed)
def test_a_picture_draws_itself_again(text: list[str], flags: list[str]) -> None:
    try:
        asked = parse(" ".join([*text, *flags]), CATALOG).request
    except FlagError:
        return
    data = output.encode(IMAGE, asked, 0)
    found = embedded_commands.read(metadata.read(data), CATALOG)
    assert found is not None
    assert found.exact
    (again,) = parse_all(found.command, CATALOG)
    assert again.request == asked


def _png(command: str) -> bytes:
    return output.encode(IMAGE.resize((96, 64)), parse(command, CATALOG).request, 0)


async def test_describe_shows_the_command_of_a_picture_that_carries_one(world: World) -> None:
    alice = world.member("alice")
    result = await alice.slash(
        world.channel, "describe", image=("a.png", _png("a red castle --seed 5 --c 9"))
    )
    (offered,) = result.followups
    assert "a red castle --" in offered.content
    assert labels(offered) == ["Imagine its prompt"]
    await world.restart_bot()
    drawn = await press(alice, offered, "Imagine its prompt")
    assert "a red castle" in answer(drawn).content
    drawn_job = [drawing.claim(world.backends) for _ in range(2)][1]
    assert (drawn_job.request.chaos, drawn_job.request.seed) == (9, 5)


async def test_imagine_tells_which_command_its_picture_carries(world: World) -> None:
    alice = world.member("alice")
    plain, carrying = (
        ("b.png", image_encoding.png_bytes(IMAGE)),
        ("a.png", _png("a red castle --seed 5 --c 9")),
    )
    result = await alice.slash(world.channel, "imagine", prompt="a boat", image=plain, image2=carrying)
    (offered,) = result.followups
    assert "a red castle --" in offered.content
    assert drawing.claim(world.backends).request.prompt == "a boat"
    await press(alice, offered, "Imagine its prompt")
    again = drawing.claim(world.backends).request
    assert (again.prompt, again.chaos, again.seed) == ("a red castle", 9, 5)


async def test_blend_tells_which_command_one_of_its_pictures_carries(world: World) -> None:
    alice = world.member("alice")
    plain, carrying = (
        ("b.png", image_encoding.png_bytes(IMAGE)),
        ("a.png", _png("a red castle --seed 5 --c 9")),
    )
    result = await alice.slash(world.channel, "blend", image1=plain, image2=carrying)
    (offered,) = result.followups
    assert "a red castle --" in offered.content
    assert drawing.claim(world.backends).request.prompt == ""
    await press(alice, offered, "Imagine its prompt")
    again = drawing.claim(world.backends).request
    assert (again.prompt, again.chaos, again.seed) == ("a red castle", 9, 5)


async def test_blend_says_nothing_of_pictures_that_carry_no_command(world: World) -> None:
    plain = image_encoding.png_bytes(IMAGE), image_encoding.png_bytes(PIL.Image.new("RGB", (8, 8), "blue"))
    given = {f"image{place}": (f"{place}.png", data) for place, data in enumerate(plain, 1)}
    result = await world.member("alice").slash(world.channel, "blend", **given)
    assert result.followups == []


async def test_imagine_says_nothing_of_a_picture_that_carries_no_command(world: World) -> None:
    alice = world.member("alice")
    result = await alice.slash(
        world.channel, "imagine", prompt="a boat", image=("b.png", image_encoding.png_bytes(IMAGE))
    )
    assert result.followups == []


@pytest.mark.parametrize("long", [False, True])
async def test_use_picture_offers_a_foreign_prompt_with_what_is_lost(world: World, long: bool) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    said = (
        "a red castle " + "by the sea " * (200 if long else 1) + "--stealth\nSteps: 9, Seed: 3, Clip skip: 2"
    )
    file = image_encoding.png_bytes(IMAGE, {"parameters": said})
    shown = await bob.send(world.channel, "look", attachments=[("a.png", file)])
    page = answer(await alice.context_menu(world.channel, "Use picture…", shown))
    assert "clip skip: 2" in page.content
    assert labels(page)[-1] == "Imagine its prompt"
    await press(alice, page, "Imagine its prompt")
    request = drawing.claim(world.backends).request
    assert request.prompt.startswith("a red castle by the sea")
    assert request.prompt.endswith("--stealth")
    assert (request.num_inference_steps, request.seed) == (9, 3)


async def test_the_grid_and_the_single_say_how_they_were_made(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a red castle --seed 5 --ar 3:2")
    taken = drawing.claim(world.backends)
    job = drawing.finish(world.backends, taken)
    for image in drawing.images(world.backends, job.id):
        picture = PIL.Image.open(io.BytesIO(world.backends.images.load(image.key)))
        world.backends.images.save(image.key, output.encode(picture, taken.request, image.index))
    await world.delivered()
    grid = world.messages()[-1]
    texts = metadata.read(await grid.attachments[0].read())
    assert "Seed: 5," in texts["parameters"]
    found = embedded_commands.read(texts, world.backends.catalog)
    assert found is not None
    assert found.exact
    assert found.command == "a red castle --ar 3:2 --seed 5".replace(
        "3:2", f"{taken.request.width}:{taken.request.height}"
    )
    await press(alice, grid, "U3")
    single = await world.picture(after=grid.id)
    assert "Seed: 7," in metadata.read(await single.attachments[0].read())["parameters"]
