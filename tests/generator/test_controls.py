"""Control networks as they are passed around: what diffusers' own pipelines draw, or a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from diffusers import (
    ControlNetModel,
    ControlNetUnionModel,
    StableDiffusionAdapterPipeline,
    StableDiffusionXLAdapterPipeline,
    T2IAdapter,
)
from safetensors.torch import save_file

from generator.engine.engine import Engine
from generator.families import controls, schedulers
from generator.memory.placement import Placement
from storage.catalog_companions import ControlEntry
from storage.catalog_model import ModelEntry
from storage.errors import CatalogError
from tests.generator import original_layout, tiny
from tests.generator.reference import Images, Pipeline, difference
from tests.generator.test_steering import LEADING, asked, drawn

CPU = torch.device("cpu")
FOLDERS = ("sd_folder", pytest.param("sd2_folder", marks=pytest.mark.exhaustive), "sdxl_folder")


class Led(NamedTuple):
    """A model in the engine, and the controls of its catalog entry in diffusers' own classes."""

    engine: Engine
    folder: Path
    networks: dict[str, Any]


def entry_of(folder: Path, **named: ControlEntry) -> ModelEntry:
    return ModelEntry(name="m", title="M", source=str(folder), sizes=((64, 64),), controls=named)


@pytest.fixture(scope="module", params=FOLDERS)
def led(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Led]:
    folder: Path = request.getfixturevalue(request.param)
    place = tmp_path_factory.mktemp("controls")
    network = tiny.control_network(folder)
    pooling = tiny.control_network(folder)
    pooling.register_to_config(global_pool_conditions=True)
    pooling.save_pretrained(place / "pooling")
    save_file(network.state_dict(), place / "control.safetensors")
    save_file(network.state_dict(), place / "control_shuffle.safetensors")
    half = tiny.control_network(folder).half()
    half.save_pretrained(place / "half", variant="fp16")
    entry = entry_of(
        folder,
        file=ControlEntry(source=str(place / "control.safetensors")),
        original=ControlEntry(source=str(original_layout.write_control(network, place / "a.safetensors"))),
        bare=ControlEntry(
            source=str(original_layout.write_control(network, place / "b.safetensors", prefix=""))
        ),
        half=ControlEntry(source=str(place / "half")),
        pooling=ControlEntry(source=str(place / "pooling")),
        shuffle=ControlEntry(source=str(place / "control_shuffle.safetensors")),
        told=ControlEntry(source=str(place / "control.safetensors"), global_pool_conditions=True),
    )
    networks = {
        **dict.fromkeys(("file", "original", "bare"), network),
        **dict.fromkeys(("pooling", "shuffle", "told"), pooling),
        "half": half.float(),
    }
    with Engine.open(str(folder), device="cpu", entry=entry) as engine:
        yield Led(engine, folder, networks)


def solo(led: Led, kind: str, **wish: Any) -> Images:
    request = asked(0.8, kind, **wish)
    return Pipeline(led.folder).draw(
        request,
        controlnet=led.networks[kind],
        control=LEADING,
        controlnet_conditioning_scale=0.8,
    )


@pytest.mark.parametrize("guidance", [5.0, 1.0])
@pytest.mark.parametrize("kind", ["file", "original", "bare", "half", "pooling", "shuffle", "told"])
def test_it_leads_as_in_the_pipeline(led: Led, kind: str, guidance: float) -> None:
    found = drawn(led.engine, asked(0.8, kind, guidance_scale=guidance))
    assert difference(found, solo(led, kind, guidance_scale=guidance)) <= 1
    assert difference(found, drawn(led.engine, asked(guidance_scale=guidance))) > 8, "nothing led it"


def test_one_that_pools_leads_only_its_own_rows_among_strangers(led: Led) -> None:
    wishes = [asked(0.8, "pooling"), asked(0.8, "pooling", guidance_scale=1.0), asked(0.1, "pooling", seed=9)]
    before = led.engine.device_thread.meter.read().calls
    futures = [led.engine.submit(wish, control=LEADING) for wish in wishes]
    together = [future.result() for future in futures]
    calls = led.engine.device_thread.meter.read().calls - before
    assert calls < 3 * 3, "they shared no call"
    for wish, images in zip(wishes, together, strict=True):
        assert difference(images, drawn(led.engine, wish)) <= 1
    assert difference(together[0], solo(led, "pooling")) <= 1


def adapter(folder: Path, kind: str, in_channels: int = 3) -> T2IAdapter:
    torch.manual_seed(0)
    made = T2IAdapter(
        in_channels=in_channels,
        channels=[16, 32],
        num_res_blocks=1,
        downscale_factor=16 if kind == "full_adapter_xl" else 8,
        adapter_type=kind,
    ).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(3)
    made.save_pretrained(folder)
    return made


