"""A model family of another kind than Stable Diffusion: flow matching, a transformer, texts of any length.

Its networks are small and random; its latents are the mean colours of four by four pixels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import PIL.Image
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor, nn

from generator.conditioning.prompts import Embedding, PromptCache
from generator.conditioning.tokens import Text
from generator.families.auxiliary import weights_bytes
from generator.families.base import Conditions, Denoising, Family
from generator.memory.plan import PLAIN, MemoryPlan
from storage.catalog_files import ModelFiles
from storage.errors import CatalogError
from storage.model_families import ModelFamily

SCALE = 4
CHANNELS = 3
WIDTH = 16
LINE = ModelFamily("tests.generator.toy_flow:ToyFlow", ("euler",), "ToyFlowPipeline")
"""The family's line in the registry."""


def make(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "ToyFlowPipeline"}))
    return folder


class Transformer(nn.Module):
    """Attention of latents to each other and to the text's bytes, whose number may differ by row."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.write = nn.Linear(CHANNELS, WIDTH), nn.Linear(WIDTH, CHANNELS)
        self.time = nn.Linear(1, WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        with torch.no_grad():
            for weight in self.parameters():
                weight.mul_(3)

    def forward(self, latents: Tensor, timesteps: Tensor, text: Tensor, absent: Tensor) -> Tensor:
        """(rows, 3, h, w) at (rows,) timesteps 0–1000, (rows, tokens, width) and where there is no token."""
        rows, _, height, width = latents.shape
        image = self.read(latents.flatten(2).mT) + self.time(timesteps[:, None, None] / 1000)
        both = torch.cat([image, text], dim=1)
        ignored = torch.cat([absent.new_zeros(rows, image.shape[1]), absent], dim=1)
        seen, _ = self.attention(image, both, both, key_padding_mask=ignored, need_weights=False)
        velocity: Tensor = self.write(torch.tanh(seen + image)).mT
        return velocity.reshape(rows, CHANNELS, height, width)


class FlowDenoising:
    """Euler's steps along the flow, by diffusers' scheduler."""

    order = 1

    def __init__(self, steps: int, strength: float | None) -> None:
        self._scheduler: Any = FlowMatchEulerDiscreteScheduler(shift=3.0)
        self._scheduler.set_timesteps(steps)
        begin = 0 if strength is None else steps - max(1, int(steps * strength))
        self._scheduler.set_begin_index(begin)
        self._timesteps: Tensor = self._scheduler.timesteps[begin:]
        self._sigmas: list[float] = self._scheduler.sigmas[begin:].tolist()
        self.times: Sequence[float] = self._timesteps.tolist()

    def initial(self, noise: Tensor, source: Tensor | None) -> Tensor:
        return noise if source is None else self.noised(source, noise, 0)

    def model_input(self, latents: Tensor, call: int) -> Tensor:
        del call
        return latents

    def step(self, output: Tensor, latents: Tensor, call: int) -> Tensor:
        stepped: Tensor = self._scheduler.step(output, self._timesteps[call], latents, return_dict=False)[0]
        return stepped

    def estimate(self, model_input: Tensor, output: Tensor, call: int) -> Tensor:
        return model_input - self._sigmas[call] * output

    def noised(self, clean: Tensor, noise: Tensor, call: int) -> Tensor:
        return torch.lerp(clean, noise, self._sigmas[call])


class ToyFlow(Family):
    samplers = LINE.samplers
    latent_scale = SCALE
    native_side = 32

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.transformer = Transformer().to(device, dtype).eval()
            self.bytes = nn.Embedding(256, WIDTH).to(device, dtype).eval()
        self.prompts = self.negatives = PromptCache(self.encode)

    @classmethod
    def load(
        cls, files: ModelFiles, device: torch.device, dtype: torch.dtype, plan: MemoryPlan = PLAIN
    ) -> Self:
        del plan
        if not (Path(files.source) / "model_index.json").is_file():
            raise CatalogError(f"The model at {files.source} cannot be loaded: there is no such folder.")
        return cls(device, dtype)

    @property
    def modules(self) -> Sequence[nn.Module]:
        return (self.transformer, self.bytes)

    @property
    def size_bytes(self) -> int:
        return weights_bytes(*self.modules, on=self.device)

    def work_per_row(self, latent_pixels: int) -> float:
        return latent_pixels * sum(weight.numel() for weight in self.transformer.parameters())

    def replace_networks(self, quicker: Callable[[Any], Any]) -> None:
        """There is nothing to compile of a toy."""

    def encode(self, texts: Sequence[Text]) -> list[Embedding]:
        """A token for each byte, and one for the beginning."""
        return [self._encoded(text) for text in texts]

    def _encoded(self, text: Text) -> Embedding:
        plain = text if isinstance(text, str) else "".join(phrase.text for phrase in text)
        return Embedding(self.bytes(torch.tensor([[0, *plain.encode()]], device=self.device)))

    def is_guided(self, guidance_scale: float) -> bool:
        return guidance_scale > 0

    def guide(self, output: Tensor, guidance_scale: float) -> Tensor:
        """Above 0, as Z-Image guides."""
        without, with_prompt = output.chunk(2)
        return with_prompt + guidance_scale * (with_prompt - without)

    def conditions(
        self,
        positive: Sequence[Embedding],
        negative: Sequence[Embedding],
        *,
        size: tuple[int, int],
        guidance_scale: float,
    ) -> Conditions:
        del size, guidance_scale
        return self.joined([{"text": each.tokens} for each in (*negative, *positive)])

    def batch_key(self, shape: Sequence[int], conditions: Conditions) -> Hashable:
        """Texts of any length share a call."""
        del conditions
        return tuple(shape)

    def joined(self, conditions: Sequence[Conditions]) -> Conditions:
        """Texts of different lengths are filled up, and what fills them is not attended to."""
        longest = max(each["text"].shape[1] for each in conditions)
        texts, absents = [], []
        for each in conditions:
            text, missing = each["text"], longest - each["text"].shape[1]
            absent = each.get("absent", torch.zeros(text.shape[:2], dtype=torch.bool, device=self.device))
            texts.append(nn.functional.pad(text, (0, 0, 0, missing)))
            absents.append(nn.functional.pad(absent, (0, missing), value=True))
        return {"text": torch.cat(texts), "absent": torch.cat(absents)}

    def denoising(
        self,
        sampler: str,
        steps: int,
        *,
        size: tuple[int, int],
        strength: float | None,
        rngs: list[torch.Generator],
    ) -> Denoising:
        del sampler, size, rngs
        return FlowDenoising(steps, strength)

    def predict(self, latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        velocity: Tensor = self.transformer(latents, timesteps, conditions["text"], conditions["absent"])
        return velocity

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        return (CHANNELS, height // SCALE, width // SCALE)

    def pixels(self, image: PIL.Image.Image, width: int, height: int) -> Tensor:
        values = np.asarray(image.convert("RGB").resize((width, height)), np.float32) / 127.5 - 1
        return torch.from_numpy(values).permute(2, 0, 1)[None]

    def mask(self, image: PIL.Image.Image, width: int, height: int) -> Tensor:
        white = np.asarray(image.convert("L").resize((width, height))) > 127
        return torch.from_numpy(white.astype(np.float32))[None, None]

    def source_latents(self, pixels: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        means = nn.functional.avg_pool2d(pixels.to(self.device, self.dtype), SCALE)
        return means.repeat(len(rngs), 1, 1, 1)

    def decode(self, latents: Tensor) -> Tensor:
        return nn.functional.interpolate(latents.clamp(-1, 1), scale_factor=SCALE)

    def images(self, pixels: Tensor) -> list[PIL.Image.Image]:
        values = ((pixels.float().cpu() + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        return [PIL.Image.fromarray(each) for each in values]

    def preview(self, latents: Tensor, size: tuple[int, int]) -> list[PIL.Image.Image]:
        return [each.resize(size) for each in self.images(latents.clamp(-1, 1))]
