"""LoRAs, controls, adapters, embeddings, upscalers and networks alone, named by their files."""

from __future__ import annotations

import json
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, ControlNetUnionModel, T2IAdapter, UNet2DConditionModel
from gguf import GGMLQuantizationType, GGUFWriter
from safetensors.torch import load_file, save_file

from generator.inspection import acceptance, inspecting
from generator.inspection.inspected import Inspection, Kind
from generator.inspection.single_networks import NO_FILE
from tests.generator import sparse_weights, tiny

Shapes = dict[str, tuple[int, ...]]


def looked_at(source: Path) -> Inspection:
    return inspecting.inspect(str(source))


def refusal(source: Path, key: str) -> str:
    reason = acceptance.refusal(looked_at(source), key)
    assert reason is not None
    return reason


def taken(source: Path, key: str) -> Inspection:
    found = looked_at(source)
    assert acceptance.refusal(found, key) is None
    return found


TINY: dict[str, dict[str, Any]] = {
    "FluxTransformer2DModel": {"num_layers": 1, "num_single_layers": 1, "num_attention_heads": 2},
    "Flux2Transformer2DModel": {"num_layers": 1, "num_single_layers": 1, "num_attention_heads": 2},
    "SD3Transformer2DModel": {"num_layers": 1, "num_attention_heads": 2},
    "QwenImageTransformer2DModel": {"num_layers": 1, "num_attention_heads": 2},
    "ZImageTransformer2DModel": {"n_layers": 1, "n_refiner_layers": 1},
    "SanaTransformer2DModel": {"num_layers": 1},
    "PixArtTransformer2DModel": {"num_layers": 1, "caption_channels": 64},
    "Lumina2Transformer2DModel": {"num_layers": 1},
    "ChromaTransformer2DModel": {"num_layers": 1, "num_single_layers": 1, "num_attention_heads": 2},
    "HunyuanDiT2DModel": {"num_layers": 2, "patch_size": 2, "in_channels": 4},
    "AuraFlowTransformer2DModel": {"num_mmdit_layers": 1, "num_single_dit_layers": 1},
}
NAMED = {
    "Flux2": "FLUX.2", "Flux": "FLUX.1", "SD3": "Stable Diffusion 3", "QwenImage": "Qwen-Image",
    "ZImage": "Z-Image", "Sana": "Sana", "PixArt": "PixArt", "Lumina2": "Lumina 2", "Chroma": "Chroma",
    "HunyuanDiT": "Hunyuan-DiT", "AuraFlow": "AuraFlow",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")  # diffusers' own, of Chroma
@pytest.mark.parametrize("kind", TINY)
def test_a_transformer_of_diffusers_is_named_by_its_folder_and_its_file(tmp_path: Path, kind: str) -> None:
    name = next(name for begin, name in NAMED.items() if kind.startswith(begin))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_text(json.dumps({"_class_name": kind}))
    said = f" {name} transformer: {NO_FILE}"
    assert refusal(tmp_path / "folder", "source").endswith(said)
    shapes = sparse_weights.shapes_of(getattr(diffusers, kind), **TINY[kind])
    file = sparse_weights.write(tmp_path / "file.safetensors", shapes, dtype="BF16")
    assert refusal(file, "source").endswith(said)
    assert looked_at(file).precision == "bf16"


PUBLISHED = {
    "double_blocks.0.img_attn.norm.key_norm.scale": "a FLUX.1 transformer",
    "model.diffusion_model.double_blocks.0.img_attn.norm.key_norm.scale": "a FLUX.1 transformer",
    "model.diffusion_model.joint_blocks.0.context_block.adaLN_modulation.1.bias": "a Stable Diffusion 3",
    "model.diffusion_model.layers.0.adaLN_modulation.0.weight": "a Z-Image transformer",
    "model.diffusion_model.single_stream_modulation.lin.weight": "a FLUX.2 transformer",
    "model.diffusion_model.head.modulation": "a Wan video transformer",
    "cond_seq_linear.weight": "an AuraFlow transformer",
    "clip_txt_mapper.weight": "a Stable Cascade prior",
    "txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias": "a HunyuanVideo transformer",
    "double_stream_blocks.0.block.adaLN_modulation.1.bias": "a HiDream transformer",
    "distilled_guidance_layer.in_proj.bias": "a Chroma transformer",
}


@pytest.mark.parametrize("key", PUBLISHED)
def test_a_transformer_in_its_makers_layout_is_named(tmp_path: Path, key: str) -> None:
    file = sparse_weights.write(tmp_path / "t.safetensors", {key: (64, 64), "img_in.weight": (64, 64)})
    assert refusal(file, "source").startswith(f"it is {PUBLISHED[key]}")


@pytest.mark.parametrize(
    ("architecture", "key", "name"),
    [
        ("flux", "double_blocks.0.img_attn.qkv.weight", "a FLUX.1 transformer"),
        ("sd3", "joint_blocks.0.x_block.attn.qkv.weight", "a Stable Diffusion 3 transformer"),
        ("qwen_image", "some.weight", "a Qwen-Image transformer"),
        ("llama", "blk.0.attn_q.weight", "a language model (llama)"),
    ],
)
def test_gguf_is_named_and_refused(tmp_path: Path, architecture: str, key: str, name: str) -> None:
    writer = GGUFWriter(tmp_path / "t.gguf", architecture)
    writer.add_tensor(key, np.zeros((4, 144), np.uint8), raw_dtype=GGMLQuantizationType.Q4_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    said = refusal(tmp_path / "t.gguf", "source")
    assert said == (f"it is {name} (GGUF Q4_K): {NO_FILE}, and not from GGUF")


LAYER = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"


def kohya(form: str, width: int) -> Shapes:
    """A changed layer of cross-attention in the names of kohya's scripts and LyCORIS."""
    down = {
        f"{LAYER}.lora_down.weight": (4, width),
        f"{LAYER}.lora_up.weight": (320, 4),
        f"{LAYER}.alpha": (),
    }
    forms: dict[str, Shapes] = {
        "LoRA": down,
        "LoCon": down | {"lora_unet_conv_in.lora_down.weight": (4, 4, 3, 3)},
        "DoRA": down | {f"{LAYER}.dora_scale": (320, 1)},
        "LoHa": {f"{LAYER}.hada_w1_a": (320, 4), f"{LAYER}.hada_w1_b": (4, width)},
        "LoKr": {f"{LAYER}.lokr_w1": (8, 8), f"{LAYER}.lokr_w2": (40, width // 8)},
        "full": {f"{LAYER}.diff": (320, width)},
        "norms": down | {"lora_unet_conv_norm_out.w_norm": (320,), "lora_unet_conv_norm_out.b_norm": (320,)},
    }
    return forms[form]


@pytest.mark.parametrize("form", ["LoRA", "LoCon", "DoRA", "LoHa", "LoKr", "full", "norms"])
@pytest.mark.parametrize(
    ("width", "name"),
    [(768, "Stable Diffusion 1.x"), (1024, "Stable Diffusion 2.x"), (2048, "Stable Diffusion XL")],
)
def test_a_lora_is_told_with_its_form_and_its_model(tmp_path: Path, form: str, width: int, name: str) -> None:
    found = taken(sparse_weights.write(tmp_path / "l.safetensors", kohya(form, width)), "loras")
    assert found.kind is Kind.LORA
    assert (found.base.name, found.base.width) == (name, width)
    assert form in found.lora_forms
    assert found.name.endswith(f"for {name}")


def test_forms_that_are_not_added_are_refused(tmp_path: Path) -> None:
    shapes = kohya("LoRA", 768) | {f"{LAYER}.oft_blocks": (4, 8, 8)}
    said = refusal(sparse_weights.write(tmp_path / "l.safetensors", shapes), "loras")
    assert said == "it is an OFT for Stable Diffusion 1.x: Easel does not add the form OFT"


@pytest.mark.parametrize("layout", [True, False])
@pytest.mark.parametrize("model", ["sd_folder", "sdxl_folder"])
def test_a_lora_fits_the_model_whose_words_are_as_wide(
    request: pytest.FixtureRequest, tmp_path: Path, layout: bool, model: str
) -> None:
    folder: Path = request.getfixturevalue(model)
    other: Path = request.getfixturevalue("sdxl_folder" if model == "sd_folder" else "sd_folder")
    found = taken(tiny.make_lora(tmp_path / "l.safetensors", folder, kohya=layout), "loras")
    assert acceptance.misfit(found, looked_at(folder).base) is None
    assert (
        acceptance.misfit(found, looked_at(other).base)
        == f"it is {found.name}, and the model is {looked_at(other).base.name}"
    )


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", "FLUX.1"),
        ("transformer.single_transformer_blocks.0.attn.to_k.lora_A.weight", "FLUX.1"),
        ("lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight", "Stable Diffusion 3"),
        ("diffusion_model.layers.0.attention.qkv.lora_A.weight", "Z-Image or Lumina 2"),
        ("diffusion_model.blocks.0.cross_attn.k.lora_A.weight", "Wan"),
    ],
)
def test_a_lora_of_another_family_is_refused(tmp_path: Path, key: str, name: str) -> None:
    file = sparse_weights.write(tmp_path / "l.safetensors", {key: (4, 64)})
    assert refusal(file, "loras") == f"it is a LoRA for {name}: it changes layers of {name}"


def test_trigger_words_and_the_base_are_read_from_kohyas_metadata(tmp_path: Path) -> None:
    tags = {"10_cat": {"papercut": 40, " cat ": 30, "red": 3}, "5_dog": {"papercut": 9, "dog": 8}}
    metadata = {"ss_tag_frequency": json.dumps(tags), "ss_base_model_version": "sdxl_base_v1-0"}
    shapes = {"lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": (4, 768)}
    found = taken(sparse_weights.write(tmp_path / "l.safetensors", shapes, metadata=metadata), "loras")
    assert found.trigger_words == ("papercut", "cat")
    assert found.base.name == "Stable Diffusion XL"
    for damaged in ("[", "[1]", '{"a": 5}', '{"a": {"b": "x"}}'):
        metadata["ss_tag_frequency"] = damaged
        file = sparse_weights.write(tmp_path / "l.safetensors", shapes, metadata=metadata)
        assert looked_at(file).trigger_words == ()


def test_a_control_is_told_as_a_folder_and_as_a_file(sd_folder: Path, tmp_path: Path) -> None:
    folder = tiny.make_control(tmp_path / "control", sd_folder)
    for place in (folder, folder / "diffusion_pytorch_model.safetensors"):
        found = taken(place, "controls")
        assert found.kind is Kind.CONTROL
        assert acceptance.misfit(found, looked_at(sd_folder).base) is None
    assert "it is a ControlNet for" in refusal(folder, "source")


def test_a_control_of_xl_is_not_for_the_first(sd_folder: Path, sdxl_folder: Path, tmp_path: Path) -> None:
    found = taken(tiny.make_control(tmp_path / "control", sdxl_folder), "controls")
    said = acceptance.misfit(found, looked_at(sd_folder).base)
    assert (
        said
        == "it is a ControlNet for Stable Diffusion XL, and the model is " + looked_at(sd_folder).base.name
    )


def test_controls_of_published_sizes_are_named(tmp_path: Path) -> None:
    shapes = sparse_weights.shapes_of(ControlNetModel, cross_attention_dim=768)
    found = taken(sparse_weights.write(tmp_path / "c.safetensors", shapes), "controls")
    assert found.name == "a ControlNet for Stable Diffusion 1.x"
    older = {
        "control_model.input_hint_block.0.weight": (16, 3, 3, 3),
        "control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 1024),
    }
    found = taken(sparse_weights.write(tmp_path / "o.safetensors", older), "controls")
    assert found.name == "a ControlNet for Stable Diffusion 2.x"


UNION = "a ControlNet union for Stable Diffusion XL, and this is to be a ControlNet or a T2I-Adapter"


def test_a_union_is_refused(tmp_path: Path) -> None:
    config: dict[str, Any] = {
        "block_out_channels": (16, 32),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "cross_attention_dim": 2048,
        "transformer_layers_per_block": (1, 2),
        "attention_head_dim": 8,
        "norm_num_groups": 4,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 80,
        "conditioning_embedding_out_channels": (4, 4),
    }
    union = ControlNetUnionModel(**config)
    union.save_pretrained(tmp_path / "union")
    assert refusal(tmp_path / "union", "controls") == f"it is {UNION}"
    assert UNION in refusal(tmp_path / "union" / "diffusion_pytorch_model.safetensors", "controls")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("lllite_unet_input_blocks_1_1.down.0.weight", "ControlNet-LLLite"),
        ("lora_controlnet", "Control-LoRA"),
        ("controlnet_blocks.0.weight", "ControlNet of a transformer"),
    ],
)
def test_what_is_no_plain_control_is_refused(tmp_path: Path, key: str, name: str) -> None:
    file = sparse_weights.write(tmp_path / "c.safetensors", {key: (64, 64), "x.y": (2, 2)})
    assert refusal(file, "controls").startswith(f"it is a {name}: ")


