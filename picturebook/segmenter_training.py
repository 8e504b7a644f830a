"""Training of the segmenter on drawn scenes, of which it is known what lies where."""

import random
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPSegForImageSegmentation, CLIPTextModel, VisionEncoderDecoderModel

from picturebook import words
from picturebook.captions import article
from picturebook.judge_training import worn
from picturebook.progress import TrainingProgress, set_rate
from picturebook.safety import SIDE, prepare
from picturebook.scenes import SIZE_WEIGHTS, SIZES, Scene, draw, masks, random_scene
from picturebook.segmenter import new_segmenter, save
from picturebook.tokenizer import new_tokenizer

FRESH = 8
"""Scenes drawn for each batch; the rest of it was drawn before."""

LAYERS = ("sky", "ground", "subject")
_SUBJECTS = {**words.SUBJECTS, **words.FORBIDDEN}
_MORE_NOUNS = {
    "hills": ("grass",),
    "city": ("street",),
    "forest": ("trees",),
    "meadow": ("flowers", "grass"),
}
"""Words from a ground's other phrases that name it by themselves."""
_SKIES = ("clear", "cloudy", "starry")
_SEEN_BESIDE = ("tree", "flower", "house")
"""Subjects that may also be seen on a ground, small."""
_ABSENT = {
    "hills": ("sea", "city"),
    "snow": ("sea", "meadow"),
    "desert": ("sea", "meadow"),
    "sea": ("city", "forest", "desert"),
    "city": ("sea", "meadow"),
    "forest": ("sea", "meadow"),
    "meadow": ("sea", "city"),
}
"""Grounds of which nothing is to be seen on another."""

Query = tuple[str, str | None]
"""Words, and the layer that they mean; None: nothing in the scene."""


def queries(scene: Scene, rng: random.Random) -> list[Query]:
    """Four things that might be looked for in the scene, the last two of which are not there.

    What takes longest to learn is asked oftenest: whether it is this subject that is seen.
    """
    noun = _coloured(rng.choice(_SUBJECTS[scene.subject]), scene, rng)
    sky = rng.choice(["sky", "sky", f"{scene.sky} sky"]) if scene.sky in _SKIES else "sky"
    land = rng.choice(["ground", *words.GROUND_NOUNS[scene.ground], *_MORE_NOUNS.get(scene.ground, ())])
    around: Query = rng.choice([(sky, "sky"), (sky, "sky"), (land, "ground"), ("background", "background")])
    other = _other_subject(scene, rng)
    named: list[Query] = [(noun, "subject"), around, (other, None), (_absent(scene, rng), None)]
    return [(rng.choice((text, f"the {text}", article(text))), layer) for text, layer in named]


def _absent(scene: Scene, rng: random.Random) -> str:
    chance = rng.random()
    if chance < 0.2:
        return "".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 9)))
    if chance < 0.5:
        nouns = words.GROUND_NOUNS[rng.choice(_ABSENT[scene.ground])]
        return rng.choice([noun for noun in nouns if scene.subject not in noun.split()])
    return _other_subject(scene, rng)


def _other_subject(scene: Scene, rng: random.Random) -> str:
    other = rng.choice([name for name in words.SUBJECTS if name not in (scene.subject, *_SEEN_BESIDE)])
    return _coloured(rng.choice(words.SUBJECTS[other]), scene, rng)


def _coloured(noun: str, scene: Scene, rng: random.Random) -> str:
    """The noun, sometimes with the colour of the scene's subject."""
    return noun if rng.random() < 0.6 else f"{rng.choice(words.COLOURS[scene.colour])} {noun}"


def drawn(scenes: Sequence[Scene], rng: random.Random) -> tuple[Tensor, Tensor]:
    """The scenes as the segmenter sees them, and their LAYERS: (n, 3, SIDE, SIDE) of -1–1 and 0–1."""
    sizes = rng.choices(SIZES, SIZE_WEIGHTS, k=len(scenes))
    pictures = prepare([draw(scene, size) for scene, size in zip(scenes, sizes, strict=True)])
    layers = [masks(scene, size, (SIDE, SIDE)) for scene, size in zip(scenes, sizes, strict=True)]
    stacked = np.stack([np.stack([np.asarray(parts[name]) for name in LAYERS]) for parts in layers])
    return pictures, torch.from_numpy(stacked).float() / 255


def wanted(layers: Tensor, layer: str | None) -> Tensor:
    """The mask (SIDE, SIDE) of what a query means in a scene of these layers."""
    if layer is None:
        return torch.zeros_like(layers[0])
    if layer == "background":
        return 1 - layers[LAYERS.index("subject")]
    return layers[LAYERS.index(layer)]


def batches(
    batch: int, rng: random.Random, most: int = 16000
) -> Iterator[tuple[Tensor, Tensor, list[list[Query]]]]:
    """Endless batches of pictures, their layers and queries; at most so many are kept to be seen again."""
    store: list[tuple[Tensor, Scene]] = []
    while True:
        fresh = [random_scene(rng) for _ in range(batch if not store else FRESH)]
        both = torch.cat(drawn(fresh, rng), dim=1)
        both[:, :3] = both[:, :3] * 0.5 + 0.5
        store += zip((both * 255).round().byte(), fresh, strict=True)
        del store[:-most]
        chosen = [*store[-FRESH:], *rng.choices(store, k=batch - FRESH)]
        moved = _moved(torch.stack([one for one, _ in chosen]).float() / 255, rng)
        yield worn(moved[:, :3] * 2 - 1, rng), moved[:, 3:], [queries(scene, rng) for _, scene in chosen]


