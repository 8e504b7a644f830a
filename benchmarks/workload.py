"""The jobs of many members at once: the same queue every time for one seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from storage.contract import GenerationRequest

SAMPLERS = ("ddim", "euler", "euler_a", "dpm++2m_karras", "unipc")
GUIDANCE = range(1, 10)
SHORT = 0.2
"""A job is short if its steps lie in the lowest fifth of the queue's range."""

_PLACES = ("on green hills", "by a lake", "in the snow", "at night", "under a rainbow", "beside a road")
_THINGS = ("a red castle", "a white house", "a blue boat", "a fox", "an old tree", "a yellow car", "a rocket")

T = TypeVar("T")


class Arrival(NamedTuple):
    """`at` seconds after the queue's beginning somebody asks for this."""

    at: float
    request: GenerationRequest
    short: bool


class Mix(NamedTuple):
    """Model, size and range of steps of a queue's jobs."""

    model: str
    pixels: int
    least_steps: int = 12
    most_steps: int = 40

    def request(
        self, number: int, steps: int, guidance: float = 5.0, sampler: str = "ddim"
    ) -> GenerationRequest:
        """Four pictures; each number has a prompt and seeds of its own."""
        thing = _THINGS[number % len(_THINGS)]
        place = _PLACES[number // len(_THINGS) % len(_PLACES)]
        return GenerationRequest(
            model=self.model,
            prompt=f"{thing} {place}, {number}",
            width=self.pixels,
            height=self.pixels,
            num_inference_steps=steps,
            guidance_scale=guidance,
            scheduler=sampler,
            seed=1000 * number,
        )

    def typical(self, number: int = 0) -> GenerationRequest:
        return self.request(number, (self.least_steps + self.most_steps) // 2)

    def is_short(self, request: GenerationRequest) -> bool:
        limit = self.least_steps + SHORT * (self.most_steps - self.least_steps)
        return request.num_inference_steps <= limit


def mixed_queue(mix: Mix, jobs: int, seed: int) -> list[Arrival]:
    """Jobs in order of arrival, the first at once, the others at random times below 1 (see `spread`).

    Steps, guidance and samplers are dealt evenly before they are shuffled, so that queues of one length are
    about equally much work whatever the seed.
    """
    rng = random.Random(seed)
    span = mix.most_steps - mix.least_steps
    steps = _dealt(rng, [mix.least_steps + round(span * k / max(1, jobs - 1)) for k in range(jobs)], jobs)
    guidance = _dealt(rng, GUIDANCE, jobs)
    samplers = _dealt(rng, SAMPLERS, jobs)
    times = [0.0, *sorted(rng.random() for _ in range(jobs - 1))]
    requests = [
        mix.request(number, *dealt)
        for number, dealt in enumerate(zip(steps, guidance, samplers, strict=True))
    ]
    return [Arrival(at, each, mix.is_short(each)) for at, each in zip(times, requests, strict=True)]


def spread(arrivals: Sequence[Arrival], seconds: float) -> list[Arrival]:
    """The same queue, arriving within so many seconds."""
    return [arrival._replace(at=arrival.at * seconds) for arrival in arrivals]


def work(request: GenerationRequest) -> int:
    """UNet rows that a request asks for, its sampler's second calls left out."""
    return request.num_inference_steps * request.num_images_per_prompt * (1 + (request.guidance_scale > 1))


def _dealt(rng: random.Random, values: Sequence[T], count: int) -> list[T]:
    dealt = [values[k % len(values)] for k in range(count)]
    rng.shuffle(dealt)
    return dealt
