"""Buttons below pictures that make a job: V, 🔄, upscale, vary, zoom, pan; and U.

With Remix on, those that draw open a form with the prompt first. What was typed there comes back as the
submit of a form that names the button, and goes the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import discord
from discord.utils import MISSING
from sqlalchemy.orm import Session

from actions import outpainting, submit, variations
from actions.input_images import InputImages
from actions.outpainting import Outpainting
from actions.submit import Derive, SubmissionContext, SubmittedJob
from actions.variations import Cell, DerivedJob, Upscaling, Variation
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
from storage import jobs
from storage.catalog import Catalog
from storage.contract import Action
from storage.tables import Member


@dataclass(frozen=True)
class ImageAction:
    """A button's form, in which the prompt can be changed first, and the function that derives its job."""

    title: Callable[[], str]
    prompt: Callable[[Session, CustomId], str]
    """Text that fills the form."""
    derive: Callable[[Session, Catalog, CustomId, Remix], DerivedJob]


@dataclass(frozen=True)
class Remix:
    """A member's changes to an action: words in place of the picture's own, V1–V4 nearer to the picture."""

    text: str | None = None
    subtle: bool = False


def _cell(custom_id: CustomId) -> Cell:
    return Cell(custom_id.id, (custom_id.n or 0) - 1)


def _prompt_of_picture(session: Session, custom_id: CustomId) -> str:
    return variations.prompt_of(session, picture=custom_id.id)


def _variation(action: Variation) -> ImageAction:
    def derive(session: Session, catalog: Catalog, custom_id: CustomId, remix: Remix) -> DerivedJob:
        return variations.vary(session, catalog, custom_id.id, action, remix.text)

    return ImageAction(forms.remix_title, _prompt_of_picture, derive)


def _outpainting(action: Outpainting, title: Callable[[], str]) -> ImageAction:
    def derive(session: Session, catalog: Catalog, custom_id: CustomId, remix: Remix) -> DerivedJob:
        return outpainting.outpaint(session, catalog, custom_id.id, action, remix.text)

    return ImageAction(title, _prompt_of_picture, derive)


IMAGE_ACTIONS: Mapping[str, ImageAction] = MappingProxyType(
    {
        "v": ImageAction(
            forms.remix_title,
            lambda session, custom_id: variations.prompt_of(session, picture=_cell(custom_id)),
            lambda session, catalog, custom_id, remix: variations.vary(
                session, catalog, _cell(custom_id), Action.VARY, remix.text, subtle=remix.subtle
            ),
        ),
        "r": ImageAction(
            forms.reroll_title,
            lambda session, custom_id: variations.prompt_of(session, job_id=custom_id.id),
            lambda session, catalog, custom_id, remix: variations.reroll(
                session, catalog, custom_id.id, custom_id.n, remix.text
            ),
        ),
        "vs": _variation(Action.VARY_SUBTLE),
        "vb": _variation(Action.VARY_STRONG),
        "z2": _outpainting(Action.ZOOM_OUT, forms.zoom_title),
        "z15": _outpainting(Action.ZOOM_OUT_15X, forms.zoom_title),
        "sq": _outpainting(Action.MAKE_SQUARE, forms.square_title),
        "al": _outpainting(Action.PAN_LEFT, forms.pan_title),
        "ar": _outpainting(Action.PAN_RIGHT, forms.pan_title),
        "au": _outpainting(Action.PAN_UP, forms.pan_title),
        "ad": _outpainting(Action.PAN_DOWN, forms.pan_title),
    }
)
UPSCALES: Mapping[str, Upscaling] = MappingProxyType(
    {
        "x2": Action.UPSCALE_2X,
        "x4": Action.UPSCALE_4X,
        "xs": Action.UPSCALE_SUBTLE,
        "xc": Action.UPSCALE_CREATIVE,
    }
)


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
    work = submit.imagine(pressed.backends, _wish(pressed), pressed.custom_id.text or "")
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


def _wish(pressed: Pressed) -> SubmissionContext:
    press = f"{pressed.interaction.user.id}:{pressed.custom_id}"
    return context_of(pressed.interaction, press)


def _settings(session: Session, member_id: int) -> Mapping[str, Any]:
    member = session.get(Member, member_id)
    return {} if member is None else member.settings


def _making(deed: ImageAction, custom_id: CustomId, member_id: int, text: str | None = None) -> Derive:
    def make(session: Session, catalog: Catalog) -> DerivedJob:
        subtle = _settings(session, member_id).get("variability") == "low"
        return deed.derive(session, catalog, custom_id, Remix(text, subtle))

    return make


def _remix_form(session: Session, member_id: int, deed: ImageAction, custom_id: CustomId) -> Form | None:
    """The form that comes first, for a member who has Remix on."""
    if not _settings(session, member_id).get("remix"):
        return None
    jobs.check_seen_by(state_of(session, custom_id).job, member_id)
    return Form(remix_id(custom_id), deed.title(), deed.prompt(session, custom_id), forms.prompt_label())


async def _do(pressed: Pressed) -> None:
    """Draw what the button says, or open its form where the member has Remix on."""
    interaction, backends, custom_id = pressed.interaction, pressed.backends, pressed.custom_id
    deed, member_id = IMAGE_ACTIONS[custom_id.verb], interaction.user.id

    look = backends.database.read(_remix_form, member_id, deed, custom_id)
    form = await await_before_form(interaction, look, ephemeral=False)
    if form is not None:
        await open_form(interaction, form)
        return
    make = _making(deed, custom_id, member_id)
    work = submit.derive(backends, _wish(pressed), make, InputImages(backends, member_id))
    await begin(interaction, custom_id, work)


for _verb in IMAGE_ACTIONS:
    on_press(_verb)(_do)


@on_submit("fx")
async def _remixed(form: SubmittedForm) -> None:
    interaction, backends = form.interaction, form.backends
    custom_id = _button_of(form.custom_id)
    deed = IMAGE_ACTIONS.get(custom_id.verb)
    if deed is None:
        raise UnknownButton(str(form.custom_id))

    make = _making(deed, custom_id, interaction.user.id, form.text(PROMPT))
    arrivals = InputImages(backends, interaction.user.id)
    work = submit.derive(backends, context_of(interaction), make, arrivals)
    await begin(interaction, custom_id, work)


async def _upscale(pressed: Pressed) -> None:
    action = UPSCALES[pressed.custom_id.verb]
    work = submit.derive(
        pressed.backends,
        _wish(pressed),
        lambda session, catalog: variations.upscale(session, catalog, pressed.id, action),
        InputImages(pressed.backends, pressed.interaction.user.id),
    )
    await begin(pressed.interaction, pressed.custom_id, work)


for _verb in UPSCALES:
    on_press(_verb)(_upscale)


@on_press("u")
async def _pick(pressed: Pressed) -> None:
    interaction, backends, custom_id = pressed.interaction, pressed.backends, pressed.custom_id

    async def work() -> State:
        await submit.pick(backends, context_of(interaction), _cell(custom_id))
        return await backends.database.read(state_of, custom_id)

    await refresh_buttons_of(
        interaction, backends, custom_id, await defer_if_slow(interaction, work(), thinking=False)
    )
