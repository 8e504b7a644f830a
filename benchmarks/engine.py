"""A mixed queue through Easel's engine, and by diffusers' pipeline one job after another.

    python -m benchmarks.engine [--model all] [--device auto] [--rounds 3] [--json engine.json]

Both draw the same requests, arriving at the same times, on the same device and in the same precision, and
take turns within one run. A latency runs from a job's arrival to its PNGs. `sd15`, `sd21` and `sdxl` have
the published architectures with random weights: they take as long as the real ones and draw nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from rich.console import Console

from benchmarks import models, prepare
from benchmarks.clock import Allowance
from benchmarks.measure import PARTS, Options, measure
from benchmarks.table import table
from generator import devices

GPU_SECONDS = 570.0
GPU_WARM_UP = 60.0


def add_peak(result: dict[str, Any]) -> None:
    """Add the UNet's rate as parts of the GPU's peak in FLOP/s."""
    flops, peak = result["unet_flops_per_row"], result["peak_flops"]
    for side in ("diffusers", "easel"):
        figures = result["queue"][side]
        reached = flops * figures["unet_rows_a_second"]
        figures["unet_tflops"] = reached / 1e12
        figures["peak_share"] = reached / peak
        figures["whole_peak_share"] = reached * figures["unet_share"] / peak


def machine(device: torch.device) -> dict[str, Any]:
    return {
        "device": devices.name(device),
        "precision": str(devices.dtype(device)).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "versions": {each.__name__: each.__version__ for each in (torch, diffusers, transformers)},
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    default = Options()
    names = ", ".join(models.NAMES)
    parser.add_argument("--model", default="picturebook", help=f"{names}, all of them, or a diffusers folder")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--jobs", type=int, default=default.jobs)
    parser.add_argument("--rounds", type=int, default=default.rounds)
    parser.add_argument("--steps", type=int, nargs=2, default=default.steps, metavar=("LEAST", "MOST"))
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--load", type=float, default=default.load, help="arrivals to what diffusers draws")
    parser.add_argument(
        "--warm-up",
        type=float,
        help=f"seconds at most, for compiling; on a GPU {GPU_WARM_UP:.0f} for each model",
    )
    parser.add_argument("--turn", type=Path, help="a file: commands that name it measure one at a time")
    parser.add_argument("--preview-every", type=float, default=default.preview_every, help="seconds")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS, help="besides the queue")
    parser.add_argument("--seconds", type=float, help=f"for everything; on a GPU {GPU_SECONDS:.0f}")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    models.quiet()
    device = devices.choose(arguments.device)
    on_gpu = devices.is_gpu(device)
    allowance = Allowance(arguments.seconds or (GPU_SECONDS if on_gpu else math.inf))
    if arguments.warm_up is None:
        arguments.warm_up = GPU_WARM_UP if on_gpu else 0.0
    options = Options(**{name: getattr(arguments, name) for name in Options._fields})
    chosen = models.NAMES if arguments.model == "all" else (arguments.model,)
    found: dict[str, Any] = {
        "machine": machine(device),
        "seed": options.seed,
        "load": options.load,
        "models": [],
    }
    if on_gpu:
        found["machine"]["compiling_seconds"] = prepare.side_by_side(chosen, device)
    for number, name in enumerate(chosen):
        share = allowance.part(1 / (len(chosen) - number))
        result = measure(models.named(name), device, options, share)
        if on_gpu:
            add_peak(result)
        found["models"].append(result)
        Console().print(table(result, on_gpu))
        if arguments.json is not None:
            arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