@pytest.mark.parametrize("kind", ["full_adapter", "full_adapter_xl"])
def test_a_t2i_adapter_is_named(tmp_path: Path, kind: str) -> None:
    base = "Stable Diffusion XL" if kind == "full_adapter_xl" else "Stable Diffusion 1.x or 2.x"
    T2IAdapter(channels=(16, 32), num_res_blocks=1, adapter_type=kind).save_pretrained(tmp_path / "t2i")
    assert taken(tmp_path / "t2i", "controls").name == f"a T2I-Adapter for {base}"
    said = f"it is a T2I-Adapter for {base}, and this is to be a LoRA: name it as one of a model's `controls`"
    assert refusal(tmp_path / "t2i", "loras") == said


@pytest.mark.parametrize("plus", [False, True])
def test_an_ip_adapter_reads_one_image_encoder(
    sd_folder: Path, sdxl_folder: Path, tmp_path: Path, plus: bool
) -> None:
    found = taken(tiny.make_adapter(tmp_path / "a.safetensors", sd_folder, plus=plus), "adapters")
    encoder = taken(tiny.make_image_encoder(tmp_path / "encoder"), "image_encoder")
    assert (encoder.image_width, encoder.patch_width) == (16, tiny.TEXT_WIDTH)
    assert acceptance.unread(found, encoder) is None
    assert acceptance.misfit(found, looked_at(sd_folder).base) is None
    assert "and the model is Stable Diffusion XL" in (
        acceptance.misfit(found, looked_at(sdxl_folder).base) or ""
    )
    other = Path(shutil.copytree(tmp_path / "encoder", tmp_path / "other"))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"projection_dim": 24, "hidden_size": 48}))
    said = acceptance.unread(found, looked_at(other))
    assert said == (
        f"it was trained with another image encoder: it reads pictures as {32 if plus else 16} numbers, and"
        f" {other} says {48 if plus else 24}"
    )


