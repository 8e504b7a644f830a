"""The judge: a small classifier that reads a picture's attributes, trained apart on drawn scenes."""

from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from picturebook import words

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "subject": (*words.SUBJECTS, *words.FORBIDDEN),
    "colour": tuple(words.COLOURS),
    "ground": tuple(words.GROUNDS),
    "time": tuple(words.TIMES),
    "sky": tuple(words.SKIES),
    "style": tuple(words.STYLES),
}
"""Attributes that the judge names, and the values of each."""

WIDTHS = (24, 48, 80, 128, 160)


def _stage(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1, groups=1 if after < 100 else 8, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


class Judge(nn.Module):
    """Convolutions, the mean and the maximum over the picture, and one linear head an attribute."""

    def __init__(self) -> None:
        """An untrained judge."""
        super().__init__()
        channels = (3, *WIDTHS)
        self.stages = nn.Sequential(*(_stage(a, b) for a, b in pairwise(channels)))
        self.drop = nn.Dropout(0.1)
        self.heads = nn.ModuleDict({k: nn.Linear(2 * WIDTHS[-1], len(v)) for k, v in ATTRIBUTES.items()})

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Logits for each attribute, of pictures (n, 3, height, width) in -1..1."""
        maps = self.stages(pictures)
        pooled = self.drop(torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1))
        return {name: head(pooled) for name, head in self.heads.items()}

    @torch.no_grad()
    def read(self, pictures: Tensor) -> list[dict[str, str]]:
        """The value of every attribute of every picture."""
        named = {name: logits.argmax(dim=1).tolist() for name, logits in self(pictures).items()}
        return [
            {name: ATTRIBUTES[name][rows[index]] for name, rows in named.items()}
            for index in range(len(pictures))
        ]

    def save(self, folder: Path) -> None:
        """Write the weights in float16."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {k: v.contiguous() for k, v in self.state_dict().items()}
        halves = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
        save_file(halves, folder / "model.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "Judge":
        """Read the weights, ready to judge."""
        judge = cls()
        judge.load_state_dict({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
        return judge.eval()
