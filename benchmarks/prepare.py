"""Compile a model's networks for the benchmark's sizes, into the folder where an engine looks for them.

    python -m benchmarks.prepare MODEL [--device auto]

An engine would do so itself beside its first jobs, one part after another, and a benchmark would wait for it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from benchmarks import models
from benchmarks.clock import Stopwatch
from benchmarks.workload import Mix
from generator import devices
from generator.compiling.calls import Call, Inputs, check, first_right
from generator.compiling.compiler import Compiler, users_folder
from generator.engine.running_job import DrawRequest, RunningJob
from generator.families.base import Family
from generator.families.parts import Denoiser, VaeDecoder
from generator.families.sd import StableDiffusion
from generator.memory.plan import GPU_PIXELS


def prepare(name: str, device: torch.device) -> None:
    """Of several ways to compile, each part's first that gives its own numbers.

    Raises:
        RuntimeError: it cannot be compiled.
    """
    model = models.named(name)
    family, compiler = models.family(model, device), Compiler(users_folder())

    def compiled(part: torch.nn.Module, example: Inputs) -> Call:
        def checked(call: Call, inputs: Inputs) -> Call:
            with torch.inference_mode():
                check(call(*inputs), part(*inputs))
            return call

        return first_right(compiler.ways(part), checked, example)

    calls = list(examples(family, Mix(model.name, model.pixels)))
    with ThreadPoolExecutor(len(calls)) as waiting:
        list(waiting.map(lambda call: compiled(*call), calls))


@torch.inference_mode()
def examples(family: Family, mix: Mix) -> Iterator[tuple[torch.nn.Module, Inputs]]:
    """A call of each kind that the queue makes, behind the part that is called."""
    assert isinstance(family, StableDiffusion)
    denoiser, decoder = Denoiser(family.unet), VaeDecoder(family.vae)
    rows = RunningJob(family, DrawRequest(mix.typical()))
    rows.start()
    latents, time = rows.model_input()
    times = torch.full((len(latents),), time, device=family.device)
    yield denoiser, (latents, times, rows.conditions)
    finished = rows.latents.to(family.vae.dtype)
    yield decoder, (finished[:1],)
    if 2 * mix.pixels**2 <= GPU_PIXELS:
        yield decoder, (finished[:2],)


def side_by_side(names: Sequence[str], device: torch.device) -> float:
    """Each model in a process of its own; returns how many seconds it took."""
    clock = Stopwatch()
    command = [sys.executable, "-m", "benchmarks.prepare", "--device", str(device)]
    running = [subprocess.Popen([*command, name]) for name in names]
    for process in running:
        process.wait()
    return clock.read().wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    models.quiet()
    prepare(arguments.model, devices.choose(arguments.device))


if __name__ == "__main__":
    main()
