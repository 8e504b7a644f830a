"""`docs/flags.md`, from the table of flags, and its pictures, from the engine.

python -m easel.flag_pages              write the page
python -m easel.flag_pages --pictures   draw its pictures too, with the model that ships
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from PIL import Image

from actions.image_prompts import beginning_with, reading
from prompts import parser
from prompts.parser import FLAGS, MOST_COMMANDS, Flag, Meaning, Scope
from storage import catalog, image_encoding
from storage.catalog import Catalog

if TYPE_CHECKING:
    from generator.engine.engine import Engine, Progress

PAGE = Path(__file__).parents[1] / "docs" / "flags.md"
PICTURES = PAGE.with_name("flags")


SEED = 7
FIRST = "https://first.example"
"""Placeholder for a link to the first picture of a pair."""
FRAME_MS, LAST_MS = 120, 2500


@dataclass(frozen=True)
class Pair:
    """A prompt drawn twice; the second time with what a flag is for."""

    prompt: str
    changed: str
    plain: str = ""
    """Flags of the first picture."""
    onto: str = ""
    """The prompt of the second picture where it starts from the first: begins with it, has it for its control
    image, or reads it where FIRST stands."""
    moves: bool = False
    """True if the second picture is a movie."""

    @property
    def first(self) -> str:
        return f"{self.prompt} {self.plain}".strip()

    @property
    def second(self) -> str:
        return f"{self.onto or self.prompt} {self.changed}"

    @property
    def title(self) -> str:
        """The second picture's prompt, as the page has it."""
        if FIRST in self.changed:
            return f"`{self.second.replace(FIRST, 'LINK')}`, a link to the first picture"
        return f"the first picture, then `{self.second}`" if self.onto else f"`{self.second}`"


_CASTLE = "a red castle on green hills"
_RABBIT, _ITS_NIGHT = "a pink rabbit in a meadow", "a rabbit at night, watercolor"
_BALLOON, _ITS_DUSK = "a purple balloon", "by the sea at dusk, an oil painting"
PAIRS: Mapping[str, Pair] = MappingProxyType(
    {
        "ar": Pair(_CASTLE, "--ar 3:2"),
        "stylize": Pair(_CASTLE, "--stylize 1000", "--stylize 0"),
        "raw": Pair(_CASTLE, "--raw"),
        "chaos": Pair("a castle", "--chaos 80"),
        "weird": Pair("a castle", "--weird 3000"),
        "seed": Pair(_CASTLE, "--seed 8", "--seed 7"),
        "sameseed": Pair(_CASTLE, "--sameseed 7", "--seed 7"),
        "no": Pair("a cottage with trees in a meadow", "--no trees"),
        "quality": Pair(_CASTLE, "--quality .25"),
        "draft": Pair(_CASTLE, "--draft"),
        "steps": Pair(_CASTLE, "--steps 60", "--steps 4"),
        "cfg": Pair(_CASTLE, "--cfg 10", "--cfg 1"),
        "sampler": Pair(_CASTLE, "--sampler euler_a", "--sampler ddim"),
        "stop": Pair(_CASTLE, "--stop 40"),
        "tile": Pair("flowers in a meadow", "--tile"),
        "iw": Pair(_CASTLE, "--iw 2", onto="a castle in the snow at night"),
        "sref": Pair("a castle", "--sref 1"),
        "sw": Pair("a castle", "--sref 1 --sw 1000", "--sref 1 --sw 10"),
        "cref": Pair(_RABBIT, f"--cref {FIRST}", onto=_ITS_NIGHT),
        "oref": Pair(_BALLOON, f"--oref {FIRST}", onto=_ITS_DUSK),
        "cw": Pair(_RABBIT, f"--cref {FIRST} --cw 0", onto=_ITS_NIGHT),
        "ow": Pair(_BALLOON, f"--oref {FIRST} --ow 5", onto=_ITS_DUSK),
        "control": Pair(_CASTLE, "--control edges", onto="a blue castle in the snow at night"),
        "lora": Pair(_CASTLE, "--lora blueprint"),
        "video": Pair(_CASTLE, "--video", moves=True),
    }
)

