"""The samplers by the names that people know, each in one line for help and autocompletion.

`generator/families/schedulers.py` has diffusers' scheduler for exactly these names.
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

ZERO_SNR = frozenset(
    ["ddim", "ddpm", "euler", "euler_a", "dpm++2m", "dpm++2m_karras", "dpm++2m_sde", "dpm++2m_sde_karras",
     "unipc", "lcm", "tcd"]
)  # fmt: skip
"""Samplers whose noise levels can be rescaled to end in pure noise, as some models were trained."""

ELSEWHERE: dict[str, tuple[str, ...]] = {
    "ddim": ("DDIM",),
    "ddpm": ("DDPM",),
    "euler": ("Euler",),
    "euler_a": ("Euler a", "euler_ancestral"),
    "heun": ("Heun",),
    "lms": ("LMS",),
    "pndm": ("PLMS",),
    "dpm++2m": ("DPM++ 2M", "dpmpp_2m"),
    "dpm++2m_karras": ("DPM++ 2M Karras",),
    "dpm++2m_sde": ("DPM++ 2M SDE", "dpmpp_2m_sde"),
    "dpm++2m_sde_karras": ("DPM++ 2M SDE Karras",),
    "dpm++2s": ("DPM++ 2S", "DPM++ 2S a", "dpmpp_2s_ancestral"),
    "dpm++sde": ("DPM++ SDE", "dpmpp_sde"),
    "dpm++sde_karras": ("DPM++ SDE Karras",),
    "kdpm2": ("DPM2", "dpm_2"),
    "kdpm2_a": ("DPM2 a", "dpm_2_ancestral"),
    "unipc": ("UniPC", "uni_pc"),
    "deis": ("DEIS",),
    "lcm": ("LCM",),
    "tcd": ("TCD",),
}
"""Names in other programs: A1111's name first, then ComfyUI's where that is another.

Their DPM++ 2S takes fresh noise at every step, which diffusers' does not: it is the nearest.
"""
LEVELS = frozenset(
    ["automatic", "uniform", "normal", "simple", "karras", "exponential", "polyexponential", "beta",
     "sgm_uniform", "sgm uniform", "ddim_uniform", "kl_optimal", "kl optimal",
     "linear_quadratic", "align your steps"]
)  # fmt: skip
"""Names of noise levels in A1111 ("Schedule type") and ComfyUI ("scheduler"), in lower case."""
_KARRAS = "Karras"
_LEVELS_OF_ITS_OWN = ("", "automatic")
_PLAIN_LEVELS = ("uniform", "normal")
"""Names of A1111 and ComfyUI for the noise levels that the model was trained with."""


def elsewhere(name: str) -> tuple[str, str]:
    """A1111's name of a sampler and of its noise levels ("Schedule type"), which may be empty."""
    theirs = ELSEWHERE[name][0]
    if theirs.endswith(_KARRAS):
        return theirs.removesuffix(_KARRAS).rstrip(), _KARRAS
    return theirs, "Uniform" if f"{name}_karras" in SAMPLERS else ""


def from_elsewhere(sampler: str, levels: str = "") -> str | None:
    """The sampler that another program calls so; None where there is none like it."""
    known = {_plain(theirs): name for name, names in ELSEWHERE.items() for theirs in (name, *names)}
    name = known.get(_plain(sampler))
    schedule = levels.strip().casefold()
    if name is None or schedule in _PLAIN_LEVELS:
        return name
    if schedule in _LEVELS_OF_ITS_OWN:
        # A1111's own choice for these is Karras' levels.
        return f"{name}_karras" if schedule and f"{name}_karras" in SAMPLERS else name
    if schedule != _KARRAS.casefold():
        return None
    return name if name.endswith("_karras") else known.get(_plain(f"{name}_karras"))


def _plain(name: str) -> str:
    return "".join(name.casefold().replace("_", " ").split())