@pytest.mark.parametrize(
    "shapes",
    [
        {"image_proj.proj.0.weight": (1024, 512), "image_proj.norm.weight": (768,)},
        {"image_proj.perceiver_resampler.proj_in.weight": (768, 1280), "image_proj.norm.weight": (768,)},
        {"image_proj.proj.weight": (3072, 512), "ip_adapter.0.to_q_lora.down.weight": (128, 320)},
    ],
)
def test_faceid_is_refused(tmp_path: Path, shapes: Shapes) -> None:
    shapes = shapes | {"ip_adapter.1.to_k_ip.weight": (320, 768)}
    said = refusal(sparse_weights.write(tmp_path / "f.safetensors", shapes), "adapters")
    assert said.startswith("it is an IP-Adapter FaceID for Stable Diffusion 1.x: it reads what InsightFace")


@pytest.mark.parametrize(
    ("shapes", "name"),
    [
        ({"emb_params": (8, 768)}, "Stable Diffusion 1.x"),
        ({"<cat>": (768,)}, "Stable Diffusion 1.x"),
        ({"emb_params": (2, 1024)}, "Stable Diffusion 2.x"),
        ({"clip_l": (4, 768), "clip_g": (4, 1280)}, "Stable Diffusion XL"),
    ],
)
def test_a_textual_inversion_is_told(tmp_path: Path, shapes: Shapes, name: str) -> None:
    file = sparse_weights.write(tmp_path / "e.safetensors", shapes, dtype="F32")
    assert taken(file, "embeddings").name == f"a textual inversion for {name}"
    assert refusal(file, "loras") == (
        f"it is a textual inversion for {name}, and this is to be a LoRA: name it as one of a model's"
        " `embeddings`"
    )
    pickled = {"string_to_token": {"*": 265}, "string_to_param": {"*": torch.zeros(8, 768)}, "name": "cat"}
    torch.save(pickled, tmp_path / "e.pt")
    assert looked_at(tmp_path / "e.pt").base.width == 768
    assert "easel models convert" in refusal(tmp_path / "e.pt", "embeddings")


