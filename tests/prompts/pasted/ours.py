"""Our half of the corpus: the forms in which prompts are pasted, times what is drawn and with which flags.

Each form is one way to write a prompt with its flags; none of the contents repeats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_SCENES = (
    "a green boat at dusk", "a red castle on a hill", "an owl in a birch wood", "a glass teapot, steam",
    "two foxes by a frozen lake", "a well-known t-shirt shop", "a sci-fi harbour, neon", "rock-'n'-roll cats",
    "a 1920s-style ballroom", "a lighthouse, oil on canvas", "a snail with a house of glass", "an empty tram",
    "a tea garden in the rain", "the moon over wheat fields", "a bakery at 5 in the morning",
    "x-ray of a fish", "a mother-in-law's tongue in a pot", "sun-bleached driftwood", "a paper crane",
    "an iron bridge in fog", "城堡在山上，黄昏", "一只红色的狐狸，雪地", "ein Fachwerkhaus im Nebel",
    "un phare sous l'orage", "🦊 a fox, snow",
)  # fmt: skip
_FLAGS: tuple[tuple[tuple[tuple[str, str], ...], dict[str, Any]], ...] = (
    ((("ar", "16:9"),), {"ar": "16:9"}),
    ((("ar", "3:2"), ("s", "250")), {"ar": "3:2", "stylize": 250}),
    ((("ar", "2:3"), ("chaos", "20"), ("v", "7")), {"ar": "2:3", "chaos": 20, "v": "7"}),
    ((("seed", "4711"), ("ar", "4:5")), {"seed": 4711, "ar": "4:5"}),
    ((("stylize", "300"), ("weird", "100")), {"stylize": 300, "weird": 100}),
)

Form = Callable[[str, tuple[tuple[str, str], ...]], str]


def _dashed(dashes: str, gap: str = "", lead: str = " ") -> Form:
    return lambda words, flags: words + "".join(f"{lead}{dashes}{gap}{name} {value}" for name, value in flags)


def _valued(behind: str, value: Callable[[str], str] = str, between: str = " ") -> Form:
    return lambda words, flags: (
        words + "".join(f" --{name}{between}{value(number)}{behind}" for name, number in flags)
    )


def _around(before: str, after: str) -> Form:
    return lambda words, flags: f"{before}{_dashed('--')(words, flags)}{after}"


def _full_width(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text)


FORMS: dict[str, Form] = {
    "plain": _dashed("--"),
    "en dash": _dashed("–"),
    "two en dashes": _dashed("––"),
    "em dash": _dashed("—"),
    "two em dashes": _dashed("——"),
    "horizontal bar": _dashed("―"),
    "minus signs": _dashed("−−"),
    "non-breaking hyphens": _dashed("‑‑"),
    "full-width dashes": _dashed("－－"),
    "three dashes": _dashed("---"),
    "mixed dashes": _dashed("-–"),
    "a dash and a blank": _dashed("—", " "),
    "two dashes and a blank": _dashed("--", " "),
    "an en dash and a blank": _dashed("–", " "),
    "dashes apart": _dashed("- -"),
    "one dash": _dashed("-"),
    "glued": _dashed("--", lead=""),
    "a comma before": _dashed("--", lead=", "),
    "commas behind": _valued(","),
    "full stops behind": _valued("."),
    "semicolons behind": _valued(";"),
    "Chinese commas behind": _valued("，"),
    "Chinese stops behind": _valued("。"),
    "equals signs": _valued("", between="="),
    "colons": _valued("", between=": "),
    "quoted values": _valued("", lambda value: f'"{value}"'),
    "bracketed values": _valued("", lambda value: f"({value})"),
    "full-width values": _valued("", _full_width),
    "blanks round the colon": _valued("", lambda value: value.replace(":", " : ")),
    "x in ratios": _valued("", lambda value: value.replace(":", "x")),
    "slashes in ratios": _valued("", lambda value: value.replace(":", "/")),
    "upper case": lambda words, flags: words + "".join(f" --{name.upper()} {value}" for name, value in flags),
    "new lines": _dashed("--", lead="\n"),
    "straight quotes": _around('"', '"'),
    "curly quotes": _around("“", "”"),
    "German quotes": _around("„", "“"),
    "guillemets": _around("«", "»"),
    "Chinese brackets": _around("「", "」"),
    "backticks": _around("`", "`"),
    "code block": _around("```\n", "\n```"),
    "/imagine prompt:": _around("/imagine prompt: ", ""),
    "/imagine": _around("/imagine ", ""),
    "imagine prompt:": _around("imagine prompt: ", ""),
    "prompt:": _around("Prompt: ", ""),
    "Chinese prompt:": _around("提示词：", ""),
    "message, fast": _around("**", "** - <@1> (fast)"),
    "message, image": _around("**", "** - Image #1 <@123456789012345678>"),
    "message, variations": _around("**", "** - Variations (Strong) by <@123456789012345678> (relaxed)"),
    "message, stealth": _around("**", "** - @alice (fast, stealth)"),
    "message, upscaled": _around("", " - Upscaled (Subtle) by @alice (turbo)"),
    "quoted block": _around("> ", ""),
}
_SINGLE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--negative fog, birds", {"no": "fog, birds"}),
    ("--neg fog", {"no": "fog"}),
    ("--negative_prompt fog", {"no": "fog"}),
    ("--width 512 --height 768", {"ar": "2:3"}),
    ("--w 512 --h 768", {"ar": "2:3"}),
    ("--size 512x768", {"ar": "2:3"}),
    ("--aspect-ratio 16:9", {"ar": "16:9"}),
    ("--l 7.5 --d 12 --n fog", {"cfg": 7.5, "seed": 12, "no": "fog"}),
    ("--cfg-scale 7", {"cfg": 7}),
    ("--guidance 7", {"cfg": 7}),
    ("--seed -1", {"seed": -1}),
    ("--seed random", {"seed": "random"}),
    ("--stop 80%", {"stop": 80}),
    ("--ar 1.85:1", {"ar": "1.85:1"}),
    ("--ar 3:2 --ar 16:9", {"ar": "16:9"}),
    ("-tile", {"tile": True}),
    ("–tile", {"tile": True}),
    ("--tile, --raw.", {"tile": True, "raw": True}),
    ("--no fog, birds --no rain", {"no": "fog, birds rain"}),
    ("<lora:blueprint:0.8>", {"lora": "blueprint:0.8"}),
    ("<lora:Stained Glass:.5>", {"lora": "stained_glass:.5"}),
    ("Negative prompt: fog, birds", {"no": "fog, birds"}),
    ("反向提示词：雾，鸟", {"no": "雾，鸟"}),
    ("-no fog", {"no": "fog"}),
    ("--count 2", {"count": 2}),
)


def lines() -> list[dict[str, Any]]:
    """Each form with a fifth of the scenes times flags, and each flag of another program with some scenes."""
    found = []
    for number, form in enumerate(FORMS):
        for place in range(11):
            words = _SCENES[(number * 7 + place * 2 + place // 5) % len(_SCENES)]
            flags, meant = _FLAGS[(number + place) % len(_FLAGS)]
            found.append(_line(FORMS[form](words, flags), words, meant))
    for number, (typed, meant) in enumerate(_SINGLE):
        for place in range(3):
            words = _SCENES[(number * 3 + place * 8) % len(_SCENES)]
            found.append(_line(f"{words} {typed}", words, meant))
    return found


def _line(pasted: str, words: str, meant: dict[str, Any]) -> dict[str, Any]:
    return {
        "pasted": pasted, "words": [words.rpartition(" ")[2]], "not_words": [],
        "flags": meant, "doubt": False,
    }  # fmt: skip
