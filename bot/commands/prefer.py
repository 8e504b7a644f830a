"""`/prefer`: a member's own flags, what is added to every prompt, and how the buttons behave."""

from __future__ import annotations

from discord import app_commands
from sqlalchemy.orm import Session

from bot.components.press import Interaction, host
from bot.components.responses import defer_if_slow, respond
from bot.messages import preferences
from prompts import parser
from prompts.translation import N_
from storage import members

CHOICES = 25
"""Entries that Discord shows while an option is typed."""
LENGTH = 1000
"""Characters of a suffix, or of what an option stands for."""

prefer = app_commands.Group(name="prefer", description=N_("What holds for all your prompts and buttons"))
option = app_commands.Group(name="option", description=N_("Options of your own"), parent=prefer)


@option.command(
    name="set", description=N_("Make an option of your own, or remove it by leaving out the value")
)
@app_commands.describe(
    option=N_("Its name: mine is then typed as --mine"),
    value=N_("What it stands for, such as: --ar 3:2 --no text"),
)
async def set_option(
    interaction: Interaction,
    option: app_commands.Range[str, 1, 40],
    value: app_commands.Range[str, 0, LENGTH] = "",
) -> None:
    backends = host(interaction).backends
    member_id = interaction.user.id

    def change(session: Session) -> str:
        options = dict(members.member(session, member_id).settings.get("options", {}))
        if value.strip():
            name, meant = parser.check_option(option, value, options, backends.catalog)
            options[name] = meant
            sentence = preferences.option_set(name, meant)
        else:
            name = _bare(option)
            if options.pop(name, None) is None:
                return preferences.no_such_option(name)
            sentence = preferences.option_removed(name)
        members.change_settings(session, member_id, options=options or None)
        return sentence

    sentence = await defer_if_slow(interaction, backends.database.write(change), ephemeral=True)
    await respond(interaction, sentence, ephemeral=True)


def _bare(name: str) -> str:
    return name.strip().lstrip("-—").lower()


@set_option.autocomplete("option")
async def _names(interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
    work = host(interaction).backends.database.read(members.settings_of, interaction.user.id)
    options = (await work).get("options", {})
    alike = sorted(name for name in options if _bare(current) in name)
    return [app_commands.Choice(name=name, value=name) for name in alike[:CHOICES]]


@option.command(name="list", description=N_("Your own options and what they stand for"))
async def list_options(interaction: Interaction) -> None:
    work = host(interaction).backends.database.read(members.settings_of, interaction.user.id)
    current = await defer_if_slow(interaction, work, ephemeral=True)
    await respond(interaction, preferences.option_list(current.get("options", {})), ephemeral=True)


@prefer.command(description=N_("Flags that are added to every prompt of yours; nothing removes them"))
@app_commands.describe(new_value=N_("Flags alone, such as: --ar 3:2 --no text"))
async def suffix(interaction: Interaction, new_value: app_commands.Range[str, 0, LENGTH] = "") -> None:
    backends = host(interaction).backends
    checked = parser.check_suffix(new_value, backends.catalog) if new_value.strip() else ""
    work = backends.database.write(members.change_settings, interaction.user.id, suffix=checked or None)
    await defer_if_slow(interaction, work, ephemeral=True)
    await respond(interaction, preferences.suffix_set(checked), ephemeral=True)


@prefer.command(description=N_("Ask for a changed prompt at V, 🔄, pan and zoom, or no more"))
async def remix(interaction: Interaction) -> None:
    on = await _toggle(interaction, "remix", True)
    await respond(interaction, preferences.remix_set(on), ephemeral=True)


@prefer.command(description=N_("Let V1 to V4 vary pictures strongly or slightly"))
async def variability(interaction: Interaction) -> None:
    low = await _toggle(interaction, "variability", "low")
    await respond(interaction, preferences.variability_set(not low), ephemeral=True)


@prefer.command(description=N_("Have finished jobs sent to you by direct message too, or no more"))
async def auto_dm(interaction: Interaction) -> None:
    on = await _toggle(interaction, "auto_dm", True)
    await respond(interaction, preferences.auto_dm_set(on), ephemeral=True)


async def _toggle(interaction: Interaction, name: str, value: bool | str) -> bool:
    """Give a setting this value, or take it away where it has it; whether it has it now."""
    work = host(interaction).backends.database.write(members.toggle_setting, interaction.user.id, name, value)
    return await defer_if_slow(interaction, work, ephemeral=True)
