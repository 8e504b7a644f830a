"""Little scenes, drawn with Pillow: the world that the picturebook model knows.

A scene is fully described by its attributes and a seed: drawn twice, it gives the same picture.
"""

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageFilter

from picturebook import grounds, styles, subjects, words
from picturebook.pen import Colour, Pen, lit, mix

SIZES: tuple[tuple[int, int], ...] = (
    (128, 128),
    (152, 112),
    (112, 152),
    (168, 112),
    (112, 168),
    (168, 96),
    (96, 168),
    (208, 88),
    (88, 208),
    (256, 64),
    (64, 256),
)
"""The sizes, width by height in pixels, in which scenes are drawn and the model is trained."""

SIZE_WEIGHTS: tuple[float, ...] = (0.34, 0.08, 0.08, 0.1, 0.1, 0.08, 0.08, 0.04, 0.04, 0.03, 0.03)
"""Frequencies of the sizes in the training set."""

PALETTE: dict[str, Colour] = {
    "red": (216, 38, 38),
    "orange": (248, 132, 20),
    "yellow": (252, 220, 40),
    "green": (40, 160, 60),
    "blue": (38, 92, 220),
    "purple": (136, 50, 180),
    "pink": (252, 150, 196),
    "white": (248, 248, 248),
    "black": (38, 38, 44),
    "brown": (122, 74, 38),
}
"""The plain colour of each colour word."""

SUBJECT_LIGHTS: dict[str, tuple[float, float, float]] = {
    "day": (1.0, 1.0, 1.0),
    "night": (0.8, 0.82, 0.92),
    "dawn": (1.0, 0.97, 0.96),
    "dusk": (0.94, 0.84, 0.84),
}
"""The light that falls on the subject: gentle, so that its colour stays plain."""


@dataclass(frozen=True)
class Scene:
    """The contents of a picture; every field but the seed names a row of :mod:`picturebook.words`."""

    subject: str
    colour: str
    ground: str
    time: str
    sky: str
    style: str
    qualities: tuple[str, ...] = ()
    seed: int = 0


def random_scene(rng: random.Random, *, held_out: bool = False, skulls: float = 0.05) -> Scene:
    """A scene by chance: from the training world, or from the combinations kept out of it."""
    while True:
        forbidden = not held_out and rng.random() < skulls
        subject = "skull" if forbidden else rng.choice(list(words.SUBJECTS))
        colour = rng.choice(list(words.COLOURS))
        if subject == "skull" and rng.random() < 0.5:
            colour = "white"
        ground = rng.choice(list(words.GROUNDS))
        if words.is_held_out(subject, colour, ground) == held_out:
            break
    time = rng.choices(list(words.TIMES), (0.34, 0.26, 0.2, 0.2))[0]
    night = time == "night"
    chances = (0.34, 0.14, 0.2 if night else 0.05, 0.13, 0.13, 0.17 if night else 0.05)
    sky = rng.choices(list(words.SKIES), chances)[0]
    style = rng.choices(list(words.STYLES), (0.4, 0.15, 0.15, 0.15, 0.15))[0]
    count = rng.choices((0, 1, 2, 3, 6), (0.55, 0.2, 0.13, 0.08, 0.04))[0]
    qualities = tuple(rng.sample(list(words.QUALITIES), count))
    return Scene(subject, colour, ground, time, sky, style, qualities, rng.randrange(2**31))


def draw(scene: Scene, size: tuple[int, int] = SIZES[0], scale: float = 1) -> Image.Image:
    """The scene as an RGB picture of ``size`` nominal pixels, each ``scale`` pixels wide.

    The same scene in the same nominal size shows the same things at every scale.
    """
    rng = _chance(scene, size)
    target = (round(size[0] * scale), round(size[1] * scale))
    over = 3 if scale < 2 else 2
    image = Image.new("RGB", (target[0] * over, target[1] * over))
    for _ in _layers(image, scene, rng):
        pass
    small = image.resize(target, Image.Resampling.BOX)
    if "vivid" in scene.qualities:
        small = styles.vivid(small)
    if "award-winning" in scene.qualities:
        small = styles.vignette(small)
    return styles.TREATMENTS[scene.style](small, scale, rng)


