"""Effect of each flag on Picturebook's pictures: ``python -m benchmarks.flag_effects [chaos …]``.

Pixels cannot tell a chaotic grid from a plain one, so pictures are read by Picturebook's judge, and always
the same seeds are compared with and without a flag.
"""

from __future__ import annotations

import argparse
import io
import itertools
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageSequence
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.flag_studio import (
    SIDE,
    Picture,
    Studio,
    distances,
    outlines_met,
    pixels,
    seam,
    sharpness,
    spread,
    subject_of,
)
from generator.companions.safety import NoCheck
from generator.companions.upscale import Upscaler
from generator.conditioning import compositing, tiled_img2img
from generator.conditioning.tiled_img2img import Tile
from generator.worker.movie import Movie
from picturebook import words
from picturebook.scenes import Scene, draw, random_scene
from storage.contract import Control, Part, Phrase, Reference, Role, Task


class Effect(NamedTuple):
    """Figures measured at each value of a flag, and the verdict: True if they are what the flag promises."""

    flag: str
    measure: str
    figures: Mapping[str, float]
    promise: str
    kept: bool


def rises(values: Sequence[float]) -> bool:
    return all(before < after for before, after in itertools.pairwise(values))


def stylize(studio: Studio, count: int) -> Effect:
    bare = studio.pairs(count)
    levels = {value: studio.pairs(count, stylize=value) for value in (100, 250, 1000)}
    figures = {str(value): statistics.mean(distances(bare, images)) for value, images in levels.items()}
    lost = studio.right_subjects(bare) - studio.right_subjects(levels[1000])
    promise = "rises, and subjects lose less than 5 points"
    kept = rises([0, *figures.values()]) and lost < 0.05
    return Effect("--stylize", "distance to the bare picture", {**figures, "lost": lost}, promise, kept)


def sref(studio: Studio, count: int) -> Effect:
    figures = {
        str(weight): statistics.mean(
            studio.likelihoods(
                studio.pairs(count, style_words="watercolor", style_weight=weight), "style", "watercolor"
            )
        )
        for weight in (0, 250, 1000)
    }
    return Effect("--sref --sw", "P(watercolor)", figures, "rises", rises([*figures.values()]))


def sref_picture(studio: Studio, count: int) -> Effect:
    plain = studio.pairs(count)
    guided = studio.conditioned("a {}", [_read(studio, Role.STYLE, number) for number in range(count)])
    figures = {
        name: _seen(studio, images, "style") for name, images in (("plain", plain), ("--sref", guided))
    }
    right = studio.right_subjects(guided)
    kept = figures["--sref"] > figures["plain"] + 0.3 and right >= 0.6
    promise = "rises by 0.3, and 60 % of subjects are right"
    return Effect("--sref LINK", "P(the picture's style)", {**figures, "right": right}, promise, kept)


def oref(studio: Studio, count: int) -> Effect:
    prompt = "in the snow at night"
    plain = studio.pairs(count, prompt)
    guided = studio.conditioned(prompt, [_read(studio, Role.SUBJECT, number) for number in range(count)])
    figures = {
        name: _seen(studio, images, "subject") for name, images in (("plain", plain), ("--oref", guided))
    }
    figures["colour"] = _seen(studio, guided, "colour")
    kept = figures["--oref"] > figures["plain"] + 0.3
    return Effect("--oref", "P(the picture's subject)", figures, "rises by 0.3", kept)


def image_prompts(studio: Studio, count: int) -> Effect:
    plain = studio.pairs(count)
    guided = studio.conditioned("a {}", [_read(studio, Role.IMAGE, number) for number in range(count)])
    figures = {
        name: _seen(studio, images, "ground") for name, images in (("plain", plain), ("pictures", guided))
    }
    right = studio.right_subjects(guided)
    kept = figures["pictures"] > figures["plain"] + 0.3 and right >= 0.6
    promise = "rises by 0.3, and 60 % of subjects are right"
    return Effect("image prompts", "P(the pictures' ground)", {**figures, "right": right}, promise, kept)


