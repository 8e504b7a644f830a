"""Plain English captions for scenes, in many phrasings."""

import random
import string
from collections.abc import Collection

from picturebook import words
from picturebook.scenes import Scene

MENTION = {"day": 0.45, "clear": 0.35, "illustration": 0.35}
"""Probability with which a caption names the values that are meant where nothing is said."""


def article(phrase: str) -> str:
    """The phrase with the indefinite article that its first letter asks for."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def caption(scene: Scene, rng: random.Random) -> str:
    """One caption of the scene. Some attributes are left out at random."""
    text = _list_of_words(scene, rng) if rng.random() < 0.22 else _sentence(scene, rng)
    if rng.random() < 0.06:
        text = _with_unknown_word(text, rng)
    return text


def full_caption(scene: Scene) -> str:
    """The plain caption that names every attribute by its first phrase."""
    subject = {**words.SUBJECTS, **words.FORBIDDEN}[scene.subject][0]
    style = words.STYLES[scene.style][0]
    noun = article(f"{words.COLOURS[scene.colour][0]} {subject}")
    place = words.GROUNDS[scene.ground][0]
    rest = f"{words.TIMES[scene.time][0]} {words.SKIES[scene.sky][0]}"
    return ", ".join([f"{style} of {noun} {place} {rest}", *scene.qualities])


def _mentioned(value: str, rng: random.Random, usual: float = 0.92) -> bool:
    return rng.random() < MENTION.get(value, usual)


def _noun(scene: Scene, rng: random.Random, quality: str = "") -> str:
    subject = rng.choice({**words.SUBJECTS, **words.FORBIDDEN}[scene.subject])
    if rng.random() < 0.5:
        subject = subject.split()[-1] if scene.subject != "balloon" else subject
    parts = [quality] if quality else []
    if rng.random() < 0.94:
        choices = words.COLOURS[scene.colour]
        parts.append(choices[0] if rng.random() < 0.75 else rng.choice(choices))
    return article(" ".join([*parts, subject]))


def _style(scene: Scene, rng: random.Random) -> str:
    choices = words.STYLES[scene.style]
    return choices[0] if rng.random() < 0.5 else rng.choice(choices)


def _sentence(scene: Scene, rng: random.Random) -> str:
    qualities = [rng.choice(words.QUALITIES[name]) for name in scene.qualities]
    leading = qualities.pop() if qualities and rng.random() < 0.35 else ""
    in_style = leading and rng.random() < 0.5
    noun = _noun(scene, rng, "" if in_style else leading)
    places = []
    if _mentioned(scene.ground, rng, 0.94):
        places.append(rng.choice(words.GROUNDS[scene.ground]))
    times = []
    if _mentioned(scene.time, rng):
        times.append(rng.choice(words.TIMES[scene.time]))
    if _mentioned(scene.sky, rng):
        times.append(rng.choice(words.SKIES[scene.sky]))
    rng.shuffle(times)
    body = [noun, *places, *times]
    joined = ", ".join(body) if rng.random() < 0.15 else " ".join(body)
    if _mentioned(scene.style, rng, 0.97):
        joined = _join_style(joined, _style(scene, rng), leading if in_style else "", rng)
    elif times and rng.random() < 0.2:
        joined = f"{times[0]}, {' '.join([noun, *places, *times[1:]])}"
    elif rng.random() < 0.15:
        joined = _with_opening(joined, noun, rng)
    if in_style and leading not in joined:
        qualities.insert(0, leading)
    return ", ".join([joined, *qualities])


def _join_style(text: str, style: str, quality: str, rng: random.Random) -> str:
    named = f"{quality} {style}" if quality else style
    where = rng.random()
    if where < 0.3:
        return f"{named} of {text}"
    if where < 0.6:
        return f"{article(named)} of {text}"
    return f"{text}, {named}"


def _with_opening(text: str, noun: str, rng: random.Random) -> str:
    opening = rng.choice(words.FILLERS)
    if opening.split()[-1] in ("of", "is", "with", "draw", "imagine"):
        return f"{opening} {text}"
    return text.replace(noun, f"{opening} {noun.split(' ', 1)[1]}")


def _list_of_words(scene: Scene, rng: random.Random) -> str:
    noun = _noun(scene, rng)
    parts = [noun if rng.random() < 0.6 else noun.split(" ", 1)[1]]
    if _mentioned(scene.ground, rng):
        parts.append(rng.choice(words.GROUND_NOUNS[scene.ground]))
    if _mentioned(scene.time, rng):
        parts.append(rng.choice(words.TIME_NOUNS[scene.time]))
    if _mentioned(scene.sky, rng):
        parts.append(rng.choice(words.SKY_NOUNS[scene.sky]))
    if _mentioned(scene.style, rng, 0.97):
        parts.append(_style(scene, rng))
    parts += [rng.choice(words.QUALITIES[name]) for name in scene.qualities]
    if rng.random() < 0.6:
        rng.shuffle(parts)
    return ", ".join(parts)


def _with_unknown_word(text: str, rng: random.Random) -> str:
    """The caption with one word of random letters, so that the model learns to pass over such words."""
    word = "".join(rng.choices(string.ascii_lowercase + string.digits, k=rng.randint(2, 8)))
    parts = text.split(" ")
    parts.insert(rng.randint(0, len(parts)), word)
    return " ".join(parts)


def partial_caption(scene: Scene, named: Collection[str], rng: random.Random) -> str:
    """A caption of the scene that says nothing but the `named` attributes; empty if there are none."""
    parts = []
    if "subject" in named:
        colour = [rng.choice(words.COLOURS[scene.colour])] if "colour" in named else []
        subject = rng.choice({**words.SUBJECTS, **words.FORBIDDEN}[scene.subject])
        parts.append(article(" ".join([*colour, subject])))
    tables = {"ground": words.GROUNDS, "time": words.TIMES, "sky": words.SKIES}
    places = [rng.choice(tables[name][getattr(scene, name)]) for name in tables if name in named]
    rng.shuffle(places)
    text = rng.choice((" ", ", ")).join([*parts, *places])
    if "style" in named:
        style = _style(scene, rng)
        text = _join_style(text, style, "", rng) if text else style
    return text
