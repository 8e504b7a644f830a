"""The subjects of the scenes, each drawn in a frame one unit high that stands on (0, 0)."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from picturebook.pen import Colour, Pen, mix

GOLD: Colour = (255, 205, 60)
CREAM: Colour = (250, 240, 220)
INK: Colour = (30, 26, 34)


@dataclass(frozen=True)
class Paint:
    """The colours of a subject and what ornament it wears."""

    main: Colour
    light: Colour
    dark: Colour
    window: Colour
    detailed: bool
    ornate: bool


Drawing = Callable[[Pen, Paint, random.Random], None]


def _castle(pen: Pen, paint: Paint, rng: random.Random) -> None:
    towers = rng.choice([(-0.36, 0.36), (-0.38, 0.34)])
    for x in (-0.12, 0.12):
        pen.box(x - 0.09, 0.3, x + 0.09, 0.74, paint.dark)
        pen.polygon([(x - 0.12, 0.74), (x + 0.12, 0.74), (x, 0.96)], paint.light)
    pen.box(-0.32, 0, 0.32, 0.46, paint.main)
    for step in range(5):
        x = -0.3 + step * 0.135
        pen.box(x, 0.44, x + 0.075, 0.54, paint.main)
    for x in towers:
        pen.box(x - 0.12, 0, x + 0.12, 0.64, paint.main)
        pen.polygon([(x - 0.16, 0.64), (x + 0.16, 0.64), (x, 0.9)], paint.dark)
        pen.box(x - 0.035, 0.42, x + 0.035, 0.54, paint.window)
    pen.dome(0, 0.16, 0.09, 0.12, INK)
    pen.box(-0.09, 0, 0.09, 0.16, INK)
    if paint.detailed:
        for x in (-0.42, -0.3, 0.3, 0.42, -0.22, 0.22):
            pen.box(x - 0.02, 0.18, x + 0.02, 0.28, paint.window)


def _house(pen: Pen, paint: Paint, rng: random.Random) -> None:
    chimney = rng.choice([-0.24, 0.2])
    pen.box(chimney, 0.6, chimney + 0.1, 0.92, paint.dark)
    pen.box(-0.4, 0, 0.4, 0.5, paint.main)
    pen.polygon([(-0.5, 0.48), (0.5, 0.48), (0.3, 0.84), (-0.3, 0.84)], paint.dark)
    pen.box(-0.08, 0, 0.1, 0.3, paint.light)
    for x in (-0.27, 0.26):
        pen.box(x - 0.08, 0.18, x + 0.08, 0.36, paint.window)
    if paint.detailed:
        for row in (0.57, 0.66, 0.75):
            pen.stroke([(-0.44 + row * 0.1, row), (0.44 - row * 0.1, row)], paint.light, 0.02)


def _boat(pen: Pen, paint: Paint, rng: random.Random) -> None:
    tall = rng.uniform(0.9, 1.0)
    pen.stroke([(0, 0.2), (0, tall)], INK, 0.035)
    pen.polygon([(0.04, 0.3), (0.04, tall), (0.42, 0.34)], mix(paint.light, CREAM, 0.45))
    pen.polygon([(-0.04, 0.3), (-0.04, tall - 0.1), (-0.32, 0.34)], mix(paint.light, CREAM, 0.45))
    pen.polygon([(-0.5, 0.27), (0.5, 0.27), (0.34, 0), (-0.34, 0)], paint.main)
    pen.polygon([(-0.5, 0.27), (0.5, 0.27), (0.46, 0.19), (-0.46, 0.19)], paint.dark)
    if paint.detailed:
        for x in (-0.2, 0, 0.2):
            pen.ellipse(x, 0.1, 0.04, 0.04, paint.window)


def _fish(pen: Pen, paint: Paint, rng: random.Random) -> None:
    y = 0.46 + rng.uniform(-0.04, 0.04)
    pen.polygon([(0.24, y), (0.54, y + 0.26), (0.47, y), (0.54, y - 0.26)], paint.dark)
    pen.polygon([(-0.14, y + 0.2), (0.1, y + 0.42), (0.18, y + 0.16)], paint.dark)
    pen.polygon([(-0.05, y - 0.2), (0.1, y - 0.38), (0.15, y - 0.16)], paint.dark)
    pen.ellipse(-0.08, y, 0.4, 0.26, paint.main)
    pen.ellipse(-0.3, y + 0.05, 0.065, 0.065, (255, 255, 255))
    pen.ellipse(-0.31, y + 0.05, 0.03, 0.03, INK, outline=False)
    pen.polygon([(0.0, y + 0.02), (0.16, y + 0.09), (0.14, y - 0.09)], paint.light)
    if paint.detailed:
        for x in (-0.12, 0.0, 0.12):
            pen.stroke([(x, y + 0.16), (x - 0.05, y), (x, y - 0.16)], paint.light, 0.03)


def _tree(pen: Pen, paint: Paint, rng: random.Random) -> None:
    lean = rng.uniform(-0.04, 0.04)
    pen.polygon([(-0.1, 0), (0.1, 0), (0.05 + lean, 0.5), (-0.05 + lean, 0.5)], (105, 66, 38))
    for x, y, r in ((-0.2, 0.52, 0.22), (0.2, 0.54, 0.22), (0.0, 0.74, 0.26)):
        pen.ellipse(x + lean, y, r, r, paint.main)
    for x, y, r in ((-0.18, 0.53, 0.17), (0.18, 0.55, 0.17), (0.0, 0.66, 0.22)):
        pen.ellipse(x + lean, y, r, r, paint.main, outline=False)
    pen.ellipse(-0.1 + lean, 0.8, 0.09, 0.08, paint.light, outline=False)
    if paint.detailed:
        for x, y in ((-0.24, 0.5), (0.2, 0.5), (0.1, 0.72), (-0.05, 0.6), (0.26, 0.62)):
            pen.ellipse(x + lean, y, 0.045, 0.045, paint.dark, outline=False)


def _face(pen: Pen, x: float, y: float, size: float, eye: Colour) -> None:
    for side in (-1, 1):
        pen.ellipse(x + side * size * 0.45, y, size * 0.2, size * 0.24, eye)
        pen.ellipse(x + side * size * 0.45, y, size * 0.09, size * 0.18, INK, outline=False)
    nose_y = y - size * 0.42
    pen.polygon([(x - size * 0.14, nose_y), (x + size * 0.14, nose_y), (x, nose_y - size * 0.16)], INK, False)


def _cat(pen: Pen, paint: Paint, rng: random.Random) -> None:
    tail = 0.52 + rng.uniform(-0.05, 0.05)
    pen.stroke([(0.18, 0.1), (0.4, 0.12), (0.46, 0.32), (0.38, tail)], paint.dark, 0.1)
    pen.ellipse(0, 0.24, 0.25, 0.26, paint.main)
    for side in (-1, 1):
        pen.polygon([(side * 0.24, 0.72), (side * 0.25, 0.99), (side * 0.04, 0.82)], paint.main)
        pen.polygon([(side * 0.2, 0.78), (side * 0.21, 0.91), (side * 0.1, 0.83)], paint.dark, False)
        pen.ellipse(side * 0.1, 0.04, 0.09, 0.05, paint.light)
    pen.ellipse(0, 0.63, 0.28, 0.23, paint.main)
    _face(pen, 0, 0.66, 0.24, (210, 240, 120))
    for side in (-1, 1):
        for rise in (0.02, -0.05):
            pen.stroke([(side * 0.12, 0.54), (side * 0.36, 0.54 + rise)], mix(INK, paint.light, 0.5), 0.015)
    if paint.detailed:
        for y in (0.2, 0.28, 0.36):
            pen.stroke([(-0.2, y), (-0.08, y - 0.03)], paint.dark, 0.035)
            pen.stroke([(0.2, y), (0.08, y - 0.03)], paint.dark, 0.035)


def _fox(pen: Pen, paint: Paint, rng: random.Random) -> None:
    lift = rng.uniform(-0.03, 0.05)
    pen.polygon([(0.2, 0.2), (0.44, 0.3), (0.56, 0.6 + lift), (0.34, 0.66 + lift), (0.24, 0.44)], paint.main)
    pen.polygon([(0.56, 0.6 + lift), (0.34, 0.66 + lift), (0.52, 0.86 + lift)], CREAM)
    for x in (-0.2, -0.1, 0.16, 0.26):
        pen.box(x - 0.035, 0, x + 0.035, 0.24, paint.dark)
    pen.ellipse(0.03, 0.32, 0.32, 0.17, paint.main)
    for x in (-0.42, -0.1):
        pen.polygon([(x - 0.09, 0.66), (x + 0.09, 0.66), (x, 0.94)], paint.main)
        pen.polygon([(x - 0.04, 0.7), (x + 0.04, 0.7), (x, 0.84)], INK, False)
    pen.polygon([(-0.52, 0.7), (0.0, 0.7), (-0.04, 0.5), (-0.26, 0.28), (-0.48, 0.5)], paint.main)
    pen.polygon([(-0.46, 0.48), (-0.06, 0.48), (-0.26, 0.3)], CREAM, False)
    for x in (-0.36, -0.16):
        pen.ellipse(x, 0.57, 0.04, 0.05, INK, outline=False)
    pen.ellipse(-0.26, 0.32, 0.045, 0.04, INK, outline=False)
    if paint.detailed:
        for x in (0.0, 0.1, 0.2):
            pen.stroke([(x, 0.4), (x + 0.06, 0.32)], paint.light, 0.03)


def _bird(pen: Pen, paint: Paint, rng: random.Random) -> None:
    wing = rng.uniform(0.02, 0.12)
    for x in (-0.06, 0.08):
        pen.stroke([(x, 0.2), (x, 0), (x - 0.08, 0)], (225, 140, 40), 0.04)
    pen.polygon([(0.2, 0.42), (0.56, 0.58), (0.54, 0.42), (0.5, 0.3)], paint.dark)
    pen.ellipse(0.03, 0.42, 0.34, 0.26, paint.main)
    pen.ellipse(-0.22, 0.7, 0.2, 0.19, paint.main)
    pen.ellipse(-0.1, 0.55, 0.16, 0.16, paint.main, outline=False)
    pen.polygon([(-0.4, 0.76), (-0.4, 0.63), (-0.58, 0.68)], (245, 170, 40))
    pen.polygon([(-0.08, 0.5), (0.3, 0.52 + wing), (0.42, 0.34 + wing), (0.06, 0.28)], paint.dark)
    pen.ellipse(-0.27, 0.74, 0.05, 0.05, (255, 255, 255))
    pen.ellipse(-0.28, 0.74, 0.025, 0.03, INK, outline=False)
    if paint.detailed:
        for y in (0.36, 0.44):
            pen.stroke([(0.02, y), (0.3, y + 0.04 + wing * 0.5)], paint.light, 0.03)


def _flower(pen: Pen, paint: Paint, rng: random.Random) -> None:
    sway = rng.uniform(-0.06, 0.06)
    stem = (50, 130, 60)
    pen.stroke([(0, 0), (sway, 0.3), (0, 0.6)], stem, 0.06)
    pen.polygon([(0.0, 0.1), (0.26, 0.3), (0.3, 0.12)], stem)
    pen.polygon([(0.0, 0.16), (-0.26, 0.36), (-0.3, 0.18)], stem)
    for x, y in ((0, 0.22), (0.21, 0.07), (0.13, -0.18), (-0.13, -0.18), (-0.21, 0.07)):
        pen.ellipse(x, 0.66 + y, 0.16, 0.16, paint.main)
    if paint.detailed:
        for x, y in ((0, 0.22), (0.21, 0.07), (0.13, -0.18), (-0.13, -0.18), (-0.21, 0.07)):
            pen.ellipse(x, 0.66 + y, 0.07, 0.07, paint.light, outline=False)
    pen.ellipse(0, 0.66, 0.11, 0.11, (250, 225, 120) if paint.main[2] > 110 else (90, 55, 35))


def _car(pen: Pen, paint: Paint, rng: random.Random) -> None:
    back = rng.uniform(0.22, 0.28)
    pen.polygon([(-0.3, 0.38), (-0.16, 0.68), (back, 0.68), (0.4, 0.38)], paint.main)
    pen.polygon([(-0.22, 0.4), (-0.13, 0.62), (0.01, 0.62), (0.01, 0.4)], paint.window)
    pen.polygon([(0.06, 0.4), (0.06, 0.62), (back - 0.03, 0.62), (0.31, 0.4)], paint.window)
    pen.polygon(
        [(-0.58, 0.12), (-0.58, 0.34), (-0.5, 0.4), (0.52, 0.4), (0.58, 0.3), (0.58, 0.12)], paint.main
    )
    pen.box(-0.58, 0.12, 0.58, 0.19, paint.dark)
    for x in (-0.33, 0.33):
        pen.ellipse(x, 0.14, 0.145, 0.145, INK)
        pen.ellipse(x, 0.14, 0.065, 0.065, (200, 200, 205))
    pen.ellipse(-0.53, 0.3, 0.04, 0.05, (255, 235, 150))
    if paint.detailed:
        pen.stroke([(-0.48, 0.27), (0.5, 0.27)], paint.light, 0.03)


def _rocket(pen: Pen, paint: Paint, rng: random.Random) -> None:
    flame = rng.uniform(-0.02, 0.04)
    pen.polygon([(-0.11, 0.2), (0.11, 0.2), (0, 0.0 - flame)], (255, 170, 40))
    pen.polygon([(-0.05, 0.2), (0.05, 0.2), (0, 0.09)], (255, 240, 150), False)
    for side in (-1, 1):
        pen.polygon(
            [(side * 0.15, 0.48), (side * 0.36, 0.26), (side * 0.34, 0.12), (side * 0.14, 0.24)], paint.dark
        )
    pen.polygon([(-0.17, 0.2), (0.17, 0.2), (0.2, 0.5), (0.15, 0.76), (-0.15, 0.76), (-0.2, 0.5)], paint.main)
    pen.polygon([(-0.15, 0.76), (0.15, 0.76), (0.07, 0.94), (0, 1.0), (-0.07, 0.94)], paint.dark)
    pen.ellipse(0, 0.58, 0.09, 0.09, paint.window)
    if paint.detailed:
        pen.box(-0.17, 0.28, 0.17, 0.34, paint.light)
        pen.box(-0.16, 0.7, 0.16, 0.75, paint.light)


def _mushroom(pen: Pen, paint: Paint, rng: random.Random) -> None:
    wide = rng.uniform(0.46, 0.5)
    pen.polygon([(-0.15, 0), (0.15, 0), (0.1, 0.26), (0.12, 0.5), (-0.12, 0.5), (-0.1, 0.26)], CREAM)
    pen.dome(0, 0.46, wide, 0.46, paint.main)
    dots = mix(paint.light, (255, 255, 255), 0.8) if sum(paint.main) < 640 else (170, 170, 180)
    for x, y, r in ((0, 0.74, 0.08), (-0.24, 0.6, 0.065), (0.24, 0.6, 0.065)):
        pen.ellipse(x, y, r, r, dots, outline=False)
    if paint.detailed:
        for x in (-0.34, 0.34, -0.12, 0.12):
            pen.ellipse(x, 0.52, 0.03, 0.03, dots, outline=False)
        pen.ellipse(0, 0.34, 0.14, 0.04, mix(CREAM, INK, 0.2))


def _balloon(pen: Pen, paint: Paint, _rng: random.Random) -> None:
    pen.stroke([(-0.22, 0.42), (-0.08, 0.16)], INK, 0.02)
    pen.stroke([(0.22, 0.42), (0.08, 0.16)], INK, 0.02)
    pen.ellipse(0, 0.66, 0.36, 0.34, paint.main)
    pen.polygon([(-0.24, 0.43), (0.24, 0.43), (0.09, 0.26), (-0.09, 0.26)], paint.main)
    pen.ellipse(0, 0.66, 0.17, 0.34, paint.light)
    pen.polygon([(-0.1, 0.4), (0.1, 0.4), (0.05, 0.27), (-0.05, 0.27)], paint.light, False)
    pen.box(-0.11, 0.02, 0.11, 0.17, (140, 90, 45))
    if paint.detailed:
        pen.stroke([(-0.34, 0.62), (-0.15, 0.58), (0.15, 0.58), (0.34, 0.62)], paint.dark, 0.04)
        pen.stroke([(-0.34, 0.72), (-0.15, 0.7), (0.15, 0.7), (0.34, 0.72)], paint.dark, 0.04)


def _rabbit(pen: Pen, paint: Paint, rng: random.Random) -> None:
    lean = rng.uniform(-0.03, 0.03)
    for side in (-1, 1):
        pen.ellipse(side * 0.12 + lean, 0.8, 0.075, 0.21, paint.main)
        pen.ellipse(side * 0.12 + lean, 0.8, 0.035, 0.15, (245, 170, 180), outline=False)
    pen.ellipse(0.26, 0.14, 0.09, 0.09, CREAM)
    pen.ellipse(0, 0.22, 0.27, 0.22, paint.main)
    pen.ellipse(0, 0.19, 0.15, 0.15, paint.light, outline=False)
    pen.ellipse(0, 0.52, 0.23, 0.18, paint.main)
    for side in (-1, 1):
        pen.ellipse(side * 0.13, 0.03, 0.13, 0.05, paint.main)
        pen.ellipse(side * 0.1, 0.56, 0.035, 0.05, INK, outline=False)
    pen.ellipse(0, 0.48, 0.04, 0.03, (240, 120, 140), outline=False)
    pen.box(-0.03, 0.38, 0.03, 0.44, (255, 255, 255))
    if paint.detailed:
        for side in (-1, 1):
            pen.stroke([(side * 0.06, 0.46), (side * 0.32, 0.5)], mix(INK, paint.light, 0.5), 0.015)


def _skull(pen: Pen, paint: Paint, rng: random.Random) -> None:
    jaw = rng.uniform(0.0, 0.05)
    pen.box(-0.24, jaw, 0.24, 0.34, paint.main)
    pen.ellipse(0, 0.62, 0.42, 0.37, paint.main)
    pen.box(-0.23, 0.22, 0.23, 0.4, paint.main, outline=False)
    hollow = INK if sum(paint.main) > 200 else (235, 235, 235)
    for side in (-1, 1):
        pen.ellipse(side * 0.18, 0.56, 0.13, 0.14, hollow)
    pen.polygon([(-0.07, 0.3), (0.07, 0.3), (0, 0.45)], hollow)
    for x in (-0.16, -0.05, 0.06, 0.17):
        pen.box(x - 0.012, jaw + 0.02, x + 0.012, 0.2, hollow, outline=False)


DRAWINGS: dict[str, Drawing] = {
    "castle": _castle,
    "house": _house,
    "boat": _boat,
    "fish": _fish,
    "tree": _tree,
    "cat": _cat,
    "fox": _fox,
    "bird": _bird,
    "flower": _flower,
    "car": _car,
    "rocket": _rocket,
    "mushroom": _mushroom,
    "balloon": _balloon,
    "rabbit": _rabbit,
    "skull": _skull,
}
"""Functions that draw each subject."""

LIFTED = {"fish": 0.06, "rocket": 0.1, "balloon": 0.14}
"""Heights above the ground at which subjects hover, in units of their own height."""


def ornaments(pen: Pen, rng: random.Random) -> None:
    """A garland of gold beads with pennants over the subject, which the word "ornate" asks for."""
    start = rng.uniform(-0.02, 0.02)
    for step in range(9):
        x = -0.56 + step * 0.14
        y = 1.12 + start - 0.1 * (1 - (x / 0.56) ** 2)
        pen.polygon([(x - 0.05, y), (x + 0.05, y), (x, y - 0.11)], GOLD)
