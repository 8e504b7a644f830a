"""Schedulers of diffusers that draw wrongly where a picture is given, corrected: the whole list.

Everything else of the arithmetic is diffusers' own. Each class says what is wrong there; the figures are in
docs/decisions/0019-corrected-schedulers.md.
"""

from __future__ import annotations

import math

import torch
from diffusers import LMSDiscreteScheduler, PNDMScheduler
from numpy.polynomial import Polynomial
from torch import Tensor


class LinearMultistepScheduler(LMSDiscreteScheduler):  # type: ignore[misc]  # diffusers exports it untyped
    """Linear multistep over the steps that were taken, its coefficients in closed form.

    diffusers takes the order from the place in the whole schedule. What begins in its middle then has the
    coefficients of four steps for the one that there is, which leaves coloured noise.

    It also integrates the polynomials numerically, which takes ten milliseconds a step: with a few such jobs
    in a batch everybody would wait.
    """

    def get_lms_coefficient(self, order: int, t: int, current_order: int) -> float:
        """The integral of a Lagrange polynomial from one noise level to the next."""
        taken = t - (self.begin_index or 0) + 1
        if current_order >= taken:
            return 0.0
        nodes = self.sigmas[t - min(order, taken) + 1 : t + 1].flip(0).tolist()
        own = nodes.pop(current_order)
        factors = (Polynomial([-node, 1.0]) / (own - node) for node in nodes)
        integral = math.prod(factors, start=Polynomial([1.0])).integ()
        return float(integral(float(self.sigmas[t + 1])) - integral(float(self.sigmas[t])))


class PseudoLinearMultistepScheduler(PNDMScheduler):  # type: ignore[misc]  # as above
    """PNDM's linear multistep, whose first step is taken twice wherever a schedule begins.

    It has no past to reckon with in its first step, so that one is repeated with what the second found.
    diffusers repeats the schedule's first step and takes the second call for it wherever a picture begins:
    each step is then one behind its noise, and the last noise stays in the picture.
    """

    def begin_at(self, begin: int) -> None:
        """Begin at this index of the steps that were set; `timesteps[begin:]` are then to be done."""
        set_: Tensor = self.timesteps  # type: ignore[has-type]
        steps = torch.cat([set_[:1], set_[2:]])
        before, after = steps[:begin], steps[begin:]
        self.timesteps = torch.cat([before, after[:2], after[1:]])
