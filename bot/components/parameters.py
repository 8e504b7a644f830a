"""ℹ️ below a single picture: how it was made, to read, to copy, and to change and run again."""

from __future__ import annotations

import io

import discord
from sqlalchemy.orm import Session

from actions import derivation
from actions.submit import FoundPrompt
from bot.components.imagine import imagine
from bot.components.modals import PROMPT, Form, SubmittedForm, imagine_form, on_submit, open_form
from bot.components.press import Pressed, button, on_press
from bot.components.prompt_buttons import colour_numbers
from bot.components.responses import await_before_form, defer_if_slow, respond
from bot.messages import image_actions, refusals
from prompts.translation import _
from storage import family, jobs
from storage.catalog import Catalog


def edit_and_run(job_id: int) -> discord.ui.View:
    """The button that opens a job's prompt in a form."""
    view = discord.ui.View(timeout=None)
    view.add_item(button("er", job_id, label=_("Edit & run"), emoji="✏️"))
    return view


def _read(session: Session, catalog: Catalog, image_id: int, member_id: int) -> tuple[int, str, str]:
    """The job's id, what is said of the picture, and the command to copy."""
    image, job = jobs.seen_image(session, image_id, member_id)
    tree = image_actions.family(job, family.ancestors(session, job), family.children(session, image_id))
    return job.id, f"{image_actions.facts(job, image, catalog)}\n{tree}", image_actions.command(job)


@on_press("i")
async def _parameters(pressed: Pressed) -> None:
    interaction, backends = pressed.interaction, pressed.backends
    work = backends.database.read(_read, backends.catalog, pressed.id, interaction.user.id)
    job_id, said, command = await defer_if_slow(interaction, work, ephemeral=True)
    files = []
    if not refusals.echo_fits(said, command):
        files.append(discord.File(io.BytesIO(command.encode()), "prompt.txt"))
    content = refusals.with_echo(said, command)
    await respond(interaction, content, view=edit_and_run(job_id), files=files, ephemeral=True)


def _form(session: Session, job_id: int, member_id: int) -> Form:
    return imagine_form(job_id, jobs.seen(session, job_id, member_id).text)


@on_press("er")
async def _edit(pressed: Pressed) -> None:
    work = pressed.backends.database.read(_form, pressed.id, pressed.interaction.user.id)
    await open_form(pressed.interaction, await await_before_form(pressed.interaction, work))


@on_submit("fi")
async def _run(form: SubmittedForm) -> None:
    """The words are drawn as they stand: its member's settings were written out in them the first time."""
    interaction, backends = form.interaction, form.backends
    job = await defer_if_slow(interaction, backends.database.read(jobs.seen, form.id, interaction.user.id))
    model = derivation.own_model(backends.catalog, job)
    n = form.custom_id.n
    if n is None:
        await imagine(interaction, form.text(PROMPT), preferences=model)
        return
    await imagine(interaction, form.text(PROMPT), preferences=model, found=FoundPrompt(job.id, n - 1))
    await colour_numbers(interaction, job.id)