_PAGE = """\
# Flags

<!-- Written by `python -m easel.flag_pages` from prompts/flags.py. -->

A prompt is links to pictures, then text, then flags, all of which may be left out but not all at once:

`/imagine https://example.com/photo.png a red castle::2 fog::-.5 --ar 3:2 --chaos 20`

Flags begin with two dashes. What nearly is one (`–ar 3:2`, `castle--ar 3:2`, `-ar 3:2`) is read as one where
nothing else can be meant, and named where it stays text; so are `--negative` and other programs'
names. Of two flags that decide the same the last holds. What is in quotes is text, quotes round the whole
prompt fall away, and a backslash makes text of what would be a mark: `\\--`, `\\{{`, `\\,`, `\\(`, `\\:`.

## The text

| you write | what it means |
| --- | --- |
| `hot:: dog` | two things that are blended, rather than the one that the words are together |
| `hot::2 dog::1`, `dog::-.5` | how much each weighs, -100 to 100; the sum must be above 0 |
| `a (red:1.3) fox` | `red` is meant more strongly; 0 to 10, and 0 leaves it out; other brackets are text |
| `--no (fog:1.3), rain` | the same weights behind `--no`, where none is below 0 |
| `a {{red, blue}} fox --ar {{3:2, 1:1}}` | one job for each permutation, here four; at most {most} |
| `<lora:name:.8>` | the same as `--lora name:.8` |
| `--mine` | what you gave this name by `/prefer option set` |

A flag in the text beats the command's own options, those beat your own flags, those your suffix
(`/prefer suffix`), and that your `/settings`.

## Flags that work

Ranges are those of the model that comes with Easel; others have their own.

| flag | takes | where it is left out | what it does |
| --- | --- | --- | --- |
{working}

## Flags that have no meaning here

A prompt with these, pasted from Midjourney, runs; the answer says that they changed nothing. Any other flag
is refused, with the one that was perhaps meant.

| flag | what it is elsewhere |
| --- | --- |
{noted}

## What they do to a picture

Both pictures of a pair have the same seed. They were drawn by Picturebook, on this page's own command:
`python -m easel.flag_pages --pictures`.

{pairs}
"""


def page(models: Catalog) -> str:
    """The whole page, with ranges as the catalog's default model has them."""
    scope = Scope(models, models[models.default])
    working = [flag for flag in FLAGS if flag.meaning is Meaning.WORKS]
    return _PAGE.format(
        most=MOST_COMMANDS,
        working="\n".join(
            f"| {_names(flag)} | {flag.value.expected(scope)} | {_default(flag)} | {flag.help} |"
            for flag in working
        ),
        noted="\n".join(
            f"| {_names(flag)} | {flag.help} |" for flag in FLAGS if flag.meaning is Meaning.NOTED
        ),
        pairs="\n\n".join(_section(flag) for flag in working if flag.name in PAIRS),
    )


def _names(flag: Flag) -> str:
    return ", ".join(f"`--{name}`" for name in flag.names)


def _default(flag: Flag) -> str:
    if flag.default is None:
        return "–"
    return f"`{flag.default}`" if isinstance(flag.default, str) else "the model's own"


def _section(flag: Flag) -> str:
    pair = PAIRS[flag.name]
    titles = f"| `{pair.first}` | {pair.title} |"
    typed = (pair.first, pair.second)
    shown = (f"![{each.replace(FIRST, 'LINK')}]({PICTURES.name}/{_file(each)})" for each in typed)
    return f"### {_names(flag)}\n\n{titles}\n| --- | --- |\n| {' | '.join(shown)} |"


def _file(typed: str) -> str:
    return f"{re.sub('[^a-z0-9]+', '-', typed.replace(FIRST, 'first'))}.webp"


def draw(models: Catalog) -> None:
    """Draw every pair on the CPU, so that they come out the same wherever it is done."""
    from generator.worker.models import Models

    PICTURES.mkdir(exist_ok=True)
    for file in PICTURES.glob("*.webp"):
        file.unlink()
    with closing(Models(models, device="cpu", safety="off")) as loaded:
        engine = loaded.engine(models.default)
        drawn: dict[str, Image.Image] = {}
        for name, pair in PAIRS.items():
            print(name, flush=True)
            if pair.first not in drawn:
                drawn[pair.first], frames = _draw(engine, models, pair.first)
                _save(pair.first, frames[-1:])
            _, frames = _draw(engine, models, pair.second, begin=drawn[pair.first] if pair.onto else None)
            _save(pair.second, frames if pair.moves else frames[-1:])


def _draw(
    engine: Engine, models: Catalog, typed: str, begin: Image.Image | None = None
) -> tuple[Image.Image, list[Image.Image]]:
    """The first picture, and the grid as it forms, itself at the end."""
    parsed = parser.parse(typed, models, seed=SEED, attached=begin is not None)
    started = begin is not None and not parsed.linked
    if started:
        parsed = beginning_with(parsed, ["first"], models)
    request = reading(parsed, parsed.request, {FIRST: "first"})
    controlled = request.control is not None
    forming: list[Image.Image] = []

    def keep(step: Progress) -> None:
        if step.preview is not None:
            forming.append(image_encoding.grid(step.preview()))

    images = engine.submit(
        request,
        image=begin if started and not controlled else None,
        control=begin if controlled else None,
        references={reference.role: [begin] for reference in request.references if begin is not None},
        on_progress=keep,
    ).result()
    return images[0], [*forming, image_encoding.grid(images)]


def _save(typed: str, frames: Sequence[Image.Image]) -> None:
    """One picture, or a movie of several."""
    same_size = [frame.resize(frames[-1].size) for frame in frames]
    moving = len(frames) > 1
    data = (
        image_encoding.webp_movie(same_size, FRAME_MS, LAST_MS)
        if moving
        else image_encoding.webp_bytes(frames[0])
    )
    (PICTURES / _file(typed)).write_bytes(data)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m easel.flag_pages", description=__doc__)
    arguments.add_argument("--pictures", action="store_true", help="draw the pictures too")
    models = catalog.load()
    if arguments.parse_args().pictures:
        draw(models)
    PAGE.write_text(page(models), encoding="utf-8")


if __name__ == "__main__":
    main()
