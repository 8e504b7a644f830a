"""The samplers by the names that people know, each in one line for help and autocompletion.

`generator/schedulers.py` has diffusers' scheduler for exactly these names.
"""

from __future__ import annotations

SAMPLERS: dict[str, str] = {
    "ddim": "deterministic and steady; the plain default",
    "ddpm": "the original, with fresh noise at every step; wants many steps",
    "euler": "fast and simple",
    "euler_a": "Euler with fresh noise at every step: soft, and different at every step count",
    "heun": "two calls a step: slower, more exact than Euler",
    "lms": "linear multistep",
    "pndm": "Stable Diffusion's first default",
    "dpm++2m": "good pictures in about 20 steps",
    "dpm++2m_karras": "dpm++2m with Karras' noise levels: finer detail in few steps",
    "dpm++2m_sde": "dpm++2m with fresh noise at every step",
    "dpm++2m_sde_karras": "dpm++2m_sde with Karras' noise levels",
    "dpm++2s": "the single-step kind of dpm++",
    "dpm++sde": "dpm++2s with fresh noise at every step: rich detail",
    "dpm++sde_karras": "dpm++sde with Karras' noise levels",
    "kdpm2": "two calls a step, by Karras",
    "kdpm2_a": "kdpm2 with fresh noise at every step",
    "unipc": "good pictures in as few as 10 steps",
    "deis": "fast exponential integrator",
    "lcm": "4 to 8 steps, for models distilled to it",
    "tcd": "4 to 8 steps, for models distilled to it, with more detail",
}

NAMES: tuple[str, ...] = tuple(SAMPLERS)
