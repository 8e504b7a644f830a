"""No sampler waits for the GPU within a step: on torch's meta device there are no numbers to wait for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from generator import devices
from generator.engine.host_copies import UnwaitedCopies, unwaited
from generator.engine.inpainting import Mask
from generator.families.denoising import DiffusionDenoising
from generator.families.schedulers import TABLE, Schedulers

STEPS = 6
SHAPE = (2, 4, 8, 8)
CONFIG = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").config
DRAWS = {name for name in TABLE if name in {"ddpm", "euler_a", "kdpm2_a", "lcm"} or "sde" in name}
"""Samplers with fresh noise at their steps."""


class Copies(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own is
    """Notes of every copy to the device whether it is waited for."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waited: list[bool] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        given = [each.device.type for each in args if isinstance(each, Tensor)]
        if func is torch.ops.aten._to_copy.default and given == ["cpu"] and out.device.type == "meta":
            self.waited.append(not kwargs.get("non_blocking"))
        return out


def draw(sampler: str, *, masked: bool) -> None:
    """A whole drawing on the meta device, where any question for a number is an error."""
    rngs = [torch.Generator().manual_seed(seed) for seed in range(SHAPE[0])]
    denoising = DiffusionDenoising(Schedulers(CONFIG).new(sampler, STEPS), STEPS, strength=None, rngs=rngs)
    latents = torch.empty(SHAPE, device="meta")
    mask = Mask(latents[:1, :1], latents, latents)
    for call in range(len(denoising.times)):
        denoising.model_input(latents, call)
        latents = denoising.step(torch.empty(SHAPE, device="meta"), latents, call)
        if masked:
            left = 1 - (call + 1) / len(denoising.times)
            latents = mask.keep(latents, denoising, call + 1, left)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("sampler", TABLE)
def test_no_step_waits_for_the_gpu(sampler: str, masked: bool) -> None:
    with Copies() as copies, UnwaitedCopies(pin=Tensor.clone):
        draw(sampler, masked=masked)
    assert not any(copies.waited)
    if masked or sampler in DRAWS:
        assert copies.waited, "there was something to copy"


@pytest.mark.parametrize("sampler", sorted(DRAWS))
def test_by_themselves_those_that_draw_would(sampler: str) -> None:
    with Copies() as copies:
        draw(sampler, masked=False)
    assert any(copies.waited)


def test_what_is_copied_is_what_was_there() -> None:
    pinned: list[Tensor] = []

    def pin(value: Tensor) -> Tensor:
        pinned.append(value)
        return value.clone()

    there = torch.arange(3.0)
    with UnwaitedCopies(pin):
        assert there.to(torch.float64).tolist() == [0, 1, 2], "no copy to a GPU"
        assert there.to("cpu") is there
        moved = [
            there.to("meta"),
            there.to(device=torch.device("meta")),
            there.to(torch.empty(1, device="meta")),
        ]
    assert [each.device.type for each in moved] == ["meta"] * 3
    assert [value.tolist() for value in pinned] == [[0, 1, 2]] * 3


def test_a_device_without_streams_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert not isinstance(unwaited(cpu), UnwaitedCopies)
    able = devices.abilities(cpu)._replace(pinned=True)
    monkeypatch.setattr(devices, "abilities", lambda _: able)
    assert isinstance(unwaited(cpu), UnwaitedCopies)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_the_same_numbers() -> None:
    there = torch.randn(4, 64, 64)
    with unwaited(torch.device("cuda")):
        moved = there.to("cuda")
    assert torch.equal(moved.cpu(), there)
