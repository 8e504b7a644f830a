"""The buttons of a batch: yes and no below its question, cancel below its progress."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import discord
from sqlalchemy.orm import Session

from actions import batches as batch_actions
from actions.batches import Proposal
from bot.components.cancel import moderates
from bot.components.image_actions import pass_over
from bot.components.press import Interaction, Press, Pressed, button, host, on_press
from bot.components.prompt_offers import offer_buttons
from bot.components.responses import defer_if_slow, replace_with_text, respond, update
from bot.components.submission_context import context_of
from bot.messages import batches as sentences
from prompts import sentences as language
from prompts import vocabulary
from prompts.translation import N_, _
from storage import batches, moderation
from storage.backends import Backends
from storage.batches import Tally
from storage.contract import CancelEvent, ChangedEvent
from storage.errors import NotYours
from storage.tables import Job

log = logging.getLogger(__name__)

LABEL = N_("Cancel")


def question(batch_id: int, offers: Sequence[str] = ()) -> discord.ui.View:
    """Yes and no, and below them what a model draws well that knows no word of the batch."""
    view = discord.ui.View(timeout=None)
    view.add_item(button("by", batch_id, label=_("Yes"), style=discord.ButtonStyle.success))
    view.add_item(button("bn", batch_id, label=_("No")))
    for offer in offer_buttons(offers, row=1):
        view.add_item(offer)
    return view


def cancel_batch(batch_id: int, *, stopping: bool = False) -> discord.ui.View:
    """The button below a batch's progress; `stopping` when it was pressed already."""
    view = discord.ui.View(timeout=None)
    view.add_item(cancel_button(batch_id, stopping=stopping))
    return view


def cancel_button(batch_id: int, *, stopping: bool) -> Press:
    return button("bc", batch_id, label=_("Stopping…") if stopping else _(LABEL), disabled=stopping)


async def ask(interaction: Interaction, proposal: Proposal) -> None:
    """Answer with what is to be made, which only its member sees."""
    catalog, understood = host(interaction).backends.catalog, proposal.understood
    content = sentences.question([one.text for one in understood], language.hints(understood, catalog))
    offers = vocabulary.offers([one.request for one in understood], catalog)
    await respond(interaction, content, view=question(proposal.batch.id, offers), ephemeral=True)


@on_press("by")
async def _yes(pressed: Pressed) -> None:
    interaction = pressed.interaction
    work = batch_actions.confirm(pressed.backends, context_of(interaction), pressed.id)
    confirmation = await defer_if_slow(interaction, work)
    if not confirmation.fresh:
        await pass_over(interaction)
        return
    batch = confirmation.batch
    content = sentences.progress(batch, Tally(queued=batch.size))
    sent = await respond(interaction, content, view=cancel_batch(batch.id), ephemeral=batch.ephemeral)
    if sent is not None:
        await pressed.backends.database.write(batches.set_progress_message, batch.id, sent)
    if confirmation.question_token is not None:
        await _close_question(interaction, confirmation.question_token, sentences.started(batch.size))


async def _close_question(interaction: Interaction, token: str, content: str) -> None:
    """Take the buttons from the question, which the press was answered beside."""
    assert interaction.message is not None
    command = discord.Webhook.partial(interaction.application_id, token, client=interaction.client)
    try:
        await command.edit_message(interaction.message.id, content=content, view=None)
    except discord.HTTPException as error:
        log.info("message %s could not be closed: %s", interaction.message.id, error)


@on_press("bn")
async def _no(pressed: Pressed) -> None:
    interaction = pressed.interaction
    work = batch_actions.decline(pressed.backends, interaction.user.id, pressed.id)
    await defer_if_slow(interaction, work, thinking=False)
    await replace_with_text(interaction, sentences.declined())


@on_press("bc")
async def _cancel(pressed: Pressed) -> None:
    work = stop_batch(pressed.interaction, pressed.backends, pressed.id)
    await defer_if_slow(pressed.interaction, work, thinking=False)
    await update(pressed.interaction, cancel_batch(pressed.id, stopping=True))


async def stop_batch(interaction: Interaction, backends: Backends, batch_id: int) -> None:
    """Cancel the whole batch for whoever pressed: its owner, or a moderator of its guild or of its channel.

    Raises:
        NoSuchBatch, AlreadyFinished, NotYours: nothing was changed.
    """
    presser = interaction.user.id

    def change(session: Session) -> list[Job]:
        batch = batches.get(session, batch_id)
        if batch.member_id != presser and not moderates(interaction, batch):
            raise NotYours
        stopped = batches.cancel(session, batch_id)
        if batch.member_id != presser:
            moderation.audit_batch_cancelled(session, batch, by=presser)
        return [job for job in batches.jobs_of(session, batch_id) if job.id in stopped]

    for job in await backends.database.write(change):
        backends.events.publish(CancelEvent(job_id=job.id))
        backends.events.publish(ChangedEvent(job_id=job.id, sequence=job.sequence))
