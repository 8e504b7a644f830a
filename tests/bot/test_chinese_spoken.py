"""Whose Discord is Chinese reads Chinese: what the bot sends in the main ways is looked through."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from prompts.custom_flags import MOST_OPTIONS
from prompts.values import Problem
from storage import members, offers
from storage.catalog_model import ModelEntry
from storage.contract import ErrorCode
from storage.samplers import NAMES as SAMPLER_NAMES
from storage.tables import Job
from tests.bot import chinese, drawing, photos
from tests.bot.chinese import CODE
from tests.bot.simulated import World, answer, buttons, fill, interactions_with, press, use

PROMPT = "a red castle"
EXAMPLE = "the sky, the castle"
"""Words to type, in what a form says."""
SAID = {"content", "label", "placeholder", "title", "description"}
"""What members read of what Discord is sent."""
NAMES = {
    *("Easel", "Discord", "Midjourney", "Niji", "Picturebook", "LoRA", "ddim", "cfg", "seed", "English"),
    *("ZIP", "JSON", "PNG", "JPEG", "WebP", "GIF", "AVIF", "HEIC", "MB", "ID", "APP", "other"),
    "raw",
    "edges",
    "picturebook",
    # What Discord's menus call Easel's commands, in every language.
    *("Cancel", "Job", "DM", "Results", "Report"),
}
_NO_WORDS = re.compile(rf"{CODE.pattern}|<[^>]*>|https?:[^\s)]*|--\w+|/imagine [^\n]*|\w+\.png", re.DOTALL)


@pytest.fixture(autouse=True)
def chinese_discord() -> Iterator[None]:
    with interactions_with(locale="zh-CN"):
        yield


def read(payload: Any) -> Iterator[str]:
    """Every text in a request to Discord that members see."""
    if isinstance(payload, dict):
        for key, value in payload.items():
            if isinstance(value, str) and key in SAID:
                yield value
            else:
                yield from read(value)
    elif isinstance(payload, list):
        for part in payload:
            yield from read(part)


def english(text: str, typed: tuple[str, ...] = ()) -> list[str]:
    """The words of a text that are neither Chinese nor a name, nor what a member `typed`."""
    for words in (PROMPT, EXAMPLE, *typed, *sorted(SAMPLER_NAMES, key=len, reverse=True)):
        text = text.replace(words, "")
    return [word for word in re.findall(r"[A-Za-z]{2,}", _NO_WORDS.sub("", text)) if word not in NAMES]


def heard(world: World) -> list[str]:
    """All that was said since the bot began, commands' own descriptions aside, each once."""
    sent = [entry for entry in world.env.backend.http_requests if not entry.path.endswith("/commands")]
    return [*dict.fromkeys(text for entry in sent for text in read(entry.json))]


def wrong(world: World, *typed: str) -> dict[str, list[str]]:
    """Each text that is not good Chinese, with what is wrong."""
    found = {text: [*english(text, typed), *chinese.faults(text)] for text in heard(world) if text.strip()}
    return {text: faults for text, faults in found.items() if faults}


async def grid_of(world: World, member: Any, prompt: str = PROMPT) -> Any:
    before = max((message.id for message in world.messages()), default=0)
    await member.slash(world.channel, "imagine", prompt=prompt)
    drawing.draw(world.backends)
    return await world.picture(after=before)


async def single_of(world: World, member: Any, prompt: str = PROMPT) -> Any:
    grid = await grid_of(world, member, prompt)
    await press(member, grid, "U1")
    return await world.picture(after=grid.id)


def test_english_is_found() -> None:
    assert english("已完成 and more `--ar`") == ["and", "more"]
    assert english(f"**{PROMPT}** - <@1>（快速）[跳转](https://discord.com/a)") == []


async def test_drawing_and_every_button_of_a_picture(world: World) -> None:
    alice = world.member("alice")
    single = await single_of(world, alice)
    for number in range(len(buttons(single))):
        part = buttons(world.reread(single))[number]
        if part.get("custom_id") and not part.get("disabled"):
            await alice.click(single, custom_id=part["custom_id"])
    with world.backends.database.reading() as session:
        waiting = session.query(Job).filter(Job.state == "queued").count()
    for _ in range(waiting):
        drawing.draw(world.backends)
    await world.delivered()
    heading = "\n".join(heard(world))
    assert "正在为图片 #1 生成强变化" in heading
    assert "变化（强烈）· <@" in heading
    assert wrong(world) == {}


