"""One job in a running batch: its images, denoised in lockstep by one scheduler, each from its own noise."""

from __future__ import annotations

import inspect
import logging
import math
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import PIL.Image
import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from generator.conditioning import noise as noises
from generator.conditioning import prompt_embeds
from generator.conditioning.prompt_embeds import ModelPhrases
from generator.engine.host_copies import unwaited
from generator.engine.inpainting import Mask, shrunk
from generator.families import schedulers
from generator.families.latent_preview import alpha_bar_at, clean_estimate
from generator.families.parts import Conditions
from generator.families.sd import StableDiffusion
from storage.contract import GenerationRequest, Role, Task

log = logging.getLogger(__name__)

Pictures = list[PIL.Image.Image]

FULL_STOP = 100
"""The percentage of its steps after which a picture is finished anyway."""


@dataclass(frozen=True)
class Progress:
    """`fraction` (0–1) of the UNet calls are done; `preview()` makes small pictures of what is there."""

    fraction: float
    preview: Callable[[], Pictures] | None


References = Mapping[Role, Sequence[PIL.Image.Image]]
NOTHING: References = MappingProxyType({})


@dataclass(frozen=True)
class InputImages:
    """Input images of a request: the source to begin with, its mask, the control image, the references."""

    source: PIL.Image.Image | None = None
    mask: PIL.Image.Image | None = None
    control: PIL.Image.Image | None = None
    references: References = field(default_factory=dict)

    def check(self, request: GenerationRequest) -> None:
        """Raises:
        ValueError: one is missing.
        """
        if request.task is not Task.TEXT_TO_IMAGE and self.source is None:
            raise ValueError(f"{request.task.value} needs a picture to start from")
        if request.task is Task.INPAINTING and self.mask is None:
            raise ValueError("inpainting needs a mask")
        if request.control is not None and self.control is None:
            raise ValueError("a control needs a picture that leads")
        for reference in request.references:
            if not self.references.get(reference.role):
                raise ValueError(f"the role {reference.role.value!r} needs a picture to read")


@dataclass(eq=False)
class DrawRequest:
    """A job as it was handed in, with the future that tells its end."""

    request: GenerationRequest
    given: InputImages = InputImages()
    lexicon: ModelPhrases = field(default_factory=ModelPhrases)
    on_progress: Callable[[Progress], None] | None = None
    alone: bool = False
    # Stays pending until the pictures are there, so that its cancel() works up to the last moment.
    future: Future[Pictures] = field(default_factory=Future)
    _untold: threading.Semaphore = field(default_factory=threading.Semaphore)
    """Taken by the first to tell the job's end; several threads may try, and a future bears it only once."""

    def succeed(self, pictures: Pictures) -> None:
        if self._tells_end():
            self.future.set_result(pictures)

    def fail(self, error: BaseException) -> None:
        if self._tells_end():
            self.future.set_exception(error)

    def drop(self) -> None:
        """Tell those who wait that the job was cancelled."""
        self.future.cancel()
        self._tells_end()

    def _tells_end(self) -> bool:
        """Whether nobody told the end before, and nobody cancelled."""
        return self._untold.acquire(blocking=False) and self.future.set_running_or_notify_cancel()

    def report(self, progress: Progress) -> None:
        if self.on_progress is None or self.future.done():
            return
        try:
            self.on_progress(progress)
        except Exception:
            log.warning("a progress callback failed", exc_info=True)


