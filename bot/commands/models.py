"""Models to choose from, for every command that has such an option."""

from __future__ import annotations

from discord import app_commands

from bot.components.press import Interaction, host

CHOICES = 25
CHOICE_LENGTH = 100
"""Characters of a choice's name."""


async def models_like(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """The installed models whose name or title holds what is typed."""
    entries = host(interaction).backends.catalog.models.items()
    wanted = typed.strip().lower()
    return [
        app_commands.Choice(name=entry.title[:CHOICE_LENGTH], value=name)
        for name, entry in entries
        if wanted in name.lower() or wanted in entry.title.lower()
    ][:CHOICES]
