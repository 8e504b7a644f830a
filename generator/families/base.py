"""The Family protocol: all that the engine knows of a model.

A family reads texts, says what its networks predict for noisy latents, and makes images of finished ones.
It inherits from `Family`, which refuses what few families can do (LoRAs, image adapters, controls, tiling),
and gets its line in `storage/model_families.py`. Latents stay (n, channels, height, width) between two calls
of `predict`: packing them, position ids and the like are `predict`'s own.
"""

# ruff: noqa: ARG002  most methods here only say what they are given
from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Self

import PIL.Image
import torch
from torch import Tensor

from generator.conditioning.prompts import Embedding, PromptCache
from generator.conditioning.tokens import Text
from generator.memory.plan import GPU_LATENTS, PLAIN, MemoryPlan
from storage.catalog_companions import AdapterEntry, ControlEntry, EmbeddingEntry, LoraEntry
from storage.catalog_files import ModelFiles
from storage.contract import Role
from storage.errors import CatalogError

Conditions = dict[str, Tensor]
"""Inputs of a network besides latents and timestep, by name; the first dimension of each is rows."""


class WeightedLora(NamedTuple):
    entry: LoraEntry
    weight: float


class Denoising(Protocol):
    """One job's way from noise to finished latents by one sampler, without the latents.

    A `call` is the index of a call of `Family.predict` among this job's. Each call is stepped once, in order.
    """

    times: Sequence[float]
    """Timestep of each call, as `Family.predict` takes it."""

    order: int
    """Calls that one step of the sampler takes."""

    def initial(self, noise: Tensor, source: Tensor | None) -> Tensor:
        """Latents before the first call: of noise alone, or the source's made as noisy as that call wants."""

    def model_input(self, latents: Tensor, call: int) -> Tensor:
        """Latents as the network is shown them."""

    def step(self, output: Tensor, latents: Tensor, call: int) -> Tensor:
        """Latents after this call, whose guided prediction is `output`; in any precision."""

    def estimate(self, model_input: Tensor, output: Tensor, call: int) -> Tensor:
        """Finished latents (x₀) as this call's guided prediction has them."""

    def noised(self, clean: Tensor, noise: Tensor, call: int) -> Tensor:
        """Finished latents made as noisy as those before this call, which is not the first; at the end of
        `times` they stay as they are.
        """


class Relayed(Denoising, Protocol):
    """A `Denoising` that one model begins and another ends."""

    handover: int
    """The first call of the second model."""


