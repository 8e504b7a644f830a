"""Memory that a model needs, known before it is loaded, and the plan that is chosen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks import published
from benchmarks.published import ARCHITECTURES
from generator.families import loading
from generator.families.sd import StableDiffusion
from generator.memory import activations, fits, needs
from generator.memory.fits import GIB, Device, Fit
from generator.memory.live_bytes import LiveBytes
from generator.memory.needs import Needs
from generator.memory.plan import PLAIN
from generator.memory.plans import MemoryPlans
from storage.catalog_companions import ControlEntry, LoraEntry
from storage.catalog_model import ModelEntry
from tests.generator import original_layout, tiny

SIZES = {"sd15": ((512, 512), (768, 384)), "sdxl": ((1024, 1024), (1152, 896))}
MEASURES = ("companions_leave", "text_encoders_leave", "tiled_decoding", "group_offload")
CHECKER_WEIGHTS = 303_981_588
"""Of the published safety checker, about."""


@pytest.fixture(scope="module", params=SIZES)
def entry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelEntry:
    """A published model's folder as it is on disk, but that its weights are holes in their files."""
    folder = tmp_path_factory.mktemp(request.param)
    architecture = ARCHITECTURES[request.param]
    with torch.device("meta"):
        parts = {"unet": published.unet(architecture), "vae": published.vae(architecture)}
        for place, config in enumerate(architecture.text_encoders):
            name = f"text_encoder_{place + 1}" if place else "text_encoder"
            parts[name] = published.text_encoder(config, projection=bool(place))
    for name, network in parts.items():
        config = dict(network.config) if name in needs.KINDS else {}
        write(folder / name, network.state_dict(), {**config, "_class_name": type(network).__name__})
    (folder / "model_index.json").write_text(json.dumps({"_class_name": architecture.title}))
    checker = folder / "safety_checker"
    write(checker, {"vision_model": torch.empty(CHECKER_WEIGHTS, device="meta")}, {})
    return ModelEntry(
        name=request.param,
        title="T",
        source=str(folder),
        family=architecture.family,
        sizes=SIZES[request.param],
    )