async def test_forms(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "prefer remix")
    single = await single_of(world, alice, f"{PROMPT} --ar 3:2")
    for label in ("变化（细微）", "自定义扩图", "变为方形", "🔄"):
        opened = await press(alice, single, label)
        assert opened.modal is not None
        name = opened.modal["components"][0]["component"]["custom_id"]
        await fill(alice, opened, **{name: f"{PROMPT} --zoom 1.5" if "扩" in label else PROMPT})
    await press(alice, single, "变化（局部）")
    assert any("正在重混图片 #1" in text or "正在细微重混图片 #1" in text for text in heard(world))
    assert wrong(world) == {}


PANELS = (
    """
help, info, queue, settings, history, favorites, fast, relax, turbo, stealth, public, prefer remix,
prefer variability, prefer auto_dm, prefer suffix, prefer option list, privacy export, privacy delete,
models, mod models, mod queue, mod pause, mod resume, mod audit, mod reports, mod words list
""".replace("\n", " ")
    .strip()
    .split(", ")
)


async def test_panels_full_and_empty(world: World) -> None:
    alice = world.member("alice", manage_messages=True)
    for command in PANELS:
        await alice.slash(world.channel, command)
    page = answer(await alice.slash(world.channel, "help"))
    for _ in range(2):
        await press(alice, page, "下一页")
    single = await single_of(world, alice)
    await press(alice, single, "❤️")
    await alice.slash(world.channel, "imagine", prompt=f"{PROMPT} --ar 3:2")
    await alice.slash(world.channel, "prefer suffix", new_value="--s 250")
    await alice.slash(world.channel, "prefer option set", option="mine", value="--no text")
    await alice.slash(world.channel, "prefer option set", option="theirs")
    for command in PANELS:
        await alice.slash(world.channel, command)
    await alice.slash(world.channel, "history", words="red", favorites=True, kind="grids", since=7)
    await alice.slash(world.channel, "history", words="zebra")
    await alice.slash(world.channel, "show", job_id=1)
    await alice.slash(world.channel, "show", job_id=99)
    await world.delivered()
    assert any("包含：red · 只看四宫格" in text for text in heard(world))
    assert wrong(world, "red", "zebra", "--no text") == {}


LINK = "https://a.example/b.png"
REFUSED = {
    Problem.UNKNOWN: ("imagine", {"prompt": f"{PROMPT} --qqq"}),
    Problem.MISSING: ("imagine", {"prompt": f"{PROMPT} --ar"}),
    Problem.WRONG: ("imagine", {"prompt": f"{PROMPT} --sampler eulre"}),
    Problem.OFF: ("imagine", {"prompt": f"{PROMPT} --model lost"}),
    Problem.UNSUPPORTED: ("imagine", {"prompt": f"{PROMPT} --tile --model flow"}),
    Problem.SURPLUS: ("imagine", {"prompt": f"{PROMPT} --tile castle"}),
    Problem.EMPTY: ("imagine", {"prompt": "--ar 3:2"}),
    Problem.TOO_LONG: ("imagine", {"prompt": "x" * 4000, "model": "other"}),
    Problem.TOO_MANY: ("imagine", {"prompt": "{1,2,3,4,5,6,7} {1,2,3,4,5,6,7}"}),
    Problem.WEIGHT: ("imagine", {"prompt": "fog::101 rain"}),
    Problem.WEIGHT_SUM: ("imagine", {"prompt": "fog::1 rain::-2"}),
    Problem.WEIGHT_BELOW: ("imagine", {"prompt": f"{PROMPT} --no fog::-1"}),
    Problem.EMPHASIS: ("imagine", {"prompt": "(fog:11)"}),
    Problem.LINK: ("imagine", {"prompt": f"{PROMPT} --sref {LINK} --model other"}),
    Problem.NO_PICTURE: ("imagine", {"prompt": f"{PROMPT} --control edges"}),
    Problem.SUFFIX_TEXT: ("prefer suffix", {"new_value": "in watercolor"}),
    Problem.OPTION_NAME: ("prefer option set", {"option": "2fast", "value": "--no text"}),
    Problem.OPTION_TAKEN: ("prefer option set", {"option": "ar", "value": "--no text"}),
    Problem.OPTION_EMPTY: ("prefer option set", {"option": "mine", "value": "prompt:"}),
    Problem.OPTIONS_FULL: ("prefer option set", {"option": "more", "value": "--no text"}),
}
"""A command for each kind of fault."""


