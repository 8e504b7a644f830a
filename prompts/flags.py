"""The table of flags: each one's names, what it takes and what it does, for parser, help, documentation and
refusals alike.

A flag *works*, or is *noted*: one of Midjourney's that has no meaning here, so that a prompt pasted from
there runs and its writer is told. Every other is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from prompts.catalog_values import Loras, ModelName, RefinerShare, SamplerName, UpscalerName, Version
from prompts.negative_prompt import Unwanted
from prompts.reference_values import ControlKind, Edit, ImageLinks, ReferenceWeight, Styles
from prompts.translation import N_, _
from prompts.values import MANY, Codes, Nothing, Number, Ratio, Scope, Style, Value, Whole
from storage.catalog_model import ModelEntry
from storage.contract import MOST_REFERENCES, SEED_SPACE, Role
from storage.model_families import Feature


class Meaning(Enum):
    WORKS = auto()
    NOTED = auto()


@dataclass(frozen=True)
class Flag:
    name: str
    value: Value
    help: str = ""
    """For a flag that works, what it does; for one that is noted, what Midjourney has it for."""
    aliases: tuple[str, ...] = ()
    meaning: Meaning = Meaning.WORKS
    repeats: bool = False
    """True if it may stand more than once; the values are then read as one."""
    group: str | None = None
    """Flags of one group decide the same, so only one of them can hold."""
    default: str | Callable[[ModelEntry], str | None] | None = None
    """The value that changes nothing; None where leaving the flag out is the only way to that."""
    field: str | None = None
    """Field of the request that takes the value as it is; others are in `request_builder`."""
    needs: Feature | None = None
    """Ability of the model's family without which it is refused."""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    @property
    def decides(self) -> str:
        return self.group or self.name

    def neutral(self, entry: ModelEntry) -> str | None:
        """The value that changes nothing, for one model."""
        return self.default(entry) if callable(self.default) else self.default

    def works_with(self, entry: ModelEntry) -> bool:
        """True if it works, and the model can do what it asks for."""
        return self.meaning is Meaning.WORKS and (self.needs is None or self.needs in entry.features)


def _noted(names: str, value: Value, of: str = "") -> Flag:
    name, *aliases = names.split()
    return Flag(name, value, of, tuple(aliases), Meaning.NOTED, repeats=True)


