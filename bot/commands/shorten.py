"""`/shorten`: which words of a prompt matter, and five shorter prompts."""

from __future__ import annotations

from discord import app_commands

from bot.commands.imagine import PROMPT_LENGTH
from bot.components import shorten as shortens
from bot.components.press import Interaction
from prompts.translation import N_


@app_commands.command(description=N_("See which words of a prompt matter, and get shorter ones"))
@app_commands.describe(prompt=N_("The prompt, with its flags if you like; not with :: or --no"))
async def shorten(interaction: Interaction, prompt: app_commands.Range[str, 1, PROMPT_LENGTH]) -> None:
    await shortens.shorten(interaction, prompt)
