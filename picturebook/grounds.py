"""Skies and grounds of the scenes, in a frame one unit high with the horizon at ``HORIZON``."""

import math
import random
from collections.abc import Callable

from picturebook.pen import Colour, Pen, lit, mix

HORIZON = 0.4
"""Height of the horizon above the lower edge, in picture heights."""

SKY_COLOURS: dict[str, tuple[Colour, Colour]] = {
    "day": ((70, 155, 240), (195, 230, 252)),
    "night": ((8, 12, 42), (32, 42, 98)),
    "dawn": ((250, 178, 196), (255, 238, 190)),
    "dusk": ((88, 42, 118), (252, 118, 44)),
}
"""The colours of the sky at the zenith and at the horizon."""

LIGHTS: dict[str, tuple[float, float, float]] = {
    "day": (1.0, 1.0, 1.0),
    "night": (0.42, 0.48, 0.7),
    "dawn": (1.0, 0.92, 0.9),
    "dusk": (0.82, 0.6, 0.6),
}
"""The light that falls on the ground, one factor a channel."""

Light = tuple[float, float, float]


def draw_sky(pen: Pen, wide: float, time: str, sky: str, rng: random.Random) -> None:
    """Sky, sun or moon, and weather, over a frame ``wide`` units wide."""
    top, low = SKY_COLOURS[time]
    if sky == "rainy":
        grey: Colour = (35, 38, 55) if time == "night" else (128, 134, 148)
        top, low = mix(top, grey, 0.6), mix(low, grey, 0.45)
    for band in range(48):
        share = band / 47
        y = 1 - share * (1 - HORIZON + 0.06)
        pen.box(0, y - 0.016, wide, y + 0.002, mix(top, low, share), outline=False)
    left = rng.uniform(0.1, 0.25) * wide
    side = left if rng.random() < 0.5 else wide - left
    _sun(pen, side, time, sky)
    {"cloudy": _clouds, "starry": _stars, "rainy": _rain_clouds, "rainbow": _rainbow}.get(sky, _nothing)(
        pen, wide, time, rng
    )


def _nothing(_pen: Pen, _wide: float, _time: str, _rng: random.Random) -> None:
    """Leave the sky as it is."""


def _sun(pen: Pen, x: float, time: str, sky: str) -> None:
    if sky == "moon":
        pen.ellipse(x, 0.83, 0.125, 0.125, (250, 246, 220), outline=False)
        pen.ellipse(x + 0.03, 0.86, 0.03, 0.03, (215, 210, 190), outline=False)
        pen.ellipse(x - 0.04, 0.8, 0.025, 0.025, (215, 210, 190), outline=False)
    elif sky in ("rainy", "cloudy"):
        return
    elif time == "day":
        pen.ellipse(x, 0.85, 0.085, 0.085, (255, 228, 70), outline=False)
    elif time == "dawn":
        pen.ellipse(x, HORIZON + 0.08, 0.12, 0.12, (255, 250, 215), outline=False)
    elif time == "dusk":
        pen.ellipse(x, HORIZON + 0.08, 0.13, 0.13, (255, 70, 30), outline=False)


def _cloud(pen: Pen, x: float, y: float, size: float, colour: Colour) -> None:
    for dx, dy, r in ((-0.9, 0.0, 0.6), (0.0, 0.25, 0.85), (0.9, 0.0, 0.65)):
        pen.ellipse(x + dx * size, y + dy * size, r * size, r * size * 0.8, colour, outline=False)
    pen.box(x - size, y - 0.48 * size, x + size, y, colour, outline=False)


def _clouds(pen: Pen, wide: float, time: str, rng: random.Random) -> None:
    white: dict[str, Colour] = {
        "day": (252, 252, 255),
        "night": (92, 98, 130),
        "dawn": (255, 246, 246),
        "dusk": (214, 130, 150),
    }
    count = max(3, round(3.2 * wide))
    for step in range(count):
        x = (step + rng.uniform(0.2, 0.8)) * wide / count
        y = rng.uniform(0.72, 0.93)
        _cloud(pen, x, y, rng.uniform(0.085, 0.12), white[time])


def _stars(pen: Pen, wide: float, _time: str, rng: random.Random) -> None:
    count = max(9, round(13 * wide))
    for step in range(count):
        x = (step + rng.uniform(0.1, 0.9)) * wide / count
        y = rng.choice([rng.uniform(0.5, 0.75), rng.uniform(0.75, 0.97)])
        size = rng.uniform(0.02, 0.034)
        points = []
        for corner in range(8):
            reach = size if corner % 2 == 0 else size * 0.4
            angle = corner * math.pi / 4
            points.append((x + reach * math.sin(angle), y + reach * math.cos(angle)))
        pen.polygon(points, (255, 250, 205), outline=False)


