"""What the buttons below a picture say: ✉️, 🗑, ℹ️, and what cannot be zoomed, panned or drawn anew."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bot.grammar import TypedFlag, divide
from bot.messages import CONTENT, length, show_prompt
from storage.catalog import Catalog
from storage.contract import Action, GenerationRequest, JobState, Task
from storage.tables import Image, Job

_SCORES = 6
"""Safety scores that are named, the highest first."""
_ANCESTORS = 8
DEEDS = {
    Action.IMAGINE: "",
    Action.REROLL: "Drawn again",
    Action.VARY: "Variations",
    Action.VARY_SUBTLE: "Variations (Subtle)",
    Action.VARY_STRONG: "Variations (Strong)",
    Action.VARY_REGION: "Variations (Region)",
    Action.REMIX: "Remix",
    Action.REMIX_SUBTLE: "Remix (Subtle)",
    Action.REMIX_STRONG: "Remix (Strong)",
    Action.REMIX_REGION: "Remix (Region)",
    Action.UPSCALE_2X: "Upscaled (2×)",
    Action.UPSCALE_4X: "Upscaled (4×)",
    Action.UPSCALE_SUBTLE: "Upscaled (Subtle)",
    Action.UPSCALE_CREATIVE: "Upscaled (Creative)",
    Action.ZOOM_OUT: "Zoomed out 2×",
    Action.ZOOM_OUT_15X: "Zoomed out 1.5×",
    Action.ZOOM_CUSTOM: "Zoomed out",
    Action.MAKE_SQUARE: "Made square",
    Action.PAN_LEFT: "Panned left",
    Action.PAN_RIGHT: "Panned right",
    Action.PAN_UP: "Panned up",
    Action.PAN_DOWN: "Panned down",
    Action.BLEND: "Blended",
    Action.DESCRIBE: "Described",
    Action.SHORTEN: "Shortened",
}


def letter_home(job: Job, images: Sequence[Image]) -> str:
    """What comes with pictures in direct messages."""
    request = GenerationRequest.model_validate(job.request)
    seed = images[0].seed if len(images) == 1 else request.seed
    facts = f"\n**Job ID**: {job.id}\n**seed** {seed}"
    return f"**{show_prompt(job.text, CONTENT - length(facts) - len('****'))}**{facts}"


def sent_home() -> str:
    return "Sent to your direct messages."


def closed_messages() -> str:
    return (
        "Your direct messages are closed to Easel. Allow direct messages in this server's privacy settings, "
        "then press again."
    )


def nothing_to_send(job_id: int, state: JobState) -> str:
    if state.finished:
        return f"Job {job_id} has no pictures to send: it was {state.value}."
    return f"Job {job_id} is not finished yet: its pictures can be sent when it is."


def really_delete() -> str:
    return (
        "Delete this picture? Its message goes, and nobody can show it again or make anything of it. "
        "What was made of it stays."
    )


def deleted(*, message_stays: bool) -> str:
    if message_stays:
        return "The picture is deleted. Its message could not be removed here: delete it yourself."
    return "The picture is deleted."


def kept() -> str:
    return "Nothing was deleted."


def nothing_to_draw() -> str:
    return "That is the whole picture already: write a `--zoom` above 1, or another `--ar`."


def no_squarer_size(model: str) -> str:
    return f"{model} draws no size nearer to a square than this picture's."


def no_region() -> str:
    return (
        "Nothing was chosen to draw anew: choose places, or add the picture with that part painted over in "
        "any colour."
    )


def region_too_small() -> str:
    return (
        "The painted copy is nearly the same as the picture: paint over the part to draw anew, in a colour "
        "that differs from what is below."
    )


def region_too_large() -> str:
    return (
        "That is nearly the whole picture, and something of it has to stay. Choose less, or press "
        "Vary (Strong)."
    )


def painted_shape(given: tuple[int, int], wanted: tuple[int, int]) -> str:
    """Both in pixels, width and height."""
    return (
        f"The painted copy is {given[0]} × {given[1]}, but the picture's shape is {wanted[0]} × {wanted[1]}: "
        "save the whole picture, paint on it, and send it uncropped."
    )


def facts(job: Job, image: Image, catalog: Catalog) -> str:
    """What one picture is and how it was drawn."""
    request = GenerationRequest.model_validate(job.request)
    entry = catalog.models.get(request.model)
    model = request.model if entry is None else entry.title
    drawn = [
        f"Job {job.id}, image #{image.index + 1}: {image.width} × {image.height}, seed {image.seed}",
        f"{model}, {request.scheduler}, {request.num_inference_steps} steps, cfg {request.guidance_scale:g}",
    ]
    if request.task is not Task.TEXT_TO_IMAGE:
        drawn.append("The command below draws what the words alone give.")
    scores = _scores(image.safety_scores)
    return "\n".join(drawn + ([f"Safety scores: {scores}"] if scores else []))


def _scores(scores: Mapping[str, object]) -> str:
    """The highest of the scores, by name."""
    numbers = {name: float(score) for name, score in scores.items() if isinstance(score, int | float)}
    highest = sorted(numbers, key=lambda name: -numbers[name])[:_SCORES]
    return ", ".join(f"{show_prompt(name, 40)} {numbers[name]:.2f}" for name in highest)


def family(job: Job, ancestors: Sequence[Job], children: Mapping[Action, int]) -> str:
    """Where a picture comes from, back to the first job, and how many jobs were made of it."""
    request = GenerationRequest.model_validate(job.request)
    line = [*([job] if request.task is not Task.TEXT_TO_IMAGE or ancestors else []), *ancestors]
    shown = [_ancestor(one) for one in line[:_ANCESTORS]]
    if len(line) > _ANCESTORS:
        shown = [*shown[:-1], "…", _ancestor(line[-1])]
    parents = [f"Family: {' ← '.join(shown)}"] if shown else []
    made = ", ".join(f"{count} × {DEEDS[action] or 'Imagined'}" for action, count in children.items())
    return "\n".join([*parents, f"Made of it: {made or 'nothing yet'}"])


def _ancestor(job: Job) -> str:
    of = "" if job.parent_index is None else f" of image #{job.parent_index + 1}"
    return f"{DEEDS[Action(job.action)] or 'Imagined'}{of} (job {job.id})"


def command(job: Job) -> str:
    """The whole command that asks for the job's words again, with every setting it was drawn with."""
    return f"/imagine prompt:{whole_prompt(job)}"


