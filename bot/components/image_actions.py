"""Buttons below pictures that make a job, as the table of actions has them; and U.

With Remix on, those that draw open a form with the prompt first. What was typed there comes back as the
submit of a form that names the button, and goes the same way.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

import discord
from discord.utils import MISSING
from sqlalchemy.orm import Session

from actions import submit
from actions.derivation import Cell, DerivedJob, prompt_of
from actions.input_images import InputImages
from actions.submit import Derive, SubmissionContext, SubmittedJob
from actions.table import BY_VERB, ImageAction
from bot import messages
from bot.components.button_states import State, buttons_of_message, refresh_buttons_of, state_of
from bot.components.cancel import cancel
from bot.components.custom_ids import CustomId
from bot.components.modals import PROMPT, Form, SubmittedForm, on_submit, open_form
from bot.components.press import Interaction, Pressed, UnknownButton, host, on_press
from bot.components.prompt_offers import VERB as OFFER
from bot.components.prompt_offers import offer_view
from bot.components.responses import await_before_form, defer_if_slow, refresh_buttons, respond
from bot.components.submission_context import context_of
from bot.messages import forms, refusals
from prompts import vocabulary
from prompts.translation import _
from storage import jobs
from storage.catalog import Catalog
from storage.tables import Member


def remix_id(custom_id: CustomId) -> CustomId:
    """The form of a button: it names the button's verb, and its `n` with 0 for none."""
    return CustomId("fx", custom_id.id, custom_id.n or 0, custom_id.verb)


def _button_of(form_id: CustomId) -> CustomId:
    return CustomId(form_id.text or "", form_id.id, form_id.n or None)


async def announce(interaction: Interaction, asked: SubmittedJob) -> None:
    """Answer with the job's "(Waiting to start)", and privately with what its member should know."""
    if not asked.fresh:
        await pass_over(interaction)
        return
    job = asked.job
    content = messages.waiting(job, asked.ahead)
    sent = await respond(interaction, content, view=cancel(job.id), ephemeral=job.ephemeral)
    if sent is not None:
        await host(interaction).backends.database.write(jobs.set_progress_message, job.id, sent)
    catalog = host(interaction).backends.catalog
    if told := refusals.told(asked.understood, catalog, at_limit=asked.at_limit):
        offers = vocabulary.offers([one.request for one in asked.understood], catalog)
        view = offer_view(offers) if offers else MISSING
        await interaction.followup.send("\n".join(told), view=view, ephemeral=True)


@on_press(OFFER)
async def _draw_offer(pressed: Pressed) -> None:
    work = submit.imagine(pressed.backends, _context(pressed), pressed.custom_id.text or "")
    await announce(pressed.interaction, await defer_if_slow(pressed.interaction, work))


async def pass_over(interaction: Interaction) -> None:
    """The same press again: the first one is being answered, so this one changes nothing."""
    if interaction.type is not discord.InteractionType.component:
        return
    if not interaction.response.is_done():
        await interaction.response.defer()
    elif interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
        await interaction.delete_original_response()


async def begin(
    interaction: Interaction, custom_id: CustomId, work: Coroutine[Any, Any, SubmittedJob]
) -> None:
    """Answer a press, or a button's form, that makes a job; then colour the button."""
    await announce(interaction, await defer_if_slow(interaction, work))
    await _colour(interaction, custom_id)


async def _colour(interaction: Interaction, custom_id: CustomId) -> None:
    backends = host(interaction).backends
    await refresh_buttons(interaction, lambda: buttons_of_message(interaction, backends, custom_id))


def _context(pressed: Pressed) -> SubmissionContext:
    press = f"{pressed.interaction.user.id}:{pressed.custom_id}"
    return context_of(pressed.interaction, press)


def _settings(session: Session, member_id: int) -> Mapping[str, Any]:
    member = session.get(Member, member_id)
    return {} if member is None else member.settings


def _deriving(action: ImageAction, custom_id: CustomId, member_id: int, text: str | None = None) -> Derive:
    def derive(session: Session, catalog: Catalog) -> DerivedJob:
        subtle = _settings(session, member_id).get("variability") == "low"
        assert action.derive is not None
        return action.derive(
            session, catalog, action.invocation(custom_id.id, custom_id.n, text, subtle=subtle)
        )

    return derive


def _remix_form(session: Session, member_id: int, action: ImageAction, custom_id: CustomId) -> Form | None:
    """The form that comes first, for a member who has Remix on."""
    if not _settings(session, member_id).get("remix"):
        return None
    jobs.check_seen_by(state_of(session, custom_id).job, member_id)
    prompt = prompt_of(session, action.invocation(custom_id.id, custom_id.n))
    return Form(remix_id(custom_id), _(action.form), prompt, forms.prompt_label())


async def _do(pressed: Pressed) -> None:
    """Draw what the button says, or open its form where the member has Remix on."""
    interaction, backends, custom_id = pressed.interaction, pressed.backends, pressed.custom_id
    action, member_id = BY_VERB[custom_id.verb], interaction.user.id

    if action.form:
        look = backends.database.read(_remix_form, member_id, action, custom_id)
        form = await await_before_form(interaction, look, ephemeral=False)
        if form is not None:
            await open_form(interaction, form)
            return
    derive = _deriving(action, custom_id, member_id)
    work = submit.derive(backends, _context(pressed), derive, InputImages(backends, member_id))
    await begin(interaction, custom_id, work)


for _verb, _action in BY_VERB.items():
    if _action.derive is not None:
        on_press(_verb)(_do)


@on_submit("fx")
async def _remixed(form: SubmittedForm) -> None:
    interaction, backends = form.interaction, form.backends
    custom_id = _button_of(form.custom_id)
    action = BY_VERB.get(custom_id.verb)
    if action is None or action.derive is None or not action.form:
        raise UnknownButton(str(form.custom_id))

    derive = _deriving(action, custom_id, interaction.user.id, form.text(PROMPT))
    arrivals = InputImages(backends, interaction.user.id)
    work = submit.derive(backends, context_of(interaction), derive, arrivals)
    await begin(interaction, custom_id, work)


@on_press("u")
async def _pick(pressed: Pressed) -> None:
    interaction, backends, custom_id = pressed.interaction, pressed.backends, pressed.custom_id

    async def work() -> State:
        cell = Cell(custom_id.id, (custom_id.n or 0) - 1)
        await submit.pick(backends, context_of(interaction), cell)
        return await backends.database.read(state_of, custom_id)

    await refresh_buttons_of(
        interaction, backends, custom_id, await defer_if_slow(interaction, work(), thinking=False)
    )