def _rain_clouds(pen: Pen, wide: float, time: str, rng: random.Random) -> None:
    dark: Colour = (62, 66, 88) if time == "night" else (104, 108, 122)
    count = max(3, round(4 * wide))
    for step in range(count):
        x = (step + rng.uniform(0.3, 0.7)) * wide / count
        _cloud(pen, x, rng.uniform(0.9, 0.96), 0.13, dark)


def _rainbow(pen: Pen, wide: float, time: str, rng: random.Random) -> None:
    bands: tuple[Colour, ...] = (
        (230, 50, 50), (245, 150, 40), (250, 225, 70), (70, 180, 80), (60, 110, 220), (140, 70, 190),
    )  # fmt: skip
    centre = wide / 2 + rng.uniform(-0.05, 0.05) * wide
    reach = max(0.3, min(wide * 0.47, 1.6))
    height = 0.56
    for index, colour in enumerate(bands):
        points = []
        for step in range(33):
            angle = math.pi * step / 32
            inner = index * 0.024
            points.append(
                (centre - (reach - inner) * math.cos(angle), HORIZON + (height - inner) * math.sin(angle))
            )
        pen.stroke(points, mix(colour, (20, 20, 50), 0.3) if time == "night" else colour, 0.03)


def rain(pen: Pen, wide: float, rng: random.Random) -> None:
    """Streaks of rain over the whole picture."""
    count = round(14 * wide) + 4
    for step in range(count):
        x = (step + rng.random()) * wide / count + 0.03
        for start in (rng.uniform(0.0, 0.4), rng.uniform(0.5, 0.88)):
            pen.stroke([(x, start + 0.11), (x - 0.03, start)], (176, 200, 232), 0.012)


def _wave(wide: float, base: float, rise: float, length: float, phase: float) -> list[tuple[float, float]]:
    steps = max(24, round(32 * wide))
    line = []
    for step in range(steps + 1):
        x = step * wide / steps
        line.append((x, base + rise * math.sin(2 * math.pi * (x / length + phase))))
    return [(0, -0.1), *line, (wide, -0.1)]


def _hills(pen: Pen, wide: float, light: Light, rng: random.Random, rich: bool) -> None:
    layers: tuple[tuple[float, float, Colour], ...] = (
        (HORIZON + 0.02, 0.09, (122, 196, 96)),
        (HORIZON - 0.13, 0.06, (86, 170, 72)),
        (HORIZON - 0.29, 0.04, (62, 148, 58)),
    )
    for base, rise, colour in layers:
        length = rng.uniform(0.8, 1.1)
        pen.polygon(_wave(wide, base, rise, length, rng.random()), lit(colour, light), False)
    if rich:
        for _ in range(round(14 * wide)):
            x, y = rng.uniform(0, wide), rng.uniform(0.02, 0.3)
            pen.polygon(
                [(x - 0.02, y), (x + 0.02, y), (x + 0.01, y + 0.07)], lit((40, 110, 44), light), False
            )


def _snow(pen: Pen, wide: float, light: Light, rng: random.Random, rich: bool) -> None:
    glow = (min(1.0, light[0] * 1.15), min(1.0, light[1] * 1.15), min(1.0, light[2] * 1.15))
    layers: tuple[tuple[float, Colour], ...] = (
        (HORIZON, (206, 222, 242)),
        (HORIZON - 0.12, (228, 238, 250)),
        (HORIZON - 0.26, (246, 250, 255)),
    )
    for base, colour in layers:
        pen.polygon(_wave(wide, base, 0.025, rng.uniform(0.7, 1.0), rng.random()), lit(colour, glow), False)
    for step in range(round((34 if rich else 22) * wide) + 4):
        x = (step + rng.random()) * wide / (22 * wide + 4)
        y, size = rng.uniform(0.05, 0.97), rng.uniform(0.011, 0.018)
        pen.ellipse(x, y, size, size, lit((255, 255, 255), (0.95, 0.96, 1.0)), outline=False)


def _desert(pen: Pen, wide: float, light: Light, rng: random.Random, rich: bool) -> None:
    layers: tuple[tuple[float, float, Colour], ...] = (
        (HORIZON, 0.05, (232, 190, 112)),
        (HORIZON - 0.14, 0.045, (244, 208, 132)),
        (HORIZON - 0.28, 0.03, (222, 174, 98)),
    )
    for base, rise, colour in layers:
        pen.polygon(_wave(wide, base, rise, rng.uniform(0.9, 1.3), rng.random()), lit(colour, light), False)
    for x in (rng.uniform(0.03, 0.12) * wide, rng.uniform(0.88, 0.97) * wide):
        cactus = lit((60, 130, 70), light)
        pen.stroke([(x, 0.24), (x, 0.5)], cactus, 0.05)
        pen.stroke([(x - 0.07, 0.42), (x - 0.07, 0.34), (x + 0.07, 0.34), (x + 0.07, 0.44)], cactus, 0.035)
    if rich:
        for _ in range(round(10 * wide)):
            x, y = rng.uniform(0, wide), rng.uniform(0.02, 0.26)
            pen.ellipse(x, y, 0.025, 0.016, lit((176, 128, 76), light), outline=False)