def whole_prompt(job: Job) -> str:
    """The prompt with its flags, and a flag for each of the model's own values that were used."""
    divided = divide(job.text)
    typed = {flag.name for flag in divided.flags}
    request = GenerationRequest.model_validate(job.request)
    added = [
        TypedFlag(names[0], value) for names, value in _values(request).items() if typed.isdisjoint(names)
    ]
    return " ".join([job.text, *map(str, added)])


def _values(request: GenerationRequest) -> dict[tuple[str, ...], str]:
    """Values that a prompt leaves to the model, by the flags of which any one settles them."""
    shared = math.gcd(request.width, request.height)
    return {
        ("ar", "aspect"): f"{request.width // shared}:{request.height // shared}",
        ("sameseed", "seed") if request.sameseed else ("seed", "sameseed"): str(request.seed),
        ("model", "v", "version", "niji"): request.model,
        ("sampler",): request.scheduler,
        ("steps", "quality", "q", "draft"): str(request.num_inference_steps),
        ("cfg",): f"{request.guidance_scale:g}",
        ("stylize", "s"): str(request.stylize),
    }


def prompt_too_long(limit: int) -> str:
    return (
        f"This prompt is too long for a form, which holds {limit:,} characters. Copy it from ℹ️, change it, "
        "and send it with `/imagine`; `/prefer remix` turns the form off."
    )


def form_too_late() -> str:
    return "That took too long to open the form. Nothing was started: press again."
