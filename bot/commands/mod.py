"""`/mod`: what moderators may do. Discord shows it to moderators alone; each use is checked here again."""

from __future__ import annotations

import io

import discord
from discord import app_commands

from actions.word_filter import searchable
from bot.commands.show import JobNumber
from bot.components.audit import audit as audit_page
from bot.components.audit import read_audit
from bot.components.ban import LASTS, REASON_LENGTH, may_be_banned
from bot.components.ban import ban as ban_here
from bot.components.cancel import is_moderator, stop
from bot.components.moderated_models import moderated_models
from bot.components.press import Interaction, host
from bot.components.queue import guild_queue, read_guild_queue
from bot.components.report import load_reports, reported
from bot.components.responses import defer_if_slow, respond, show_privately
from bot.messages import finding, panels
from prompts.markdown import fence, length
from prompts.translation import N_
from storage import moderation, offers, takedowns
from storage import words as forbidden
from storage.backends import Backends
from storage.errors import NotModerator

WORD_LENGTH = 100
LISTED = 1900
"""UTF-16 units of a list that stands in the message; a longer one is a file."""
CHOICES = 25


class Mod(app_commands.Group):
    async def interaction_check(self, interaction: Interaction, /) -> bool:
        if not is_moderator(interaction):
            # Of what a check raises, discord.py brings nothing but its own errors to the answer.
            assert isinstance(interaction.command, app_commands.Command)
            raise app_commands.CommandInvokeError(interaction.command, NotModerator())
        return True


mod = Mod(
    name="mod",
    description=N_("Decide who may draw here, and see who did what"),
    default_permissions=discord.Permissions(manage_messages=True),
    allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
    allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
)


def _place(interaction: Interaction) -> tuple[Backends, int]:
    assert interaction.guild_id is not None
    return host(interaction).backends, interaction.guild_id


@mod.command(description=N_("Let a member draw no more in this server"))
@app_commands.describe(
    user=N_("Who"), reason=N_("Why; the member reads it"), lasts=N_("For how long; for good if left out")
)
@app_commands.choices(lasts=[app_commands.Choice(name=name, value=hours) for name, hours in LASTS.items()])
async def ban(
    interaction: Interaction,
    user: discord.User,
    reason: app_commands.Range[str, 0, REASON_LENGTH] = "",
    lasts: int | None = None,
) -> None:
    if may_be_banned(interaction, user):
        await ban_here(interaction, user.id, reason, lasts)
    else:
        await respond(interaction, panels.no_self_ban(), ephemeral=True)


@mod.command(description=N_("Let a banned member draw again"))
@app_commands.describe(user=N_("Who"))
async def unban(interaction: Interaction, user: discord.User) -> None:
    backends, guild_id = _place(interaction)
    work = backends.database.write(
        moderation.unban, member_id=user.id, guild_id=guild_id, by=interaction.user.id
    )
    lifted = await defer_if_slow(interaction, work, ephemeral=True)
    backends.tickets.send()
    sentence = panels.unbanned(user.id) if lifted else panels.not_banned(user.id)
    await respond(interaction, sentence, ephemeral=True)


@mod.command(description=N_("Jobs that run or wait in this server, with a button to stop each"))
async def queue(interaction: Interaction) -> None:
    backends, guild_id = _place(interaction)
    work = backends.database.read(read_guild_queue, guild_id)
    found, paused = await defer_if_slow(interaction, work, ephemeral=True)
    await show_privately(interaction, guild_queue(found, paused=paused))


@mod.command(description=N_("Refuse new jobs in this server and hold the waiting ones"))
async def pause(interaction: Interaction) -> None:
    backends, guild_id = _place(interaction)
    await defer_if_slow(
        interaction, backends.database.write(moderation.pause, guild_id, interaction.user.id), ephemeral=True
    )
    await respond(interaction, panels.paused(), ephemeral=True)


@mod.command(description=N_("Let jobs run in this server again"))
async def resume(interaction: Interaction) -> None:
    backends, guild_id = _place(interaction)
    await defer_if_slow(
        interaction, backends.database.write(moderation.resume, guild_id, interaction.user.id), ephemeral=True
    )
    backends.tickets.send()
    await respond(interaction, panels.resumed(), ephemeral=True)


@mod.command(description=N_("Stop one job of this server"))
@app_commands.describe(job_id=N_("Its number, as /mod queue and file names show it"))
async def cancel(interaction: Interaction, job_id: JobNumber) -> None:
    backends, _ = _place(interaction)
    await defer_if_slow(interaction, stop(interaction, backends, job_id), ephemeral=True)
    await respond(interaction, panels.cancelled_by_moderator(job_id), ephemeral=True)


