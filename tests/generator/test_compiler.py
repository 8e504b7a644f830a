"""Compiled ahead of time in another process: the same numbers, whatever the rows and the weights."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from generator.compiling import compiler
from generator.compiling.calls import Call, Inputs, each
from generator.compiling.compiler import Compiler, exported, key, skeleton, weights_of
from generator.engine.patched_models import PLAIN, PatchedModel, PatchedModels
from generator.engine.running_job import DrawRequest, RequestImages, RunningJob
from generator.families import loading
from generator.families.parts import Denoiser, VaeDecoder
from generator.families.sd import StableDiffusion
from storage.contract import Control, GenerationRequest, Lora, Reference, Role
from tests.generator import tiny
from tests.generator.sharing import noisy, stable_diffusion

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def family(sd_folder: Path) -> StableDiffusion:
    return stable_diffusion(loading.load(str(sd_folder), CPU))


def latents(rows: int, side: int = 8) -> Tensor:
    return torch.randn((rows, 4, side, side), generator=torch.Generator().manual_seed(rows))


def compiled(part: torch.nn.Module, folder: Path, rows: int) -> Call:
    return Compiler(folder).compiled(part, (latents(rows),), quickest=False)


class Small(torch.nn.Module):
    """Compiled in a third of the time that the smallest decoder takes."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layer = torch.nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        computed: Tensor = torch.nn.functional.silu(self.layer(latents))
        return computed


