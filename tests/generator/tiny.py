"""Diffusers folders of the real classes with tiny random weights: loaded and drawn with in milliseconds.

The weights are scaled up from diffusers' defaults so that prompt, guidance and seed all move the picture:
a comparison between two ways of drawing it must be able to fail.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.models.embeddings import ImageProjection, IPAdapterPlusImageProjection
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import ByteLevel, WhitespaceSplit
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    CLIPConfig,
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerFast,
    Swin2SRConfig,
    Swin2SRForImageSuperResolution,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.swin2sr.image_processing_pil_swin2sr import Swin2SRImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from storage.catalog_companions import AdapterEntry, ControlEntry, LoraEntry
from storage.catalog_model import ModelEntry
from storage.contract import Role

WIDTH = 16
TEXT_WIDTH = 32
PIXELS = 64
"""Side of the pictures that the tiny models are meant for; latents are 8 × 8."""


def tokenizer() -> CLIPTokenizer:
    """CLIP's byte-level BPE without merges: every letter is a token."""
    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)}, merges=[], model_max_length=77
    )


def make_sd(
    folder: Path,
    *,
    prediction_type: str = "epsilon",
    checker: bool = True,
    seed: int = 0,
    in_channels: int = 4,
    guidance_width: int | None = None,
    tokens: CLIPTokenizer | None = None,
    **unet: Any,
) -> Path:
    """Stable Diffusion 1.x, or with `prediction_type="v_prediction"` 2.x, at 64 × 64 pixels.

    With nine channels it is one for inpainting, and with a `guidance_width` one of latent consistency, into
    which guidance was distilled. `unet` is what else its UNet's config says.
    """
    torch.manual_seed(seed)
    tokens = tokens or tokenizer()
    pipeline = StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=CLIPTextModel(_text_config(tokens)).eval(),
        tokenizer=tokens,
        unet=_unet(
            cross_attention_dim=TEXT_WIDTH,
            in_channels=in_channels,
            time_cond_proj_dim=guidance_width,
            **unet,
        ),
        scheduler=DDIMScheduler(
            **_NOISE,
            prediction_type=prediction_type,
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=safety_checker() if checker else None,
        feature_extractor=CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        requires_safety_checker=checker,
    )
    pipeline.save_pretrained(folder)
    return folder


def make_sdxl(
    folder: Path,
    *,
    seed: int = 0,
    second_width: int = TEXT_WIDTH,
    in_channels: int = 4,
    tokens: CLIPTokenizer | None = None,
) -> Path:
    """Stable Diffusion XL with its two text encoders and size conditions, at 64 × 64 pixels."""
    torch.manual_seed(seed)
    tokens = tokens or tokenizer()
    unet = _unet(
        in_channels=in_channels,
        cross_attention_dim=TEXT_WIDTH + second_width,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=second_width + 6 * 8,
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
    )
    second = _text_config(tokens, hidden_size=second_width, projection_dim=second_width)
    pipeline = StableDiffusionXLPipeline(
        vae=_vae(scaling_factor=0.13025),
        text_encoder=CLIPTextModel(_text_config(tokens)).eval(),
        text_encoder_2=CLIPTextModelWithProjection(second).eval(),
        tokenizer=tokens,
        tokenizer_2=tokens,
        unet=unet,
        scheduler=EulerDiscreteScheduler(**_NOISE, timestep_spacing="leading", steps_offset=1),
        add_watermarker=False,
    )
    pipeline.save_pretrained(folder)
    return folder