class RunningJob:
    """A job's state between two UNet calls. Made on any thread; everything else is the device's thread's.

    Raises:
        ValueError: the request asks for a sampler or size that the model does not have.
    """

    latents: Tensor
    conditions: Conditions

    def __init__(self, family: StableDiffusion, job: DrawRequest) -> None:
        request = job.request
        if request.task is Task.UPSCALE:
            raise ValueError("an upscale is not drawn; see generator.companions.upscale")
        given = job.given
        given.check(request)
        if request.task is not Task.INPAINTING and family.sees_mask:
            raise ValueError("this model only draws parts of a picture anew: give it a picture and a mask")
        self.family = family
        self.job = job
        self.count = request.num_images_per_prompt
        self.shape = family.latent_shape(request.width, request.height)
        self.guided = family.is_guided(request.guidance_scale)
        self.texts = prompt_embeds.texts(request, job.lexicon, guided=self.guided)
        """All that its conditions are made of."""
        self.scheduler = family.schedulers.new(request.scheduler, request.num_inference_steps)
        # Times stay on the CPU: a scheduler that reads one from a card would wait for the card.
        self.scheduler.set_timesteps(request.num_inference_steps, device="cpu")
        begin = self._begin()
        self.timesteps: Tensor = self.scheduler.timesteps[begin:]
        self._times: list[float] = self.timesteps.tolist()[: self._calls()]
        self._rngs = [torch.Generator().manual_seed(request.seed_of(index)) for index in range(self.count)]
        self._step_arguments = self._accepted({"eta": 0.0, "generator": self._rngs})
        self._source_pixels: Tensor | None = None
        if given.source is not None:
            self._source_pixels = family.pixels(given.source, request.width, request.height)
        self._mask_pixels: Tensor | None = None
        if given.mask is not None:
            self._mask_pixels = family.mask(given.mask, request.width, request.height)
        self._control_pixels: Tensor | None = None
        if given.control is not None and request.control is not None:
            self._control_pixels = family.control_pixels(given.control, request.width, request.height)
        self._mask: Mask | None = None
        self._beside: Tensor | None = None
        self.calls_done = 0
        self.ticks_waited = 0
        """Ticks of its group in which the job had no part."""

    def _begin(self) -> int:
        """Index of the first timestep: what starts from a picture leaves the noisiest part out."""
        request = self.job.request
        begin = 0
        if request.task is not Task.TEXT_TO_IMAGE:
            steps = max(1, int(request.num_inference_steps * request.strength))
            begin = max(request.num_inference_steps - steps, 0) * self.scheduler.order
        schedulers.begin_at(self.scheduler, begin)
        return begin

    def _calls(self) -> int:
        """UNet calls until `stop`: of a scheduler of second order, each step but its last takes two."""
        whole, order = len(self.timesteps), int(self.scheduler.order)
        steps = math.ceil(whole / order)
        return min(whole, order * math.ceil(steps * self.job.request.stop / FULL_STOP))

    def _accepted(self, arguments: dict[str, Any]) -> dict[str, Any]:
        names = inspect.signature(self.scheduler.step).parameters
        return {name: value for name, value in arguments.items() if name in names}

    @property
    def group(self) -> Hashable:
        """Started jobs of one group can share a UNet call; one that is to run alone has its own."""
        if self.job.alone:
            return self
        forms = tuple((name, value.shape[1:]) for name, value in self.conditions.items())
        return id(self.family), self.shape, forms

    @property
    def batch_rows(self) -> int:
        """Rows of a UNet call that this job takes."""
        return self.count * (2 if self.guided else 1)

    @property
    def calls_left(self) -> int:
        return len(self._times) - self.calls_done

    @property
    def finished(self) -> bool:
        return self.calls_left == 0

    def start(self) -> None:
        """Read the prompt and draw the noise."""
        with unwaited(self.family.device):
            self._start()

    def _start(self) -> None:
        request = self.job.request
        negative = [prompt_embeds.negative(request, self.family.negatives)] if self.guided else []
        self.conditions = (
            self.family.conditions(
                prompt_embeds.positive(request, self.job.lexicon, self.family.prompts),
                negative * self.count,
                size=(request.width, request.height),
                guidance_scale=request.guidance_scale,
            )
            | self._steering()
        )
        # diffusers draws the posterior's sample before the noise, from the same generator.
        source = self._source() if self._needs_source() else None
        noise: Tensor = randn_tensor(
            (self.count, *self.shape),
            generator=self._rngs,
            device=self.family.device,
            dtype=self.family.dtype,
        )
        if request.sameseed:
            noise = noises.alike(noise)
            # What some samplers add later is the same for all.
            for rng in self._rngs:
                rng.set_state(self._rngs[0].get_state())
        if source is None or self._from_pure_noise():
            self.latents = noise * self.scheduler.init_noise_sigma
        else:
            self.latents = self.scheduler.add_noise(source, noise, self.timesteps[:1].repeat(self.count))
        if self._mask_pixels is not None:
            self._cover(self._mask_pixels, source, noise)

    def _steering(self) -> Conditions:
        """What is read and followed of pictures, in every row."""
        weights = {reference.role: reference.weight for reference in self.job.request.references}
        steering = self.family.reference_conditions(
            self.job.given.references, weights, self.count, guided=self.guided
        )
        control = self.job.request.control
        if control is not None and self._control_pixels is not None:
            steering |= self.family.control_conditions(self._control_pixels, control.weight, self.batch_rows)
        return steering

    def _from_pure_noise(self) -> bool:
        """Inpainting at full strength does; image-to-image keeps a trace of its picture even then."""
        request = self.job.request
        return request.task is Task.INPAINTING and request.strength == 1

    def _needs_source(self) -> bool:
        if self._source_pixels is None:
            return False
        return not (self.family.sees_mask and self._from_pure_noise())

    def _source(self) -> Tensor:
        assert self._source_pixels is not None
        return self._sampled(self._source_pixels)

    def _sampled(self, pixels: Tensor) -> Tensor:
        posterior = self.family.posterior(pixels)
        return self.family.scaled(torch.cat([posterior.sample(rng) for rng in self._rngs]))

    def _cover(self, mask: Tensor, source: Tensor | None, noise: Tensor) -> None:
        """Take up the mask: as channels that the UNet sees, or as what is put back after every step."""
        assert self._source_pixels is not None
        small = shrunk(mask, self.shape[1:]).to(self.family.device, self.family.dtype)
        # Sampled even where nobody looks at it: the generators are then where diffusers' are.
        masked = self._sampled(self._source_pixels * (mask < 0.5))
        if self.family.sees_mask:
            seen = (small >= 0.5).to(small.dtype)
            self._beside = torch.cat([seen.expand(self.count, -1, -1, -1), masked], dim=1)
        elif source is not None:
            self._mask = Mask(small, source, noise)

    def unet_input(self) -> tuple[Tensor, float]:
        """(batch rows, channels, height, width) and their timestep."""
        timestep = self.timesteps[self.calls_done]
        self._seen = seen = self.scheduler.scale_model_input(self.latents, timestep)
        if self._beside is not None:
            seen = torch.cat([seen, self._beside], dim=1)
        return torch.cat([seen] * (2 if self.guided else 1)), self._times[self.calls_done]

    def advance(self, output: Tensor) -> None:
        """Take the UNet's answer for these rows: one scheduler step."""
        if self.guided:
            without, with_prompt = output.chunk(2)
            output = without + self.job.request.guidance_scale * (with_prompt - without)
        with unwaited(self.family.device):
            self._step(output)
        self.calls_done += 1

    def _step(self, output: Tensor) -> None:
        time = self._times[self.calls_done]
        self._clean = partial(self._clean_of, self._seen, output, time)
        if self.calls_left == 1 and len(self._times) < len(self.timesteps):
            drawn, following = self._clean(), self.timesteps[:0]
        else:
            timestep, following = self.timesteps[self.calls_done], self.timesteps[self.calls_done + 1 :][:1]
            drawn = self.scheduler.step(
                output, timestep, self.latents, return_dict=False, **self._step_arguments
            )[0]
        self.latents = drawn.to(self.family.dtype)
        if self._mask is not None:
            ahead = (self.calls_left - 1) / len(self._times)
            self.latents = self._mask.keep(self.latents, self.scheduler, following, ahead)

    def progress(self) -> Progress:
        return Progress(self.calls_done / len(self._times), partial(self._preview_of, self._clean))

    def _clean_of(self, seen: Tensor, output: Tensor, time: float) -> Tensor:
        alpha_bar = alpha_bar_at(self.scheduler.alphas_cumprod, time)
        return clean_estimate(seen, output, alpha_bar, self.scheduler.config.prediction_type)

    @torch.inference_mode()
    def _preview_of(self, clean: Callable[[], Tensor]) -> Pictures:
        request = self.job.request
        return self.family.colours.pictures(clean(), (request.width // 2, request.height // 2))
