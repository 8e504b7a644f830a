"""One job in a running batch: its images, denoised in lockstep by one scheduler, each from its own noise."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

import PIL.Image
import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from generator.conditioning import noise as noises
from generator.conditioning import prompt_embeds
from generator.conditioning.prompt_embeds import ModelPhrases
from generator.engine.host_copies import unwaited
from generator.engine.inpainting import Mask, shrunk
from generator.families.base import Conditions, Family
from storage.contract import GenerationRequest, Role, Task
from storage.errors import SamplerUnavailable
from storage.supervision import logged, supervised

log = logging.getLogger(__name__)

Images = list[PIL.Image.Image]

FULL_STOP = 100
"""The percentage of its steps after which a picture is finished anyway."""


@dataclass(frozen=True)
class Progress:
    """`fraction` (0–1) of the network's calls are done; `preview()` makes small pictures of what is there."""

    fraction: float
    preview: Callable[[], Images] | None


References = Mapping[Role, Sequence[PIL.Image.Image]]
NOTHING: References = MappingProxyType({})


@dataclass(frozen=True)
class RequestImages:
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
    given: RequestImages = RequestImages()
    lexicon: ModelPhrases = field(default_factory=ModelPhrases)
    on_progress: Callable[[Progress], None] | None = None
    alone: bool = False
    # Stays pending until the pictures are there, so that its cancel() works up to the last moment.
    future: Future[Images] = field(default_factory=Future)
    _untold: threading.Semaphore = field(default_factory=threading.Semaphore)
    """Taken by the first to tell the job's end; several threads may try, and a future bears it only once."""

    def succeed(self, images: Images) -> None:
        if self._tells_end():
            self.future.set_result(images)

    def fail(self, error: BaseException) -> None:
        if self._tells_end():
            self.future.set_exception(error)

    def drop(self) -> None:
        """Tell those who wait that the job was cancelled."""
        self.future.cancel()
        self._tells_end()

    def _tells_end(self) -> bool:
        """True if nobody told the end before, and nobody cancelled."""
        return self._untold.acquire(blocking=False) and self.future.set_running_or_notify_cancel()

    def report(self, progress: Progress) -> None:
        if self.on_progress is None or self.future.done():
            return
        with supervised(logged(log, "a progress callback failed", level=logging.WARNING)):
            self.on_progress(progress)


