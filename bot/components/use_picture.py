"""*Use picture…*: a picture in any message, described, drawn from, or taken as the mask of its original.

The private answer holds the picture itself, so that its buttons and form find it without being remembered.
"""

from __future__ import annotations

import io

import discord

from actions import downloads, painted_masks
from actions.image_decoding import ImageRefused
from actions.painted_masks import NoOriginal
from bot.components import embedded_commands
from bot.components.custom_ids import CustomId
from bot.components.describe import describe
from bot.components.image_actions import announce
from bot.components.imagine import imagine
from bot.components.modals import PROMPT, Form, SubmittedForm, on_submit, open_form
from bot.components.press import Interaction, Pressed, button, host, on_press
from bot.components.responses import await_before_form, defer_ephemeral, defer_if_slow, respond
from bot.components.vary_region import draw_region, mask_form
from bot.messages import finding
from bot.messages.forms import imagine_title, prompt_label
from prompts.translation import _
from storage import metadata, restrictions
from storage.errors import Refused
from storage.tables import Image


class NoImage(Refused):
    """The message shows no picture that was uploaded."""


class ImageTooLarge(Refused):
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
    raise NoImage


async def offer(interaction: Interaction, message: discord.Message) -> None:
    """Answer with the message's picture and what may be done with it.

    Raises:
        NoPicture, PictureTooLarge, Banned: nothing was fetched, nothing answered.
    """
    image = picture_of(message)
    if image.size > interaction.filesize_limit:
        raise ImageTooLarge(interaction.filesize_limit)
    database = host(interaction).backends.database
    may = database.read(restrictions.check_banned, interaction.user.id, interaction.guild_id)
    await defer_if_slow(interaction, may, ephemeral=True)
    if not interaction.response.is_done():
        await defer_ephemeral(interaction)
    data = await image.read()
    original = await _original(interaction, message, data)
    view = discord.ui.View(timeout=None)
    view.add_item(button("ud", 0, label=_("Describe")))
    view.add_item(button("ui", 0, label=_("Image prompt")))
    view.add_item(button("um", 0 if original is None else original.id, label=_("Mask")))
    content = (
        finding.use_picture()
        if original is None
        else finding.use_painted(original.job_id, original.index + 1)
    )
    files = [discord.File(io.BytesIO(data), image.filename)]
    command = await embedded_commands.command_in(interaction, metadata.read(data))
    if command is not None:
        view.add_item(embedded_commands.draw_button())
        content, more = embedded_commands.spelled(command, content)
        files += more
    await respond(interaction, content, view=view, files=files, ephemeral=True)


async def _original(interaction: Interaction, message: discord.Message, data: bytes) -> Image | None:
    """The picture of which a message's is a painted copy, where there is one; what Easel posts is none."""
    if message.author == interaction.client.user:
        return None
    try:
        painted = await downloads.seen(data)
    except ImageRefused:
        return None
    reference = message.reference
    replied_to = None if reference is None else reference.message_id
    return await painted_masks.find_original(
        host(interaction).backends, interaction.user.id, painted, replied_to
    )


@on_press("ud")
async def _describe(pressed: Pressed) -> None:
    await describe(pressed.interaction, picture_of(pressed.interaction.message))


@on_press("ui")
async def _open(pressed: Pressed) -> None:
    picture_of(pressed.interaction.message)
    await open_form(pressed.interaction, Form(CustomId("fu", 0), imagine_title(), "", prompt_label()))


@on_submit("fu")
async def _draw(form: SubmittedForm) -> None:
    image = picture_of(form.interaction.message)
    await imagine(form.interaction, form.text(PROMPT), attachments=[image])


@on_press("um")
async def _open_mask(pressed: Pressed) -> None:
    picture_of(pressed.interaction.message)
    if pressed.id == 0:
        raise NoOriginal
    work = pressed.backends.database.read(mask_form, pressed.id, pressed.interaction.user.id)
    await open_form(pressed.interaction, await await_before_form(pressed.interaction, work))


@on_submit("fm")
async def _draw_masked(form: SubmittedForm) -> None:
    painted = picture_of(form.interaction.message)
    await announce(form.interaction, await defer_if_slow(form.interaction, draw_region(form, painted)))