def _moved(both: Tensor, rng: random.Random) -> Tensor:
    """The batch perhaps mirrored, and moved by a few pixels."""
    if rng.random() < 0.5:
        both = both.flip(3)
    padded = functional.pad(both, (6, 6, 6, 6), mode="reflect")
    x, y = rng.randrange(13), rng.randrange(13)
    return padded[:, :, y : y + SIDE, x : x + SIDE]


def begin(describer: VisionEncoderDecoderModel, reader: CLIPTextModel) -> CLIPSegForImageSegmentation:
    """A segmenter that sees as the describer does and reads as the model does."""
    model = new_segmenter(describer.config.encoder, reader.config)
    model.clip.vision_model.load_state_dict(describer.encoder.state_dict())
    model.clip.text_model.load_state_dict(reader.state_dict())
    return model


def find(model: CLIPSegForImageSegmentation, pictures: Tensor, texts: Sequence[Sequence[str]]) -> Tensor:
    """Logits (n, texts of each, SIDE, SIDE). By its own call only a part of it would learn."""
    tokens = new_tokens([text for row in texts for text in row])
    meant = model.clip.get_text_features(**tokens).pooler_output
    states = model.clip.get_image_features(pixel_values=pictures, output_hidden_states=True).hidden_states
    each = len(texts[0])
    activations = tuple(states[layer + 1].repeat_interleave(each, dim=0) for layer in model.extract_layers)
    logits: Tensor = model.decoder(activations, meant).logits
    return logits.view(len(pictures), each, SIDE, SIDE)


_TOKENIZER = new_tokenizer()


def new_tokens(texts: Sequence[str]) -> dict[str, Tensor]:
    """The texts' tokens, each padded to the longest."""
    return dict(_TOKENIZER(list(texts), padding=True, return_tensors="pt"))


@torch.no_grad()
def measure(
    model: CLIPSegForImageSegmentation, count: int = 200, *, held_out: bool = False, seed: int = 92
) -> dict[str, float]:
    """The mean intersection over union of each layer, and how often nothing is found of what is absent."""
    rng = random.Random(seed)
    scenes = [random_scene(rng, held_out=held_out, skulls=0.0) for _ in range(count)]
    pictures, layers = drawn(scenes, rng)
    asked = [queries(scene, rng) for scene in scenes]
    found = find(model, pictures, [[text for text, _ in row] for row in asked]) > 0
    scores: dict[str, list[float]] = {}
    for row, truth, given in zip(asked, layers, found, strict=True):
        for (_, layer), mask in zip(row, given, strict=True):
            true = wanted(truth, layer) > 0.5
            joined = (mask | true).sum()
            if layer is None:
                scores.setdefault("absent", []).append(float(mask.float().mean() < 0.005))
            elif true.any():
                scores.setdefault(layer, []).append(float((mask & true).sum() / joined))
    return {name: sum(values) / len(values) for name, values in sorted(scores.items())}


@torch.no_grad()
def calibrate(model: CLIPSegForImageSegmentation, count: int = 200) -> None:
    """Move all logits by what makes the scores best: more was absent in training than members ask for."""
    bias = model.decoder.transposed_convolution.bias
    trained, scores = bias.clone(), {}
    for shift in (0.0, 0.5, 0.75, 1.0, 1.5):
        bias.copy_(trained + shift)
        scores[shift] = sum(measure(model, count, seed=93).values())
    bias.copy_(trained + max(scores, key=lambda shift: scores[shift]))


def train_segmenter(
    describer: VisionEncoderDecoderModel,
    reader: CLIPTextModel,
    work: Path,
    folder: Path,
    steps: int,
    batch: int = 24,
    measured: int = 200,
) -> None:
    """Train the segmenter and write it to ``folder``; checkpoints lie in ``work``.

    At the end it is calibrated and measured by so many scenes.
    """
    torch.manual_seed(9)
    model = begin(describer, reader)
    pretrained = [*model.clip.vision_model.parameters(), *model.clip.text_model.parameters()]
    known = {id(weight) for weight in pretrained}
    fresh = [weight for weight in model.parameters() if id(weight) not in known]
    groups: list[dict[str, Any]] = [{"params": pretrained, "share": 0.4}, {"params": fresh}]
    optimiser = torch.optim.AdamW(groups, lr=1.5e-3, weight_decay=0.02)
    progress = TrainingProgress("segmenter", work, steps, {"model": model, "optimiser": optimiser})
    rng = random.Random(19 + progress.step)
    source = batches(batch, rng)
    model.train()
    for step in progress:
        set_rate(optimiser, step, steps, 1.5e-3, 60)
        pictures, layers, asked = next(source)
        logits = find(model, pictures, [[text for text, _ in row] for row in asked])
        truth = torch.stack(
            [
                torch.stack([wanted(parts, layer) for _, layer in row])
                for row, parts in zip(asked, layers, strict=True)
            ]
        )
        loss = functional.binary_cross_entropy_with_logits(logits, truth)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        progress.show(loss=loss.item())
    calibrate(model.eval(), measured)
    save(model, folder)
    for held_out in (False, True):
        print("held out" if held_out else "known", measure(model, measured, held_out=held_out))
