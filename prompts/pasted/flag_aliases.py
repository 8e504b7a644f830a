"""Other programs' names of flags (web pages, scripts, bots), with the flag that does the same here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_NAMES = {
    "no": "negative neg n negative-prompt negative_prompt neg-prompt negprompt np exclude without avoid",
    "ar": "aspect-ratio aspect_ratio aspectratio ratio size resolution res dimensions",
    "cfg": "l cfg-scale cfg_scale cfgscale guidance guidance-scale guidance_scale scale",
    "seed": "d",
    "steps": "step num-inference-steps num_inference_steps sampling-steps sampling_steps",
    "sampler": "sampler-name sampler_name sampling-method scheduler",
    "stylize": "stylise",
    "repeat": "n_iter n-iter iterations",
    "model": "checkpoint ckpt sd_model",
    "oref": "omni",
    "cref": "character",
    "iw": "image-weight image_weight",
    "tile": "tiling seamless",
}
FOREIGN: Mapping[str, str] = MappingProxyType(
    {name: ours for ours, names in _NAMES.items() for name in names.split()}
)
SIDES = {"w": "width", "width": "width", "h": "height", "height": "height"}
"""Flags that together say a size."""
COUNTS = frozenset(
    ["count", "batch", "batch-size", "batch_size", "num", "num-images", "num_images", "images"]
)
"""Flags for the number of pictures: here always as many as stand in a grid."""
ELSEWHERE_ALONE = frozenset(
    ["clip-skip", "clip_skip", "clipskip", "ensd", "eta", "hires", "hires-fix", "hires_fix", "restore-faces",
     "restore_faces", "vae"]
)  # fmt: skip
"""Flags of other programs that nothing here is like."""
RANDOM = frozenset(("random", "rand", "-1", "?", "auto", "none"))
"""Values of a seed that say what leaving it out says."""
