"""What the benchmark compiles beforehand is what its engine asks for on the way."""

from __future__ import annotations

import torch

from benchmarks import models, prepare
from benchmarks.models import Model
from benchmarks.workload import Mix
from generator import compiled
from generator.compiled import Call, CompiledCall, Inputs
from generator.compiler import key
from tests.generator.working import wait_for


def test_an_engine_finds_what_was_prepared(model: Model) -> None:
    mix = Mix(model.name, model.pixels, 4, 6)
    asked: set[tuple[str, str]] = set()
    with models.open_engine(model, torch.device("cpu")) as engine:
        parts = engine.family.parts()
        prepared = {
            (name, key(parts[name], example)) for name, example in prepare.examples(engine.family, mix)
        }
        for name, part in parts.items():

            def compile_(inputs: Inputs, name: str = name) -> Call:
                asked.add((name, key(parts[name], inputs)))
                return parts[name]

            setattr(engine.family, name, CompiledCall(part, compile_))
        for number in range(compiled.WORTH_COMPILING):
            engine.submit(mix.typical(number)).result()
        wait_for(lambda: {name for name, _ in asked} == set(parts))
    assert asked <= prepared