def _sea(pen: Pen, wide: float, light: Light, rng: random.Random, rich: bool) -> None:
    pen.box(0, -0.1, wide, HORIZON, lit((36, 116, 196), light), outline=False)
    rows = 8 if rich else 5
    for row in range(rows):
        base = HORIZON - 0.05 - row * (HORIZON - 0.04) / rows
        phase = rng.random()
        points = _wave(wide, base, 0.012, 0.2, phase)[1:-1]
        pen.stroke(points, lit((150, 214, 244), light), 0.02)


def _city(pen: Pen, wide: float, light: Light, rng: random.Random, rich: bool) -> None:
    x = -0.05
    window: Colour = (255, 214, 110) if light[0] < 0.9 else (196, 214, 230)
    while x < wide:
        width, height = rng.uniform(0.14, 0.22), rng.uniform(0.1, 0.34)
        shade = rng.uniform(0.85, 1.1)
        wall = lit((126, 130, 146), (light[0] * shade, light[1] * shade, light[2] * shade))
        pen.box(x, HORIZON - 0.1, x + width, HORIZON + height, wall, outline=False)
        for row in range(1, int(height / 0.09) + 1):
            for left in (0.22, 0.6):
                wx, wy = x + width * left, HORIZON + height - row * 0.09
                pen.box(wx, wy, wx + 0.04, wy + 0.05, window, outline=False)
        x += width + 0.012
    pen.box(0, 0.28, wide, HORIZON, lit((186, 184, 180), light), outline=False)
    pen.box(0, -0.1, wide, 0.28, lit((88, 88, 96), light), outline=False)
    dash = 0.0
    while dash < wide:
        pen.box(dash, 0.06, dash + 0.12, 0.095, lit((245, 240, 220), light), outline=False)
        dash += 0.22
    if rich:
        for post in (0.06 * wide, 0.94 * wide):
            pen.stroke([(post, 0.28), (post, 0.6)], (40, 40, 50), 0.02)
            pen.ellipse(post, 0.61, 0.035, 0.035, (255, 230, 140), outline=False)


def _forest(pen: Pen, wide: float, light: Light, rng: random.Random, rich: bool) -> None:
    pen.box(0, -0.1, wide, HORIZON, lit((66, 92, 50), light), outline=False)
    for row, (base, green) in enumerate(((HORIZON - 0.02, (26, 84, 56)), (HORIZON - 0.08, (34, 102, 62)))):
        count = max(4, round(5.5 * wide)) + row
        for step in range(count):
            x = (step + rng.uniform(0.3, 0.7)) * wide / count
            tall = rng.uniform(0.3, 0.42)
            pen.box(x - 0.015, base - 0.06, x + 0.015, base + 0.06, lit((80, 56, 36), light), outline=False)
            for layer in range(3):
                low, reach = base + 0.03 + layer * tall * 0.28, 0.11 - layer * 0.026
                tip = low + tall * 0.44
                pen.polygon([(x - reach, low), (x + reach, low), (x, tip)], lit(green, light), False)
    for _ in range(round((16 if rich else 7) * wide)):
        x, y = rng.uniform(0, wide), rng.uniform(0.02, 0.26)
        pen.ellipse(x, y, 0.04, 0.018, lit((48, 70, 38), light), outline=False)


def _meadow(pen: Pen, wide: float, light: Light, rng: random.Random, rich: bool) -> None:
    pen.box(0, -0.1, wide, HORIZON, lit((150, 205, 84), light), outline=False)
    petals: tuple[Colour, ...] = ((250, 90, 140), (255, 225, 70), (255, 255, 255), (190, 110, 230))
    glow = (min(1.0, light[0] * 1.4), min(1.0, light[1] * 1.4), min(1.0, light[2] * 1.3))
    rows = 6 if rich else 5
    for row in range(rows):
        y = HORIZON - 0.035 - row * (HORIZON - 0.05) / rows
        size = 0.022 + 0.005 * row
        count = max(4, round(wide / (size * 4.4)))
        for step in range(count):
            x = (step + rng.uniform(0.15, 0.85)) * wide / count
            pen.ellipse(x, y, size, size, lit(rng.choice(petals), glow), outline=False)


GroundDrawing = Callable[[Pen, float, Light, random.Random, bool], None]

DRAWINGS: dict[str, GroundDrawing] = {
    "hills": _hills,
    "snow": _snow,
    "desert": _desert,
    "sea": _sea,
    "city": _city,
    "forest": _forest,
    "meadow": _meadow,
}
"""Functions that draw each ground: pen, width of the frame, light, chance, and whether richly."""