def make_refiner(folder: Path, *, seed: int = 5, second_width: int = TEXT_WIDTH) -> Path:
    """Stable Diffusion XL's refiner for such a model: one text encoder, and aesthetic scores."""
    torch.manual_seed(seed)
    tokens = tokenizer()
    unet = _unet(
        cross_attention_dim=second_width,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=second_width + 5 * 8,
        use_linear_projection=True,
    )
    with torch.no_grad():  # so that it minds the score
        unet.add_embedding.linear_1.weight[:, -8:] *= 20
    pipeline = StableDiffusionXLImg2ImgPipeline(
        vae=_vae(scaling_factor=0.13025),
        text_encoder=None,
        text_encoder_2=CLIPTextModelWithProjection(
            _text_config(tokens, hidden_size=second_width, projection_dim=second_width)
        ).eval(),
        tokenizer=None,
        tokenizer_2=tokens,
        unet=unet,
        scheduler=EulerDiscreteScheduler(**_NOISE, timestep_spacing="leading", steps_offset=1),
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )
    pipeline.save_pretrained(folder)
    return folder


def make_upscaler(folder: Path, *, upscale: int = 4, seed: int = 0) -> Path:
    """Swin2SR, its weights random."""
    torch.manual_seed(seed)
    config = Swin2SRConfig(
        image_size=32,
        embed_dim=12,
        depths=[2],
        num_heads=[2],
        window_size=4,
        mlp_ratio=2.0,
        upscale=upscale,
        upsampler="pixelshuffledirect",
    )
    Swin2SRForImageSuperResolution(config).eval().save_pretrained(folder)
    Swin2SRImageProcessorPil(do_pad=True, size_divisor=4).save_pretrained(folder)
    return folder


def make_lora(file: Path, model: Path, *, encoders: bool = True, kohya: bool = False, seed: int = 0) -> Path:
    """A LoRA of random weights for a model's attentions, in diffusers' layout or kohya's."""
    pipeline = DiffusionPipeline.from_pretrained(model)
    torch.manual_seed(seed)
    parts = {"unet": ("to_q", "to_k", "to_v", "to_out.0")}
    if encoders:
        parts |= dict.fromkeys(("text_encoder", "text_encoder_2"), ("q_proj", "k_proj", "v_proj", "out_proj"))
    weights: dict[str, torch.Tensor] = {}
    for part, layers in parts.items():
        network = pipeline.components.get(part)
        if network is None:
            continue
        network.add_adapter(
            LoraConfig(r=4, lora_alpha=4, init_lora_weights=False, target_modules=list(layers))
        )
        prefixed = {f"{part}.{name}": weight for name, weight in get_peft_model_state_dict(network).items()}
        weights |= prefixed
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(_in_kohyas_layout(weights) if kohya else weights, file)
    return file


def _in_kohyas_layout(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """With the path of a layer in one word, and an `alpha`, here half the rank, beside it."""
    second = any(name.startswith("text_encoder_2.") for name in weights)
    beginnings = {
        "unet": "lora_unet",
        "text_encoder": "lora_te1_text_model" if second else "lora_te_text_model",
        "text_encoder_2": "lora_te2_text_model",
    }
    found = {}
    for name, weight in weights.items():
        part, _, path = name.partition(".")
        layer, _, end = path.removeprefix("text_model.").rpartition(".lora_")
        beginning = f"{beginnings[part]}_{layer.replace('.', '_')}"
        found[f"{beginning}.{'lora_down' if end.startswith('A') else 'lora_up'}.weight"] = weight
        found[f"{beginning}.alpha"] = torch.tensor(2.0)
    return found


def make_image_encoder(folder: Path, *, seed: int = 0) -> Path:
    """CLIP's vision model, its weights random."""
    torch.manual_seed(seed)
    config = CLIPVisionConfig(
        hidden_size=TEXT_WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=16,
        initializer_factor=5.0,
    )
    CLIPVisionModelWithProjection(config).eval().save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        folder
    )
    return folder


