"""Stable Diffusion 1.x and 2.x, and what every UNet family shares: text, noise prediction, pictures."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Self
from weakref import WeakValueDictionary

import PIL.Image
import torch
from diffusers import StableDiffusionPipeline
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg
from torch import Tensor

from generator import devices
from generator.conditioning.prompts import Embedding, PromptCache
from generator.conditioning.textual_inversion import NONE, NamedVectors, teach
from generator.conditioning.tokens import Text, emphasize, encoded, tokenize
from generator.families import adapters, controls, embedding_files, pipelines
from generator.families.adapters import ImageEncoder
from generator.families.auxiliary import weights_bytes
from generator.families.base import Conditions, Denoising, WeightedLora
from generator.families.controls import SpatialControl
from generator.families.denoising import DiffusionDenoising
from generator.families.latent_images import LatentImages
from generator.families.latent_preview import LatentColours, fit_colours
from generator.families.lora_layers import TEXT_ENCODERS
from generator.families.loras import add_loras, with_loras
from generator.families.parts import PICTURES, WEIGHTS, Denoiser, VaeDecoder
from generator.families.schedulers import TABLE, Schedulers
from generator.families.tiling import circular
from generator.inspection.admission import admit
from generator.memory.placement import Placement
from generator.memory.plan import PLAIN, MemoryPlan
from storage.catalog_companions import AdapterEntry, ControlEntry, EmbeddingEntry
from storage.catalog_files import ModelFiles
from storage.contract import Role

MASK = "mask and masked picture"
"""Name of the condition that `predict` puts behind the latents, as channels of the network's input."""

GPU_TEXTS = 8
"""Chunks of prompts in one call of a text encoder on a GPU, where eight take about as long as one."""


def texts_at_once(device: torch.device) -> int:
    """A CPU takes for eight eight times as long: there each is a call of its own."""
    return GPU_TEXTS if devices.is_gpu(device) else 1


class ImageAdapter(NamedTuple):
    """An image adapter of the catalog, and what it sees by."""

    entry: AdapterEntry
    encoder: ImageEncoder