@mod.command(description=N_("Let a job be shown in this server again that was withheld or taken down"))
@app_commands.describe(job_id=N_("Its number, as /mod audit shows it"))
async def restore(interaction: Interaction, job_id: JobNumber) -> None:
    backends, guild_id = _place(interaction)
    work = backends.database.write(takedowns.restore, job_id, guild_id, interaction.user.id)
    lifted = await defer_if_slow(interaction, work, ephemeral=True)
    sentence = panels.restored(job_id) if lifted else panels.not_taken_down(job_id)
    await respond(interaction, sentence, ephemeral=True)


@mod.command(description=N_("Who did what in this server, newest first"))
async def audit(interaction: Interaction) -> None:
    backends, guild_id = _place(interaction)
    page = await defer_if_slow(interaction, backends.database.read(read_audit, guild_id), ephemeral=True)
    await show_privately(interaction, audit_page(page))


@mod.command(description=N_("What members reported in this server, with buttons to decide"))
async def reports(interaction: Interaction) -> None:
    backends, guild_id = _place(interaction)
    page = await defer_if_slow(interaction, load_reports(backends, guild_id), ephemeral=True)
    await show_privately(interaction, reported(page), page.files())


@mod.command(name="models", description=N_("Models of this server: on, off, the default, and faults"))
async def moderate_models(interaction: Interaction) -> None:
    backends, guild_id = _place(interaction)
    catalog = backends.catalog
    offer = await defer_if_slow(
        interaction, backends.database.read(offers.offer, catalog, guild_id), ephemeral=True
    )
    await show_privately(interaction, moderated_models(catalog, offer))


words = Mod(parent=mod, name="words", description=N_("The words that this server forbids in prompts"))


@words.command(
    name="list", description=N_("The words that this server forbids, beside those forbidden everywhere")
)
async def list_words(interaction: Interaction) -> None:
    backends, guild_id = _place(interaction)
    found = await defer_if_slow(
        interaction, backends.database.read(forbidden.listed, guild_id), ephemeral=True
    )
    title, lines = finding.words_title(len(found)), "\n".join(found)
    if length(title) + length(lines) < LISTED and "```" not in lines:
        await respond(interaction, "\n".join([title, *([fence(lines)] if found else [])]), ephemeral=True)
    else:
        file = discord.File(io.BytesIO(lines.encode()), "words.txt")
        await respond(interaction, title, files=[file], ephemeral=True)


@words.command(
    name="add", description=N_("Forbid a word or phrase in prompts here; case and accents do not matter")
)
@app_commands.describe(word=N_("The word or phrase, as members might write it"))
async def add_word(interaction: Interaction, word: app_commands.Range[str, 1, WORD_LENGTH]) -> None:
    backends, guild_id = _place(interaction)
    plain = _plain(word)
    if not searchable(plain):
        await respond(interaction, finding.word_unreadable(word), ephemeral=True)
        return
    work = backends.database.write(forbidden.forbid, guild_id, interaction.user.id, plain)
    added = await defer_if_slow(interaction, work, ephemeral=True)
    sentence = finding.word_added(plain) if added else finding.word_not_added(plain, forbidden.MOST)
    await respond(interaction, sentence, ephemeral=True)


@words.command(name="remove", description=N_("Let a word or phrase be asked for here again"))
@app_commands.describe(word=N_("As `/mod words list` shows it"))
async def remove_word(interaction: Interaction, word: app_commands.Range[str, 1, WORD_LENGTH]) -> None:
    backends, guild_id = _place(interaction)
    plain = _plain(word)
    work = backends.database.write(forbidden.permit, guild_id, interaction.user.id, plain)
    removed = await defer_if_slow(interaction, work, ephemeral=True)
    await respond(
        interaction, finding.word_removed(plain) if removed else finding.word_not_there(plain), ephemeral=True
    )


@remove_word.autocomplete("word")
async def _known_words(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """The server's words that hold what is typed."""
    if not is_moderator(interaction):
        return []
    backends, guild_id = _place(interaction)
    found = await backends.database.read(forbidden.listed, guild_id)
    fitting = [word for word in found if _plain(typed) in word]
    return [app_commands.Choice(name=word, value=word) for word in fitting[:CHOICES]]


def _plain(word: str) -> str:
    return " ".join(word.split()).casefold()[:WORD_LENGTH]