def make_adapter(file: Path, model: Path, *, plus: bool = False, seed: int = 0) -> Path:
    """An IP-Adapter of random weights; the `plus` one reads the patches of a picture."""
    unet = UNet2DConditionModel.from_pretrained(model, subfolder="unet")
    width = unet.config.cross_attention_dim
    torch.manual_seed(seed)
    weights: dict[str, torch.Tensor] = {}
    if plus:
        resampler = IPAdapterPlusImageProjection(TEXT_WIDTH, width, 64, depth=4, heads=1, num_queries=3)
        for name, weight in resampler.state_dict().items():
            weights[f"image_proj.{name.replace('to_out.0', 'to_out')}"] = weight
    else:
        for name, weight in ImageProjection(16, width, 4).state_dict().items():
            weights[f"image_proj.{name.replace('image_embeds', 'proj')}"] = weight
    names = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    for place, name in enumerate(names):
        attention = unet.get_submodule(name.removesuffix(".processor"))
        for part in ("to_k_ip", "to_v_ip"):
            weight = torch.randn(attention.inner_dim, width) / width**0.5
            weights[f"ip_adapter.{2 * place + 1}.{part}.weight"] = weight
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.contiguous() for name, weight in weights.items()}, file)
    return file


def make_control(folder: Path, model: Path, *, seed: int = 0) -> Path:
    """A control network of random weights, those between it and the UNet too."""
    control_network(model, seed=seed).save_pretrained(folder)
    return folder


def loaded_unet(model: Path) -> UNet2DConditionModel:
    return UNet2DConditionModel.from_pretrained(model, subfolder="unet")


def control_network(model: Path, *, seed: int = 0) -> ControlNetModel:
    torch.manual_seed(seed)
    control = ControlNetModel.from_unet(loaded_unet(model), conditioning_embedding_out_channels=(4, 4, 8, 8))
    with torch.no_grad():
        for name, weight in control.named_parameters():
            if "controlnet_" in name:
                weight.normal_(std=0.3)
    return control


def make_describer(folder: Path, *, seed: int = 0) -> Path:
    """BLIP, its weights random: it says any of nine words in any order."""
    words = ["[PAD]", "[DEC]", "[SEP]", *["a", "red", "blue", "castle", "boat", "on", "the", "sea", "hills"]]
    spelled = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="[PAD]"))
    spelled.pre_tokenizer = WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=spelled, pad_token="[PAD]", bos_token="[DEC]", eos_token="[SEP]"
    ).save_pretrained(folder)
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = shape | {
        "vocab_size": len(words),
        "projection_dim": 16,
        "encoder_hidden_size": 16,
        "max_position_embeddings": 80,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "sep_token_id": 2,
    }
    torch.manual_seed(seed)
    config = BlipConfig(
        text_config=text, vision_config=shape | {"image_size": 32, "patch_size": 16}, projection_dim=16
    )
    BlipForConditionalGeneration(config).eval().save_pretrained(folder)
    BlipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def make_segmenter(folder: Path, *, everything: bool | None = None, seed: int = 0) -> Path:
    """CLIPSeg, its weights random, in the files of `CIDAS/clipseg-rd64-refined`.

    It finds `everything` in every picture, or nothing, or (None) some places by chance.
    """
    tokens = tokenizer()
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    text = shape | {
        "num_hidden_layers": 1,
        "vocab_size": len(tokens),
        "bos_token_id": tokens.bos_token_id,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": tokens.pad_token_id,
    }
    vision = shape | {"num_hidden_layers": 3, "image_size": 32, "patch_size": 16}
    torch.manual_seed(seed)
    config = CLIPSegConfig(
        text_config=text,
        vision_config=vision,
        projection_dim=16,
        extract_layers=[0, 1, 2],
        reduce_dim=16,
        decoder_intermediate_size=16,
        use_complex_transposed_convolution=True,
    )
    model = CLIPSegForImageSegmentation(config).eval()
    last = model.decoder.transposed_convolution[-1]
    with torch.no_grad():
        if everything is None:
            ids = torch.tensor([[tokens.bos_token_id, tokens.eos_token_id]])
            last.weight *= 100
            last.bias -= model(input_ids=ids, pixel_values=torch.zeros(1, 3, 32, 32)).logits.quantile(0.8)
        else:
            last.weight.zero_()
            last.bias.fill_(9.0 if everything else -9.0)
    model.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def safety_checker(threshold: float = 1.0) -> StableDiffusionSafetyChecker:
    """A checker whose every concept needs a cosine above `threshold`: 1.0 passes everything, -1.0 nothing."""
    config = CLIPConfig(
        text_config={"hidden_size": TEXT_WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2},
        vision_config={
            "hidden_size": TEXT_WIDTH,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
        },
        projection_dim=16,
    )
    checker = StableDiffusionSafetyChecker(config).eval()
    with torch.no_grad():
        checker.concept_embeds.normal_()
        checker.special_care_embeds.normal_()
        checker.concept_embeds_weights.fill_(threshold)
        checker.special_care_embeds_weights.fill_(1.0)
    return checker


