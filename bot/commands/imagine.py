"""`/imagine`: words in, four pictures out."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.commands.models import CHOICE_LENGTH, CHOICES, models_like
from bot.components import embedded_commands
from bot.components.imagine import imagine as draw
from bot.components.press import Interaction, host
from prompts.markdown import clip
from prompts.translation import N_
from storage import prompts

PROMPT_LENGTH = 4000
"""Characters: a longer prompt would not fit a text box in which to edit it."""
RATIOS = ("1:1", "5:4", "4:5", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16", "2:1", "1:2")


@app_commands.command(description=N_("Draw four pictures from your words"))
@app_commands.describe(
    prompt=N_("What to draw, then flags: a red castle at night --ar 3:2 --no trees"),
    image=N_("A picture to begin with (--iw: how much of it is kept), or that leads (--control)"),
    image2=N_("A second picture: both are then read beside your words"),
    model=N_("Which model draws (--model)"),
    ratio=N_("Width to height (--ar)"),
    again=N_("An earlier prompt of yours, to which the words and flags in prompt are added"),
)
@app_commands.choices(ratio=[app_commands.Choice(name=ratio, value=ratio) for ratio in RATIOS])
async def imagine(
    interaction: Interaction,
    prompt: app_commands.Range[str, 1, PROMPT_LENGTH],
    image: discord.Attachment | None = None,
    image2: discord.Attachment | None = None,
    model: str | None = None,
    ratio: str | None = None,
    again: str | None = None,
) -> None:
    options = {name: value for name, value in (("model", model), ("ar", ratio)) if value is not None}
    attachments = [attachment for attachment in (image, image2) if attachment is not None]
    brought = await draw(interaction, prompt, options, attachments=attachments, again=again)
    await embedded_commands.tell(interaction, brought)


imagine.autocomplete("model")(models_like)


@imagine.autocomplete("again")
async def _past_prompts(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    found = await host(interaction).backends.database.read(prompts.past, interaction.user.id, typed, CHOICES)
    return [
        app_commands.Choice(name=clip(job.text, CHOICE_LENGTH), value=str(job.id))
        for job in found
        if job.text
    ]
