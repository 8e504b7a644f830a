"""`/fast`, `/relax` and `/turbo`: one setting, how soon a member's jobs are drawn."""

from __future__ import annotations

from discord import app_commands

from bot.components.press import Interaction
from bot.components.settings import choose
from bot.messages import preferences
from prompts.translation import N_
from storage.contract import Speed


async def _set(interaction: Interaction, speed: Speed) -> None:
    value = None if speed is Speed.FAST else speed.value
    await choose(interaction, "speed", value, preferences.speed_set(speed))


@app_commands.command(description=N_("Draw your jobs in turn with everybody else's"))
async def fast(interaction: Interaction) -> None:
    await _set(interaction, Speed.FAST)


@app_commands.command(description=N_("Draw your jobs when nobody else's wait"))
async def relax(interaction: Interaction) -> None:
    await _set(interaction, Speed.RELAX)


@app_commands.command(description=N_("Draw your new jobs before those of yours that wait already"))
async def turbo(interaction: Interaction) -> None:
    await _set(interaction, Speed.TURBO)
