"""Models that are offered in a guild: those that its moderators left on and that can be loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from storage import moderation, restrictions, workers
from storage.catalog import Catalog
from storage.errors import Refused
from storage.tables import Guild

OFF, DEFAULT = "models_off", "model"
"""Names among a guild's settings: of the models that are off, and of who chose none's."""


class ModelOff(Refused):
    """A model that may not, or cannot, draw in this place; `on` are the titles of those that do."""

    def __init__(self, title: str, on: tuple[str, ...]) -> None:
        super().__init__(title)
        self.title, self.on = title, on


@dataclass(frozen=True)
class Offer:
    """Part of the catalog that a place is offered."""

    on: tuple[str, ...]
    """Names of the models that members may choose, in the catalog's order."""
    off: frozenset[str]
    """Names that the guild's moderators turned off."""
    broken: Mapping[str, str]
    """Reason by the name of each model that no worker can load."""
    default: str
    """The model of a member who chose none."""


def offer(session: Session, catalog: Catalog, guild_id: int | None) -> Offer:
    """The offer to a guild; direct messages (None) have no moderators.

    Where nothing that is on can be loaded, all that is on is offered: its jobs wait, or say why they fail.
    """
    settings = _settings(session, guild_id)
    off = frozenset(settings.get(OFF, ())) & catalog.models.keys()
    broken = {name: why for name, why in workers.broken_models(session).items() if name in catalog.models}
    left_on = tuple(name for name in catalog.models if name not in off)
    on = tuple(name for name in left_on if name not in broken) or left_on
    wanted = (settings.get(DEFAULT), catalog.default, *on)
    default = next((name for name in wanted if name in on), catalog.default)
    return Offer(on, off, broken, default)


def offered(session: Session, catalog: Catalog, guild_id: int | None) -> Catalog:
    """The catalog as a place is offered it, by which prompts are read there.

    Where all models are off it is the whole catalog: `check` refuses what is then asked for.
    """
    found = offer(session, catalog, guild_id)
    names = found.on or tuple(catalog.models)
    if len(names) == len(catalog.models) and found.default == catalog.default:
        return catalog
    models = {name: catalog[name] for name in names}
    off = frozenset(catalog.models) - models.keys()
    return catalog.changed(default=found.default, models=models, off=off)


def check(session: Session, catalog: Catalog, guild_id: int | None, model: str) -> None:
    """Raises:
    ModelOff: the model is off in this guild, or no worker can load it.
    """
    found = offer(session, catalog, guild_id)
    if model in catalog.models and model not in found.on:
        raise ModelOff(catalog[model].title, tuple(catalog[name].title for name in found.on))


def turn(session: Session, guild_id: int, by: int, model: str, *, on: bool) -> bool:
    """Turn a model on or off in a guild; False where it was so already."""
    settings = _locked(session, guild_id)
    off = [name for name in settings.get(OFF, ()) if name != model]
    if (model in settings.get(OFF, ())) is not on:
        return False
    _keep(session, guild_id, OFF, off if on else [*off, model])
    action = "model_on" if on else "model_off"
    moderation.audit(session, guild_id=guild_id, actor_id=by, action=action, detail={"word": model})
    return True


def choose_default(session: Session, guild_id: int, by: int, model: str) -> None:
    """Make a model the one of members who chose none in this guild."""
    _locked(session, guild_id)
    _keep(session, guild_id, DEFAULT, model)
    moderation.audit(session, guild_id=guild_id, actor_id=by, action="model_default", detail={"word": model})


def _settings(session: Session, guild_id: int | None) -> Mapping[str, Any]:
    guild = None if guild_id is None else session.get(Guild, guild_id)
    return {} if guild is None else guild.settings


def _locked(session: Session, guild_id: int) -> Mapping[str, Any]:
    return restrictions.get_or_create_guild(session, guild_id, change=True).settings


def _keep(session: Session, guild_id: int, name: str, value: object) -> None:
    guild = session.get_one(Guild, guild_id)
    guild.settings = {**guild.settings, name: value}
    session.flush()