@pytest.mark.filterwarnings("ignore:The decode_latents method")  # diffusers' own pipeline calls it
@pytest.mark.parametrize("in_channels", [3, 1])
@pytest.mark.parametrize("xl", [False, True], ids=["sd", "sdxl"])
def test_a_t2i_adapter_leads_as_in_its_pipeline(
    xl: bool, in_channels: int, tmp_path: Path, sdxl_folder: Path
) -> None:
    # As in Stable Diffusion 1.x, the first block attends: it takes features before it halves them.
    blocks: dict[str, Any] = {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    folder = sdxl_folder if xl else tiny.make_sd(tmp_path / "model", **blocks)
    made = adapter(tmp_path / "adapter", "full_adapter_xl" if xl else "full_adapter", in_channels)
    entry = entry_of(folder, lines=ControlEntry(source=str(tmp_path / "adapter")))
    kind: Any = StableDiffusionXLAdapterPipeline if xl else StableDiffusionAdapterPipeline
    reference = Pipeline(folder)
    pipeline = kind.from_pipe(reference.pipeline, adapter=made)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = schedulers.build("ddim", reference.pipeline.scheduler.config)
    wish = asked(0.7, "lines")
    with Engine.open(str(folder), device="cpu", entry=entry) as engine:
        stranger = engine.submit(asked(1.5, "lines", seed=3, num_inference_steps=5), control=LEADING)
        found = drawn(engine, wish)
        plain = drawn(engine, asked())
        stranger.result()
    expected = pipeline(
        wish.prompt,
        image=LEADING if in_channels == 3 else LEADING.convert("L"),
        width=64,
        height=64,
        num_inference_steps=wish.num_inference_steps,
        guidance_scale=wish.guidance_scale,
        num_images_per_prompt=2,
        generator=[torch.Generator().manual_seed(wish.seed_of(index)) for index in range(2)],
        adapter_conditioning_scale=0.7,
    ).images
    assert difference(found, expected) <= 1
    assert difference(found, plain) > 8, "nothing led it"


def refused(folder: Path, source: Path) -> str:
    with pytest.raises(CatalogError, match=r"^The control network at .* cannot be loaded: ") as caught:
        controls.load(
            ControlEntry(source=str(source)),
            tiny.loaded_unet(folder),
            torch.float32,
            Placement(CPU, torch.float32).control,
        )
    return str(caught.value)


def test_one_for_another_base_is_refused(tmp_path: Path, sd_folder: Path, sdxl_folder: Path) -> None:
    network = tiny.control_network(sdxl_folder)
    network.save_pretrained(tmp_path / "xl")
    save_file(network.state_dict(), tmp_path / "xl.safetensors")
    original = original_layout.write_control(network, tmp_path / "original.safetensors")
    for source in (tmp_path / "xl", tmp_path / "xl.safetensors", original):
        assert "made for a model of words 64 wide, and the model is" in refused(sd_folder, source)
    adapter(tmp_path / "adapter", "full_adapter_xl")
    assert "a T2I-Adapter for Stable Diffusion XL" in refused(sd_folder, tmp_path / "adapter")


def test_one_of_the_same_words_and_other_sizes_is_refused(tmp_path: Path, sd_folder: Path) -> None:
    other = tiny.make_sd(tmp_path / "model", block_out_channels=(32, 32))
    tiny.make_control(tmp_path / "control", other)
    assert "its block_out_channels is [32, 32]" in refused(sd_folder, tmp_path / "control")
    network = ControlNetModel.from_pretrained(tmp_path / "control")
    save_file(network.state_dict(), tmp_path / "control.safetensors")
    sentence = refused(sd_folder, tmp_path / "control.safetensors")
    assert "it was made for another model: its controlnet_cond_embedding.conv_out.bias" in sentence


def test_other_kinds_are_refused_by_their_names(tmp_path: Path, sd_folder: Path, sdxl_folder: Path) -> None:
    union = ControlNetUnionModel.from_unet(
        tiny.loaded_unet(sdxl_folder), conditioning_embedding_out_channels=(4, 4, 8, 8)
    )
    union.save_pretrained(tmp_path / "union")
    assert "it is a ControlNetUnionModel" in refused(sdxl_folder, tmp_path / "union")
    adapter(tmp_path / "adapter", "full_adapter")
    files = {
        "a ControlNet Union": union.state_dict(),
        "a T2I-Adapter": T2IAdapter.from_pretrained(tmp_path / "adapter").state_dict(),
        "a Control-LoRA": {"lora_controlnet": torch.zeros(0), "time_embed.0.weight": torch.zeros(1)},
        "a ControlNet-LLLite": {"lllite_unet_input_blocks_4_1.down.weight": torch.zeros(1)},
        "a control of a diffusion transformer": {"controlnet_x_embedder.weight": torch.zeros(1)},
        "no ControlNet": {"weight": torch.zeros(1)},
    }
    for kind, weights in files.items():
        save_file(weights, tmp_path / "file.safetensors")
        assert f"it is {kind}" in refused(sd_folder, tmp_path / "file.safetensors")
    whole = original_layout.write(sd_folder, tmp_path / "whole.safetensors")
    assert "it is a whole model" in refused(sd_folder, whole)


def test_smaller_ones_for_xl_may_leave_attentions_out(tmp_path: Path, sdxl_folder: Path) -> None:
    unet = tiny.loaded_unet(sdxl_folder)
    unet.register_to_config(down_block_types=("DownBlock2D", "DownBlock2D"), mid_block_type="UNetMidBlock2D")
    small = ControlNetModel.from_unet(
        unet, load_weights_from_unet=False, conditioning_embedding_out_channels=(4, 4, 8, 8)
    )
    torch.manual_seed(0)
    with torch.no_grad():
        for name, weight in small.named_parameters():
            if "controlnet_" in name:
                weight.normal_(std=0.3)
    save_file(small.state_dict(), tmp_path / "small.safetensors")
    entry = entry_of(sdxl_folder, small=ControlEntry(source=str(tmp_path / "small.safetensors")))
    with Engine.open(str(sdxl_folder), device="cpu", entry=entry) as engine:
        found = drawn(engine, asked(0.8, "small"))
        expected = solo(Led(engine, sdxl_folder, {"small": small}), "small")
    assert difference(found, expected) <= 1
