"""Vary (Region): a form with the words, places of the picture, and a copy of it that was painted over."""

from __future__ import annotations

from typing import Any

import discord
from sqlalchemy.orm import Session

from bot import derived, incoming, redrawn, submit
from bot.messages import forms
from bot.submit import Asked
from bot.translation import _
from bot.views.answering import in_time
from bot.views.custom_ids import CustomId
from bot.views.deeds import begin
from bot.views.modals import PROMPT, Form, Submitted, on_submit, open_form
from bot.views.press import Pressed, on_press
from bot.views.wishes import wish_of
from storage import jobs

PLACES, PAINTED = "places", "painted"


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


def _form(session: Session, image_id: int, member_id: int) -> Form:
    jobs.seen_image(session, image_id, member_id)
    prompt = derived.prompt_of(session, picture=image_id)
    fields = (_places, _painted)
    return Form(CustomId("fr", image_id), forms.region_title(), prompt, forms.what_label(), fields)


@on_press("vr")
async def _open(pressed: Pressed) -> None:
    work = pressed.backends.database.read(_form, pressed.id, pressed.interaction.user.id)
    await open_form(pressed.interaction, await in_time(pressed.interaction, work, ephemeral=True))


@on_submit("fr")
async def _draw_anew(form: Submitted) -> None:
    text, places = form.text(PROMPT), [int(place) for place in form.chosen(PLACES) if place in forms.PLACES]

    async def work() -> Asked:
        files = form.files(PAINTED)
        painted = await incoming.look(files[0]) if files else None
        return await submit.derive(
            form.backends,
            wish_of(form.interaction),
            lambda session, catalog: redrawn.region(session, catalog, form.id, text, places, painted),
        )

    await begin(form.interaction, form.custom_id, work())
