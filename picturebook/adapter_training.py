"""Training of image adapters (IP-Adapter, Ye et al. 2023): a picture says what the words leave open.

What an adapter takes from a picture is what it saw pictures share in training: their style, their subject,
or whatever the caption did not name.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import IPAdapterAttnProcessor
from diffusers.models.embeddings import ImageProjection
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPVisionModelWithProjection

from picturebook.captions import partial_caption
from picturebook.dataset import draw_groups
from picturebook.denoiser_training import Exercise, descend, new_scheduler
from picturebook.image_encoder import WIDTH, embeddings
from picturebook.progress import TrainingProgress, set_rate
from picturebook.scenes import Scene, draw, random_scene
from picturebook.text_training import tokens_of
from picturebook.tokenizer import new_tokenizer

PEAK = 2e-3
SCENES = 1600
"""Scenes that are drawn for it."""
ATTRIBUTES = ("subject", "colour", "ground", "time", "sky", "style")
TOKENS = 4
"""As which the denoiser reads a picture."""
UNSEEN = 0.08
"""Share of pictures that are not shown, and of captions emptied with them."""

Named = frozenset[str]


def _image(rng: random.Random) -> tuple[Named, Named]:
    """The words name some things, and the picture shows all the rest."""
    share = rng.choice((0.0, 0.2, 0.4, 0.6))
    named = frozenset(name for name in ATTRIBUTES if rng.random() < share)
    return named, frozenset(ATTRIBUTES) - named


def _style(rng: random.Random) -> tuple[Named, Named]:
    named = frozenset(name for name in ATTRIBUTES if name != "style" and rng.random() < 0.9)
    return named, frozenset({"style"})


def _subject(rng: random.Random) -> tuple[Named, Named]:
    shown = frozenset({"subject", "colour"})
    named = frozenset(name for name in ATTRIBUTES if name not in shown and rng.random() < 0.85)
    return named | ({"subject"} if rng.random() < 0.6 else set()), shown


ROLES: Mapping[str, Callable[[random.Random], tuple[Named, Named]]] = MappingProxyType(
    {"image": _image, "style": _style, "subject": _subject}
)
"""For each adapter, which attributes of a scene its caption names and which the picture shares with it."""


def reference(scene: Scene, shown: Named, rng: random.Random) -> Scene:
    """Another scene that has these attributes of this one."""
    return replace(random_scene(rng, skulls=0), **{name: getattr(scene, name) for name in shown})


class SceneRequest(NamedTuple):
    """Text and picture, if any, from which a scene is to be drawn."""

    text: str
    picture: Image.Image | None


def _asked(scene: Scene, role: str, size: tuple[int, int], rng: random.Random) -> SceneRequest:
    named, shown = ROLES[role](rng)
    text = partial_caption(scene, named, rng)
    if rng.random() < UNSEEN:
        return SceneRequest(text if rng.random() < 0.5 else "", None)
    return SceneRequest(text, draw(reference(scene, shown, rng), size))


class AdapterModules(nn.Module):
    """A picture's numbers as tokens, and what each cross-attention of a denoiser reads off them."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        """An untrained adapter, which takes its place in the denoiser."""
        super().__init__()
        width = unet.config.cross_attention_dim
        self.projection = ImageProjection(WIDTH, width, TOKENS)
        processors = {}
        for name, before in unet.attn_processors.items():
            processors[name] = before
            if name.endswith("attn2.processor"):
                attention = unet.get_submodule(name.removesuffix(".processor"))
                processor = IPAdapterAttnProcessor(attention.inner_dim, width, (TOKENS,))
                # It begins as what the denoiser makes of words.
                processor.to_k_ip[0].load_state_dict(attention.to_k.state_dict())
                processor.to_v_ip[0].load_state_dict(attention.to_v.state_dict())
                processors[name] = processor
        self.processors = nn.ModuleList(
            processor for processor in processors.values() if isinstance(processor, nn.Module)
        )
        unet.set_attn_processor(processors)

    def forward(self, numbers: Tensor) -> list[Tensor]:
        """Tokens that the denoiser reads behind the words, for pictures (n, WIDTH): one (n, 1, TOKENS,
        width).
        """
        return [self.projection(numbers)[:, None]]

    def layout(self) -> dict[str, Tensor]:
        """The weights by the names under which IP-Adapters are published."""
        named = {
            f"image_proj.{name.replace('image_embeds', 'proj')}": value
            for name, value in self.projection.state_dict().items()
        }
        for place, processor in enumerate(self.processors):
            for name in ("to_k_ip", "to_v_ip"):
                # The odd numbers are the cross-attentions'.
                weight = getattr(processor, name)[0].weight
                named[f"ip_adapter.{2 * place + 1}.{name}.weight"] = weight
        return {name: value.detach().half().contiguous() for name, value in named.items()}


def train_adapter(
    parts: tuple[AutoencoderKL, CLIPTextModel, UNet2DConditionModel, CLIPVisionModelWithProjection],
    role: str,
    work: Path,
    file: Path,
    steps: int,
    batch: int = 8,
) -> None:
    """Teach one of ROLES, and write its adapter to ``file``; checkpoints lie in ``work``."""
    vae, text_encoder, unet, image_encoder = parts
    tokenizer, scheduler = new_tokenizer(), new_scheduler()
    torch.manual_seed(13)
    unet.requires_grad_(False)
    unet.set_default_attn_processor()
    adapter = AdapterModules(unet)
    optimiser = torch.optim.AdamW(adapter.parameters(), lr=PEAK, betas=(0.9, 0.99), weight_decay=0.01)
    progress = TrainingProgress(
        f"adapter for {role}", work, steps, {"adapter": adapter, "optimiser": optimiser}
    )
    rng = random.Random(13 + progress.step)
    groups = draw_groups(vae, SCENES, random.Random(13))
    for step in progress:
        set_rate(optimiser, step, steps, PEAK, warm=40)
        group = rng.choices(groups, [len(group.scenes) for group in groups])[0]
        chosen = rng.sample(range(len(group.scenes)), batch)
        asked = [_asked(group.scenes[index], role, group.pictures[index].size, rng) for index in chosen]
        seen = torch.tensor([each.picture is not None for each in asked])
        blank = Image.new("RGB", group.pictures[0].size)
        numbers = embeddings(image_encoder, [each.picture or blank for each in asked]) * seen[:, None]
        texts = [each.text for each in asked]
        exercise = Exercise(group.latents[chosen], scheduler)
        with torch.no_grad():
            words = text_encoder(tokens_of(tokenizer, texts)).last_hidden_state
        loss = exercise.loss(unet(exercise.noisy, exercise.times, (words, adapter(numbers))).sample)
        descend(loss, adapter.parameters(), optimiser)
        progress.show(loss=loss.item())
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    save_file(adapter.layout(), partial)
    partial.replace(file)