def control(studio: Studio, count: int) -> Effect:
    """Share of a picture's outlines that is drawn again where words ask for another colour and ground."""
    leading = [
        draw(replace(_scene(number), subject=subject_of(number), style="illustration", sky="clear"))
        for number in range(count)
    ]
    prompt = "a blue {} in the snow"
    changes = []
    for number, image in enumerate(leading):
        studio.brought[f"leading {number}"] = image
        changes.append({"control": Control(kind="edges", key=f"leading {number}")})
    figures = {
        name: statistics.mean(itertools.starmap(outlines_met, zip(leading, images, strict=True)))
        for name, images in (
            ("plain", studio.pairs(count, prompt)),
            ("edges", studio.conditioned(prompt, changes)),
        )
    }
    blue = statistics.mean(studio.likelihoods(studio.conditioned(prompt, changes), "colour", "blue"))
    kept = figures["edges"] > figures["plain"] + 0.1 and blue >= 0.6
    promise = "rises by 0.1, and 60 % are blue"
    return Effect("--control edges", "outlines met", {**figures, "blue": blue}, promise, kept)


def _scene(number: int) -> Scene:
    """A scene in a style of its own, and not of the subject that the pair of this number asks for."""
    rng = random.Random(f"brought {number}")
    while (scene := random_scene(rng, skulls=0)).subject == subject_of(number):
        pass
    return replace(scene, style=list(words.STYLES)[1 + number % (len(words.STYLES) - 1)], qualities=())


def _read(studio: Studio, role: Role, number: int) -> dict[str, Any]:
    """Changes of a request that reads the scene of this number, drawn twice for image prompts."""
    scene = _scene(number)
    scenes = [scene, replace(scene, seed=scene.seed + 1)] if role is Role.IMAGE else [scene]
    keys = [f"{scene.subject} {number} {place}" for place in range(len(scenes))]
    studio.brought |= {key: draw(each) for key, each in zip(keys, scenes, strict=True)}
    return {"references": (Reference(role=role, keys=tuple(keys)),)}


def _seen(studio: Studio, images: Sequence[Picture], attribute: str) -> float:
    """Mean likelihood that each image shows what the scene of its number has."""
    return statistics.mean(
        studio.likelihoods([image], attribute, getattr(_scene(number), attribute))[0]
        for number, image in enumerate(images)
    )


def chaos(studio: Studio, count: int) -> Effect:
    grids = {
        value: studio.grids(
            [
                studio.asked(
                    f"a {subject_of(number)} on green hills", 4 * number, chaos=value, num_images_per_prompt=4
                )
                for number in range(count)
            ]
        )
        for value in (0, 50, 100)
    }
    figures = {str(value): statistics.mean(map(studio.distinct, found)) for value, found in grids.items()}
    # A grid's subject is that of its number, and so is each of its pictures'.
    right = statistics.mean(studio.right_subjects(each) for each in zip(*grids[100], strict=True))
    kept = rises([*figures.values()]) and right >= 0.8
    promise = "rises, and 80 % of subjects are right"
    return Effect("--chaos", "settings in a grid", {**figures, "right": right}, promise, kept)


def weird(studio: Studio, count: int) -> Effect:
    bare = studio.pairs(count)
    levels = {value: studio.pairs(count, weird=value) for value in (500, 3000)}
    figures = {str(value): statistics.mean(distances(bare, images)) for value, images in levels.items()}
    right = studio.right_subjects(levels[3000])
    kept = rises([0, *figures.values()]) and right >= 0.6
    promise = "rises, and 60 % of subjects are right"
    return Effect("--weird", "distance to the plain picture", {**figures, "right": right}, promise, kept)


def stop(studio: Studio, count: int) -> Effect:
    whole = studio.pairs(count)
    early = {value: studio.pairs(count, stop=value) for value in (10, 50, 75)}
    figures = {str(value): statistics.mean(distances(whole, images)) for value, images in early.items()}
    pairs = list(zip(early[10], whole, strict=True))
    softer = statistics.mean(sharpness(begun) < sharpness(finished) for begun, finished in pairs)
    kept = rises([0, *reversed(figures.values())]) and softer > 0.5
    promise = "falls to 0, and most are softer at 10"
    return Effect("--stop", "distance to the finished picture", {**figures, "softer": softer}, promise, kept)


