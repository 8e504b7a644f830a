"""`/history` and `/favorites`: a member's own pictures, and those that they marked, found again."""

from __future__ import annotations

from discord import app_commands

from bot.commands.models import all_models_like
from bot.components.history import open_history
from bot.components.history_search import DAYS, KINDS, WORDS_LENGTH, Search, fitting, model_number
from bot.components.press import Interaction, host
from bot.messages import histories as sentences
from prompts.translation import N_

Words = app_commands.Range[str, 0, WORDS_LENGTH]


@app_commands.command(description=N_("Your pictures, newest first; only you see them"))
@app_commands.describe(
    words=N_("Only pictures whose prompt has all these words"),
    favorites=N_("Only pictures that you marked with ❤️"),
    kind=N_("Only grids, or only upscaled pictures"),
    since=N_("Only pictures of the last days"),
    model=N_("Only pictures of this model"),
)
@app_commands.choices(kind=[app_commands.Choice(name=sentences.kind(kind), value=kind) for kind in KINDS])
@app_commands.choices(since=[app_commands.Choice(name=sentences.days(days), value=days) for days in DAYS])
async def history(
    interaction: Interaction,
    words: Words = "",
    favorites: bool = False,
    kind: str | None = None,
    since: int | None = None,
    model: str | None = None,
) -> None:
    number = None if model is None else model_number(model)
    wanted = Search(fitting(words), favorites, kind, since, number)
    await open_history(interaction, host(interaction).backends, wanted)


history.autocomplete("model")(all_models_like)


@app_commands.command(description=N_("The pictures that you marked with ❤️; only you see them"))
@app_commands.describe(words=N_("Only pictures whose prompt has all these words"))
async def favorites(interaction: Interaction, words: Words = "") -> None:
    await open_history(interaction, host(interaction).backends, Search(fitting(words), favorites=True))
