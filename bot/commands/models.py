"""`/models`: what draws here; and models to choose from, for every command that has such an option."""

from __future__ import annotations

from discord import app_commands

from bot.components.model_pages import model_page
from bot.components.press import Interaction, host
from bot.components.responses import defer_if_slow, show_privately
from prompts.translation import N_
from storage import offers
from storage.catalog import Catalog
from storage.catalog_values import plain_name

CHOICES = 25
CHOICE_LENGTH = 100
"""Characters of a choice's name."""


async def models_like(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """The models offered here whose name or title holds what is typed."""
    return _like(await _offered(interaction), typed)


async def all_models_like(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """The same of the whole catalog: pictures of a model that is off here are still there."""
    return _like(host(interaction).backends.catalog, typed)


def _like(catalog: Catalog, typed: str) -> list[app_commands.Choice[str]]:
    wanted = typed.strip().lower()
    return [
        app_commands.Choice(name=entry.title[:CHOICE_LENGTH], value=name)
        for name, entry in catalog.models.items()
        if wanted in name.lower() or wanted in entry.title.lower()
    ][:CHOICES]


async def _offered(interaction: Interaction) -> Catalog:
    backends = host(interaction).backends
    return await backends.database.read(offers.offered, backends.catalog, interaction.guild_id)


@app_commands.command(description=N_("The models that draw here, with samples, LoRAs and sizes"))
@app_commands.describe(model=N_("Which one to begin with"))
async def models(interaction: Interaction, model: str | None = None) -> None:
    catalog = await defer_if_slow(interaction, _offered(interaction), ephemeral=True)
    view, files = model_page(catalog, _meant(catalog, model))
    await show_privately(interaction, view, files)


def _meant(catalog: Catalog, typed: str | None) -> str:
    """The model of a name or title, in whatever spelling; the default where there is none of it."""
    wanted = plain_name(typed or "")
    for name, entry in catalog.models.items():
        if wanted in (plain_name(name), plain_name(entry.title)):
            return name
    return catalog.default


models.autocomplete("model")(models_like)
