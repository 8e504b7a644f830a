"""Sampler names → diffusers schedulers: one table, for exactly the names in `storage.samplers`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2AncestralDiscreteScheduler,
    KDPM2DiscreteScheduler,
    LCMScheduler,
    TCDScheduler,
    UniPCMultistepScheduler,
)

from generator.families.corrected_schedulers import LinearMultistepScheduler, PseudoLinearMultistepScheduler
from storage.samplers import ZERO_SNR


@dataclass(frozen=True)
class Sampler:
    """A diffusers scheduler class and what differs from the model's own scheduler config."""

    scheduler: type[Any]
    overrides: Mapping[str, Any] = field(default_factory=dict)


_SDE = {"algorithm_type": "sde-dpmsolver++"}
_ODE = {"algorithm_type": "dpmsolver++"}
_KARRAS = {"use_karras_sigmas": True}
# What the scheduler sets for itself with a warning, as its last sigma is zero.
_SINGLE = {"lower_order_final": True}

TABLE: dict[str, Sampler] = {
    "ddim": Sampler(DDIMScheduler),
    "ddpm": Sampler(DDPMScheduler),
    "euler": Sampler(EulerDiscreteScheduler),
    "euler_a": Sampler(EulerAncestralDiscreteScheduler),
    "heun": Sampler(HeunDiscreteScheduler),
    "lms": Sampler(LinearMultistepScheduler),
    # Without skip_prk_steps twelve calls of Runge-Kutta come first, which Stable Diffusion never meant.
    "pndm": Sampler(PseudoLinearMultistepScheduler, {"skip_prk_steps": True}),
    "dpm++2m": Sampler(DPMSolverMultistepScheduler, _ODE),
    "dpm++2m_karras": Sampler(DPMSolverMultistepScheduler, {**_ODE, **_KARRAS}),
    "dpm++2m_sde": Sampler(DPMSolverMultistepScheduler, _SDE),
    "dpm++2m_sde_karras": Sampler(DPMSolverMultistepScheduler, {**_SDE, **_KARRAS}),
    "dpm++2s": Sampler(DPMSolverSinglestepScheduler, {**_ODE, **_SINGLE}),
    # diffusers' own equivalent of "DPM++ SDE" that draws from a generator; its DPMSolverSDEScheduler
    # draws from a Brownian tree that no seed of the request reaches.
    "dpm++sde": Sampler(DPMSolverSinglestepScheduler, {**_SDE, **_SINGLE}),
    "dpm++sde_karras": Sampler(DPMSolverSinglestepScheduler, {**_SDE, **_SINGLE, **_KARRAS}),
    "kdpm2": Sampler(KDPM2DiscreteScheduler),
    "kdpm2_a": Sampler(KDPM2AncestralDiscreteScheduler),
    "unipc": Sampler(UniPCMultistepScheduler),
    "deis": Sampler(DEISMultistepScheduler),
    "lcm": Sampler(LCMScheduler),
    "tcd": Sampler(TCDScheduler),
}


class Schedulers:
    """Makes schedulers for one model, from the model's own scheduler config. Any thread may ask."""

    def __init__(self, model_config: Mapping[str, Any]) -> None:
        self._model_config = model_config
        # Copied for every job: some take a second to build and a millisecond to copy.
        self._prototypes: dict[str, Any] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Samplers that it can be drawn with: not all can where noise levels end in pure noise."""
        if not self._model_config.get("rescale_betas_zero_snr"):
            return tuple(TABLE)
        return tuple(name for name in TABLE if name in ZERO_SNR)

    def new(self, name: str, num_inference_steps: int) -> Any:
        """A scheduler of this name that nobody else uses.

        Raises:
            ValueError: there is no sampler of this name.
        """
        if name not in self._prototypes:
            self._prototypes[name] = build(name, self._model_config)
        scheduler = copy.deepcopy(self._prototypes[name])
        # LCM and TCD pick their steps out of 50 and refuse more; a member may ask for more all the same.
        if scheduler.config.get("original_inference_steps", num_inference_steps) < num_inference_steps:
            scheduler.register_to_config(original_inference_steps=num_inference_steps)
        return scheduler


def build(name: str, model_config: Mapping[str, Any]) -> Any:
    """A new scheduler of this name for a model with this scheduler config.

    Raises:
        ValueError: there is no sampler of this name.
    """
    sampler = TABLE.get(name)
    if sampler is None:
        raise ValueError(f"no sampler {name!r}; there are {', '.join(TABLE)}")
    return sampler.scheduler.from_config(model_config, **sampler.overrides)


def begin_at(scheduler: Any, begin: int) -> None:
    """Have a scheduler begin at this index of its timesteps, as what starts from a picture does."""
    if isinstance(scheduler, PseudoLinearMultistepScheduler):
        scheduler.begin_at(begin)
    elif hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