def tile(studio: Studio, count: int) -> Effect:
    """Left and right; the model's worlds have a horizon, so top and bottom hardly can meet."""
    figures = {
        name: statistics.median(seam(image, [SIDE - 1], 1) for image in studio.pairs(count, tile=on))
        for name, on in (("plain", False), ("tile", True))
    }
    kept = figures["tile"] <= 1.2 and figures["tile"] < figures["plain"]
    return Effect("--tile", "step from the right edge to the left", figures, "at most 1.2 inner steps", kept)


def sameseed(studio: Studio, count: int) -> Effect:
    figures = {
        name: statistics.mean(
            spread(grid)
            for grid in studio.grids(
                [
                    studio.asked(f"a {subject_of(number)}", 4 * number, sameseed=on, num_images_per_prompt=4)
                    for number in range(count)
                ]
            )
        )
        for name, on in (("plain", False), ("sameseed", True))
    }
    kept = 0 < figures["sameseed"] < figures["plain"] / 3
    return Effect("--sameseed", "distance in a grid", figures, "below a third, above 0", kept)


def negative(studio: Studio, count: int) -> Effect:
    prompt = "a {} at night"
    figures = {
        name: statistics.mean(
            studio.likelihoods(studio.pairs(count, prompt, negative_prompt=words), "time", "night")
        )
        for name, words in (("plain", ""), ("--no night", "night"))
    }
    return Effect("--no", "P(night)", figures, "falls", figures["--no night"] < figures["plain"])


def multi_prompt(studio: Studio, count: int) -> Effect:
    def ratio(castle: float, boat: float) -> float:
        images = studio.pairs(count, "a castle", parts=(_part("a castle", castle), _part("a boat", boat)))
        seen = [statistics.mean(studio.likelihoods(images, "subject", name)) for name in ("castle", "boat")]
        return seen[0] - seen[1]

    figures = {f"{castle}:{boat}": ratio(castle, boat) for castle, boat in ((1, 3), (1, 1), (3, 1))}
    return Effect("::", "P(castle) − P(boat)", figures, "rises", rises([*figures.values()]))


def negative_part(studio: Studio, count: int) -> Effect:
    figures = {}
    for weight in (0.0, -0.25, -0.5):
        parts = (_part("a castle at night"), _part("night", weight))
        images = studio.pairs(count, "a castle at night", parts=parts)
        figures[str(weight)] = statistics.mean(studio.likelihoods(images, "time", "night"))
    kept = figures["-0.5"] < figures["0.0"]
    return Effect("::-0.5", "P(night)", figures, "falls", kept)


def emphasis(studio: Studio, count: int) -> Effect:
    """Of two colours, how surely the first is seen: the model takes the second where both count the same."""
    figures = {}
    for value in (0.3, 1.0, 2.0):
        phrases = (Phrase(text="a "), Phrase(text="red", emphasis=value), Phrase(text=" and blue castle"))
        images = studio.pairs(count, "a red and blue castle", parts=(Part(phrases=phrases),))
        figures[str(value)] = statistics.mean(studio.likelihoods(images, "colour", "red"))
    return Effect("(word:2)", "P(red)", figures, "rises", rises([*figures.values()]))


