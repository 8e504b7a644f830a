"""Catalog entries, told before anything is loaded what Easel cannot draw with; the command for one file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import T2IAdapter
from safetensors.torch import load_file
from typer.testing import CliRunner

from easel.__main__ import app
from generator.companions.upscale import Upscaler
from generator.families import loading
from generator.families.base import WeightedLora
from generator.families.sd import StableDiffusion
from generator.inspection import entries
from storage import catalog
from storage.catalog_companions import AdapterEntry, ControlEntry, LoraEntry
from storage.catalog_model import ModelEntry
from storage.contract import Role
from storage.errors import CatalogError
from tests.generator import original_layout, sparse_weights, tiny
from tests.generator.drawing import rewritten
from tests.generator.sparse_weights import Shapes

CPU = torch.device("cpu")


def entry(source: Path, **fields: Any) -> ModelEntry:
    return ModelEntry.model_validate(
        {"name": "m", "title": "M", "source": str(source), "sizes": [[64, 64]]} | fields
    )


def faults(source: Path, **fields: Any) -> list[str]:
    return list(entries.faults(entry(source, **fields)))


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, sdxl_folder: Path) -> Path:
    """What was made for XL, and an encoder of pictures with other widths than adapters are made for here."""
    place = tmp_path_factory.mktemp("beside")
    tiny.make_lora(place / "lora.safetensors", sdxl_folder, kohya=True)
    tiny.make_control(place / "control", sdxl_folder)
    tiny.make_adapter(place / "adapter.safetensors", sdxl_folder)
    tiny.make_image_encoder(place / "encoder")
    other = Path(shutil.copytree(place / "encoder", place / "other"))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"projection_dim": 24}))
    return place


def companions(beside: Path, encoder: str = "encoder") -> dict[str, Any]:
    adapter = {"source": f"{beside}/adapter.safetensors", "image_encoder": f"{beside}/{encoder}"}
    return {
        "loras": {"ink": f"{beside}/lora.safetensors"},
        "controls": {"edges": {"source": f"{beside}/control"}},
        "adapters": {"style": adapter},
    }


def test_what_fits_is_fine(sdxl_folder: Path, beside: Path, upscaler_folder: Path, sd_folder: Path) -> None:
    fields = companions(beside) | {"upscaler": {"source": str(upscaler_folder)}}
    assert faults(sdxl_folder, safety_checker=str(sd_folder), **fields) == []


def test_what_was_made_for_another_model_is_told(sd_folder: Path, beside: Path) -> None:
    model, wide = "and the model is Stable Diffusion 1.x or 2.x", "a model whose words are 64 numbers wide"
    assert faults(sd_folder, **companions(beside)) == [
        f"the LoRA ink cannot be used: it is a LoRA for {wide}, {model}",
        f"the control edges cannot be used: it is a ControlNet for Stable Diffusion XL, {model}",
        f"the image adapter for style cannot be used: it is an IP-Adapter for {wide}, {model}",
    ]


def test_a_t2i_adapter_is_a_folder_for_one_base(sd_folder: Path, tmp_path: Path) -> None:
    for kind in ("full_adapter", "full_adapter_xl"):
        made = T2IAdapter(channels=(16, 32), num_res_blocks=1, adapter_type=kind)
        made.save_pretrained(tmp_path / kind)
    controls = {kind: {"source": str(tmp_path / kind)} for kind in ("full_adapter", "full_adapter_xl")}
    model = "and the model is Stable Diffusion 1.x or 2.x"
    file = tmp_path / "full_adapter" / "diffusion_pytorch_model.safetensors"
    assert faults(sd_folder, controls=controls | {"file": {"source": str(file)}}) == [
        f"the control full_adapter_xl cannot be used: it is a T2I-Adapter for Stable Diffusion XL, {model}",
        "the control file cannot be used: it is a T2I-Adapter: Easel takes those as diffusers folders",
    ]


def test_parts_may_be_those_of_whole_models(
    sd_folder: Path, sd2_folder: Path, sdxl_folder: Path, tmp_path: Path
) -> None:
    file = original_layout.write(sd2_folder, tmp_path / "whole.safetensors")
    for fields in ({"unet": str(sd2_folder)}, {"vae": str(sd2_folder)}, {"vae": str(file)}):
        assert faults(sd_folder, **fields) == []
        assert loading.load(entry(sd_folder, **fields), CPU)
    (fault,) = faults(sd_folder, unet=str(original_layout.write(sdxl_folder, tmp_path / "xl.safetensors")))
    assert "it is a Stable Diffusion XL model, and the model is Stable Diffusion 1.x or 2.x" in fault


def test_a_checkpoint_for_inpainting_may_be_brought_together(
    sd_folder: Path, inpainting_folder: Path, tmp_path: Path
) -> None:
    """By the folder beside its file, and by the catalog's word for a class that nobody knows."""
    file = original_layout.write(inpainting_folder, tmp_path / "whole.safetensors")
    rewritten(file, without=["first_stage_model."])
    (fault,) = faults(sd_folder, inpainting=str(file))
    assert "it holds no VAE, nor does a folder beside it" in fault
    beside = Path(shutil.copytree(inpainting_folder, tmp_path / "whole"))
    assert faults(sd_folder, inpainting=str(file)) == []
    index = json.loads((beside / "model_index.json").read_text())
    (beside / "model_index.json").write_text(json.dumps(index | {"_class_name": "OwnPipeline"}))
    (fault,) = faults(sd_folder, inpainting=str(beside))
    assert "a model of the class OwnPipeline" in fault
    assert faults(sd_folder, inpainting=str(beside), family="sd") == []