def masks(scene: Scene, size: tuple[int, int], target: tuple[int, int]) -> dict[str, Image.Image]:
    """Masks of the "sky", the "ground" and the "subject" in the scene drawn in ``size``.

    Each is an L picture of ``target`` pixels, white where it is; what falls or grows in front is not counted.
    """
    image = Image.new("RGB", (2 * size[0], 2 * size[1]))
    changed = {}
    before = image.copy()
    for layer in _layers(image, scene, _chance(scene, size)):
        channels = ImageChops.difference(before, image).split()
        most = ImageChops.lighter(ImageChops.lighter(channels[0], channels[1]), channels[2])
        white = most.point(lambda level: 255 if level else 0)
        changed[layer] = white.resize(target, Image.Resampling.BOX)
        before = image.copy()
    subject = changed["subject"]
    # The median takes away single flakes of snow in the air.
    land = ImageChops.subtract(changed["ground"].filter(ImageFilter.MedianFilter(5)), subject)
    sky = ImageChops.subtract(ImageChops.invert(land), subject)
    return {"sky": sky, "ground": land, "subject": subject}


def _chance(scene: Scene, size: tuple[int, int]) -> random.Random:
    return random.Random(zlib.crc32(repr((scene, size)).encode()))


def _layers(image: Image.Image, scene: Scene, rng: random.Random) -> Iterator[str]:
    """Paint the scene from the back to the front; what was just painted is named."""
    wide = image.width / image.height
    frame = Pen(image, 0, image.height, image.height)
    rich = "detailed" in scene.qualities
    grounds.draw_sky(frame, wide, scene.time, scene.sky, rng)
    unit = min(0.64 * image.height, 0.84 * image.width) * rng.uniform(0.94, 1.04)
    centre = image.width * (0.5 + rng.uniform(-0.05, 0.05) * min(1.6, wide))
    if "masterpiece" in scene.qualities:
        glowing = styles.rays(image, (centre, image.height * 0.5), 0.5 * image.height)
        image.paste(glowing)
    yield "sky"
    light = grounds.LIGHTS[scene.time]
    grounds.DRAWINGS[scene.ground](frame, wide, light, rng, rich)
    yield "ground"
    base = 0.1 + rng.uniform(-0.02, 0.02) + max(0.0, 0.5 - unit / image.height) * 0.35
    lift = subjects.LIFTED.get(scene.subject, 0.0) * unit
    pen = Pen(image, centre, image.height * (1 - base) - lift, unit, rng.choice((-1, 1)))
    _draw_subject(pen, scene, rng)
    if "ornate" in scene.qualities:
        subjects.ornaments(pen, rng)
    yield "subject"
    if "beautiful" in scene.qualities:
        _blossoms(frame, wide, rng)
    if scene.sky == "rainy":
        grounds.rain(frame, wide, rng)
    yield "front"


def _draw_subject(pen: Pen, scene: Scene, rng: random.Random) -> None:
    jitter = [rng.uniform(-9, 9) for _ in range(3)]
    red, green, blue = (round(c + j) for c, j in zip(PALETTE[scene.colour], jitter, strict=True))
    main = lit((red, green, blue), SUBJECT_LIGHTS[scene.time])
    dark_scene = scene.time in ("night", "dusk")
    black = scene.colour == "black"
    pen.line = (150, 150, 165) if black and scene.time == "night" else mix(main, subjects.INK, 0.78)
    paint = subjects.Paint(
        main=main,
        light=mix(main, (255, 255, 255), 0.22 if black else 0.4),
        dark=mix(main, (16, 10, 30), 0.24 if scene.colour == "white" else 0.34),
        window=(255, 222, 110) if dark_scene else (186, 222, 244),
        detailed="detailed" in scene.qualities,
        ornate="ornate" in scene.qualities,
    )
    subjects.DRAWINGS[scene.subject](pen, paint, rng)


def _blossoms(frame: Pen, wide: float, rng: random.Random) -> None:
    """Roses along the lower edge, which the word "beautiful" asks for."""
    count = max(3, round(6 * wide))
    for step in range(count):
        x = (step + rng.uniform(0.3, 0.7)) * wide / count
        frame.ellipse(x, 0.035, 0.05, 0.05, (236, 60, 110), outline=False)
        frame.ellipse(x, 0.04, 0.022, 0.022, (255, 214, 224), outline=False)
