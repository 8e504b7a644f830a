"""Making the whole model from nothing: ``python -m picturebook.train all``.

Every stage goes on from its last checkpoint, so that the command may be stopped and given again.
"""

import argparse
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPTextModel, CLIPVisionModelWithProjection, VisionEncoderDecoderModel

from generator.conditioning.control_maps import edges
from picturebook.adapter_training import ROLES, train_adapter
from picturebook.blueprint import blueprint
from picturebook.control_training import train_control
from picturebook.dataset import encode, write_shards
from picturebook.denoiser_training import load_unet, new_unet, train_denoiser
from picturebook.describer_training import train_describer
from picturebook.evaluate import load_pipeline
from picturebook.export import export_model
from picturebook.image_encoder_training import train_image_encoder
from picturebook.judge_training import train_judge
from picturebook.lora_training import train_lora
from picturebook.normalise import normalise_latents
from picturebook.parallel import run_together
from picturebook.safety import new_processor
from picturebook.safety_training import measure, painted_examples, train_checker, untrained_checker
from picturebook.scenes import draw, random_scene
from picturebook.segmenter_training import train_segmenter
from picturebook.text_training import train_text_encoder
from picturebook.upscaler_training import train_upscaler
from picturebook.vae_training import train_vae

HERE = Path(__file__).parent


def make_vae(runs: Path, steps: int) -> None:
    """The autoencoder, with normalised latents."""
    run_together(train_vae, runs / "vae", steps)
    vae = AutoencoderKL.from_pretrained(runs / "vae").eval()
    rng = random.Random(1)
    pictures = [np.asarray(draw(random_scene(rng))) for _ in range(96)]
    normalise_latents(vae, encode(vae, pictures) / vae.config.scaling_factor)
    vae.save_pretrained(runs / "vae-normal")


def make_scenes(runs: Path, count: int) -> None:
    """The shards of drawn and encoded scenes, at full and at half size."""
    run_together(write_shards, finished_vae(runs), runs / "small-latents", count, 0.5)
    run_together(write_shards, finished_vae(runs), runs / "latents", count, 1.0)


def make_text(runs: Path, steps: int) -> None:
    """The text encoder, which learns to read before anything is painted."""
    run_together(train_text_encoder, runs / "text", steps)


def make_sketcher(runs: Path, steps: int) -> None:
    """A denoiser of scenes at half their size, where a sample costs a third."""
    torch.manual_seed(2)
    fit = (
        finished_text_encoder(runs),
        new_unet(),
        runs / "small-latents",
        runs / "sketcher",
        steps,
        24,
        8e-4,
    )
    run_together(train_denoiser, *fit)


def make_denoiser(runs: Path, steps: int) -> None:
    """The denoiser; it begins as the sketcher, or as the exported model where nothing was sketched."""
    sketched = (runs / "sketcher").exists()
    unet = load_unet(runs / "sketcher") if sketched else exported(UNet2DConditionModel, "unet")
    rate = 8e-4 if sketched else 4e-4
    fit = (finished_text_encoder(runs), unet, runs / "latents", runs / "denoiser", steps, 12, rate)
    run_together(train_denoiser, *fit)


def make_judge(runs: Path, steps: int) -> None:
    """The classifier that evaluation uses."""
    train_judge(runs / "judge", HERE / "judge", steps)


def make_upscaler(runs: Path, steps: int) -> None:
    """The upscaler, trained for the decoder that is at hand."""
    train_upscaler(finished_vae(runs), runs / "upscaler", HERE / "upscaler", steps)


def make_safety(runs: Path, steps: int) -> None:
    """The safety checker; it learns from the model's own pictures too where there are any.

    It goes on from the exported one.
    """
    own = HERE / "model" / "unet"
    extra = painted_examples(load_pipeline(), 160) if own.exists() else []
    checker = finished_checker(runs) or untrained_checker()
    checker = train_checker(checker, finished_vae(runs), runs / "safety", steps, extra)
    print(measure(checker, finished_vae(runs)))
    checker.save_pretrained(runs / "safety" / "checker")


def make_describer(runs: Path, steps: int) -> None:
    """The describer, which begins to see as the exported safety checker does."""
    checker = exported(StableDiffusionSafetyChecker, "safety_checker")
    train_describer(checker, runs / "describer", HERE / "describer", steps)


def make_lora(runs: Path, steps: int) -> None:
    """A look that the exported model has no word for."""
    text_encoder = exported(CLIPTextModel, "text_encoder").eval()
    parts = (exported(AutoencoderKL, "vae").eval(), text_encoder, exported(UNet2DConditionModel, "unet"))
    train_lora(*parts, blueprint, runs / "lora", HERE / "loras" / "blueprint.safetensors", steps)