def write(folder: Path, weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    """A network's folder with half precision weights that take no room on the disk."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    header, end = {}, 0
    for name, weight in weights.items():
        size = 2 * weight.numel()
        header[name] = {"dtype": "F16", "shape": list(weight.shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    name = "model" if folder.name.startswith(("text", "safety")) else "diffusion_pytorch_model"
    with (folder / f"{name}.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def gpu(gib: float) -> Device:
    return Device.of(int(gib * GIB), 2, gpu=True)


def fit(entry: ModelEntry, gib: float, **changes: Any) -> Fit:
    changed = entry.model_copy(update=changes)
    found = needs.of_entry(changed)
    assert found is not None
    return fits.chosen(changed, found, gpu(gib))


def test_a_grid_fits_a_small_gpu_without_its_layers_leaving(entry: ModelEntry) -> None:
    """SDXL's at 1024 × 1024 an 8 GB one (6.7 of 7.5 GiB), Stable Diffusion 1.5's at 512 one of 4 GB (3.4)."""
    gib, expected = {"sdxl": (8, 6.7), "sd15": (4, 3.4)}[entry.name]
    found = fit(entry, gib)
    assert found.fits
    assert found.plan.companions_leave
    assert not found.plan.hooked
    assert found.peak / GIB == pytest.approx(expected, abs=0.1)
    assert f"{found.peak / GIB:.1f} of {gib - 0.5:.1f} GiB" in found.sentence()


def test_a_large_gpu_does_without_measures(entry: ModelEntry) -> None:
    found = fit(entry, 24)
    assert found.fits
    assert found.plan == PLAIN
    assert "wait" not in found.sentence()


@pytest.mark.parametrize("gib", [2, 3, 4, 5, 6, 7, 8, 10, 12, 16])
def test_what_is_chosen_fits_and_no_less_would(entry: ModelEntry, gib: int) -> None:
    found = fit(entry, gib)
    assert found.peak <= fit(entry, 99).peak
    if gib > 2:
        assert found.fits
    wanted = needs.of_entry(entry)
    assert wanted is not None
    for measure in MEASURES:
        if found.fits and getattr(found.plan, measure):
            less = fits._fit(entry, wanted, gpu(gib), replace(found.plan, **{measure: False}))  # type: ignore[arg-type]
            assert not less.fits, measure


def test_an_operators_choice_is_kept(entry: ModelEntry) -> None:
    assert fit(entry, 2, memory="full").plan == PLAIN
    assert not fit(entry, 2, memory="full").fits
    assert "does not fit" in fit(entry, 2, memory="full").sentence()
    low = fit(entry, 80, memory="low").plan
    assert (low.rows, low.tiled_decoding, low.text_encoders_leave, low.group_offload) == (
        4,
        True,
        True,
        False,
    )
    assert fit(entry, 80, memory="offload").plan == replace(low, group_offload=True)
    for storage in ("fp8", "int8", "nf4"):
        found = fit(entry, 24, memory=storage)
        assert found.plan.storage == storage
        assert found.weights < fit(entry, 24, memory="full").weights


def test_where_loras_have_no_room_beside_their_model_they_take_turns(entry: ModelEntry) -> None:
    loras = {"ink": LoraEntry(source="ink.safetensors")}
    large = fit(entry, 80, loras=loras)
    more = large.weights - fit(entry, 80).weights
    assert more == 2 * activations.of_denoiser(needs.PUBLISHED[entry.family]["unet"]).linear
    gib = {"sdxl": 8, "sd15": 4}[entry.name]
    small = fit(entry, gib, loras=loras)
    assert small.fits
    assert small.plan.variants_leave
    assert not small.plan.group_offload
    assert "LoRAs take turns" in small.sentence()


def test_a_control_counts(entry: ModelEntry, tmp_path: Path) -> None:
    write(tmp_path / "control", {"w": torch.empty(500_000_000, device="meta")}, {})
    more = fit(entry, 80, controls={"edges": ControlEntry(source=str(tmp_path / "control"))})
    assert more.weights - fit(entry, 80).weights == 1_000_000_000


@pytest.mark.parametrize(
    ("name", "weights", "held", "decoded"),
    [("sd15", 859_520_964, 26 * 320, 768), ("sdxl", 2_567_463_684, 15.75 * 320, 768)],
)
def test_published_networks_hold_what_they_hold(name: str, weights: int, held: float, decoded: float) -> None:
    """Numbers for each latent pixel of a row, and each pixel of a picture; counted again by whole runs."""
    published_as = needs.PUBLISHED[ARCHITECTURES[name].family]
    denoiser = activations.of_denoiser(published_as["unet"])
    assert denoiser.weights == weights
    assert denoiser.held == pytest.approx(held, rel=0.01)
    assert activations.of_decoder(published_as["vae"]) == pytest.approx(decoded, rel=0.01)


@pytest.mark.parametrize("rows", [1, 5])
def test_real_tensors_take_what_fake_ones_told(sd_folder: Path, sdxl_folder: Path, rows: int) -> None:
    for folder in (sd_folder, sdxl_folder):
        family = loading.load(str(folder), torch.device("cpu"))
        assert isinstance(family, StableDiffusion)
        latents = torch.randn(rows, *family.latent_shape(256, 256))
        embeddings = family.encode(["a fox"]) * rows
        told = activations.of_denoiser(family.unet.config).held * latents[:, 0].numel() * 4
        conditions = family.conditions(embeddings, [], size=(256, 256), guidance_scale=1)
        given = [*family.unet.parameters(), latents, *conditions.values()]
        with torch.inference_mode(), LiveBytes(given) as live:
            family.predict(latents, torch.full((rows,), 500.0), conditions)
        assert live.peak == pytest.approx(told, rel=0.05)


def test_live_bytes_follow_storages() -> None:
    given = torch.zeros(1000)
    with LiveBytes([given]) as live:
        kept = given + 1
        view = kept[:10]
        del kept
        assert live.now == 4000
        del view
        assert live.now == 0
        given.add_(1)
    assert live.peak == 4000


def test_a_single_file_tells_the_same_as_its_folder(sd_folder: Path, tmp_path: Path) -> None:
    file = original_layout.write(sd_folder, tmp_path / "castle.safetensors")
    (tmp_path / "castle").symlink_to(sd_folder)
    of_folder, of_file = (
        needs.of_entry(ModelEntry(name="m", title="M", source=str(source), sizes=((64, 64),)))
        for source in (sd_folder, file)
    )
    assert of_folder is not None
    assert of_file is not None
    assert of_file._replace(companions=(), text_encoders=()) == of_folder._replace(
        companions=(), text_encoders=()
    )
    assert sum(of_file.text_encoders) == pytest.approx(sum(of_folder.text_encoders), rel=0.01)


def test_a_model_that_is_not_here_yet_has_no_needs(tmp_path: Path, sd_folder: Path) -> None:
    def of(source: Path | str) -> Needs | None:
        return needs.of_entry(ModelEntry(name="m", title="M", source=str(source), sizes=((64, 64),)))

    assert of("somebody/not-in-the-cache") is None
    assert of(tmp_path / "nothing.safetensors") is None
    damaged = tiny.make_sd(tmp_path / "damaged")
    (damaged / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"no weights")
    assert of(damaged) is None
    (damaged / "vae" / "config.json").write_text("{")
    assert of(damaged) is None
    assert of(sd_folder) is not None


def test_a_limit_makes_a_plan_on_any_device(sd_folder: Path) -> None:
    entry = ModelEntry(name="m", title="M", source=str(sd_folder), sizes=((64, 64), (96, 64)))
    cpu = torch.device("cpu")
    assert MemoryPlans(cpu).of(entry).plan == PLAIN
    least = fits._fit(entry, _needs(entry), Device(0, 4, gpu=False), fits._low(96 * 64 // 64)).peak
    limited = MemoryPlans(cpu, (least + fits.RESERVED + 2**16) / GIB).of(entry)
    assert limited.fits
    assert limited.plan.companions_leave


def _needs(entry: ModelEntry) -> Needs:
    found = needs.of_entry(entry)
    assert found is not None
    return found
