"""Custom Zoom: a form with one text, the prompt with `--ar` and `--zoom`."""

from __future__ import annotations

from sqlalchemy.orm import Session

from actions import outpainting, submit
from actions.input_images import InputImages
from actions.table import BY_ACTION
from bot.components.custom_ids import CustomId
from bot.components.image_actions import begin
from bot.components.modals import PROMPT, Form, SubmittedForm, on_submit, open_form
from bot.components.press import Pressed, on_press
from bot.components.responses import await_before_form
from bot.components.submission_context import context_of
from bot.messages import forms
from prompts.translation import _
from storage import jobs
from storage.contract import Action

_CUSTOM_ZOOM = BY_ACTION[Action.ZOOM_CUSTOM]


def _form(session: Session, image_id: int, member_id: int) -> Form:
    jobs.seen_image(session, image_id, member_id)
    prompt = outpainting.custom_zoom_prompt(session, image_id)
    return Form(CustomId("fz", image_id), _(_CUSTOM_ZOOM.form), prompt, forms.zoom_label())


@on_press("zc")
async def _open(pressed: Pressed) -> None:
    work = pressed.backends.database.read(_form, pressed.id, pressed.interaction.user.id)
    await open_form(pressed.interaction, await await_before_form(pressed.interaction, work))


@on_submit("fz")
async def _zoom(form: SubmittedForm) -> None:
    asked = _CUSTOM_ZOOM.invocation(form.id, text=form.text(PROMPT))
    work = submit.derive(
        form.backends,
        context_of(form.interaction),
        lambda session, catalog: outpainting.custom_zoom(session, catalog, asked),
        InputImages(form.backends, form.interaction.user.id),
    )
    await begin(form.interaction, form.custom_id, work)