def test_pure_noise_needs_v_prediction(sd_folder: Path) -> None:
    wrong = entry(sd_folder, zero_snr=True)
    (fault,) = entries.faults(wrong)
    assert "with `zero_snr` it has to be of v_prediction" in fault
    with pytest.raises(CatalogError, match="with `zero_snr` it has to be of v_prediction"):
        loading.load(wrong, CPU)
    assert faults(sd_folder, zero_snr=True, prediction_type="v_prediction") == []


def test_an_adapter_with_another_encoder_is_told(sdxl_folder: Path, beside: Path, sd_folder: Path) -> None:
    (fault,) = faults(sdxl_folder, safety_checker=str(sd_folder), **companions(beside, "other"))
    assert fault.startswith(
        "the image adapter for style cannot be used: it was trained with another image encoder"
    )


def test_an_adapter_of_several_files_needs_one_named(
    sdxl_folder: Path, beside: Path, sd_folder: Path
) -> None:
    adapters = {"style": {"source": "h94/IP-Adapter", "image_encoder": f"{beside}/encoder"}}
    (fault,) = faults(sdxl_folder, safety_checker=str(sd_folder), adapters=adapters)
    assert fault == "the image adapter for style: say with `file` which file of h94/IP-Adapter it is"


def test_things_in_each_others_places_are_told(sd_folder: Path, tmp_path: Path, beside: Path) -> None:
    lora = tiny.make_lora(tmp_path / "ink.safetensors", sd_folder)
    control = tiny.make_control(tmp_path / "control", sd_folder)
    found = faults(
        sd_folder,
        loras={"a": f"{beside}/adapter.safetensors"},
        controls={"c": {"source": f"{sd_folder}/unet"}},
        upscaler={"source": str(control)},
        segmenter={"source": f"{beside}/encoder"},
    )
    assert any("the LoRA a cannot be used: it is an IP-Adapter" in fault for fault in found)
    assert any("the control c cannot be used: it is the UNet of" in fault for fault in found)
    assert any(f"{control}: it is a ControlNet for" in fault for fault in found)
    assert f"{lora} cannot be drawn with: it is a LoRA for" in "; ".join(faults(lora))