def test_a_vae_is_told_and_a_taesd_refused(sd_folder: Path, tmp_path: Path) -> None:
    for place in (sd_folder / "vae", sd_folder / "vae" / "diffusion_pytorch_model.safetensors"):
        assert taken(place, "vae").name == "a VAE"
    diffusers.AutoencoderTiny(
        encoder_block_out_channels=(4, 4), decoder_block_out_channels=(4, 4), num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    ).save_pretrained(tmp_path / "tiny")  # fmt: skip
    for place in (tmp_path / "tiny", tmp_path / "tiny" / "diffusion_pytorch_model.safetensors"):
        assert refusal(place, "vae").startswith("it is a TAESD: it is made for previews")
    shapes = sparse_weights.shapes_of(diffusers.AutoencoderKL, latent_channels=16)
    assert "16 latent channels" in refusal(sparse_weights.write(tmp_path / "v.safetensors", shapes), "vae")


def test_a_unet_folder_is_told(sdxl_folder: Path) -> None:
    found = taken(sdxl_folder / "unet", "unet")
    assert (found.kind, found.base.family) == (Kind.DENOISER, "sdxl")
    assert found.base.width == UNet2DConditionModel.load_config(sdxl_folder / "unet")["cross_attention_dim"]


def test_upscalers_are_told(upscaler_folder: Path, tmp_path: Path) -> None:
    assert taken(upscaler_folder, "upscalers").name == "an upscaler (Swin2SR ×4)"
    twice = tiny.make_upscaler(tmp_path / "twice", upscale=2)
    assert taken(twice, "upscalers").name == "an upscaler (Swin2SR ×2)"
    (tmp_path / "x4").mkdir()
    (tmp_path / "x4" / "model_index.json").write_text('{"_class_name": "StableDiffusionUpscalePipeline"}')
    assert refusal(tmp_path / "x4", "upscalers") == (
        "it is a Stable Diffusion x4 upscaler, and this is to be an upscaler such as Swin2SR or Real-ESRGAN"
    )


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["conv_first.weight", "body.0.rdb1.conv1.weight", "conv_last.weight"], "Real-ESRGAN"),
        (["model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"], "ESRGAN"),
        (["body.0.weight", "body.1.weight", "body.2.weight"], "Real-ESRGAN, compact"),
    ],
)
@pytest.mark.parametrize("inside", ["params_ema", "params", None])
def test_a_pickled_upscaler_is_told_without_being_read(
    tmp_path: Path, names: list[str], name: str, inside: str | None
) -> None:
    table = OrderedDict((each, torch.ones(4, 3, 3, 3, dtype=torch.float16)) for each in names)
    torch.save(table if inside is None else {inside: table}, tmp_path / "x4.pth")
    found = looked_at(tmp_path / "x4.pth")
    assert "easel models convert" in refusal(tmp_path / "x4.pth", "upscalers")
    assert (found.name, found.layout, found.precision) == (f"an upscaler ({name})", "pickle", "fp16")


def test_a_pickled_model_is_told_how_to_convert_it(sd_folder: Path, tmp_path: Path) -> None:
    vae = load_file(sd_folder / "vae" / "diffusion_pytorch_model.safetensors")
    torch.save({"state_dict": vae}, tmp_path / "vae.ckpt")
    assert refusal(tmp_path / "vae.ckpt", "vae") == (
        "it is a VAE, pickled, which may run code when it is read: make a .safetensors file of it with"
        f" `easel models convert {tmp_path}/vae.ckpt`"
    )


def test_weights_of_nothing_that_is_known_are_said_to_be_so(tmp_path: Path) -> None:
    save_file({"a.b": torch.zeros(2), "c.d": torch.zeros(2)}, tmp_path / "w.safetensors")
    said = acceptance.sentence(looked_at(tmp_path / "w.safetensors"))
    assert said.startswith(f"{tmp_path}/w.safetensors cannot be used: it is a file of weights of a kind that")
