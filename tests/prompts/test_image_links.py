"""Links to pictures, however they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.image_links import ImageLink, leading, single, words

BOAT = "https://files.example/boat.png"
PAINTING = "https://en.example/wiki/Boat_(painting)"


@pytest.mark.parametrize(
    "written",
    [
        "{} a green boat",
        "{}, a green boat",
        "{} , a green boat",
        "{}. a green boat",
        "{}; a green boat",
        "<{}> a green boat",
        "<{}>, a green boat",
        "({}) a green boat",
        "({}), a green boat",
        "[{}] a green boat",
        "[a boat]({}) a green boat",
        "![a boat](<{}>), a green boat",
        '[a boat]({} "a title") a green boat',
        '"{}" a green boat',
        "`{}` a green boat",
        "**{}** a green boat",
        "||{}|| a green boat",
        "{}，a green boat",
        "（{}）a green boat",
        "{}::1 a green boat",
        "{}::1, a green boat",
    ],
)
@pytest.mark.parametrize("url", [BOAT, PAINTING, f"{BOAT}?size=(2)&name=a,b"])
def test_a_link_is_read_without_what_surrounds_it(written: str, url: str) -> None:
    assert leading(written.format(url)) == ((ImageLink(url),), "a green boat")


def test_several_links_may_be_listed() -> None:
    text = "https://a.example/1.png,https://a.example/2.png , <https://a.example/3.png>::.5；a boat"
    links, rest = leading(text)
    assert [(link.url[-5:], link.weight) for link in links] == [("1.png", 1), ("2.png", 1), ("3.png", 0.5)]
    assert rest == "a boat"


@pytest.mark.parametrize(
    "text", [f"a boat {BOAT}", f"({BOAT} is nice) a boat", "(red:1.2) boat", "[a](b)", ""]
)
def test_what_begins_with_no_link_is_text(text: str) -> None:
    assert leading(text) == ((), text)


def test_words_behind_links_keep_their_brackets() -> None:
    assert leading(f"{BOAT} (red:1.2) boat")[1] == "(red:1.2) boat"


def test_a_label_with_blanks_is_one_word() -> None:
    found = [single(word) for word in words(f"[my old boat]({BOAT}) {BOAT},{PAINTING}")]
    assert found == [ImageLink(BOAT), ImageLink(BOAT), ImageLink(PAINTING)]


@given(st.lists(st.sampled_from([BOAT, PAINTING, ")", "(", "[", "]", ",", ".", ":", "::2", " ", "，", "a"])))
def test_nothing_is_lost(pieces: list[str]) -> None:
    text = "".join(pieces)
    links, rest = leading(text)
    assert text.endswith(rest)
    assert all(link.url in text for link in links)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("piece", [")", ":", "[", "![a](", "::1", ",", "https://"])
def test_any_text_is_read_soon(piece: str) -> None:
    for text in ("https://" + piece * 6000 + "x", piece * 6000):
        links, rest = leading(text)
        assert text.endswith(rest)
        assert all(link.url in text for link in links)
