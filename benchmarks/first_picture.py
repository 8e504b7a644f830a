"""From nothing to a picture: a process starts, loads one model and draws one job.

    python -m benchmarks.first_picture {easel|diffusers} MODEL [--device auto] [--steps 26]

prints the time of day when the PNGs were there; `after_start` runs it and says how long that took.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time

import torch

from benchmarks import models
from benchmarks.queues import encode
from benchmarks.workload import Mix
from generator import devices
from generator.worker import output


def draw(side: str, name: str, device: torch.device, steps: int) -> list[bytes]:
    model = models.named(name)
    request = Mix(model.name, model.pixels).request(0, steps)
    if side == "diffusers":
        return encode(models.open_pipeline(model, device).draw(request), request)
    with models.open_engine(model, device) as engine:
        return output.encode_all(engine.submit(request).result(), request)


def after_start(side: str, name: str, device: torch.device, steps: int, limit: float) -> float | None:
    """Seconds; None if it took longer than the limit, which may be infinite."""
    command = [sys.executable, "-m", "benchmarks.first_picture", side, name]
    command += ["--device", str(device), "--steps", str(steps)]
    timeout = None if math.isinf(limit) else limit
    begun = time.time()
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return None
    return float(done.stdout.split()[-1]) - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("side", choices=["easel", "diffusers"])
    parser.add_argument("model")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=26)
    arguments = parser.parse_args()
    models.quiet()
    draw(arguments.side, arguments.model, devices.choose(arguments.device), arguments.steps)
    print(time.time())


if __name__ == "__main__":
    main()
