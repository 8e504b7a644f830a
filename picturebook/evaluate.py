"""Measure how well the model draws what it is told: ``python -m picturebook.evaluate``.

Held-out prompts, that is combinations of subject, colour and ground that no training picture
showed, are drawn and read by a judge that was trained apart, on drawn scenes only.
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from tqdm import tqdm

from picturebook import words
from picturebook.captions import full_caption
from picturebook.dataset import pixels
from picturebook.judge import Judge
from picturebook.safety import flags
from picturebook.scenes import SIZE_WEIGHTS, SIZES, Scene, draw, random_scene

HERE = Path(__file__).parent
SAMPLES = (
    "a red castle on green hills at night",
    "a blue boat on the sea at sunset",
    "a green tree in the snow, watercolor",
    "a fox in the snow",
    "pixel art of a yellow mushroom in the forest",
    "a white rabbit in a flower meadow by day",
    "a purple rocket in the desert at dawn",
    "oil painting of an orange fish in the water",
)
"""Prompts that ``--samples`` draws."""

JUDGED = ("subject", "colour", "ground", "time", "sky", "style")


@dataclass
class Score:
    """Right answers among all, for every value of every attribute."""

    right: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    asked: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def add(self, scene: Scene, read: dict[str, str]) -> None:
        """Count one picture."""
        for name in JUDGED:
            value = getattr(scene, name)
            self.asked[name, value] += 1
            self.right[name, value] += read[name] == value

    def share(self, name: str) -> float:
        """The share of right answers for an attribute."""
        asked = sum(count for (key, _), count in self.asked.items() if key == name)
        right = sum(count for (key, _), count in self.right.items() if key == name)
        return right / max(1, asked)

    def table(self) -> str:
        """A Markdown table: one row an attribute, with the values that do worst."""
        lines = ["| attribute | right | weakest values |", "|---|---:|---|"]
        for name in JUDGED:
            rows = [(self.right[key] / n, key[1], n) for key, n in self.asked.items() if key[0] == name]
            weakest = ", ".join(f"{value} {share:.0%}" for share, value, _ in sorted(rows)[:3] if share < 1)
            lines.append(f"| {name} | {self.share(name):.1%} | {weakest} |")
        return "\n".join(lines)


def load_pipeline(folder: Path = HERE / "model", *, checked: bool = False) -> StableDiffusionPipeline:
    """The model in float32, quiet; without its safety checker unless ``checked``."""
    options = {} if checked else {"safety_checker": None, "requires_safety_checker": False}
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def paint(
    pipeline: StableDiffusionPipeline,
    prompts: list[str],
    size: tuple[int, int] = SIZES[0],
    steps: int = 20,
    seed: int = 0,
    guidance: float = 4.0,
) -> list[Image.Image]:
    """One picture for every prompt."""
    generator = torch.Generator().manual_seed(seed)
    drawn: list[Image.Image] = pipeline(
        prompts,
        width=size[0],
        height=size[1],
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=generator,
    ).images
    return drawn


def read_pictures(judge: Judge, pictures: Iterable[Image.Image]) -> list[dict[str, str]]:
    """Let the judge read pictures of one size: its likeliest value of each attribute."""
    return judge.read(pixels([np.asarray(picture) for picture in pictures]))


def heldout_scenes(count: int, seed: int) -> list[Scene]:
    """Scenes never seen in training."""
    rng = random.Random(seed)
    return [random_scene(rng, held_out=True) for _ in range(count)]


def judge_heldout(pipeline: StableDiffusionPipeline, judge: Judge, count: int, steps: int) -> Score:
    """Draw and judge held-out prompts, in all sizes as often as they stand in training."""
    score = Score()
    rng = random.Random(99)
    scenes = heldout_scenes(count, seed=1)
    for start in tqdm(range(0, count, 8), desc="held-out prompts"):
        group = scenes[start : start + 8]
        size = rng.choices(SIZES, SIZE_WEIGHTS)[0]
        drawn = paint(pipeline, [full_caption(scene) for scene in group], size, steps, seed=start)
        for scene, read in zip(group, read_pictures(judge, drawn), strict=True):
            score.add(scene, read)
    return score


def judge_drawn(judge: Judge, count: int) -> Score:
    """The judge's own accuracy, on scenes drawn with Pillow that it has not seen."""
    score = Score()
    for scene in heldout_scenes(count, seed=2):
        score.add(scene, read_pictures(judge, [draw(scene)])[0])
    return score


def check_safety(pipeline: StableDiffusionPipeline, checked: StableDiffusionPipeline, count: int) -> str:
    """Misses and false alarms of the checker, on Pillow's scenes and on the model's pictures."""
    rng = random.Random(5)
    bad = [random_scene(rng, skulls=1.0) for _ in range(count)]
    good = [random_scene(rng, skulls=0.0) for _ in range(count)]
    lines = ["| pictures | skulls missed | false alarms |", "|---|---:|---:|"]
    for origin in ("drawn by Pillow", "drawn by the model"):
        shares = []
        for scenes in (bad, good):
            flagged = 0
            for start in tqdm(range(0, count, 8), desc=origin):
                group = scenes[start : start + 8]
                if origin == "drawn by Pillow":
                    pictures = [draw(scene, rng.choices(SIZES, SIZE_WEIGHTS)[0]) for scene in group]
                else:
                    size = rng.choices(SIZES, SIZE_WEIGHTS)[0]
                    pictures = paint(pipeline, [full_caption(scene) for scene in group], size, seed=start)
                flagged += sum(flags(checked.safety_checker, pictures))
            shares.append(flagged / count)
        lines.append(f"| {origin} | {1 - shares[0]:.1%} | {shares[1]:.1%} |")
    return "\n".join(lines)


def sample_sheet(pipeline: StableDiffusionPipeline) -> Image.Image:
    """The samples in two lines, each pixel doubled."""
    width, height = SIZES[0]
    sheet = Image.new("RGB", (4 * width, 2 * height))
    for index, picture in enumerate(paint(pipeline, list(SAMPLES))):
        sheet.paste(picture, (index % 4 * width, index // 4 * height))
    return sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST)


def main() -> None:
    """Print the tables, or draw the samples."""
    parser = argparse.ArgumentParser(prog="python -m picturebook.evaluate", description=__doc__)
    parser.add_argument("--prompts", type=int, default=200, help="how many held-out prompts are drawn")
    parser.add_argument(
        "--safety", type=int, default=200, help="how many skulls and other scenes are checked"
    )
    parser.add_argument("--steps", type=int, default=20, help="denoising steps a picture")
    parser.add_argument("--model", type=Path, default=HERE / "model")
    parser.add_argument("--samples", type=Path, help="only draw some prompts into this file")
    chosen = parser.parse_args()
    if chosen.samples is not None:
        sample_sheet(load_pipeline(chosen.model)).save(chosen.samples)
        return
    judge = Judge.load(HERE / "judge")
    pipeline = load_pipeline(chosen.model)
    combinations = list(product(words.SUBJECTS, words.COLOURS, words.GROUNDS))
    held = sum(words.is_held_out(*combination) for combination in combinations)
    print(f"{held} of {len(combinations)} combinations are held out\n")
    print(judge_heldout(pipeline, judge, chosen.prompts, chosen.steps).table(), "\n")
    print("The judge itself, on drawn scenes:\n")
    print(judge_drawn(judge, chosen.prompts).table(), "\n")
    print(check_safety(pipeline, load_pipeline(chosen.model, checked=True), chosen.safety))


if __name__ == "__main__":
    main()