FLAGS: tuple[Flag, ...] = (
    Flag("ar", Ratio(4), N_("the picture's shape"), ("aspect",), default="1:1"),
    Flag(
        "stylize",
        Whole(0, 1000),
        N_("how much of the model's own taste is blended in; 0 is none"),
        ("s",),
        default=lambda entry: str(entry.stylize),
    ),
    Flag(
        "style",
        Style(),
        N_("`--style raw` is `--raw`; other styles have no meaning here"),
        repeats=True,
        group="raw",
    ),
    Flag(
        "raw",
        Nothing(),
        N_("none of the model's own taste, unless `--stylize` says how much"),
        repeats=True,
        group="raw",
    ),
    Flag(
        "chaos",
        Whole(0, 100),
        N_("how different the four pictures are from each other"),
        ("c",),
        default="0",
        field="chaos",
    ),
    Flag(
        "weird",
        Whole(0, 3000),
        N_("how far the pictures stray from the ordinary"),
        ("w",),
        default="0",
        field="weird",
    ),
    Flag(
        "seed",
        Whole(0, SEED_SPACE - 1),
        N_("the same seed and words draw the same picture again"),
        group="seed",
    ),
    Flag("sameseed", Whole(0, SEED_SPACE - 1), N_("a seed that makes all four pictures alike"), group="seed"),
    Flag("no", Unwanted(), N_("what shall not be in the picture"), repeats=True),
    Flag(
        "quality",
        Number(0.25, 5),
        N_("how much work goes into a picture: its steps are multiplied by this"),
        ("q",),
        group="quality",
        default="1",
    ),
    Flag(
        "draft",
        Nothing(),
        N_("a quick sketch: the model's own way of drawing one, or else `--quality .25`"),
        group="quality",
    ),
    Flag(
        "steps",
        Whole(1, lambda entry: entry.max_steps),
        N_("how many steps a picture is drawn in"),
        default=lambda entry: str(entry.num_inference_steps),
    ),
    Flag(
        "cfg",
        Number(0, 30),
        N_("how closely the picture follows your words"),
        default=lambda entry: f"{entry.guidance_scale:g}",
    ),
    Flag(
        "sampler",
        SamplerName(),
        N_("how the noise is taken away"),
        default=lambda entry: entry.scheduler,
    ),
    Flag(
        "refine",
        RefinerShare(),
        N_("where the model's refiner takes over; 1 is not at all"),
        default=lambda entry: f"{entry.refined_from:g}",
    ),
    Flag(
        "stop",
        Whole(10, 100),
        N_("ends the drawing at this percentage, for a softer picture"),
        default="100",
        field="stop",
    ),
    Flag(
        "tile",
        Nothing(),
        N_("a picture whose opposite edges meet, to be laid out as a pattern"),
        field="tile",
        needs=Feature.TILING,
    ),
    Flag("iw", Number(0, 3), N_("how much the picture before the text weighs"), default="1"),
    Flag("sref", Styles(), N_("a style by its code or by a picture; `random` draws one"), repeats=True),
    Flag("sw", Whole(0, 1000), N_("how strong the style of `--sref` is"), default="100"),
    Flag(
        "cref",
        ImageLinks(Role.SUBJECT, MOST_REFERENCES),
        N_("pictures of who or what shall be seen in this one"),
        group="subject",
    ),
    Flag(
        "cw",
        ReferenceWeight(Role.SUBJECT, Number(0, 100)),
        N_("how much of the pictures of `--cref` is taken over"),
        default="100",
    ),
    Flag(
        "oref",
        ImageLinks(Role.SUBJECT, 1),
        N_("a picture of something that shall be in this one"),
        group="subject",
    ),
    Flag(
        "ow",
        ReferenceWeight(Role.SUBJECT, Number(0, 1000)),
        N_("how much of the picture of `--oref` is taken over"),
        default="100",
    ),
    Flag("control", ControlKind(), N_("what of the picture before the text leads where things are drawn")),
    Flag("lora", Loras(), N_("a look or subject added to the model, and how strongly"), repeats=True),
    Flag(
        "upscaler",
        UpscalerName(),
        N_("which of the model's upscalers enlarges the picture"),
        default=lambda entry: next(iter(entry.upscalers), None),
    ),
    Flag(
        "model",
        ModelName(),
        N_("which model draws"),
        group="model",
        default=lambda entry: entry.name,
    ),
    Flag(
        "v",
        Version(),
        N_("the model that stands for this version of Midjourney"),
        ("version",),
        group="model",
    ),
    Flag("niji", Version(niji=True), N_("the model that stands for Niji"), group="model"),
    Flag("repeat", Whole(2, 40), N_("how many times the command is run"), ("r",)),
    Flag("fast", Nothing(), N_("this job before relaxed ones"), group="speed"),
    Flag("relax", Nothing(), N_("this job when nobody is in a hurry"), group="speed"),
    Flag("turbo", Nothing(), N_("this job before your others"), group="speed"),
    Flag("public", Nothing(), N_("everybody here may see this job"), group="visibility"),
    Flag("stealth", Nothing(), N_("only you and moderators see this job"), group="visibility"),
    Flag("video", Nothing(also="1"), N_("a movie of the forming pictures; ✉️ sends it"), field="video"),
    _noted("edit", Edit(), "changes pictures by an instruction; read as pictures in front of the text"),
    _noted("p profile", Codes(0, MANY), "a member's taste, learnt from ratings"),
    _noted("exp", Number(0, 100), "experimental aesthetics"),
    _noted("sv", Number(1, 99), "the version of style references"),
    _noted("hd", Nothing(), "large pictures at once"),
    _noted("sd", Nothing(), "pictures of the ordinary size"),
    _noted("motion", Codes(), "how much a video moves"),
    _noted("loop", Nothing(), "a video that begins again"),
    _noted("end", Codes(), "a video's last picture"),
    _noted("bs", Number(1, 4), "how many videos are made"),
    _noted("zoom", Number(1, 2), "how far Custom Zoom goes; it works in that button's form alone"),
    _noted("h", Number(1, 4096), "a picture's height, long ago"),
    _noted(
        "uplight upbeta upanime test testp creative hq vibe newclip nostretch old beta",
        Nothing(),
        "models and upscalers of long ago",
    ),
)

BY_NAME: Mapping[str, Flag] = MappingProxyType({name: flag for flag in FLAGS for name in flag.names})


def help_lines(scope: Scope, longest: float = math.inf) -> list[str]:
    """One line for each flag that works with the model: its names, what it does and what it takes.

    A line of more than `longest` characters leaves out what the flag takes.
    """
    return [_help_line(flag, scope, longest) for flag in FLAGS if flag.works_with(scope.entry)]


def _help_line(flag: Flag, scope: Scope, longest: float) -> str:
    form = " ".join([*(f"--{name}" for name in flag.names), flag.value.form]).rstrip()
    short = f"`{form}` {_(flag.help)}"
    whole = _("{short} ({expected})").format(short=short, expected=flag.value.expected(scope))
    return whole if len(whole) <= longest else short
