"""Training of the describer on drawn scenes."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from torch import Tensor, nn
from torch.nn import functional
from transformers import VisionEncoderDecoderModel

from picturebook import words
from picturebook.captions import article
from picturebook.describer import LENGTH, new_describer, new_tokenizer, save
from picturebook.judge import ATTRIBUTES
from picturebook.judge_training import labels, worn
from picturebook.progress import TrainingProgress, set_rate
from picturebook.safety import SIDE, prepare
from picturebook.scenes import SIZE_WEIGHTS, SIZES, Scene, draw, random_scene

FRESH = 8
"""Scenes drawn for each batch; the rest of it was drawn before."""

_SUBJECTS = {**words.SUBJECTS, **words.FORBIDDEN}
_UNSAID = {"day": 0.5, "clear": 0.7, "illustration": 0.3}
"""Shares of descriptions that leave out what is meant where nothing is said."""


def description(scene: Scene, rng: random.Random) -> str:
    """Describe a scene: all that a prompt would name, in one of several wordings."""
    noun = article(f"{_phrase(words.COLOURS[scene.colour], rng)} {_phrase(_SUBJECTS[scene.subject], rng)}")
    parts = [noun, _phrase(words.GROUNDS[scene.ground], rng)]
    parts += [_phrase(words.TIMES[scene.time], rng)] if _said(scene.time, rng) else []
    parts += [_phrase(words.SKIES[scene.sky], rng)] if _said(scene.sky, rng) else []
    text = " ".join(parts)
    if not _said(scene.style, rng):
        return text
    style = _phrase(words.STYLES[scene.style], rng)
    return rng.choice((f"{text}, {style}", f"{article(style)} of {text}"))


def _phrase(choices: tuple[str, ...], rng: random.Random) -> str:
    return choices[0] if rng.random() < 0.6 else rng.choice(choices)


def _said(value: str, rng: random.Random) -> bool:
    return rng.random() >= _UNSAID.get(value, 0.0)


def batches(batch: int, rng: random.Random, most: int = 16000) -> Iterator[tuple[Tensor, list[Scene]]]:
    """Endless batches (n, 3, SIDE, SIDE) with their scenes; at most so many are kept to be seen again."""
    pictures: list[Tensor] = []
    scenes: list[Scene] = []
    while True:
        fresh = [random_scene(rng) for _ in range(batch if not scenes else FRESH)]
        ready = prepare([draw(scene, rng.choices(SIZES, SIZE_WEIGHTS)[0]) for scene in fresh])
        pictures += [((picture + 1) * 127.5).round().byte() for picture in ready]
        scenes += fresh
        del pictures[:-most], scenes[:-most]
        newest = range(len(scenes) - FRESH, len(scenes))
        chosen = [*newest, *rng.choices(range(len(scenes)), k=batch - FRESH)]
        stacked = torch.stack([pictures[index] for index in chosen]).float() / 127.5 - 1
        yield _varied(stacked, rng), [scenes[index] for index in chosen]


def _varied(pictures: Tensor, rng: random.Random) -> Tensor:
    """The batch perhaps mirrored, moved by a few pixels, and worn."""
    if rng.random() < 0.5:
        pictures = pictures.flip(3)
    moved = functional.pad(pictures, (4, 4, 4, 4), mode="reflect")
    x, y = rng.randrange(9), rng.randrange(9)
    return worn(moved[:, :, y : y + SIDE, x : x + SIDE], rng)


def begin(checker: StableDiffusionSafetyChecker) -> VisionEncoderDecoderModel:
    """A describer that sees as the safety checker does, which has learned what scenes are made of."""
    model = new_describer(checker.config.vision_config)
    model.encoder.load_state_dict(checker.vision_model.state_dict())
    return model


MEASURED: dict[str, dict[str, tuple[str, ...]]] = {
    "subject": words.SUBJECTS,
    "colour": words.COLOURS,
    "ground": words.GROUNDS,
    "time": words.TIMES,
    "style": words.STYLES,
}


@torch.no_grad()
def measure(
    model: VisionEncoderDecoderModel, count: int = 300, *, held_out: bool = False
) -> dict[str, float]:
    """The share (0..1) of scenes in whose descriptions each attribute is right.

    What a description leaves out counts as what is meant where nothing is said.
    """
    rng, tokenizer = random.Random(91), new_tokenizer()
    scenes = [random_scene(rng, held_out=held_out, skulls=0.0) for _ in range(count)]
    pictures = prepare([draw(scene, rng.choices(SIZES, SIZE_WEIGHTS)[0]) for scene in scenes])
    said = []
    for part in torch.split(pictures, 50):
        tokens = model.generate(pixel_values=part, do_sample=False, max_new_tokens=LENGTH)
        said += tokenizer.batch_decode(tokens, skip_special_tokens=True)
    pairs = list(zip(said, scenes, strict=True))
    return {
        name: sum(getattr(scene, name) == _named(text, table) for text, scene in pairs) / count
        for name, table in MEASURED.items()
    }


def _named(text: str, table: dict[str, tuple[str, ...]]) -> str | None:
    """The value that a description names, by its longest phrase; else the one that need not be said."""
    spaced = f" {text.replace(',', ' ')} "
    found = {len(phrase): value for value, row in table.items() for phrase in row if f" {phrase} " in spaced}
    return found[max(found)] if found else next((value for value in table if value in _UNSAID), None)


def train_describer(
    checker: StableDiffusionSafetyChecker, work: Path, folder: Path, steps: int, batch: int = 32
) -> None:
    """Train the describer and write it to ``folder``; checkpoints lie in ``work``."""
    torch.manual_seed(8)
    model, tokenizer = begin(checker), new_tokenizer()
    # The encoder is asked for each attribute by itself too: it learns to see the sooner for it.
    width = 2 * model.config.encoder.hidden_size
    heads = nn.ModuleDict({name: nn.Linear(width, len(values)) for name, values in ATTRIBUTES.items()})
    seeing, speaking = model.encoder.parameters(), [*model.decoder.parameters(), *heads.parameters()]
    groups: list[dict[str, Any]] = [{"params": list(seeing), "share": 0.5}, {"params": speaking}]
    optimiser = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.03)
    progress = TrainingProgress(
        "describer", work, steps, {"model": model, "heads": heads, "optimiser": optimiser}
    )
    rng = random.Random(17 + progress.step)
    source = batches(batch, rng)
    model.train()
    for step in progress:
        set_rate(optimiser, step, steps, 1e-3, 60)
        pictures, scenes = next(source)
        said = [f"{description(scene, rng)} {tokenizer.eos_token}" for scene in scenes]
        tokens = tokenizer(said, padding=True, return_tensors="pt")
        wanted = tokens.input_ids.masked_fill(tokens.attention_mask == 0, -100)
        seen = model.encoder(pixel_values=pictures).last_hidden_state
        spoken = model(encoder_outputs=(seen,), labels=wanted)
        pooled = torch.cat([seen.mean(dim=1), seen.amax(dim=1)], dim=1)
        values = labels(scenes)
        besides = [functional.cross_entropy(heads[name](pooled), values[name]) for name in ATTRIBUTES]
        loss = 2 * spoken.loss + 0.3 * torch.stack(besides).sum()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        progress.show(loss=loss.item(), spoken=spoken.loss.item(), subject=besides[0].item())
    save(model.eval(), folder)
    for held_out in (False, True):
        shares = measure(model, held_out=held_out)
        print("held out" if held_out else "known", {name: f"{share:.1%}" for name, share in shares.items()})
