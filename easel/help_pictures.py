"""The pictures of `/help`, drawn by the model that ships: `python -m easel.help_pictures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

from PIL import Image

from prompts import parser
from storage import catalog, image_encoding

FOLDER = Path(__file__).parents[1] / "bot" / "pictures"
SEED = 7
TIMES = 2
"""Picturebook's pictures are small: they are shown enlarged."""
GRIDS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "help_first": ("a red castle on green hills at night, watercolor --ar 3:2",),
        "help_flags": ("a castle --ar 3:2 --stylize 0", "a castle --ar 3:2 --chaos 80"),
    }
)
"""Pages with whole grids side by side."""
SINGLES: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "help_buttons": (
            "a red castle on green hills at night, watercolor",
            "a yellow balloon over the sea at sunset",
            "a blue boat on the sea",
            "a cottage with trees in the snow",
        )
    }
)
"""Pages with the first picture of each grid."""


def main() -> None:
    from generator.worker.models import Models

    models = catalog.load()
    FOLDER.mkdir(exist_ok=True)
    with closing(Models(models, device="cpu", safety="off")) as loaded:
        engine = loaded.engine(models.default)

        def draw(typed: str) -> list[Image.Image]:
            return engine.submit(parser.parse(typed, models, seed=SEED).request).result()

        for name, page in GRIDS.items():
            _save(name, [image_encoding.grid(draw(typed)) for typed in page])
        for name, page in SINGLES.items():
            _save(name, [draw(typed)[0] for typed in page])


def _save(name: str, shown: Sequence[Image.Image]) -> None:
    data = image_encoding.webp_bytes(image_encoding.enlarge(_strip(shown), TIMES))
    (FOLDER / f"{name}.webp").write_bytes(data)
    print(f"{name}.webp: {len(data):,} bytes")


def _strip(shown: Sequence[Image.Image], gap: int = 6) -> Image.Image:
    """Pictures of one height side by side."""
    width = sum(image.width for image in shown) + gap * (len(shown) - 1)
    sheet = Image.new("RGB", (width, shown[0].height), image_encoding.BACKGROUND)
    left = 0
    for image in shown:
        sheet.paste(image.convert("RGB"), (left, 0))
        left += image.width + gap
    return sheet


if __name__ == "__main__":
    main()
