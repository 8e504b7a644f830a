"""Everybody is spoken to in their own language: by their Discord's locale, or by what they chose."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import discord
import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

import bot
from bot import commands, messages
from prompts.translation import DOMAIN, LOCALES, spoken
from storage import members
from storage.tables import Job
from tests.bot import drawing
from tests.bot.simulated import World, answer, buttons, components, interactions_with, press, texts, use
from tests.bot.test_button_sentences import NAMED, test_titles_and_labels_fit_a_form

CHINESE = re.compile(r"[\u4e00-\u9fff]")
FOLDER = LOCALES / "zh_CN" / "LC_MESSAGES"


@pytest.fixture(scope="module")
def translations() -> Catalog:
    with (FOLDER / f"{DOMAIN}.po").open("rb") as file:
        return read_po(file)


def extracted() -> Iterator[str | tuple[str, ...]]:
    keywords = {"_": None, "N_": None, "ngettext": (1, 2)}
    for room in ("prompts", "actions", "bot"):
        folder = str(Path(bot.__file__).parents[1] / room)
        for _file, _line, message, _comments, _context in extract_from_dir(folder, keywords=keywords):
            yield message


def fields(sentence: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_every_sentence_is_translated(translations: Catalog) -> None:
    found = {message if isinstance(message, str) else message[0] for message in extracted()}
    missing = [sentence for sentence in found if not _translated(translations, sentence)]
    assert not missing, "make messages, then translate what is new"
    left = {(one.id if isinstance(one.id, str) else one.id[0]) for one in translations if one.id} - found
    assert not left, "make messages"


def _translated(translations: Catalog, sentence: str) -> bool:
    one = translations.get(sentence)
    return one is not None and not one.fuzzy and all(forms_of(one.string))


def forms_of(sentence: Any) -> tuple[str, ...]:
    """The forms of a sentence for one thing and for several, or its only one."""
    return (sentence,) if isinstance(sentence, str) else tuple(sentence)


def test_translations_have_the_same_fields(translations: Catalog) -> None:
    for one in translations:
        if not one.id or not one.python_brace_format:
            continue
        assert fields(forms_of(one.id)[-1]) == fields(forms_of(one.string)[0]), one.id


def test_the_compiled_catalog_is_of_the_written_one(translations: Catalog) -> None:
    with (FOLDER / f"{DOMAIN}.mo").open("rb") as file:
        compiled = read_mo(file)
    both = [
        {forms_of(one.id): forms_of(one.string) for one in catalog if one.id}
        for catalog in (compiled, translations)
    ]
    assert both[0] == both[1], "make messages"


async def test_a_jobs_messages_speak_its_members_language(world: World) -> None:
    alice, bob = world.member("alice"), world.member("bob")
    with interactions_with(locale="zh-CN"):
        await alice.slash(world.channel, "imagine", prompt="a red castle")
    waiting = world.messages()[-1]
    assert "（等待开始）" in waiting.content
    assert [part["label"] for part in buttons(waiting)] == ["取消任务"]
    drawing.draw(world.backends)
    grid = await world.picture()
    assert grid.content.endswith("（快速）")

    with interactions_with(locale="zh-CN"):
        await press(alice, grid, "U1")
    single = await world.picture(after=grid.id)
    assert "图片 #1" in single.content
    assert "变化（局部）" in [part.get("label") for part in buttons(single)]

    # Bob reads English; the message below which he presses stays what it was for alice.
    result = await press(bob, single, "❤️")
    assert not CHINESE.search(answer(result).content if result.ephemeral else "")
    labels = [part.get("label") for part in buttons(world.messages()[-1])]
    assert "变化（局部）" in labels


async def test_what_a_job_says_is_in_its_language_after_a_restart(world: World) -> None:
    alice = world.member("alice")
    with interactions_with(locale="zh-CN"):
        await alice.slash(world.channel, "imagine", prompt="a red castle")
    await world.restart_bot()
    drawing.draw(world.backends)
    assert (await world.picture()).content.endswith("（快速）")


async def test_refusals_and_notes(world: World) -> None:
    alice = world.member("alice")
    with interactions_with(locale="zh-CN"):
        refused = await alice.slash(world.channel, "imagine", prompt="a castle --sylize 5 --ar 9")
        private = answer(refused).content
    assert refused.ephemeral
    assert "无法识别的参数：`--sylize`。你是不是想写 `--stylize`？" in private
    assert "宽高比" in private
    english = answer(await alice.slash(world.channel, "imagine", prompt="a castle --sylize 5")).content
    assert "Did you mean `--stylize`?" in english


@pytest.mark.parametrize(
    ("command", "heading"),
    [
        ("help", "### 帮助（1/3）：入门"),
        ("info", "### 你的信息"),
        ("queue", "### 你的队列"),
        ("settings", "### 你的设置"),
        ("history", "### 你的图片"),
        ("favorites", "### 你的收藏"),
        ("mod queue", "### 本服务器的队列"),
        ("mod audit", "### 审计日志"),
        ("mod reports", "### 举报"),
        ("privacy delete", "### 要删除你的全部数据吗？"),
    ],
)
async def test_panels(world: World, command: str, heading: str) -> None:
    alice = world.member("alice", manage_messages=True)
    with interactions_with(locale="zh-CN"):
        panel = answer(await alice.slash(world.channel, command))
    assert texts(panel).strip().startswith(heading)
    labels = [part["label"] for part in components(panel) if part.get("label")]
    ratios = [label for label in labels if re.fullmatch(r"[0-9:]+", label)]
    assert all(CHINESE.search(label) for label in labels if label not in ratios)


async def test_a_chosen_language_beats_discords_and_lasts(world: World) -> None:
    alice = world.member("alice")
    with interactions_with(locale="zh-CN"):
        panel = answer(await alice.slash(world.channel, "settings"))
        await use(alice, panel, "e1:sl:0", "en-US")
        assert texts(panel).strip().startswith("### Your settings")
        await alice.slash(world.channel, "imagine", prompt="a red castle")
        await world.restart_bot()
        assert "### Your info" in texts(answer(await alice.slash(world.channel, "info")))
        drawing.draw(world.backends)
        assert (await world.picture()).content.endswith("(fast)")

        panel = answer(await alice.slash(world.channel, "settings"))
        await use(alice, panel, "e1:sl:0", "discord")
        assert texts(panel).strip().startswith("### 你的设置")


async def test_reset_and_deletion_forget_the_language(world: World) -> None:
    alice = world.member("alice")
    for ends_with in ("e1:sx:0", f"e1:ye:{alice.id}"):
        panel = answer(await alice.slash(world.channel, "settings"))
        await use(alice, panel, "e1:sl:0", "zh-CN")
        assert texts(panel).strip().startswith("### 你的设置")
        command = "settings" if ends_with == "e1:sx:0" else "privacy delete"
        await use(alice, answer(await alice.slash(world.channel, command)), ends_with)
        assert "### Your info" in texts(answer(await alice.slash(world.channel, "info")))
    with world.backends.database.reading() as session:
        assert members.languages(session) == {}


async def test_forms(world: World) -> None:
    alice = world.member("alice")
    await alice.slash(world.channel, "imagine", prompt="a red castle")
    drawing.draw(world.backends)
    grid = await world.picture()
    await press(alice, grid, "U1")
    single = await world.picture(after=grid.id)
    with interactions_with(locale="zh-CN"):
        opened = await press(alice, single, "Vary (Region)")
    form = opened.modal
    assert form is not None
    assert form["title"] == "变化（局部）"
    assert [part["label"] for part in form["components"]][1:3] == ["位置（用文字描述）", "要重画的位置"]


async def test_a_reaction_is_answered_in_what_its_member_last_spoke(world: World) -> None:
    alice = world.member("alice")
    with interactions_with(locale="zh-CN"):
        await alice.slash(world.channel, "imagine", prompt="a red castle")
    waiting = world.messages()[-1]
    await alice.react(waiting, "✉️")
    await world.until(lambda: "尚未完成" in world.messages()[-1].content)


async def test_traditional_signs_are_answered_in_simplified_ones(world: World) -> None:
    alice = world.member("alice")
    with interactions_with(locale="zh-TW"):
        await alice.slash(world.channel, "imagine", prompt="a red castle")
    assert "（等待开始）" in world.messages()[-1].content


async def test_commands_are_described_in_both_languages(world: World) -> None:
    tree = world.bot.tree
    assert tree.translator is not None
    for command in commands.ALL:
        payload = await command.get_translated_payload(tree, tree.translator)
        for part in described(payload):
            local = part["description_localizations"]
            assert CHINESE.search(local["zh-CN"]), part
            assert local["zh-TW"] == local["zh-CN"]
            assert len(part["description"]) <= 100 >= len(local["zh-CN"])
        for part in everything(payload):
            assert "value" in part or not part.get("name_localizations"), "names of commands stay English"
        for choice in (part for part in everything(payload) if "value" in part):
            assert all(len(name) <= 100 for name in choice.get("name_localizations", {}).values())
            if re.search("[A-Za-z]", choice["name"]):
                assert CHINESE.search(choice["name_localizations"]["zh-CN"]), choice


def everything(payload: Any) -> Iterator[dict[str, Any]]:
    yield payload
    for part in [*payload.get("options", []), *payload.get("choices", [])]:
        yield from everything(part)


def described(payload: Any) -> Iterator[dict[str, Any]]:
    return (part for part in everything(payload) if part.get("description"))


@pytest.mark.parametrize("name", NAMED)
def test_titles_and_labels_fit_a_form_in_chinese(name: str) -> None:
    with spoken("zh-CN"):
        test_titles_and_labels_fit_a_form(name)


def test_others_read_english() -> None:
    job = Job(text="a fox", member_id=1, action="imagine", speed="fast", stealth=False)
    for locale in ("de", "en-US", "ja", None, "no such"):
        with spoken(locale):
            assert messages.stopping(job).endswith("(Stopping)")
    assert discord.Locale.chinese.value == "zh-CN"