@pytest.fixture(params=["small", "decoder"])
def clones(
    request: pytest.FixtureRequest, sd_folder: Path, sd2_folder: Path
) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Two parts of one layout and of other weights."""
    if request.param == "small":
        return Small(0), Small(1)
    one, other = (stable_diffusion(loading.load(str(folder), CPU)) for folder in (sd_folder, sd2_folder))
    return VaeDecoder(one.vae), VaeDecoder(other.vae)


class Failing(torch.nn.Module):
    def forward(self, _: Tensor) -> Tensor:
        raise ValueError("no such network here")


class Deadly(torch.nn.Module):
    def forward(self, _: Tensor) -> Tensor:
        os._exit(3)


@pytest.mark.exhaustive
@pytest.mark.timeout(400)
def test_one_version_serves_all_rows_and_all_weights_and_workers(
    clones: tuple[torch.nn.Module, torch.nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Path] = []
    compile_ = compiler._compile

    def counted(part: torch.nn.Module, example: Inputs, file: Path, *, quickest: bool) -> None:
        begun.append(file)
        compile_(part, example, file, quickest=quickest)

    monkeypatch.setattr(compiler, "_compile", counted)
    unused, left = tmp_path / "unused.pt2", tmp_path / "unfinished-1"
    unused.touch()
    left.mkdir()
    for place in (unused, left):
        os.utime(place, (0, 0))
    part, other = clones
    with ThreadPoolExecutor(2) as workers:
        one, same = workers.map(lambda _: compiled(part, tmp_path, 2), range(2))
    for rows in (2, 4, 8):
        assert (one(latents(rows)) - part(latents(rows))).abs().max() < 1e-4
        assert (same(latents(rows)) - one(latents(rows))).abs().max() == 0
    (file,) = begun
    assert not unused.exists()
    assert not left.exists()
    os.utime(file, (0, 0))
    with_others = compiled(other, tmp_path, 4)
    assert (with_others(latents(4)) - other(latents(4))).abs().max() < 1e-4
    assert (with_others(latents(4)) - one(latents(4))).abs().max() > 0.1
    assert begun == [file]
    assert file.stat().st_mtime > 0, "who uses it keeps it"


def test_a_torn_file_is_made_anew_the_next_time(family: StableDiffusion, tmp_path: Path) -> None:
    torn = tmp_path / f"{key(VaeDecoder(family.vae), (latents(2),))}.pt2"
    torn.write_bytes(b"torn")
    with pytest.raises(RuntimeError):
        compiled(VaeDecoder(family.vae), tmp_path, 2)
    assert not torn.exists()


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        pytest.param(Failing(), "no such network", marks=pytest.mark.exhaustive),
        (Deadly(), "process died"),
    ],
)
def test_why_nothing_was_compiled_is_said(part: torch.nn.Module, tmp_path: Path, reason: str) -> None:
    with pytest.raises(RuntimeError, match=reason):
        compiled(part, tmp_path, 2)
    assert [place.suffix for place in tmp_path.iterdir()] == [".lock"]


def test_a_version_is_for_what_changes_the_computation_alone(
    family: StableDiffusion, sd_folder: Path, tmp_path: Path
) -> None:
    variants = PatchedModels(family, tiny.make_steered(tmp_path, sd_folder), lambda _: None)

    def of(variant: PatchedModel, rows: int = 2, side: int = 8) -> str:
        words = {"encoder_hidden_states": torch.ones(rows, 77, tiny.TEXT_WIDTH)}
        example: Inputs = (latents(rows, side), torch.ones(rows), words)
        part = stable_diffusion(variants.made(variant)).denoiser
        assert isinstance(part, Denoiser)
        return key(part, example)

    plain = of(PLAIN)
    assert of(PLAIN, rows=8) == plain
    assert of(PatchedModel(loras=(Lora(name="ink", weight=1.0),))) == plain
    others = {
        of(PLAIN, rows=1),
        of(PLAIN, side=16),
        of(PatchedModel(tile=True)),
        of(PatchedModel(control="whole")),
        of(PatchedModel(roles=(Role.STYLE,))),
        of(PatchedModel(roles=(Role.SUBJECT,))),
    }
    assert len({plain, *others}) == 7


@pytest.mark.parametrize("shape", [(96, 64), (128, 128)])
def test_a_decoder_of_published_size_is_exported_for_pictures_of_any_ratio(shape: tuple[int, int]) -> None:
    with torch.device("meta"):
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
        )
        example = (torch.empty(2, 4, *shape),)
    assert exported(VaeDecoder(vae.eval()), example, CPU).range_constraints


STEERED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "an adapter": {"references": (Reference(role=Role.STYLE, keys=("k",), weight=0.8),)},
    "all of it, tiling": {
        "loras": (Lora(name="ink", weight=1.0),),
        "references": (Reference(role=Role.IMAGE, keys=("k",)), Reference(role=Role.STYLE, keys=("k",))),
        "control": Control(kind="whole", weight=0.8, key="k"),
        "tile": True,
    },
}


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("folder", "steered"),
    [
        ("sd_folder", "all of it, tiling"),
        ("sd_folder", "an adapter"),
        ("sd2_folder", "nothing"),
        ("sdxl_folder", "all of it, tiling"),
    ],
)
def test_what_another_process_is_sent_computes_the_same(
    folder: str, steered: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source: Path = request.getfixturevalue(folder)
    fields = {"prompt": "a cat", "width": 64, "height": 64, "seed": 7, "num_images_per_prompt": 2}
    wish = GenerationRequest.model_validate(fields | STEERED[steered])
    variants = PatchedModels(
        loading.load(str(source), CPU), tiny.make_steered(tmp_path, source), lambda _: None
    )
    given = RequestImages(control=noisy(1), references={each.role: [noisy(2)] for each in wish.references})
    rows = RunningJob(variants.of(wish), DrawRequest(wish, given))
    rows.start()
    latents, time = rows.model_input()
    part = stable_diffusion(rows.family).denoiser
    inputs = (latents, torch.full((len(latents),), time), rows.conditions)
    assert isinstance(part, Denoiser)
    sent = skeleton(part, inputs)
    assert len(sent) < 300_000
    received, example = pickle.loads(sent)
    program = exported(received, example, CPU)
    assert len(program.range_constraints) == 1, "one number of rows for all"
    computed = program.module()
    more = each(lambda value: torch.cat([value, value.flip(0)]), inputs)
    assert (computed(weights_of(part), *more) - part(*more)).abs().max() < 1e-4