def test_a_model_that_is_none_is_told(sd_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "flux").mkdir()
    (tmp_path / "flux" / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    assert any(": it is a FLUX.1 model: Easel draws" in fault for fault in faults(tmp_path / "flux"))
    other = Path(shutil.copytree(sd_folder, tmp_path / "other"))
    index = json.loads((other / "model_index.json").read_text())
    (other / "model_index.json").write_text(json.dumps(index | {"_class_name": "OwnPipeline"}))
    (fault,) = faults(other)
    assert "it is a model of the class OwnPipeline, which Easel does not know" in fault
    assert faults(other, family="sd") == []


def test_a_family_that_only_has_its_default_is_not_stated(sd_folder: Path) -> None:
    assert entry(sd_folder).stated_family is None
    assert entry(sd_folder, family="sd").stated_family == "sd"


@pytest.fixture(scope="module")
def model(sd_folder: Path) -> StableDiffusion:
    found = loading.load(str(sd_folder), CPU)
    assert isinstance(found, StableDiffusion)
    return found


LOADS: dict[str, Callable[[StableDiffusion, Path], object]] = {
    "control network": lambda model, place: model.with_control(ControlEntry(source=f"{place}/control")),
    "LoRA": lambda model, place: model.with_loras(
        [WeightedLora(LoraEntry(source=f"{place}/lora.safetensors"), 1.0)]
    ),
    "image adapter": lambda model, place: model.with_adapters(
        {Role.STYLE: AdapterEntry(source=f"{place}/adapter.safetensors", image_encoder=f"{place}/encoder")}
    ),
}


@pytest.mark.parametrize("title", LOADS)
def test_the_worker_says_so_before_it_loads_them(model: StableDiffusion, beside: Path, title: str) -> None:
    with pytest.raises(
        CatalogError, match=f"The {title} at {beside}.* cannot be used: it is a.* and the model is"
    ):
        LOADS[title](model, beside)


def test_an_upscaler_that_is_none_is_told_before_it_is_loaded(sd_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=rf"The upscaler at {sd_folder} cannot be used: it is a Stable"):
        Upscaler.load(str(sd_folder), CPU)
    file = sparse_weights.write(tmp_path / "u.safetensors", {"a.b": (2,), "c.d": (2,)})
    with pytest.raises(CatalogError, match="no upscaler that spandrel knows"):
        Upscaler.load(str(file), CPU)


RUN = CliRunner()


def test_the_command_says_what_a_file_is(tmp_path: Path) -> None:
    layer = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    shapes: Shapes = {f"{layer}.lora_down.weight": (4, 2048), f"{layer}.lora_up.weight": (640, 4)}
    metadata = {"ss_tag_frequency": json.dumps({"1_a": {"papercut": 9}})}
    file = sparse_weights.write(tmp_path / "papercut.safetensors", shapes, metadata=metadata)
    done = RUN.invoke(app, ["models", "info", str(tmp_path), "--file", "papercut.safetensors"])
    assert done.exit_code == 0
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert ["trigger", "papercut"] in lines
    assert ["precision", "fp16"] in lines
    assert ["bytes", f"{file.stat().st_size:,}"] in lines
    assert done.stdout.endswith(
        f"{file} is a LoRA for Stable Diffusion XL; Easel takes it as one of a model's `loras`.\n"
    )


def test_the_command_tells_what_has_no_use(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "KandinskyV22PriorPipeline"}')
    done = RUN.invoke(app, ["models", "info", str(tmp_path)])
    assert done.exit_code == 1
    assert "is          a Kandinsky 2.2 prior" in done.stdout
    gone = RUN.invoke(app, ["models", "info", str(tmp_path / "gone.safetensors")])
    assert gone.exit_code == 2
    assert f"easel: {tmp_path}/gone.safetensors does not exist." in gone.output


def test_nothing_that_ships_is_refused() -> None:
    for shipped in catalog.load().models.values():
        assert list(entries.faults(shipped)) == []
        weights = Path(shipped.source, "unet", "diffusion_pytorch_model.safetensors")
        assert load_file(weights)
