"""Training of the text encoder alone: from its words it must tell what stands in the scene.

A denoiser learns far quicker beside a text encoder that can already read. Stable Diffusion's comes
from CLIP; this one learns from captions and the scenes they describe, without a picture.
"""

import random
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from picturebook import words
from picturebook.captions import caption
from picturebook.judge import ATTRIBUTES
from picturebook.judge_training import labels
from picturebook.parallel import rank, share_weights
from picturebook.progress import TrainingProgress, set_rate
from picturebook.scenes import random_scene
from picturebook.tokenizer import LENGTH, new_tokenizer

HIDDEN = 160
"""Width of the text encoder."""

PEAK = 1.5e-3
"""Highest learning rate."""


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained text encoder for the tokenizer."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=HIDDEN,
            intermediate_size=3 * HIDDEN,
            projection_dim=HIDDEN,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            initializer_factor=1.0,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def tokens_of(tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """The tokens (n, 77) of texts."""
    padded = tokenizer(texts, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt")
    tokens: Tensor = padded.input_ids
    return tokens


class Reader(nn.Module):
    """The text encoder and linear heads that tell the scene's attributes from its last states."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        """Everything untrained."""
        super().__init__()
        self.text_encoder = new_text_encoder(tokenizer)
        self.heads = nn.ModuleDict({k: nn.Linear(HIDDEN, len(v)) for k, v in ATTRIBUTES.items()})
        self.qualities = nn.Linear(HIDDEN, len(words.QUALITIES))

    def forward(self, tokens: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Logits of every attribute and of the qualities, each from one state behind the text, at random.

        Whatever follows the text has seen all of it, and the denoiser looks at every such state.
        """
        states = self.text_encoder(tokens).last_hidden_state
        ends = tokens.eq(tokens[:, -1:]).int().argmax(dim=1)
        places = ends + (torch.rand(len(tokens)) * (LENGTH - ends)).long()
        state = states[torch.arange(len(tokens)), places]
        return {name: head(state) for name, head in self.heads.items()}, self.qualities(state)


def train_text_encoder(folder: Path, steps: int, batch: int = 48) -> None:
    """Train the text encoder and keep it in ``folder``; goes on from what lies there."""
    torch.manual_seed(2)
    tokenizer = new_tokenizer()
    reader = Reader(tokenizer)
    optimiser = torch.optim.AdamW(reader.parameters(), lr=PEAK, betas=(0.9, 0.98), weight_decay=0.01)
    progress = TrainingProgress("text", folder, steps, {"model": reader, "optimiser": optimiser})
    rng = random.Random(100 * progress.step + rank())
    for step in progress:
        set_rate(optimiser, step, steps, PEAK)
        scenes = [random_scene(rng) for _ in range(batch)]
        logits, qualities = reader(tokens_of(tokenizer, [caption(scene, rng) for scene in scenes]))
        wanted = labels(scenes)
        losses = [functional.cross_entropy(logits[name], wanted[name]) for name in ATTRIBUTES]
        named = torch.tensor([[float(q in scene.qualities) for q in words.QUALITIES] for scene in scenes])
        losses.append(functional.binary_cross_entropy_with_logits(qualities, named))
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(losses).sum())
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimiser.step()
        share_weights(reader, step)
        right = (logits["subject"].argmax(dim=1) == wanted["subject"]).float().mean()
        progress.show(loss=torch.stack(losses).sum().item(), subject=right.item())
    if rank() == 0:
        reader.text_encoder.eval().save_pretrained(folder)
