"""Vary (Region): a form with the prompt, and where: in words, in places, on a copy that was painted over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import discord
from sqlalchemy.orm import Session

from actions import downloads, region, submit
from actions.derivation import prompt_of
from actions.input_images import InputImages
from actions.region import RegionSelection
from actions.submit import SubmittedJob
from actions.table import BY_ACTION
from bot.components.custom_ids import CustomId
from bot.components.image_actions import begin
from bot.components.modals import PROMPT, Form, SubmittedForm, field, on_submit, open_form
from bot.components.press import Pressed, on_press
from bot.components.responses import await_before_form
from bot.components.submission_context import context_of
from bot.discord_io.attachments import AttachedFile
from bot.messages import forms
from prompts.translation import _
from storage import jobs
from storage.catalog import Catalog
from storage.contract import MOST_MASK_WORDS, Action

MakeField = Callable[[], discord.ui.Label[Any]]

_VARY_REGION = BY_ACTION[Action.VARY_REGION]
WHERE, PLACES = field("where", forms.where_label), field("places", forms.places_label, forms.PLACES)
PAINTED = "painted"


def _where() -> discord.ui.Label[Any]:
    words: discord.ui.TextInput[Any] = discord.ui.TextInput(
        custom_id=WHERE,
        placeholder=forms.where_placeholder(),
        required=False,
        max_length=MOST_MASK_WORDS,
    )
    description = forms.where_description()
    return discord.ui.Label(text=forms.where_label(), description=description, component=words)


def _places() -> discord.ui.Label[Any]:
    menu: discord.ui.Select[Any] = discord.ui.Select(
        custom_id=PLACES,
        placeholder=forms.places_placeholder(),
        min_values=0,
        max_values=len(forms.PLACES),
        required=False,
        options=[discord.SelectOption(label=_(name), value=place) for place, name in forms.PLACES.items()],
    )
    return discord.ui.Label(text=forms.places_label(), component=menu)


def _painted() -> discord.ui.Label[Any]:
    upload: discord.ui.FileUpload[Any] = discord.ui.FileUpload(
        custom_id=PAINTED, required=False, min_values=0, max_values=1
    )
    description = forms.painted_description()
    return discord.ui.Label(text=forms.painted_label(), description=description, component=upload)


def _form(session: Session, catalog: Catalog, image_id: int, member_id: int) -> Form:
    _image, job = jobs.seen_image(session, image_id, member_id)
    entry = catalog.models.get(job.model)
    finds = entry is not None and entry.segmenter is not None
    fields = (*((_where,) if finds else ()), _places, _painted)
    return _prompt_form(session, CustomId("fr", image_id), fields)


def mask_form(session: Session, image_id: int, member_id: int) -> Form:
    """Form for the words to draw where an earlier brought copy of the picture is painted over."""
    jobs.seen_image(session, image_id, member_id)
    return _prompt_form(session, CustomId("fm", image_id))


def _prompt_form(session: Session, form_id: CustomId, fields: tuple[MakeField, ...] = ()) -> Form:
    prompt = prompt_of(session, _VARY_REGION.invocation(form_id.id))
    return Form(form_id, _(_VARY_REGION.form), prompt, forms.what_label(), fields)


@on_press("vr")
async def _open(pressed: Pressed) -> None:
    backends, member_id = pressed.backends, pressed.interaction.user.id
    work = backends.database.read(_form, backends.catalog, pressed.id, member_id)
    await open_form(pressed.interaction, await await_before_form(pressed.interaction, work))


@on_submit("fr")
async def _draw_anew(form: SubmittedForm) -> None:
    await begin(form.interaction, form.custom_id, draw_region(form, next(iter(form.files(PAINTED)), None)))


async def draw_region(form: SubmittedForm, painted: discord.Attachment | None) -> SubmittedJob:
    """Draw anew what a form about a picture says, and where a copy of the picture was painted over.

    Raises:
        PictureRefused, RegionEmpty, and any other Refused: no job was written.
    """
    places = [int(place) for place in form.chosen(PLACES) if place in forms.PLACES]
    context, copy = context_of(form.interaction), None
    if painted is not None:
        await submit.check_asker(form.backends, context)
        copy = await downloads.look(AttachedFile(painted))
    where = RegionSelection(form.text(WHERE), places, copy)
    asked = _VARY_REGION.invocation(form.id, text=form.text(PROMPT))
    return await submit.derive(
        form.backends,
        context,
        lambda session, catalog: region.redraw_region(session, catalog, asked, where),
        InputImages(form.backends, context.member_id),
    )