class StableDiffusion(LatentImages):
    """A `UNet2DConditionModel` that reads one CLIP text encoder, with its autoencoder."""

    samplers: Sequence[str] = tuple(TABLE)

    pipeline_class: Any = StableDiffusionPipeline
    load_arguments: Mapping[str, Any] = {
        # The safety check is a room of its own (generator/companions/safety.py) and loads its own checker.
        "safety_checker": None,
        "feature_extractor": None,
        "requires_safety_checker": False,
    }

    clip_skip = 0
    """Last layers of the text encoders that a prompt does not go through; the negative one always does."""
    guidance_rescale = 0.0
    named: Sequence[NamedVectors] = (NONE, NONE)
    """Textual Inversions of each text encoder."""

    upcasts_vae = False
    """True if the autoencoder's `force_upcast` is heeded: XL's alone overflows in float16."""

    @classmethod
    def load(
        cls, files: ModelFiles, device: torch.device, dtype: torch.dtype, plan: MemoryPlan = PLAIN
    ) -> Self:
        pipeline = pipelines.load(cls.pipeline_class, files, device, dtype, **cls.load_arguments)
        family = cls(pipeline, device, dtype, plan)
        family.clip_skip, family.guidance_rescale = files.clip_skip, files.guidance_rescale
        return family

    def __init__(
        self, pipeline: Any, device: torch.device, dtype: torch.dtype, plan: MemoryPlan = PLAIN
    ) -> None:
        self.device = device
        self.dtype = dtype
        self.plan = plan
        self._placement = Placement(device, dtype, plan)
        self._pipeline = pipeline
        self.unet = self._placement.denoiser(pipeline.unet)
        self._take_autoencoder(self._placement.autoencoder(pipeline.vae))
        if dtype == torch.float16 and self.upcasts_vae and self.vae.config.get("force_upcast", False):
            self.vae.to(torch.float32)
        self._fuse_projections()
        # What no copy of this model uses any more is gone from these by itself.
        self._encoders: WeakValueDictionary[str, ImageEncoder] = WeakValueDictionary()
        self._controls: WeakValueDictionary[ControlEntry, SpatialControl] = WeakValueDictionary()
        self.adapters: Mapping[Role, ImageAdapter] = {}
        """Adapters that read pictures beside the words, by role, in the order in which the UNet has them."""
        self.control: SpatialControl | None = None
        self.denoiser: Callable[[Tensor, Tensor, Conditions], Tensor] = Denoiser(self.unet)
        """Module that `predict` calls: the networks themselves, or something quicker that does the same."""
        self.schedulers = Schedulers(pipeline.scheduler.config)
        self.samplers = self.schedulers.names
        self._maps = VaeImageProcessor(
            vae_scale_factor=self.latent_scale, do_normalize=False, do_convert_rgb=True
        )
        self._take_text_encoders(pipeline)
        self.texts_at_once = texts_at_once(device)
        self._remember_prompts()
        self.colours: LatentColours = fit_colours(self)

    def tiling(self) -> Self:
        clone = copy.copy(self)
        clone.unet, clone.vae = self._placement.denoiser(circular(self._pipeline.unet)), circular(self.vae)
        clone.vae.disable_tiling()  # a tile's opposite edges would meet
        clone.control = self.control and self.control.tiling()
        clone.denoiser, clone.decoder = _denoiser_of(clone), VaeDecoder(clone.vae)
        return clone

    def with_loras(self, loras: Sequence[WeightedLora]) -> Self:
        clone = copy.copy(self)
        clone._add(loras)  # noqa: SLF001  one of its own kind
        return clone

    def add_loras(self, loras: Sequence[WeightedLora]) -> None:
        add_loras(self._pipeline, loras)
        if self.plan.hooked:  # what computes is a clone of the pipeline's, as that was
            self.unet = self._placement.denoiser(self._pipeline.unet)
            self.denoiser = _denoiser_of(self)
        self._remember_prompts()

    def add_embeddings(self, entries: Mapping[str, EmbeddingEntry]) -> None:
        encoders: Sequence[Any] = self.read_by
        widths = [encoder.get_input_embeddings().embedding_dim for encoder in encoders]
        found = {name: embedding_files.vectors(entry, widths) for name, entry in entries.items()}
        self.named = [
            teach(encoder, {name: sides[place] for name, sides in found.items()})
            for place, encoder in enumerate(encoders)
        ]
        self._remember_prompts()

    def with_adapters(self, entries: Mapping[Role, AdapterEntry]) -> Self:
        chosen = {role: ImageAdapter(entry, self._encoder(entry)) for role, entry in entries.items()}
        clone = copy.copy(self)
        clone._pipeline = adapters.with_adapters(  # noqa: SLF001  one of its own kind
            self._pipeline, list(entries.values()), [each.encoder for each in chosen.values()]
        )
        clone.unet = self._placement.denoiser(clone._pipeline.unet)  # noqa: SLF001
        clone.adapters = chosen
        clone.denoiser = _denoiser_of(clone)
        return clone

    def _encoder(self, entry: AdapterEntry) -> ImageEncoder:
        encoder = self._encoders.get(entry.image_encoder)
        if encoder is None:
            encoder = ImageEncoder(entry.image_encoder, self.device, self.dtype)
            self._encoders[entry.image_encoder] = encoder
        return encoder

    def with_control(self, entry: ControlEntry) -> Self:
        control = self._controls.get(entry)
        if control is None:
            admit("control network", entry.source, "controls", unet=self.unet.config)
            control = controls.load(entry, self.unet, self.dtype, self._placement.control)
            self._controls[entry] = control
        clone = copy.copy(self)
        clone.control = control
        clone.denoiser = _denoiser_of(clone)
        return clone

    def _add(self, loras: Sequence[WeightedLora]) -> None:
        before, self._pipeline = self._pipeline, with_loras(self._pipeline, loras)
        if before.unet is not self._pipeline.unet:
            self.unet = self._placement.denoiser(self._pipeline.unet)
            self.denoiser = _denoiser_of(self)
        if any(
            getattr(before, part, None) is not getattr(self._pipeline, part, None) for part in TEXT_ENCODERS
        ):
            self._take_text_encoders(self._pipeline)
            self._remember_prompts()

    def _remember_prompts(self) -> None:
        self.prompts = PromptCache(self.encode, self.texts_at_once)
        self.negatives = PromptCache(self._encode_negative)

    def _take_text_encoders(self, pipeline: Any) -> None:
        self.tokenizer = pipeline.tokenizer
        self.text_encoder = self._placement.text_encoder(pipeline.text_encoder)

    def _fuse_projections(self) -> None:
        """A GPU takes the three projections of an attention at once."""
        if devices.is_gpu(self.device) and self.plan.fused:
            self.unet.fuse_qkv_projections()

    @property
    def modules(self) -> tuple[torch.nn.Module, ...]:
        return (self.unet, self.vae, *self.read_by, *self._steered_by)

    @property
    def read_by(self) -> tuple[torch.nn.Module, ...]:
        """The text encoders."""
        return (self.text_encoder,)

    @property
    def _steered_by(self) -> list[torch.nn.Module]:
        networks = [adapter.encoder.network for adapter in self.adapters.values()]
        return networks if self.control is None else [*networks, self.control.network]

    def work_per_row(self, latent_pixels: int) -> float:
        """By the weights of the networks that a call goes through, those of a control network too."""
        called = [self.unet] if self.control is None else [self.unet, self.control.network]
        weights: int = sum(weight.numel() for network in called for weight in network.parameters())
        return latent_pixels * weights

    def replace_networks(self, quicker: Callable[[Any], Any]) -> None:
        self.denoiser, self.decoder = quicker(self.denoiser), quicker(self.decoder)

    @property
    def size_bytes(self) -> int:
        return weights_bytes(*self.modules, on=self.device)

    def encode(self, texts: Sequence[Text]) -> list[Embedding]:
        """A text longer than the encoder's 77 tokens takes several chunks, one behind the other."""
        return self._encode(texts, self.clip_skip)

    def _encode(self, texts: Sequence[Text], skip: int) -> list[Embedding]:
        """By all but the text encoder's last `skip` layers."""
        tokens = [tokenize(self.tokenizer, text, self.named[0]) for text in texts]
        found = encoded(partial(self._read, skip=skip), tokens, self.texts_at_once)
        return [
            Embedding(emphasize(states, each.emphasis).flatten(0, 1)[None].to(self.dtype))
            for each, (states,) in zip(tokens, found, strict=True)
        ]

    def _read(self, ids: Tensor, mask: Tensor, *, skip: int) -> tuple[Tensor]:
        """One call of the text encoder: the states of its last layer, or of one before it, normalized."""
        encoder = self.text_encoder
        attention_mask = (
            mask.to(self.device) if getattr(encoder.config, "use_attention_mask", False) else None
        )
        output = encoder(ids.to(self.device), attention_mask=attention_mask, output_hidden_states=skip > 0)
        if skip == 0:
            return (output[0],)
        network = getattr(encoder, "text_model", encoder)
        return (network.final_layer_norm(output.hidden_states[-1 - skip]),)

    def _encode_negative(self, texts: Sequence[Text]) -> list[Embedding]:
        if self.clip_skip:
            return self._encode(texts, 0)
        self.prompts.prepare(texts)
        return [self.prompts[text] for text in texts]

    def is_guided(self, guidance_scale: float) -> bool:
        """Never where guidance was distilled into the model."""
        return guidance_scale > 1 and self.unet.config.time_cond_proj_dim is None

    def guide(self, output: Tensor, guidance_scale: float) -> Tensor:
        guided = super().guide(output, guidance_scale)
        if self.guidance_rescale == 0:
            return guided
        rescaled: Tensor = rescale_noise_cfg(guided, output.chunk(2)[1], self.guidance_rescale)
        return rescaled

    def conditions(
        self,
        positive: Sequence[Embedding],
        negative: Sequence[Embedding],
        *,
        size: tuple[int, int],
        guidance_scale: float,
    ) -> Conditions:
        """A network that reads masks is shown that all is to be drawn; see `mask_conditions`."""
        length = max(side.length for side in (*positive, *negative))
        sides = [self.negatives.lengthened(side, length) for side in negative]
        sides += [self.prompts.lengthened(side, length) for side in positive]
        tokens = torch.cat([side.tokens for side in sides])
        rows = {"encoder_hidden_states": tokens, **self._more_conditions(sides, size)}
        if self.reads_mask:
            channels, height, width = self.latent_shape(*size)
            rows[MASK] = tokens.new_zeros((len(tokens), 1 + channels, height, width))
            rows[MASK][:, 0] = 1
        distilled = self.unet.config.time_cond_proj_dim
        if distilled is not None:
            scales = torch.full((len(tokens),), guidance_scale - 1)
            rows["timestep_cond"] = guidance_embedding(scales, distilled).to(self.device, self.dtype)
        return rows

    def _more_conditions(self, sides: Sequence[Embedding], size: tuple[int, int]) -> Conditions:
        del sides, size
        return {}

    def reference_conditions(
        self,
        references: Mapping[Role, Sequence[PIL.Image.Image]],
        weights: Mapping[Role, float],
        count: int,
        *,
        guided: bool,
    ) -> Conditions:
        """Conditions from reference pictures: for each adapter its role's, and their weight, the same for
        `count` pictures.

        Where there is guidance the negative rows come first.
        """
        rows: Conditions = {}
        for place, (role, adapter) in enumerate(self.adapters.items()):
            shown, unseen = adapter.encoder.read(
                references[role], whole=adapters.reads_whole(self.unet, place)
            )
            sides = [unseen] * count * guided + [shown] * count
            rows[PICTURES + role] = torch.cat(sides).to(self.dtype)
            rows[WEIGHTS + role] = torch.full((len(sides), 1, 1), weights[role], device=self.device)
        return rows

    def control_pixels(self, image: PIL.Image.Image, width: int, height: int) -> Tensor:
        """In 0…1."""
        assert self.control is not None
        pixels: Tensor = self._maps.preprocess(self.control.shown(image), height=height, width=width)
        return pixels

    def control_conditions(self, pixels: Tensor, weight: float, count: int, *, guided: bool) -> Conditions:
        assert self.control is not None
        return self.control.conditions(pixels.to(self.device, self.dtype), weight, count, guided=guided)

    def mask_conditions(self, mask: Tensor, masked: Tensor, *, guided: bool) -> Conditions:
        beside = torch.cat([mask.expand(len(masked), -1, -1, -1), masked], dim=1)
        return {MASK: torch.cat([beside] * (2 if guided else 1))}

    def denoising(
        self,
        sampler: str,
        steps: int,
        *,
        size: tuple[int, int],
        strength: float | None,
        rngs: list[torch.Generator],
    ) -> Denoising:
        """By the model's own scheduler config; of whatever `size`."""
        del size
        return DiffusionDenoising(self.schedulers.new(sampler, steps), steps, strength=strength, rngs=rngs)

    def predict(self, latents: Tensor, timesteps: Tensor, conditions: Conditions) -> Tensor:
        """One UNet call: (rows, channels, height, width) at (rows,) timesteps."""
        if MASK in conditions:
            latents = torch.cat([latents, conditions[MASK]], dim=1)
            conditions = {name: value for name, value in conditions.items() if name != MASK}
        return self.denoiser(latents, timesteps, conditions)

    @torch.inference_mode()
    def is_sound(self) -> bool:
        """True if nothing overflows when noise, early and late, goes through the networks."""
        side = self.native_side
        shape = (1, *self.latent_shape(side, side))
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(self.device, self.dtype)
        words = self.conditions([self.prompts[""]], [], size=(side, side), guidance_scale=1.0)
        made = [self.predict(noise, torch.tensor([time], device=self.device), words) for time in (999, 20)]
        made.append(self.decode(noise))
        return all(bool(each.isfinite().all()) for each in made)

    @property
    def native_side(self) -> int:  # type: ignore[override]  # told by the network
        """Pixels a side of what the UNet was trained on; 512 where its configuration tells none."""
        told = self.unet.config.sample_size or 512 // self.latent_scale
        return int(told if isinstance(told, int) else max(told)) * self.latent_scale

    @property
    def reads_mask(self) -> bool:  # type: ignore[override]  # told by the network
        """True if the UNet was made for inpainting: mask and masked picture are channels of its input."""
        latent_channels: int = self.vae.config.latent_channels
        return bool(self.unet.config.in_channels == 2 * latent_channels + 1)


def _denoiser_of(family: StableDiffusion) -> Denoiser:
    return Denoiser(family.unet, tuple(family.adapters), family.control)


def guidance_embedding(scales: Tensor, width: int) -> Tensor:
    """(n,) guidance scales − 1 as (n, width) sines and cosines, for latent consistency models.

    The same as `get_guidance_scale_embedding` of diffusers' pipelines.
    """
    half = width // 2
    frequencies = torch.exp(torch.arange(half) * -(torch.log(torch.tensor(10000.0)) / (half - 1)))
    angles = scales[:, None] * 1000.0 * frequencies[None, :]
    embedding = torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)
    padded: Tensor = torch.nn.functional.pad(embedding, (0, width % 2))
    return padded