def zoom(studio: Studio, count: int) -> Effect:
    """The picture at half its size in the middle of a new one, as Zoom Out 2× has it."""
    begin, end = SIDE // 4, SIDE - SIDE // 4
    small = [image.resize((SIDE // 2, SIDE // 2)) for image in studio.pairs(count)]
    mask = PIL.Image.new("L", (SIDE, SIDE), 255)
    mask.paste(0, (begin, begin, end, end))
    seams, kept_pixels = [], []
    for seed, image in enumerate(small):
        edges = np.pad(np.asarray(image), [(begin, begin), (begin, begin), (0, 0)], mode="edge")
        init_image = PIL.Image.fromarray(edges)
        changes = {"task": Task.INPAINTING, "source_key": "sheet.png", "mask_key": "mask.png"}
        request = studio.asked(f"a {subject_of(seed)}", seed, **changes)
        (drawn,) = studio.engine.submit(request, image=init_image, mask=compositing.grow_mask(mask)).result()
        found = compositing.composite(drawn, init_image, mask)
        inside = slice(begin + compositing.feather(mask.size), end - compositing.feather(mask.size))
        kept_pixels.append(np.abs(pixels(found) - pixels(init_image))[inside, inside].mean())
        seams += [seam(found, [begin - 1, end - 1], axis, slice(begin, end)) for axis in (0, 1)]
    figures = {"seam": statistics.median(seams), "kept": float(max(kept_pixels))}
    kept = figures["seam"] <= 1.5 and figures["kept"] <= 2
    return Effect("zoom", "step at the old edge, in inner steps", figures, "seam ≤ 1.5, kept ≤ 2/255", kept)


def creativity(studio: Studio, count: int) -> Effect:
    assert studio.entry.upscaler is not None
    upscaler = Upscaler.load(
        studio.entry.upscaler.source, torch.device("cpu"), studio.engine.device_thread.call
    )
    faithful = [upscaler.enlarge(image, 2) for image in studio.pairs(count)]

    def draw(pieces: Sequence[Tile]) -> list[Picture]:
        futures = [studio.engine.submit(piece.request, image=piece.image) for piece in pieces]
        return [future.result()[0] for future in futures]

    enriched = []
    for seed, image in enumerate(faithful):
        changes = {"task": Task.UPSCALE, "parent_image_id": 1, "scale": 2, "creativity": 0.3}
        request = studio.asked(f"a {subject_of(seed)}", seed, **changes)
        enriched.append(tiled_img2img.tiled_img2img(image, request, studio.entry.sizes, draw))
    figures = {
        "0": statistics.mean(map(sharpness, faithful)),
        "0.3": statistics.mean(map(sharpness, enriched)),
        "distance": statistics.mean(distances(faithful, enriched)),
    }
    kept = figures["0.3"] > 1.2 * figures["0"] and figures["distance"] < 40
    return Effect("Upscale (Creative)", "sharpness", figures, "a fifth more, and near the picture", kept)


def video(studio: Studio, count: int) -> Effect:
    early, late = [], []
    for seed in range(min(count, 8)):
        movie = Movie()
        grid = studio.engine.submit(
            studio.asked(f"a {subject_of(seed)}", seed), on_progress=movie.progressed
        ).result()
        data = movie.webp(grid, NoCheck())
        assert data is not None
        with PIL.Image.open(io.BytesIO(data)) as opened:
            shown = [sharpness(frame) for frame in PIL.ImageSequence.Iterator(opened)]
        early.append(statistics.mean(shown[: len(shown) // 2]))
        late.append(shown[-1])
    figures = {"first half": statistics.mean(early), "last": statistics.mean(late)}
    return Effect("--video", "sharpness", figures, "rises", rises([*figures.values()]))


def _part(text: str, weight: float = 1.0) -> Part:
    return Part(phrases=(Phrase(text=text),), weight=weight)


EFFECTS: dict[str, Callable[[Studio, int], Effect]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        multi_prompt, negative_part, emphasis, negative, stylize, sref, sref_picture, oref, image_prompts,
        control, chaos, weird, sameseed, stop, tile, zoom, creativity, video,
    )
}  # fmt: skip


def table(effects: Sequence[Effect]) -> Table:
    made = Table("flag", "measure", "figures", "promise", "kept")
    for effect in effects:
        kept = "yes" if effect.kept else "NO"
        made.add_row(effect.flag, effect.measure, _figures(effect), effect.promise, kept)
    return made


def _figures(effect: Effect) -> str:
    return ", ".join(f"{name}: {value:.3g}" for name, value in effect.figures.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("flags", nargs="*", choices=[[], *EFFECTS], default=[])
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--steps", type=int, default=12)
    chosen = parser.parse_args()
    console = Console()
    with Studio.open(chosen.steps) as studio:
        found = []
        for name in chosen.flags or EFFECTS:
            found.append(EFFECTS[name](studio, chosen.pairs))
            console.print(found[-1].flag, _figures(found[-1]), "" if found[-1].kept else "NOT KEPT")
        console.print(table(found))


if __name__ == "__main__":
    main()
