"""Prompts in messages, code blocks and file names: nothing in them may act."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.markdown import code, fence, file_name, invites, length, show_prompt
from prompts.tokenizer import clean

LIVE = (
    "https://a.b/c_d*e", "HTTP://x.y", "discord.gg/abc", "https://discord.gg/a_b", "discord.com/",
    "invite/x", "<@123>", "<#7>", "</imagine:1>", "<t:0:R>",
    "@everyone", "https://@here", "||", "**", "```", "1. ", "-# ", "[x](http://y.z)", "🦊",
    "fox", "\u202e", "\u200d",
)  # fmt: skip
texts = st.one_of(
    st.text(max_size=300),
    st.lists(st.sampled_from([*"\\*_~|`<>[]()#-@ \n", *LIVE]), max_size=60).map("".join),
)
SHOWN = re.compile(
    r"\\(?P<kept>.)|<(?P<link>https?://[^<>\s]+)>|(?P<bad>[\\*_~|`<\[\]])|(?P<plain>.)",
    re.IGNORECASE | re.DOTALL,
)


def unescaped(shown: str) -> str:
    """What Discord shows of it; fails where a character would be read as markdown."""
    parts = []
    for match in SHOWN.finditer(shown):
        assert match["bad"] is None, f"{match['bad']!r} is live in {shown!r}"
        parts.append(match["kept"] or (match["link"] and unquote(match["link"])) or match["plain"])
    return "".join(parts)


@given(texts)
def test_what_is_shown_reads_like_what_was_typed_and_does_nothing(text: str) -> None:
    shown = show_prompt(text, 100_000)
    assert unquote(unescaped(shown).replace("\u200b", "")) == unquote(clean(text))
    assert "\n" not in shown
    assert not re.match(r"(#{1,3}|-#|>{1,3}|[-*+]|\d+[.)])\s", shown)
    assert "@everyone" not in shown
    assert "@here" not in shown
    plain = "".join(match["plain"] or "" for match in SHOWN.finditer(shown)).lower()
    assert not re.search(r"https?://\w|discord\.gg/", plain)
    assert not any(invites(match["link"]) for match in SHOWN.finditer(shown) if match["link"])


@given(texts, st.integers(0, 60))
def test_it_is_cut_to_its_budget_after_escaping(text: str, budget: int) -> None:
    whole, shown = show_prompt(text, 100_000), show_prompt(text, budget)
    assert length(shown) <= budget
    if shown != whole:
        assert shown == "" or shown.endswith("…")
        assert whole.startswith(shown.removesuffix("…"))
        unescaped(shown.removesuffix("…"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a *red* fox_one", r"a \*red\* fox\_one"),
        ("<@123> <#7> </cmd:1> <t:0:R>", r"\<@123> \<#7> \</cmd:1> \<t:0:R>"),
        ("# big", r"\# big"),
        ("-# small", r"\-# small"),
        ("> quoted", r"\> quoted"),
        ("1. first", r"1\. first"),
        ("- item", r"\- item"),
        ("2:3 ratio", "2:3 ratio"),
        ("a\n# b", "a # b"),
        ("see https://a.b/c_d, please", "see <https://a.b/c_d>, please"),
        ("[x](https://a.b)", r"\[x\](<https://a.b>)"),
        ("https://a.b/**", r"<https://a.b/>\*\*"),
        ("https://a.b/*x", "<https://a.b/%2Ax>"),
        ("x@everyone", "x@\u200beveryone"),
        ("join discord.gg/abc", "join discord\u200b.gg/abc"),
        ("\u202eevil\u202c\u0007", "evil"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
    ],
)
def test_the_rule_by_example(text: str, shown: str) -> None:
    assert show_prompt(text, 500) == shown


INVITATIONS = (
    "https://discord.gg/abc", "HTTPS://DISCORD.GG/abc", "http://www.discord.gg/abc", "https://discord.com/invite/abc",
    "https://discordapp.com/invite/abc", "https://ptb.discord.com/invite/abc", "https://discord.com/template/abc",
    "https://discord.new/abc", "https://discord.gift/abc", "https://discord.com/api/oauth2/authorize?client_id=1",
    "https://discord.com/oauth2/authorize?client_id=1", "https://dsc.gg/abc", "https://discord%2egg/abc",
    "https://d%69scord.gg/abc", "https://ｄiscord.gg/abc", "https://discord。gg/abc", "https://discord．gg/abc",
    "https://discord.com:443/invite/x", "https://discord.com//invite/x", "https://discord.com/./invite/x",
    "https://discord.com./invite/x", "https://discord.com/zh-CN/invite/x", "https://discord.gg./x",
    "https://user@discord.gg:443/abc", "https://a.b/?to=https://discord.gg/abc", "https://discord.com\\invite/abc",
    "https://dis\u034fcord.gg/abc",
)  # fmt: skip


@pytest.mark.parametrize("link", INVITATIONS)
@pytest.mark.parametrize("around", ["{}", "see {}, now", "[here]({})", "<{}>", "**{}**"])
def test_an_invitation_is_text_that_nobody_can_click(link: str, around: str) -> None:
    typed = around.format(link)
    shown = show_prompt(typed, 1000)
    assert not re.search(r"https?://", shown, re.IGNORECASE), shown
    assert not re.search(r"discord(app)?\.(gg|new|gift|com/\w)", shown, re.IGNORECASE), shown
    assert clean(unescaped(shown)) == clean(typed), "it reads the same, and is copied as it was"


@pytest.mark.parametrize(
    "link", ["https://discord.com/channels/1/2/3", "https://cdn.discordapp.com/a/b.png", "https://a.gg"]
)
def test_other_links_stay(link: str) -> None:
    assert show_prompt(link, 1000) == f"<{link}>"


@pytest.mark.parametrize(
    "bare", ["discord.gg/abc", "discordapp.com/invite/abc", "discord.com/invite/a", "www.discord.gg/a"]
)
def test_a_bare_invitation_is_divided(bare: str) -> None:
    assert not re.search(r"discord(app)?\.", show_prompt(bare, 1000))
    assert clean(show_prompt(bare, 1000)) == bare


def test_what_is_in_code_is_given_back_as_it_was() -> None:
    assert "https://discord.gg/abc" in fence("a https://discord.gg/abc")
    assert code("https://discord.gg/abc") == "`https://discord.gg/abc`"


def test_it_is_counted_in_utf16_units() -> None:
    assert length("🦊") == 2
    assert length(show_prompt("*" * 6000, 1880)) <= 1880
    assert show_prompt("🦊" * 3000, 9) == "🦊🦊🦊🦊…"
    assert show_prompt("*****", 6) == r"\*\*…"


def test_a_fence_is_longer_than_any_run_of_backticks() -> None:
    assert fence("a fox") == "```\na fox\n```"
    assert fence("a ``` b").startswith("````\n")


def test_a_few_words_in_a_sentence_cannot_break_out() -> None:
    assert code("a fox") == "`a fox`"
    assert code("a ` fox *") == "“a \\` fox \\*”"
    assert code("x" * 500).endswith("…`")


@given(st.text(max_size=40), texts, st.integers(1, 2**62))
def test_any_member_and_prompt_make_a_file_name(member: str, text: str, job_id: int) -> None:
    name = file_name(member, text, job_id)
    stem = name.removesuffix(f"_{job_id}.png")
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", stem)
    assert len(stem) <= 60


@pytest.mark.parametrize(
    ("member", "text", "name"),
    [
        ("Ada", "a red castle on green hills --ar 3:2", "ada_a_red_castle_on_green_hills_42.png"),
        ("Zoë K.", "Été à la mer!", "zoe_k_ete_a_la_mer_42.png"),
        ("艾达", "一只狐狸", "member_picture_42.png"),
        ("ada", "word " * 40, "ada_" + "_".join(["word"] * 11) + "_42.png"),
        ("ada", "x" * 100, f"ada_{'x' * 56}_42.png"),
    ],
)
def test_file_names_by_example(member: str, text: str, name: str) -> None:
    assert file_name(member, text, 42) == name
    assert file_name(member, text, 42, "webp") == name.removesuffix("png") + "webp"
