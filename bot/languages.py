"""Languages: the one in which each member is spoken to, and those of the commands that Discord lists."""

from __future__ import annotations

from collections.abc import Mapping

import discord
from discord import app_commands

from prompts.translation import TRANSLATED, _, spoken


class Languages:
    """The languages that members have chosen; everybody else is spoken to as Discord speaks to them.

    In memory, so that an answer never waits for it: the one bot process is the only one that changes it.
    """

    def __init__(self) -> None:
        self._chosen: dict[int, str] = {}

    def load(self, chosen: Mapping[int, str]) -> None:
        """`chosen` are locales of Discord's by their members' ids."""
        self._chosen = dict(chosen)

    def choose(self, member_id: int, locale: str | None) -> None:
        """None: Discord's own again."""
        self._chosen.pop(member_id, None)
        if locale is not None:
            self._chosen[member_id] = locale

    def of(self, member_id: int, locale: str | None) -> str | None:
        """The locale to speak to a member in; `locale` is their Discord's."""
        return self._chosen.get(member_id, locale)


class CommandTranslator(app_commands.Translator):
    """Descriptions and choices of commands in every language; their names stay English everywhere."""

    async def translate(
        self,
        string: app_commands.locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,
    ) -> str | None:
        named = {
            app_commands.TranslationContextLocation.command_name,
            app_commands.TranslationContextLocation.group_name,
            app_commands.TranslationContextLocation.parameter_name,
        }
        if locale.value not in TRANSLATED or context.location in named:
            return None
        with spoken(locale.value):
            translated = _(string.message)
        return None if translated == string.message else translated