def make_control(runs: Path, steps: int) -> None:
    """The exported model's control network, whose control images are edges."""
    text_encoder = exported(CLIPTextModel, "text_encoder").eval()
    parts = (exported(AutoencoderKL, "vae").eval(), text_encoder, exported(UNet2DConditionModel, "unet"))
    train_control(*parts, edges, runs / "control", HERE / "controls" / "edges", steps)


def make_image_encoder(runs: Path, steps: int) -> None:
    """Train the image encoder, which begins to see as the describer does."""
    describer = VisionEncoderDecoderModel.from_pretrained(HERE / "describer", torch_dtype=torch.float32)
    train_image_encoder(describer, runs / "image-encoder", HERE / "adapters" / "image_encoder", steps)


def make_adapters(runs: Path, steps: int) -> None:
    """Train the image adapters on the exported model: for all that is not said, for the style, for the
    subject.
    """
    for role in ROLES:
        folder = HERE / "adapters" / "image_encoder"
        encoder = CLIPVisionModelWithProjection.from_pretrained(folder, torch_dtype=torch.float32).eval()
        text_encoder = exported(CLIPTextModel, "text_encoder").eval()
        vae, unet = exported(AutoencoderKL, "vae").eval(), exported(UNet2DConditionModel, "unet")
        parts = (vae, text_encoder, unet, encoder)
        train_adapter(parts, role, runs / f"adapter-{role}", HERE / "adapters" / f"{role}.safetensors", steps)


def make_segmenter(runs: Path, steps: int) -> None:
    """The segmenter, which begins to see as the describer does and to read as the model does."""
    describer = VisionEncoderDecoderModel.from_pretrained(HERE / "describer", torch_dtype=torch.float32)
    train_segmenter(describer, finished_text_encoder(runs), runs / "segmenter", HERE / "segmenter", steps)


def make_export(runs: Path, _: int) -> None:
    """The diffusers folder, from the checkpoints that there are."""
    checker = finished_checker(runs)
    processor = new_processor() if checker is not None else None
    unet = load_unet(runs / "denoiser")
    export_model(HERE / "model", finished_vae(runs), finished_text_encoder(runs), unet, checker, processor)


def finished_checker(runs: Path) -> StableDiffusionSafetyChecker | None:
    """The safety checker just trained, or else the exported model's; None before there is any."""
    trained = runs / "safety" / "checker"
    if trained.exists():
        return StableDiffusionSafetyChecker.from_pretrained(trained)
    known = (HERE / "model" / "safety_checker").exists()
    return exported(StableDiffusionSafetyChecker, "safety_checker") if known else None


def finished_vae(runs: Path) -> AutoencoderKL:
    """The autoencoder just trained, or else the exported model's."""
    trained = runs / "vae-normal"
    vae = AutoencoderKL.from_pretrained(trained) if trained.exists() else exported(AutoencoderKL, "vae")
    return vae.eval()


def finished_text_encoder(runs: Path) -> CLIPTextModel:
    """The text encoder just trained, or else the exported model's."""
    trained = runs / "text"
    if not trained.exists():
        return exported(CLIPTextModel, "text_encoder").eval()
    return CLIPTextModel.from_pretrained(trained).eval()


def exported(kind: Any, part: str) -> Any:
    """A part of the exported model, in full precision."""
    return kind.from_pretrained(HERE / "model" / part, torch_dtype=torch.float32)


STAGES: dict[str, tuple[Callable[[Path, int], None], int]] = {
    "vae": (make_vae, 1000),
    "scenes": (make_scenes, 56),
    "text": (make_text, 1500),
    "sketcher": (make_sketcher, 1400),
    "denoiser": (make_denoiser, 4500),
    "judge": (make_judge, 2200),
    "upscaler": (make_upscaler, 1200),
    "export": (make_export, 0),
    "lora": (make_lora, 220),
    "control": (make_control, 1200),
    "safety": (make_safety, 3000),
    "finish": (make_export, 0),
    "describer": (make_describer, 3900),
    "segmenter": (make_segmenter, 1800),
    "image-encoder": (make_image_encoder, 900),
    "adapters": (make_adapters, 700),
}
"""The stages in their order, each with its number of steps (of shards for "scenes")."""


def main() -> None:
    """Run one stage, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m picturebook.train", description=__doc__)
    parser.add_argument("stage", choices=["all", *STAGES])
    parser.add_argument("--steps", type=int, help="another number of steps for this stage")
    parser.add_argument("--threads", type=int, default=2, help="threads of a stage that is one process")
    parser.add_argument("--runs", type=Path, default=HERE / ".runs", help="folder for checkpoints and shards")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    for name in STAGES if chosen.stage == "all" else [chosen.stage]:
        make, steps = STAGES[name]
        make(chosen.runs, chosen.steps or steps)


if __name__ == "__main__":
    main()
