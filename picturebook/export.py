"""Writing the trained parts as an ordinary diffusers folder."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPImageProcessor, CLIPTextModel, PreTrainedModel

from picturebook.denoiser_training import new_scheduler
from picturebook.tokenizer import learn_merges, new_tokenizer
from picturebook.words import all_words


def replace_folder(fresh: Path, folder: Path) -> None:
    """Put a finished folder in the place of another."""
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def export_model(
    folder: Path,
    vae: AutoencoderKL,
    text_encoder: CLIPTextModel,
    unet: UNet2DConditionModel,
    checker: StableDiffusionSafetyChecker | None,
    processor: CLIPImageProcessor | None,
) -> None:
    """Write ``folder`` as StableDiffusionPipeline reads it, in float16, and beside it the known words."""
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=new_tokenizer(),
        unet=unet,
        scheduler=new_scheduler(),
        safety_checker=checker,
        feature_extractor=processor,
        requires_safety_checker=checker is not None,
    )
    fresh = folder.with_name(folder.name + ".fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    pipeline.to(dtype=torch.float16).save_pretrained(fresh, safe_serialization=True)
    _write_vocabulary(fresh / "tokenizer")
    (fresh / "words.txt").write_text("\n".join(all_words()) + "\n", encoding="utf-8")
    _forget_origins(fresh)
    replace_folder(fresh, folder)


def _forget_origins(folder: Path) -> None:
    """Take out of the configurations where on this machine the parts were read from."""
    for file in folder.rglob("*.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        if content.pop("_name_or_path", None) is not None:
            file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _write_vocabulary(folder: Path) -> None:
    """The tokenizer's vocabulary in the two files in which CLIP's is told."""
    tokenizer = new_tokenizer()
    ordered = dict(sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]))
    text = json.dumps(ordered, ensure_ascii=False, indent=0)
    (folder / "vocab.json").write_text(text + "\n", encoding="utf-8")
    merges = learn_merges([word for word in all_words() if word.isalpha()])
    lines = ["#version: 0.2", *(f"{first} {second}" for first, second in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def save_half(model: PreTrainedModel, folder: Path) -> None:
    """Write one transformers model in float16."""
    fresh = folder.with_name(folder.name + ".fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    model.half().save_pretrained(fresh, safe_serialization=True)
    model.float()
    _forget_origins(fresh)
    replace_folder(fresh, folder)
