"""*Use picture…*: a picture in any message, described or drawn from.

The private answer holds the picture itself, so that its buttons and form find it without being remembered.
"""

from __future__ import annotations

import io

import discord

from bot.messages import finding
from bot.messages.forms import imagine_title, prompt_label
from bot.translation import _
from bot.views.answering import promise, say
from bot.views.custom_ids import CustomId
from bot.views.describes import describe
from bot.views.modals import PROMPT, Form, Submitted, on_submit, open_form
from bot.views.press import Interaction, Pressed, button, on_press
from bot.views.prompts import imagine
from storage.errors import Refused


class NoPicture(Refused):
    """The message shows no picture that was uploaded."""


class PictureTooLarge(Refused):
    """The picture has more bytes than `limit`, which is what may be sent here."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


def picture_of(message: discord.Message | None) -> discord.Attachment:
    """The first picture of a message.

    Raises:
        NoPicture: it has none.
    """
    attachments = [] if message is None else message.attachments
    for attachment in attachments:
        if (attachment.content_type or "").startswith("image/"):
            return attachment
    raise NoPicture


async def offer(interaction: Interaction, message: discord.Message) -> None:
    """Answer with the message's picture and what may be done with it.

    Raises:
        NoPicture, PictureTooLarge: nothing was answered.
    """
    picture = picture_of(message)
    if picture.size > interaction.filesize_limit:
        raise PictureTooLarge(interaction.filesize_limit)
    await promise(interaction)
    file = discord.File(io.BytesIO(await picture.read()), picture.filename)
    view = discord.ui.View(timeout=None)
    view.add_item(button("ud", 0, label=_("Describe")))
    view.add_item(button("ui", 0, label=_("Image prompt")))
    await say(interaction, finding.use_picture(), view=view, files=[file], ephemeral=True)


@on_press("ud")
async def _describe(pressed: Pressed) -> None:
    await describe(pressed.interaction, picture_of(pressed.interaction.message))


@on_press("ui")
async def _open(pressed: Pressed) -> None:
    picture_of(pressed.interaction.message)
    await open_form(pressed.interaction, Form(CustomId("fu", 0), imagine_title(), "", prompt_label()))


@on_submit("fu")
async def _draw(form: Submitted) -> None:
    picture = picture_of(form.interaction.message)
    await imagine(form.interaction, form.text(PROMPT), attachments=[picture])
