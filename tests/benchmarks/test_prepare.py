"""What the benchmark compiles beforehand is what its engine asks for on the way."""

from __future__ import annotations

import torch

from benchmarks import models, prepare
from benchmarks.models import Model
from benchmarks.workload import Mix
from generator.compiling import calls
from generator.compiling.calls import Call, CompiledCall, Inputs
from generator.compiling.compiler import key
from tests.generator.working import wait_for


def test_an_engine_finds_what_was_prepared(model: Model) -> None:
    mix = Mix(model.name, model.pixels, 4, 6)
    asked: dict[str, set[str]] = {"denoiser": set(), "decoder": set()}
    with models.open_engine(model, torch.device("cpu")) as engine:
        prepared = {key(part, example) for part, example in prepare.examples(engine.family, mix)}
        for name, keys in asked.items():
            part = getattr(engine.family, name)

            def compile_(inputs: Inputs, part: torch.nn.Module = part, keys: set[str] = keys) -> Call:
                keys.add(key(part, inputs))
                return part

            setattr(engine.family, name, CompiledCall(part, compile_))
        for number in range(calls.WORTH_COMPILING):
            engine.submit(mix.typical(number)).result()
        wait_for(lambda: all(asked.values()))
    assert set.union(*asked.values()) <= prepared
