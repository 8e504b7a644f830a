"""UNet calls in buckets: eager first, compiled when that is ready, and the same numbers either way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from generator import devices
from generator.compiling import calls
from generator.compiling.calls import WORTH_COMPILING, Call, CompiledCall, Inputs
from generator.families import loading
from generator.families.sd import StableDiffusion
from tests.generator.sharing import stable_diffusion
from tests.generator.working import wait_for

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["sd_folder", "sdxl_folder"])
def family(request: pytest.FixtureRequest) -> StableDiffusion:
    folder: Path = request.getfixturevalue(request.param)
    return stable_diffusion(loading.load(str(folder), CPU))


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def inputs(family: StableDiffusion, rows: int) -> Inputs:
    rng = torch.Generator().manual_seed(rows)
    latents = torch.randn((rows, *family.latent_shape(64, 64)), generator=rng)
    conditions = family.conditions([family.prompts["a fox"]] * rows, [], size=(64, 64), guidance_scale=1.0)
    timesteps = torch.full((rows,), 500.0)
    return latents.to(family.device), timesteps.to(family.device), conditions


def traced(call: Call) -> Call:
    """All of `torch.compile` but the kernels, which take a minute."""
    return torch.compile(call, backend="eager", dynamic=False, fullgraph=True)


@pytest.mark.parametrize("rows", [1, 3, 5, 8, 33])
def test_a_filled_call_is_the_bare_call(family: StableDiffusion, rows: int) -> None:
    given = inputs(family, rows)
    network = CompiledCall(family.denoiser, lambda _: family.denoiser)
    expected = family.denoiser(*given)
    assert network(*given).shape == expected.shape
    assert (network(*given) - expected).abs().max() < 1e-4


def test_calls_come_in_buckets(family: StableDiffusion) -> None:
    seen: list[int] = []

    def call(latents: Tensor, *_: object) -> Tensor:
        seen.append(len(latents))
        return latents

    network = CompiledCall(call, lambda _: call)
    for rows in (1, 2, 3, 7, 16, 20, 32, 40):
        network(*inputs(family, rows))
    assert seen == [1, 2, 4, 8, 16, 32, 32, 64]


def test_nobody_waits_for_the_compiler(sd_folder: Path) -> None:
    family = stable_diffusion(loading.load(str(sd_folder), CPU))
    may_finish, finished = threading.Event(), threading.Event()
    compiled_calls: list[int] = []

    def slowly(_: Inputs) -> Call:
        assert may_finish.wait(60)
        compiled = traced(family.denoiser)

        def counted(*given: object) -> Tensor:
            compiled_calls.append(1)
            return compiled(*given)

        finished.set()
        return counted

    network = CompiledCall(family.denoiser, slowly)
    given = inputs(family, 3)
    expected = family.denoiser(*given)
    for _ in range(2 * WORTH_COMPILING):
        network(*given)
    assert not compiled_calls
    may_finish.set()
    assert finished.wait(60)
    wait_for(lambda: bool((network(*given), compiled_calls)[1]))
    assert (network(*given) - expected).abs().max() < 1e-4
    network(*inputs(family, 5))
    assert len(compiled_calls) == 2, "another bucket is not recorded yet"
    wait_for(lambda: bool((network(*inputs(family, 5)), len(compiled_calls) > 2)[1]))


def test_where_compiling_fails_calls_stay_as_they_were(
    family: StableDiffusion, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Inputs) -> Call:
        raise RuntimeError("no compiler here")

    network = CompiledCall(family.denoiser, fail)
    given = inputs(family, 2)
    for _ in range(WORTH_COMPILING):
        network(*given)
    wait_for(lambda: "stay uncompiled" in caplog.text)
    assert (network(*given) - family.denoiser(*given)).abs().max() < 1e-4


def test_what_suits_a_gpu_changes_no_number(
    request: pytest.FixtureRequest, family: StableDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = request.getfixturevalue(request.node.callspec.params["family"])
    can = devices.abilities(CPU)._replace(channels_last=True)
    monkeypatch.setattr(devices, "abilities", lambda _: can)
    monkeypatch.setattr(devices, "is_gpu", lambda _: True)
    suited = stable_diffusion(loading.load(str(folder), CPU))
    assert suited.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    attention = next(module for module in suited.unet.modules() if hasattr(module, "fused_projections"))
    assert attention.fused_projections
    given = inputs(family, 3)
    assert (suited.denoiser(*given) - family.denoiser(*given)).abs().max() < 1e-4
    latents = torch.randn((2, *family.latent_shape(64, 64)), generator=torch.Generator().manual_seed(0))
    assert (suited.decode(latents) - family.decode(latents)).abs().max() < 1e-4


def test_the_first_way_with_the_right_numbers_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    given = (torch.randn(2, 4, generator=torch.Generator().manual_seed(0)),)

    def fails(_: Inputs) -> Call:
        raise RuntimeError("no such kernel")

    def record(call: Call, inputs: Inputs) -> Call:
        calls.check(call(*inputs), torch.sin(*inputs))
        return call

    ways = [fails, lambda _: torch.cos, lambda _: torch.sin, lambda _: torch.tan]
    assert calls.first_right(ways, record, given) is torch.sin
    assert "no such kernel" in caplog.text
    assert "differs from the network" in caplog.text
    with pytest.raises(ArithmeticError):
        calls.first_right([fails, lambda _: torch.cos], record, given)


def test_what_differs_is_not_used() -> None:
    expected = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    calls.check(expected * 1.002, expected)
    for made in (expected * 1.1, expected.roll(1, dims=0), expected * torch.nan):
        with pytest.raises(ArithmeticError, match="differs from the network"):
            calls.check(made, expected)