async def test_every_kind_of_fault(world: World) -> None:
    assert set(REFUSED) == set(Problem)
    alice = world.member("alice")
    full = {f"o{number}": "--no trees" for number in range(MOST_OPTIONS)}
    with world.backends.database.writing() as session:
        members.change_settings(session, alice.id, options=full)
        offers.turn(session, world.guild.id, alice.id, "lost", on=False)
    models = world.backends.catalog.models
    flow = ModelEntry(name="flow", title="Flow", source="flow", family="zimage", sizes=((64, 64),))
    more = world.backends.catalog.changed(models={**models, "lost": models["other"], "flow": flow})
    world.backends.catalogs = lambda: more
    said = {}
    for problem, (command, options) in REFUSED.items():
        refused = await alice.slash(world.channel, command, **options)
        assert refused.ephemeral
        said[problem] = CODE.sub("", answer(refused).content).splitlines()[0]
    kinds = Counter(said.values())
    assert [problem for problem in Problem if kinds[said[problem]] > 1] == []
    assert wrong(world, "Flow", "flow") == {}


NOTED = f"""
a red castle --hd
a red castle --ar 1:3
a red castle --niji 9
a red castle --style cute
a red castle --upbeta --test
a red castle --s 5 --s 6
a red castle --zoom 2
a red castle -ar wide
a red castle --negative fog
a red castle --w 512 --h 768
a red castle --width 512
a red castle --count 2
a red castle --seed -1
a red castle, aspect ratio: 16:9
a red castle --sref 5
a red castle --cw 5
a red castle --lora x:1
a red castle --upscaler x
a red castle "--ar 3:2"
a red castle --no fog::2 rain::1
a red castle, {LINK}
a red castle --repeat 2 --seed 5
a red castle Negative prompt: fog, birds
a red castle Steps: 20, Sampler: Euler a, CFG scale: 7
a red castle --steps 99
a red castle BREAK 7
7 AND a red castle
{{7}} a red castle
""".strip().splitlines()


async def test_notes(world: World) -> None:
    alice = world.member("alice")
    noted = 0
    for prompt in NOTED:
        result = await alice.slash(world.channel, "imagine", prompt=prompt)
        noted += len(result.followups) or result.ephemeral
        await _cancel_all(world)
    assert noted > len(NOTED) * 2 // 3
    typed = (
        "Steps: 20, Sampler: Euler a, CFG scale: 7",
        "--sampler euler\\_a",
        "fog, birds",
        "aspect ratio: 16:9",
    )
    assert wrong(world, *typed, "-ar wide", "fog", "rain", "cute", "AND", "BREAK") == {}


async def _cancel_all(world: World) -> None:
    with world.backends.database.writing() as session:
        for job in session.query(Job).filter(Job.state == "queued"):
            job.state = "cancelled"


async def test_failures(world: World) -> None:
    alice = world.member("alice")
    for code in ErrorCode:
        await alice.slash(world.channel, "imagine", prompt=PROMPT)
        drawing.fail(world.backends, code)
    await world.delivered()
    assert sum("抱歉" in text for text in heard(world)) >= len(ErrorCode) - 2
    assert wrong(world) == {}


async def test_withheld_pictures(world: World) -> None:
    alice = world.member("alice")
    for hidden in ((0,), (0, 1, 2, 3)):
        await alice.slash(world.channel, "imagine", prompt=PROMPT)
        drawing.draw(world.backends, hidden)
        await world.delivered()
    assert any("未通过安全检查" in text for text in heard(world))
    assert wrong(world) == {}