_NOISE: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}


def _text_config(tokens: CLIPTokenizer, **more: Any) -> CLIPTextConfig:
    more.setdefault("hidden_size", TEXT_WIDTH)
    return CLIPTextConfig(
        vocab_size=len(tokens),
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
        pad_token_id=tokens.pad_token_id,
        initializer_factor=5.0,
        **more,
    )


def _vae(**more: Any) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=[8, 8, 16, 16],
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=PIXELS,
        **more,
    ).eval()


def _unet(**more: Any) -> UNet2DConditionModel:
    blocks: dict[str, Any] = {
        "block_out_channels": (WIDTH, 2 * WIDTH),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    }
    unet = UNet2DConditionModel(
        layers_per_block=1,
        attention_head_dim=8,
        norm_num_groups=4,
        sample_size=PIXELS // 8,
        **(blocks | more),
    ).eval()
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if ".attn2.to_out" in name or name.startswith("conv_out"):
                weight.mul_(4)
    return unet


def catalog(
    folder: Path,
    models: dict[str, Path],
    *,
    upscaler: Path | None = None,
    describer: Path | None = None,
    segmenter: Path | None = None,
    **fields: Any,
) -> Path:
    """A catalog file in `folder` that names these model folders; `fields` are added to every entry."""
    lines = [f"default = {json.dumps(next(iter(models)))}"]
    for name, source in models.items():
        entry = {
            "source": str(source),
            "sizes": [[PIXELS, PIXELS], [96, 64]],
            "num_inference_steps": 4,
            **fields,
        }
        lines += ["", f"[models.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in entry.items())]
        beside = {"upscaler": upscaler, "describer": describer, "segmenter": segmenter}
        lines += [
            f"{kind} = {{source = {json.dumps(str(source))}}}"
            for kind, source in beside.items()
            if source is not None
        ]
    path = folder / "catalog.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


STYLE_SCALE = 0.7


def make_steered(place: Path, folder: Path) -> ModelEntry:
    """The model with adapters of both kinds and one encoder, controls by edges and whole pictures, a LoRA."""
    encoder = str(make_image_encoder(place / "encoder"))
    plain = str(make_adapter(place / "plain.safetensors", folder))
    make_adapter(place / "plus" / "models" / "plus.safetensors", folder, plus=True, seed=1)
    source = str(make_control(place / "control", folder))
    return ModelEntry(
        name="m",
        title="M",
        source=str(folder),
        sizes=((64, 64),),
        adapters={
            Role.STYLE: AdapterEntry(source=plain, image_encoder=encoder, scale=STYLE_SCALE),
            Role.IMAGE: AdapterEntry(
                source=str(place / "plus"), file="models/plus.safetensors", image_encoder=encoder
            ),
            Role.SUBJECT: AdapterEntry(
                source=plain, image_encoder=encoder, blocks={"up": {"block_0": [0.0, 1.0]}}
            ),
        },
        controls={
            "edges": ControlEntry(source=source, reads="edges"),
            "whole": ControlEntry(source=source),
        },
        loras={"ink": LoraEntry(source=str(make_lora(place / "ink.safetensors", folder)))},
    )
