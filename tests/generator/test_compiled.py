"""UNet calls in buckets: eager first, compiled when that is ready, and the same numbers either way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from generator import compiled
from generator.compiled import WORTH_COMPILING, CompiledNetwork, GraphCompiler, Inputs
from generator.families import loading
from generator.families.sd import StableDiffusion, UNetCall
from tests.generator.working import wait_for

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["sd_folder", "sdxl_folder"])
def family(request: pytest.FixtureRequest) -> StableDiffusion:
    folder: Path = request.getfixturevalue(request.param)
    return loading.load(str(folder), CPU)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def inputs(family: StableDiffusion, rows: int) -> Inputs:
    rng = torch.Generator().manual_seed(rows)
    latents = torch.randn((rows, *family.latent_shape(64, 64)), generator=rng)
    conditions = family.conditions([family.prompts["a fox"]] * rows, [], size=(64, 64), guidance_scale=1.0)
    timesteps = torch.full((rows,), 500.0)
    return Inputs(latents.to(family.device), timesteps.to(family.device), conditions)


def quick(call: UNetCall, _: Inputs) -> UNetCall:
    return call


def traced(call: UNetCall, _: Inputs) -> UNetCall:
    """All of `torch.compile` but the kernels, which take a minute."""
    compiled: UNetCall = torch.compile(call, backend="eager", dynamic=False, fullgraph=True)
    return compiled


@pytest.mark.parametrize("rows", [1, 3, 5, 8, 33])
def test_a_filled_call_is_the_bare_call(family: StableDiffusion, rows: int) -> None:
    given = inputs(family, rows)
    network = CompiledNetwork(family.call_unet, quick)
    expected = family.call_unet(*given)
    assert network(*given).shape == expected.shape
    assert (network(*given) - expected).abs().max() < 1e-4


def test_calls_come_in_buckets(family: StableDiffusion) -> None:
    seen: list[int] = []

    def call(latents: Tensor, *_: object) -> Tensor:
        seen.append(len(latents))
        return latents

    network = CompiledNetwork(call, quick)
    for rows in (1, 2, 3, 7, 16, 20, 32, 40):
        network(*inputs(family, rows))
    assert seen == [1, 2, 4, 8, 16, 32, 32, 40]


def test_nobody_waits_for_the_compiler(sd_folder: Path) -> None:
    family = loading.load(str(sd_folder), CPU)
    may_finish, finished = threading.Event(), threading.Event()
    compiled_calls: list[int] = []

    def slowly(call: UNetCall, example: Inputs) -> UNetCall:
        assert may_finish.wait(60)
        compiled = traced(call, example)

        def counted(*given: object) -> Tensor:
            compiled_calls.append(1)
            return compiled(*given)  # type: ignore[arg-type]

        finished.set()
        return counted

    network = CompiledNetwork(family.call_unet, slowly)
    given = inputs(family, 3)
    expected = family.call_unet(*given)
    for _ in range(2 * WORTH_COMPILING):
        network(*given)
    assert not compiled_calls
    may_finish.set()
    assert finished.wait(60)
    wait_for(lambda: bool((network(*given), compiled_calls)[1]))
    assert (network(*given) - expected).abs().max() < 1e-4
    network(*inputs(family, 5))
    assert len(compiled_calls) == 2, "another bucket is not compiled yet"


def test_where_compiling_fails_calls_stay_as_they_were(
    family: StableDiffusion, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> UNetCall:
        raise RuntimeError("no compiler here")

    network = CompiledNetwork(family.call_unet, fail)
    given = inputs(family, 2)
    for _ in range(WORTH_COMPILING):
        network(*given)
    wait_for(lambda: "stay uncompiled" in caplog.text)
    assert (network(*given) - family.call_unet(*given)).abs().max() < 1e-4


def test_what_suits_a_card_changes_no_number(request: pytest.FixtureRequest, family: StableDiffusion) -> None:
    suited = loading.load(str(request.getfixturevalue(request.node.callspec.params["family"])), CPU)
    suited._suit_card()
    assert suited.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    attention = next(module for module in suited.unet.modules() if hasattr(module, "fused_projections"))
    assert attention.fused_projections
    given = inputs(family, 3)
    assert (suited.call_unet(*given) - family.call_unet(*given)).abs().max() < 1e-4
    latents = given.latents[:2]
    assert (suited.decode(latents) - family.decode(latents)).abs().max() < 1e-4


@pytest.mark.gpu
def test_on_a_card_a_graph_gives_the_eager_numbers(sd_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA card")
    monkeypatch.setattr(compiled, "WORTH_COMPILING", 1)
    family = loading.load(str(sd_folder), torch.device("cuda"))
    network = CompiledNetwork(family.call_unet, GraphCompiler(lambda record: record()))
    given = inputs(family, 3)
    expected = family.call_unet(*given.filled(4))[:3]
    wait_for(lambda: bool((network(*given), network._compiled)[1]), 300)
    assert (network(*given) - expected).abs().max() < 1e-2
