"""Compiled ahead of time in another process: the same numbers, whatever the rows and the weights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from generator.compiled import Call, Inputs
from generator.compiler import Compiler, Make, key
from generator.families import loading
from generator.families.sd import StableDiffusion
from generator.variants import PLAIN, Variant, Variants
from storage.contract import Lora, Role
from tests.generator import tiny

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def family(sd_folder: Path) -> StableDiffusion:
    return loading.load(str(sd_folder), CPU)


def latents(rows: int, side: int = 8) -> Tensor:
    return torch.randn((rows, 4, side, side), generator=torch.Generator().manual_seed(rows))


def decoder_of(compiler: Compiler, family: StableDiffusion, rows: int) -> Call:
    part = family.parts()["decoder"]
    return compiler.compiled(part, PLAIN, "decoder", (latents(rows),), quickest=False)


def fail() -> StableDiffusion:
    raise ValueError("no such model here")


def die() -> StableDiffusion:
    os._exit(3)


@pytest.mark.timeout(400)
def test_one_version_serves_all_rows_and_all_weights(
    family: StableDiffusion, sd_folder: Path, sd2_folder: Path, tmp_path: Path
) -> None:
    compiler = Compiler(tmp_path, partial(loading.load, str(sd_folder), CPU))
    compiled = decoder_of(compiler, family, 2)
    for rows in (2, 4, 8):
        assert (compiled(latents(rows)) - family.call_decoder(latents(rows))).abs().max() < 1e-4
    (file,) = tmp_path.iterdir()
    before = file.stat().st_mtime_ns
    other = loading.load(str(sd2_folder), CPU)
    with_others = Compiler(tmp_path, die).compiled(
        other.parts()["decoder"], PLAIN, "decoder", (latents(4),), quickest=False
    )
    assert (with_others(latents(4)) - other.call_decoder(latents(4))).abs().max() < 1e-4
    assert (with_others(latents(4)) - compiled(latents(4))).abs().max() > 0.1
    assert [(each, each.stat().st_mtime_ns) for each in tmp_path.iterdir()] == [(file, before)]


@pytest.mark.parametrize(("make", "reason"), [(fail, "no such model here"), (die, "process died")])
def test_why_nothing_was_compiled_is_said(
    family: StableDiffusion, tmp_path: Path, make: Make, reason: str
) -> None:
    with pytest.raises(RuntimeError, match=reason):
        Compiler(tmp_path, make).compiled(
            family.parts()["decoder"], PLAIN, "decoder", (latents(2),), quickest=False
        )
    assert not list(tmp_path.iterdir())


def test_a_version_is_for_what_changes_the_computation_alone(
    family: StableDiffusion, sd_folder: Path, tmp_path: Path
) -> None:
    variants = Variants(family, tiny.make_steered(tmp_path, sd_folder), lambda *_: None)

    def of(variant: Variant, rows: int = 2, side: int = 8) -> str:
        words = {"encoder_hidden_states": torch.ones(rows, 77, tiny.TEXT_WIDTH)}
        example: Inputs = (latents(rows, side), torch.ones(rows), words)
        return key(variants.made(variant).parts()["network"], example)

    plain = of(PLAIN)
    assert of(PLAIN, rows=8) == plain
    assert of(Variant(loras=(Lora(name="ink", weight=1.0),))) == plain
    others = {
        of(PLAIN, rows=1),
        of(PLAIN, side=16),
        of(Variant(tile=True)),
        of(Variant(control="whole")),
        of(Variant(roles=(Role.STYLE,), weights=(0.5,))),
        of(Variant(roles=(Role.STYLE,), weights=(0.9,))),
    }
    assert len({plain, *others}) == 7