class Family(Protocol):
    """One model's networks on one device. Only the device's thread calls what computes."""

    device: torch.device
    dtype: torch.dtype
    """Precision of latents between two calls."""

    samplers: Sequence[str] = ()
    """Names of samplers that it runs. The first is the plain one: it draws no noise of its own."""

    latent_scale: int
    """Pixels along one side of a latent."""

    native_side: int
    """Pixels along one side of the square images that it was made for."""

    gpu_latents: int = GPU_LATENTS
    """Latent pixels in one call of `predict` that fill a large GPU."""

    plan: MemoryPlan = PLAIN
    """Measures by which it fits into its device's memory."""

    reads_mask: bool = False
    """True for networks made for inpainting: `mask_conditions` are among their inputs, and they draw nothing
    without.
    """

    prompts: PromptCache
    negatives: PromptCache
    """Embeddings of texts, by `encode`, and of negative prompts where these differ."""

    @classmethod
    def load(
        cls, files: ModelFiles, device: torch.device, dtype: torch.dtype, plan: MemoryPlan = PLAIN
    ) -> Self:
        """Load a folder, a single file or a Hugging Face id, with what the catalog says of it, its networks
        where the plan wants them.

        Raises:
            CatalogError: what is there cannot be drawn with.
            Exception: whatever its library raises for files that are missing or torn
                (`pretrained.UNREADABLE`).
        """

    def is_sound(self) -> bool:
        """True if no number overflows in this precision."""
        return True

    @property
    def modules(self) -> Sequence[torch.nn.Module]:
        """All networks that take memory of the device."""

    @property
    def size_bytes(self) -> int:
        """Bytes that the weights take on the device."""

    def work_per_row(self, latent_pixels: int) -> float:
        """Work of one row of a call, in a unit that all families share: weights times latent pixels."""

    def replace_networks(self, quicker: Callable[[Any], Any]) -> None:
        """Put `quicker(module)` in the place of each module that is called for every row or image."""

    def encode(self, texts: Sequence[Text]) -> list[Embedding]:
        """Embed each text; the result may not depend on the other texts."""

    def is_guided(self, guidance_scale: float) -> bool:
        """True if an image takes two rows of a call, without the prompt and with it."""

    def guide(self, output: Tensor, guidance_scale: float) -> Tensor:
        """(2n, …) predictions, those without the prompt first, as (n, …) by classifier-free guidance."""
        without, with_prompt = output.chunk(2)
        return without + guidance_scale * (with_prompt - without)

    def conditions(
        self,
        positive: Sequence[Embedding],
        negative: Sequence[Embedding],
        *,
        size: tuple[int, int],
        guidance_scale: float,
    ) -> Conditions:
        """Rows for images of `size` (width, height), an embedding for each; the negative ones come first.

        `negative` is empty where there is no guidance.
        """

    def reference_conditions(
        self,
        references: Mapping[Role, Sequence[PIL.Image.Image]],
        weights: Mapping[Role, float],
        count: int,
        *,
        guided: bool,
    ) -> Conditions:
        """Rows for `count` images that read reference images; there are none without `with_adapters`."""
        return {}

    def control_pixels(self, image: PIL.Image.Image, width: int, height: int) -> Tensor:
        """(1, 3, height, width): what the control network is shown; any thread may do it."""
        raise CatalogError("This model has no control networks.")

    def control_conditions(self, pixels: Tensor, weight: float, count: int, *, guided: bool) -> Conditions:
        """Rows for `count` images led by `pixels`; where there is guidance the negative ones come first."""
        raise CatalogError("This model has no control networks.")

    def mask_conditions(self, mask: Tensor, masked: Tensor, *, guided: bool) -> Conditions:
        """Rows for a mask (1, 1, h, w) and the latents of n masked images, where `reads_mask`."""
        return {}

    def batch_key(self, shape: Sequence[int], conditions: Conditions) -> Hashable:
        """Return what must be equal for two jobs to share a call.

        That is `shape` (channels, height, width) of their latents at the least, and whatever `joined` needs
        to be alike in their conditions.
        """
        return tuple(shape), tuple((name, value.shape[1:]) for name, value in conditions.items())

    def joined(self, conditions: Sequence[Conditions]) -> Conditions:
        """Conditions of several jobs of one `batch_key`, all their rows in one."""
        return {name: torch.cat([each[name] for each in conditions]) for name in conditions[0]}

    def denoising(
        self,
        sampler: str,
        steps: int,
        *,
        size: tuple[int, int],
        strength: float | None,
        rngs: list[torch.Generator],
    ) -> Denoising:
        """Begin a job of so many steps; any thread may do it.

        With a `strength` (0–1) it starts from an image and leaves out the noisiest steps. A sampler's own
        noise is drawn from `rngs`, one for each image.

        Raises:
            ValueError: the sampler is not one of `samplers`.
        """

    def relay(self, first: Denoising, last: Denoising, part: float) -> Relayed | None:
        """A job's two schedules as one, where a refiner takes over when `part` (0–1) of the noise levels lies
        behind; None where it would take over from a picture that was not even begun, or do nothing.
        """
        raise CatalogError("This kind of model has no refiner.")

    def predict(self, latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        """One call of the network: (rows, channels, height, width) at (rows,) timesteps."""

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """(channels, height, width) of one image's latents.

        Raises:
            ValueError: the model cannot draw this size in pixels.
        """

    def pixels(self, image: PIL.Image.Image, width: int, height: int) -> Tensor:
        """(1, 3, height, width) in −1…1; any thread may do it."""

    def mask(self, image: PIL.Image.Image, width: int, height: int) -> Tensor:
        """(1, 1, height, width): 1 where the mask is white, 0 elsewhere; any thread may do it."""

    def source_latents(self, pixels: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """Latents of one image, (n, channels, h, w): a sample for each generator."""

    def decode(self, latents: Tensor) -> Tensor:
        """(n, channels, height, width) to (n, 3, pixels, pixels) in −1…1."""

    def images(self, pixels: Tensor) -> list[PIL.Image.Image]:
        """Pixels in −1…1 on any device as images; any thread may do it."""

    def preview(self, latents: Tensor, size: tuple[int, int]) -> list[PIL.Image.Image]:
        """Finished latents as images of `size` (width, height), much quicker than `decode`; on any thread."""

    def with_loras(self, loras: Sequence[WeightedLora]) -> Self:
        """The same model with these weights added; all else the two share.

        Raises:
            CatalogError: one of them cannot be used.
        """
        raise CatalogError("This kind of model takes no LoRAs.")

    def add_loras(self, loras: Sequence[WeightedLora]) -> None:
        """Add these weights to the model's own, for good: before anything is drawn.

        Raises:
            CatalogError: one of them cannot be used.
        """
        raise CatalogError("This kind of model takes no LoRAs.")

    def add_embeddings(self, entries: Mapping[str, EmbeddingEntry]) -> None:
        """Teach its text encoders what these names mean in a text, for good.

        Raises:
            CatalogError: one of them cannot be used.
        """
        raise CatalogError("This kind of model takes no embeddings.")

    def with_adapters(self, entries: Mapping[Role, AdapterEntry]) -> Self:
        """The same model, reading images beside the words by these adapters; all else the two share.

        Raises:
            CatalogError: one of them cannot be used.
        """
        raise CatalogError("This kind of model takes no image adapters.")

    def with_control(self, entry: ControlEntry) -> Self:
        """The same model, led by a control network.

        Raises:
            CatalogError: it cannot be used.
        """
        raise CatalogError("This kind of model takes no control networks.")

    def tiling(self) -> Self:
        """The same model for images whose opposite edges meet; the two share their weights.

        Raises:
            CatalogError: this kind of model cannot.
        """
        raise CatalogError("This kind of model draws no pictures that tile.")