async def test_pictures_that_members_bring(world: World) -> None:
    alice = world.member("alice")
    one, other = ("castle.png", photos.png(90, 60)), ("boat.png", photos.png(60, 60))
    await alice.slash(world.channel, "describe", image=one)
    drawing.find(world.backends, prompts=["zebra one", "zebra two", "zebra three", "zebra four"])
    await alice.slash(world.channel, "shorten", prompt="zebra one two")
    drawing.find(world.backends, weights=[["zebra", 1.0], ["one", 0.5], ["two", 0.01]], prompts=["zebra"])
    await alice.slash(world.channel, "blend", image1=one, image2=other)
    drawing.draw(world.backends)
    await world.delivered()
    for command, options in (
        ("describe", {}),
        ("describe", {"image": one, "link": LINK}),
        ("describe", {"image": ("words.png", b"no picture")}),
        ("blend", {"image1": one, "image2": one}),
        ("shorten", {"prompt": "zebra"}),
        ("shorten", {"prompt": "zebra::2 one"}),
        ("imagine", {"prompt": "http://127.0.0.1/a.png zebra"}),
        ("imagine", {"prompt": PROMPT, "again": "zebra one"}),
    ):
        await alice.slash(world.channel, command, **options)
    assert wrong(world, "zebra", "one", "two", "three", "four") == {}


async def test_moderation(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    mod = world.member("mod", manage_messages=True)
    grid = await grid_of(world, alice)
    for _ in range(2):
        await bob.context_menu(world.channel, "Report Job", grid)
    reports = answer(await mod.slash(world.channel, "mod reports"))
    await alice.slash(world.channel, "imagine", prompt=PROMPT)
    for command, options in (
        ("mod words add", {"word": "spider"}),
        ("mod words add", {"word": "spider"}),
        ("mod words list", {}),
        ("mod cancel", {"job_id": 2}),
        ("mod cancel", {"job_id": 1}),
        ("mod queue", {}),
        ("mod ban", {"user": bob, "reason": "7", "lasts": 24}),
        ("mod ban", {"user": mod}),
        ("mod pause", {}),
    ):
        await mod.slash(world.channel, command, **options)
    await press(mod, reports, "隐藏")
    await mod.context_menu(world.channel, "Jobs of Member", alice)
    await mod.context_menu(world.channel, "Ban from Easel", alice)
    for member, prompt in ((bob, PROMPT), (alice, PROMPT), (alice, "a spider")):
        await member.slash(world.channel, "imagine", prompt=prompt)
    for command, options in (
        ("mod audit", {}),
        ("mod resume", {}),
        ("mod unban", {"user": bob}),
        ("mod unban", {"user": bob}),
        ("mod restore", {"job_id": 1}),
        ("mod restore", {"job_id": 1}),
        ("mod words remove", {"word": "spider"}),
        ("mod words remove", {"word": "spider"}),
        ("mod audit", {}),
    ):
        await mod.slash(world.channel, command, **options)
    world.allow_command("mod", bob)
    await bob.slash(world.channel, "mod audit")
    assert any("解除了 <@" in text for text in heard(world))
    assert wrong(world, "spider", "bob", "alice") == {}


async def test_menus_and_reactions(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    grid = await grid_of(world, alice)
    chat = await alice.send(world.channel, "hello")
    await bob.context_menu(world.channel, "Cancel Job", grid)
    for menu in ("DM Results", "Report Job", "Use picture…", "Cancel Job"):
        for message in (chat, grid):
            await alice.context_menu(world.channel, menu, message)
    await alice.slash(world.channel, "imagine", prompt=PROMPT)
    waiting = world.messages()[-1]
    for emoji in ("✉️", "❌"):
        await alice.react(waiting, emoji)
    await world.until(lambda: any("尚未完成" in text for text in heard(world)))
    assert wrong(world) == {}


async def test_batches(world: World) -> None:
    alice = world.member("alice")
    for label in ("否", "是"):
        asked = answer(await alice.slash(world.channel, "imagine", prompt=f"{PROMPT} --repeat 3"))
        await press(alice, asked, label)
    drawing.draw(world.backends)
    await world.until(lambda: any("已完成 1/3" in text for text in heard(world)))
    await alice.slash(world.channel, "queue")
    assert wrong(world) == {}


async def test_privacy(world: World) -> None:
    alice = world.member("alice")
    await grid_of(world, alice)
    await alice.slash(world.channel, "privacy export")
    await world.until(lambda: any("你的原图" in text for text in heard(world)))
    for label in ("保留", "全部删除"):
        await press(alice, answer(await alice.slash(world.channel, "privacy delete")), label)
    await alice.slash(world.channel, "privacy export")
    assert wrong(world) == {}


async def test_settings(world: World) -> None:
    alice = world.member("alice")
    panel = answer(await alice.slash(world.channel, "settings"))
    for part in [*buttons(panel)]:
        if not part.get("disabled"):
            await use(alice, panel, part["custom_id"])
    assert wrong(world) == {}