class RunningJob:
    """A job's state between two calls of its model.

    Made on any thread; everything else is the device's thread's.

    Raises:
        SamplerUnavailable: the family does not run the request's sampler.
        ValueError: the model cannot draw this size, or a picture is missing.
    """

    latents: Tensor
    conditions: Conditions

    def __init__(self, family: Family, job: DrawRequest, refiner: Family | None = None) -> None:
        """A `refiner` takes over where the request says."""
        request = job.request
        if request.task is Task.UPSCALE:
            raise ValueError("an upscale is not drawn; see generator.companions.upscale")
        given = job.given
        given.check(request)
        if request.scheduler not in family.samplers:
            raise SamplerUnavailable(
                f"the model cannot draw with {request.scheduler!r}, but with {', '.join(family.samplers)}"
            )
        self.family = family
        self.job = job
        self.count = request.num_images_per_prompt
        self.shape = family.latent_shape(request.width, request.height)
        self.guided = family.is_guided(request.guidance_scale)
        self.texts = prompt_embeds.texts(request, job.lexicon, guided=self.guided)
        """All that its conditions are made of."""
        self._rngs = [torch.Generator().manual_seed(request.seed_of(index)) for index in range(self.count)]
        self.denoising = family.denoising(
            request.scheduler,
            request.num_inference_steps,
            size=(request.width, request.height),
            strength=None if request.task is Task.TEXT_TO_IMAGE else request.strength,
            rngs=self._rngs,
        )
        self._refiner: Family | None = None
        self._handover = math.inf
        if refiner is not None:
            self._hand_over_to(refiner)
        self._calls = self._calls_until_stop()
        self._source_pixels: Tensor | None = None
        if given.source is not None:
            self._source_pixels = family.pixels(given.source, request.width, request.height)
        self._mask_pixels: Tensor | None = None
        if given.mask is not None:
            self._mask_pixels = family.mask(given.mask, request.width, request.height)
        elif family.reads_mask:  # and is shown that all is to be drawn
            self._mask_pixels = torch.ones(1, 1, request.height, request.width)
        self._control_pixels: Tensor | None = None
        if given.control is not None and request.control is not None:
            self._control_pixels = family.control_pixels(given.control, request.width, request.height)
        self._mask: Mask | None = None
        self.calls_done = 0
        self.ticks_waited = 0
        """Ticks of its group in which the job had no part."""

    def _hand_over_to(self, refiner: Family) -> None:
        """Let it end the schedule; a picture that is begun with less noise than that is drawn without it."""
        request = self.job.request
        last = refiner.denoising(
            request.scheduler,
            request.num_inference_steps,
            size=(request.width, request.height),
            strength=None,
            rngs=self._rngs,
        )
        relayed = self.family.relay(self.denoising, last, request.refine)
        if relayed is not None:
            self.denoising, self._handover, self._refiner = relayed, relayed.handover, refiner

    def _calls_until_stop(self) -> int:
        """Calls until `stop`: of a sampler of second order, each step but its last takes two."""
        whole, order = len(self.denoising.times), self.denoising.order
        steps = math.ceil(whole / order)
        return min(whole, order * math.ceil(steps * self.job.request.stop / FULL_STOP))

    @property
    def group(self) -> Hashable:
        """Started jobs of one group can share a call; one that is to run alone has its own."""
        if self.job.alone:
            return self
        return id(self.family), self.family.batch_key(self.shape, self.conditions)

    @property
    def batch_rows(self) -> int:
        """Rows of a call that this job takes."""
        return self.count * (2 if self.guided else 1)

    @property
    def calls_left(self) -> int:
        return self._calls - self.calls_done

    @property
    def finished(self) -> bool:
        return self.calls_left == 0

    def start(self) -> None:
        """Read the prompt and draw the noise."""
        with unwaited(self.family.device):
            self._start()

    def _start(self) -> None:
        request = self.job.request
        self.conditions = self._conditions(self.family) | self._steering()
        if self._refiner is not None:
            self._refined_conditions = self._conditions(self._refiner)
            self._hand_over()
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
        self.latents = self.denoising.initial(noise, None if self._from_pure_noise() else source)
        if self._mask_pixels is not None:
            self._cover(self._mask_pixels, source, noise)

    def _conditions(self, family: Family) -> Conditions:
        request = self.job.request
        negative = [prompt_embeds.negative(request, family.negatives)] if self.guided else []
        return family.conditions(
            prompt_embeds.positive(request, self.job.lexicon, family.prompts),
            negative * self.count,
            size=(request.width, request.height),
            guidance_scale=request.guidance_scale,
        )

    def _steering(self) -> Conditions:
        """Conditions of references and control image, for every row."""
        weights = {reference.role: reference.weight for reference in self.job.request.references}
        steering = self.family.reference_conditions(
            self.job.given.references, weights, self.count, guided=self.guided
        )
        control = self.job.request.control
        if control is not None and self._control_pixels is not None:
            steering |= self.family.control_conditions(
                self._control_pixels, control.weight, self.count, guided=self.guided
            )
        return steering

    def _from_pure_noise(self) -> bool:
        """Inpainting at full strength does; image-to-image keeps a trace of its picture even then."""
        request = self.job.request
        return request.task is Task.INPAINTING and request.strength == 1

    def _needs_source(self) -> bool:
        if self._source_pixels is None:
            return False
        return not (self.family.reads_mask and self._from_pure_noise())

    def _source(self) -> Tensor:
        assert self._source_pixels is not None
        return self._sampled(self._source_pixels)

    def _sampled(self, pixels: Tensor) -> Tensor:
        return self.family.source_latents(pixels, self._rngs)

    def _cover(self, mask: Tensor, source: Tensor | None, noise: Tensor) -> None:
        """Take up the mask: as what the network reads, or as what is put back after every step."""
        small = shrunk(mask, self.shape[1:]).to(self.family.device, self.family.dtype)
        # Sampled even where nobody looks at it: the generators are then where diffusers' are.
        masked = self._sampled(self._kept(mask))
        if self.family.reads_mask:
            either = (small >= 0.5).to(small.dtype)
            self.conditions |= self.family.mask_conditions(either, masked, guided=self.guided)
        elif source is not None:
            self._mask = Mask(small, source, noise)

    def _kept(self, mask: Tensor) -> Tensor:
        """(1, 3, height, width): the source, grey where the mask is white; all grey without a source."""
        if self._source_pixels is None:
            return mask.new_zeros((1, 3, *mask.shape[2:]))
        return self._source_pixels * (mask < 0.5)

    def model_input(self) -> tuple[Tensor, float]:
        """(batch rows, channels, height, width) and their timestep."""
        self._seen = seen = self.denoising.model_input(self.latents, self.calls_done)
        return torch.cat([seen] * (2 if self.guided else 1)), self.denoising.times[self.calls_done]

    def advance(self, output: Tensor) -> None:
        """Take the model's prediction for these rows: one step of the sampler."""
        if self.guided:
            output = self.family.guide(output, self.job.request.guidance_scale)
        with unwaited(self.family.device):
            self._step(output)
        self.calls_done += 1
        self._hand_over()

    def _hand_over(self) -> None:
        """From now on the refiner draws, if it is its turn."""
        if self.calls_done == self._handover and self._refiner is not None:
            self.family, self.conditions = self._refiner, self._refined_conditions

    def _step(self, output: Tensor) -> None:
        call, following = self.calls_done, self.calls_done + 1
        self._clean = partial(self.denoising.estimate, self._seen, output, call)
        if self.calls_left == 1 and self._calls < len(self.denoising.times):
            drawn, following = self._clean(), len(self.denoising.times)
        else:
            drawn = self.denoising.step(output, self.latents, call)
        self.latents = drawn.to(self.family.dtype)
        if self._mask is not None:
            self.latents = self._mask.keep(self.latents, self.denoising, following, self._ahead())

    def _ahead(self) -> float:
        """The part of the steps that comes behind the one that is being taken.

        Between a step's two calls nothing joins in: the second goes from where the first did.
        """
        steps, order = math.ceil(self._calls / self.denoising.order), self.denoising.order
        return 1 - math.ceil((self.calls_done + 1) / order) / steps

    def progress(self) -> Progress:
        return Progress(self.calls_done / self._calls, partial(self._preview_of, self._clean))

    @torch.inference_mode()
    def _preview_of(self, clean: Callable[[], Tensor]) -> Images:
        request = self.job.request
        return self.family.preview(clean(), (request.width // 2, request.height // 2))
