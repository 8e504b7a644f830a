r"""Weights in a prompt: the parts of `hot::2 dog::-1`, and the emphasis of `a (red:1.3) fox`.

Nothing in quotes is a weight, nor what a backslash stands before. Brackets without a number are text, and so
are a time and a ratio in brackets, `(at 5:30)` and `(16:9)`. What is emphasised by 0 is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from prompts.tokenizer import QUOTED, SEPARATORS, unescaped
from prompts.values import Problem, WrongValue
from storage.contract import Part, Phrase, weight_sum

HEAVIEST = 100
STRONGEST = 10
_BETWEEN = f" {SEPARATORS}"
"""Signs between things, which go with one that is left out."""

_NUMBER = r"(?:[0-9]{1,9}\.?[0-9]{0,9}|\.[0-9]{1,9})"
_SEPARATOR = re.compile(
    rf"{QUOTED} | \\. | (?P<separator> :: (?P<weight> [+-]?{_NUMBER} (?![\w.]) )? )", re.VERBOSE | re.DOTALL
)
_EMPHASIS = rf"(?<![0-9]):[ ]? (?P<number> [+-]?{_NUMBER} ) | : (?P<decimal> [0-9]{{0,9}}\.[0-9]{{1,9}} )"
_BRACKET = re.compile(
    rf"""
    {QUOTED} | \\.
    | (?P<open> \( )
    | (?P<close> (?: {_EMPHASIS} )? [ ]? \) )
    """,
    re.VERBOSE | re.DOTALL,
)


def read(text: str) -> tuple[Part, ...]:
    """The parts that have words. Their phrases put together are the plain words of the part.

    Raises:
        WrongValue: a weight is out of its range, or the weights' sum is not above 0.
    """
    parts = parts_of(text)
    total = weight_sum(parts)
    if parts and total <= 0:
        raise WrongValue(Problem.WEIGHT_SUM, f"{total.normalize():f}")
    return shared(parts)


def parts_of(text: str) -> tuple[Part, ...]:
    """The parts that have words, whatever their weights come to.

    Raises:
        WrongValue: a weight is out of its range.
    """
    return tuple(
        Part(phrases=phrases, weight=float(weight))
        for words, weight in _weighted(text)
        if (phrases := _phrases(words))
    )


def shared(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Weights are shares: a part alone is all there is, whatever it weighs."""
    return parts if len(parts) > 1 else tuple(Part(phrases=part.phrases) for part in parts)


def plain(parts: tuple[Part, ...]) -> str:
    """The words alone."""
    return " ".join("".join(phrase.text for phrase in part.phrases) for part in parts)


def weighs(parts: tuple[Part, ...]) -> bool:
    """True if the parts say more than their plain words do."""
    return len(parts) > 1 or any(phrase.emphasis != 1 for part in parts for phrase in part.phrases)


def _weighted(text: str) -> Iterator[tuple[str, Decimal]]:
    start = 0
    for match in _SEPARATOR.finditer(text):
        if match["separator"] is None:
            continue
        weight = Decimal(match["weight"] or 1)
        if abs(weight) > HEAVIEST:
            raise WrongValue(Problem.WEIGHT, match["separator"])
        yield text[start : match.start()].lstrip(_BETWEEN if start else None), weight
        start = match.end()
    yield text[start:].lstrip(_BETWEEN if start else None), Decimal(1)


def _phrases(text: str) -> tuple[Phrase, ...]:
    phrases: list[tuple[str, float]] = []
    around = [(1.0, "")]
    for piece in _pieces(text):
        product, number = around[-1]
        if piece.number:
            around.append((product * float(piece.number), piece.number))
        elif piece.ends:
            around.pop()
        else:
            phrases.append((piece.text, _emphasis(product, number) if piece.text.strip() else 1.0))
    return _joined(_without_nothing(phrases))


@dataclass(frozen=True)
class _Piece:
    """A stretch of text, or the beginning or end of a bracket that has a number."""

    text: str = ""
    number: str = ""
    ends: bool = False


def _pieces(text: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    opened: list[tuple[int, int]] = []
    end = words = 0
    for match in _BRACKET.finditer(text):
        if match["open"] is None and match["close"] is None:
            continue
        between = text[end : match.start()]
        if between:
            pieces.append(_Piece(between))
            words += bool(between.strip())
        end = match.end()
        number = match["number"] or match["decimal"]
        place, before = opened.pop() if match["close"] and opened else (-1, words)
        if number and words > before:
            if float(number) < 0:
                raise WrongValue(Problem.EMPHASIS, number)
            pieces[place] = _Piece(number=number)
            pieces.append(_Piece(ends=True))
            continue
        words += 1
        if match["open"]:
            opened.append((len(pieces), words))
        pieces.append(_Piece(match[0]))
    pieces.append(_Piece(text[end:]))
    return pieces


def _emphasis(product: float, number: str) -> float:
    """The emphasis of what stands in brackets whose numbers have this product, `number` the innermost."""
    emphasis = round(product, 4)
    if not 0 <= emphasis <= STRONGEST:
        raise WrongValue(Problem.EMPHASIS, number)
    return emphasis


def _without_nothing(pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Without what is emphasised by 0, nor a second comma or blank where it was."""
    kept: list[tuple[str, float]] = []
    gap = False
    for words, emphasis in pieces:
        if emphasis == 0:
            gap = True
            continue
        behind = words.lstrip(_BETWEEN) if gap else words
        if gap and kept:
            last, weight = kept.pop()
            before = last.rstrip(_BETWEEN)
            seam = last[len(before) :] + words[: len(words) - len(behind)]
            kept.append((before + (", " if seam.strip() else " " if seam else ""), weight))
        if behind:
            kept.append((behind, emphasis))
            gap = False
    if gap and kept:
        kept[-1] = (kept[-1][0].rstrip(_BETWEEN), kept[-1][1])
    return kept


def _joined(pieces: list[tuple[str, float]]) -> tuple[Phrase, ...]:
    """Neighbours of one emphasis are one phrase; blanks belong to the phrase before them."""
    joined: list[tuple[str, float]] = []
    for words, emphasis in pieces:
        if not words or (not joined and not words.strip()):
            continue
        if joined and (joined[-1][1] == emphasis or not words.strip()):
            joined[-1] = (joined[-1][0] + words, joined[-1][1])
        else:
            joined.append((words, emphasis))
    if joined:
        joined[0] = (joined[0][0].lstrip(), joined[0][1])
        joined[-1] = (joined[-1][0].rstrip(), joined[-1][1])
    return tuple(Phrase(text=unescaped(words), emphasis=emphasis) for words, emphasis in joined)
