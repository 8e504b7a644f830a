"""Sentences of the buttons below a picture: ✉️, 🗑, ℹ️, and what cannot be zoomed, panned or drawn anew."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from actions.table import BY_ACTION
from bot.messages import CONTENT
from bot.messages.states import named
from prompts.markdown import length, show_prompt
from prompts.tokenizer import TypedFlag, tokenize
from prompts.translation import _
from storage.catalog import Catalog
from storage.contract import Action, GenerationRequest, JobState, Role, Task
from storage.tables import Image, Job

_ANCESTORS = 8


def letter_home(job: Job, images: Sequence[Image]) -> str:
    """Text that comes with pictures in direct messages."""
    request = GenerationRequest.model_validate(job.request)
    seed = images[0].seed if len(images) == 1 else request.seed
    facts = _("\n**Job ID**: {id}\n**seed** {seed}").format(id=job.id, seed=seed)
    return f"**{show_prompt(job.text, CONTENT - length(facts) - len('****'))}**{facts}"


def sent_home() -> str:
    return _("Sent to your direct messages.")


def closed_messages() -> str:
    return _(
        "Your direct messages are closed to Easel. Allow direct messages in this server's privacy "
        "settings, then press again."
    )


def nothing_to_send(job_id: int, state: JobState) -> str:
    if state.finished:
        return _("Job {job_id} has no pictures to send: it was {state}.").format(
            job_id=job_id, state=named(state)
        )
    return _("Job {job_id} is not finished yet: its pictures can be sent when it is.").format(job_id=job_id)


def really_delete() -> str:
    return _(
        "Delete this picture? Its message goes, and nobody can show it again or make anything of "
        "it. What was made of it stays."
    )


def deleted(*, message_stays: bool) -> str:
    if message_stays:
        return _("The picture is deleted. Its message could not be removed here: delete it yourself.")
    return _("The picture is deleted.")


def really_take_down() -> str:
    return _(
        "Take this picture out of this server? Easel's messages that show it here go, and it is not shown "
        "here again. Its member keeps it."
    )


def taken_down(job_id: int, *, message_stays: bool) -> str:
    said = _("The picture is shown here no more; `/mod restore job_id:{job_id}` takes that back.").format(
        job_id=job_id
    )
    if message_stays:
        said += " " + _("A message could not be removed here: delete it yourself.")
    return said


def kept() -> str:
    return _("Nothing was deleted.")


def nothing_to_draw() -> str:
    return _("That is the whole picture already: write a `--zoom` above 1, or another `--ar`.")


def no_squarer_size(model: str) -> str:
    return _("{model} draws no size nearer to a square than this picture's.").format(model=model)


def no_region(*, finds: bool) -> str:
    if finds:
        return _(
            "Nothing says what to draw anew: name it in “Where, in words” (such as `the sky`), choose "
            "places, or add the picture with that part painted over in any colour."
        )
    return _(
        "Nothing says what to draw anew: choose places, or add the picture with that part painted over "
        "in any colour."
    )


def no_segmenter(model: str) -> str:
    return _(
        "{model} cannot find in a picture what words name. Leave “Where, in words” empty and choose places, "
        "or add the picture with that part painted over."
    ).format(model=model)


def region_too_small() -> str:
    return _(
        "The painted copy is nearly the same as the picture: paint over the part to draw anew, in "
        "a colour that differs from what is below."
    )


def region_too_large() -> str:
    return _(
        "That is nearly the whole picture, and something of it has to stay. Choose less, or press "
        "Vary (Strong)."
    )


def painted_shape(given: tuple[int, int], wanted: tuple[int, int]) -> str:
    """Both in pixels, width and height."""
    return _(
        "The painted copy is {width} × {height}, but the picture's shape is "
        "{wanted_width} × {wanted_height}: save the whole picture, paint on it, and send it uncropped."
    ).format(width=given[0], height=given[1], wanted_width=wanted[0], wanted_height=wanted[1])


def facts(job: Job, image: Image, catalog: Catalog) -> str:
    """Facts about one picture: its job, model, seed and all else with which it was drawn."""
    request = GenerationRequest.model_validate(job.request)
    entry = catalog.models.get(request.model)
    model = request.model if entry is None else entry.title
    drawn = [
        _("Job {id}, image #{index}: {width} × {height}, seed {seed}").format(
            id=job.id, index=image.index + 1, width=image.width, height=image.height, seed=image.seed
        ),
        _("{model}, {scheduler}, {steps} steps, cfg {cfg:g}").format(
            model=model,
            scheduler=request.scheduler,
            steps=request.num_inference_steps,
            cfg=request.guidance_scale,
        ),
    ]
    brought = _brought(job, request)
    if brought and not tokenize(job.text).images:
        drawn.append(_("The command below lacks the pictures that were chosen for it: choose them again."))
    elif request.task is not Task.TEXT_TO_IMAGE and not brought:
        drawn.append(_("The command below draws what the words alone give."))
    return "\n".join(drawn)


def _brought(job: Job, request: GenerationRequest) -> bool:
    """True if it began with pictures of its member's, was led by one or read some."""
    read = any(reference.role is Role.IMAGE for reference in request.references)
    begun = request.source_key is not None and job.action in (Action.IMAGINE, Action.REROLL)
    return read or begun or request.control is not None


def family(job: Job, ancestors: Sequence[Job], children: Mapping[Action, int]) -> str:
    """A picture's ancestors, back to the first job, and the number of jobs that were made of it."""
    request = GenerationRequest.model_validate(job.request)
    line = [*([job] if request.task is not Task.TEXT_TO_IMAGE or ancestors else []), *ancestors]
    shown = [_ancestor(one) for one in line[:_ANCESTORS]]
    if len(line) > _ANCESTORS:
        shown = [*shown[:-1], "…", _ancestor(line[-1])]
    parents = [_("Family: {line}").format(line=" ← ".join(shown))] if shown else []
    made = _(", ").join(f"{count} × {_label(action)}" for action, count in children.items())
    return "\n".join([*parents, _("Made of it: {made}").format(made=made or _("nothing yet"))])


def _label(action: Action) -> str:
    return _(BY_ACTION[action].history) or _("Imagined")


def _ancestor(job: Job) -> str:
    action = _label(Action(job.action))
    # What was found in words is no image.
    if job.parent_index is None or job.action == Action.IMAGINE:
        return _("{action} (job {id})").format(action=action, id=job.id)
    return _("{action} of image #{number} (job {id})").format(
        action=action, number=job.parent_index + 1, id=job.id
    )


def command(job: Job) -> str:
    """The whole command that asks for the job's words again, with every setting it was drawn with."""
    return f"/imagine prompt:{whole_prompt(job)}"


def whole_prompt(job: Job) -> str:
    """The prompt with its flags, and a flag for each of the model's own values that were used."""
    divided = tokenize(job.text)
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
    return _(
        "This prompt is too long for a form, which holds {limit:,} characters. Copy it from ℹ️, "
        "change it, and send it with `/imagine`; `/prefer remix` turns the form off."
    ).format(limit=limit)


def form_too_late() -> str:
    return _("That took too long to open the form. Nothing was started: press again.")
