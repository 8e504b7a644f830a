"""The panel of `/settings`: what is on is green."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import discord
from sqlalchemy.orm import Session

from bot.components.custom_ids import CustomId
from bot.components.press import Interaction, Press, Pressed, UnknownButton, button, host, locale_of, on_press
from bot.components.responses import defer_if_slow, respond, update
from bot.messages import preferences
from prompts.translation import LANGUAGES, N_, _, speak
from storage import members, offers
from storage.catalog import Catalog
from storage.tables import Member

RATIOS = ("1:1", "3:2", "2:3", "16:9", "9:16")
STYLIZE = ((N_("Low"), 50), (N_("Medium"), 100), (N_("High"), 250), (N_("Very high"), 750))
MENU_LENGTH = 25
"""Entries that Discord allows in one menu."""


_DISCORDS = "discord"
"""The language that the member's Discord speaks; a value for ever, as `custom_id`s are."""


@dataclass(frozen=True)
class Mode:
    """A value that a setting may have. `text` names it in its button's `custom_id` for ever."""

    text: str
    setting: str
    value: bool | str
    label: str
    emoji: str
    usual: bool = False
    """It holds where the member has chosen nothing."""
    alone: bool = False
    """There is no other button for its contrary: pressing it again turns it off."""

    def is_on(self, current: dict[str, Any]) -> bool:
        return self.usual if current.get(self.setting) is None else current[self.setting] == self.value


MODES = (
    (
        Mode("raw", "raw", True, N_("Raw Mode"), "🔧", alone=True),
        Mode("remix", "remix", True, N_("Remix mode"), "🎛️", alone=True),
        Mode("high", "variability", "high", N_("High Variation Mode"), "🎨", usual=True),
        Mode("low", "variability", "low", N_("Low Variation Mode"), "🎨"),
    ),
    (
        Mode("public", "stealth", False, N_("Public mode"), "🧍", usual=True),
        Mode("stealth", "stealth", True, N_("Stealth mode"), "🥷"),
        Mode("auto_dm", "auto_dm", True, N_("Auto DM"), "✉️", alone=True),
    ),
    (
        Mode("turbo", "speed", "turbo", N_("Turbo mode"), "⚡"),
        Mode("fast", "speed", "fast", N_("Fast mode"), "🐇", usual=True),
        Mode("relax", "speed", "relax", N_("Relax mode"), "🐢"),
    ),
)
_BY_TEXT = {mode.text: mode for row in MODES for mode in row}


def settings(current: dict[str, Any], catalog: Catalog) -> discord.ui.LayoutView:
    """The panel for a member's `current` settings, each perhaps unset."""
    view = discord.ui.LayoutView(timeout=None)
    box: discord.ui.Container[Any] = discord.ui.Container()
    box.add_item(discord.ui.TextDisplay(preferences.settings_title()))
    box.add_item(discord.ui.TextDisplay(preferences.settings_model()))
    box.add_item(discord.ui.ActionRow(_models(current.get("model"), catalog)))
    box.add_item(discord.ui.TextDisplay(preferences.settings_ratio()))
    ratios = [
        _switch("sr", number, ratio, on=current.get("ratio") == ratio, text=ratio)
        for number, ratio in enumerate(RATIOS)
    ]
    box.add_item(discord.ui.ActionRow(*ratios))
    box.add_item(discord.ui.TextDisplay(preferences.settings_stylize()))
    strengths = [
        _switch("ss", value, _stylize_label(label, value), on=current.get("stylize") == value)
        for label, value in STYLIZE
    ]
    box.add_item(discord.ui.ActionRow(*strengths))
    box.add_item(discord.ui.TextDisplay(preferences.settings_modes()))
    for row in MODES:
        box.add_item(discord.ui.ActionRow(*(_mode(mode, current) for mode in row)))
    suffix, options = current.get("suffix", ""), current.get("options", {})
    box.add_item(discord.ui.TextDisplay(preferences.settings_suffix(suffix, len(options))))
    view.add_item(box)
    view.add_item(discord.ui.ActionRow(_languages(current.get("language"))))
    view.add_item(
        discord.ui.ActionRow(button("sx", 0, label=_("Reset Settings"), disabled=not any(current.values())))
    )
    return view


def _switch(
    verb: str, n: int, label: str, *, on: bool, text: str | None = None, emoji: str | None = None
) -> Press:
    style = discord.ButtonStyle.success if on else discord.ButtonStyle.secondary
    return button(verb, 0, n, label=label, style=style, text=text, emoji=emoji)


def _stylize_label(label: str, value: int) -> str:
    return _("{label} ({value})").format(label=_(label), value=value)


def _mode(mode: Mode, current: dict[str, Any]) -> Press:
    """Its button says what pressing it does (1 on, 0 off), so that an old panel's turns nothing round."""
    on = mode.is_on(current)
    wanted = not (on and mode.alone)
    return _switch("sp", int(wanted), _(mode.label), on=on, text=mode.text, emoji=mode.emoji)


def _models(chosen: str | None, catalog: Catalog) -> Press:
    options = [
        discord.SelectOption(label=entry.title[:100], value=name, default=name == (chosen or catalog.default))
        for name, entry in list(catalog.models.items())[:MENU_LENGTH]
    ]
    return Press(discord.ui.Select(custom_id=str(CustomId("sm", 0)), options=options))


def _languages(chosen: str | None) -> Press:
    options = [
        discord.SelectOption(
            label=preferences.settings_own_language(), value=_DISCORDS, default=chosen is None
        )
    ]
    options += [
        discord.SelectOption(label=name, value=locale, default=locale == chosen)
        for locale, name in LANGUAGES.items()
    ]
    return Press(discord.ui.Select(custom_id=str(CustomId("sl", 0)), options=options))


async def choose(interaction: Interaction, name: str, value: bool | str | None, sentence: str) -> None:
    """Change one default of the member's, and say so in private; None takes it away."""
    work = host(interaction).backends.database.write(
        members.change_settings, interaction.user.id, **{name: value}
    )
    await defer_if_slow(interaction, work, ephemeral=True)
    await respond(interaction, sentence, ephemeral=True)


async def _change(pressed: Pressed, name: str, value: Any, *, again_is_off: bool = False) -> None:
    """Set one setting and show the panel anew; None takes it away."""
    member_id = pressed.interaction.user.id

    def change(session: Session) -> dict[str, Any]:
        off = again_is_off and members.member(session, member_id).settings.get(name) == value
        return members.change_settings(session, member_id, **{name: None if off else value}).settings

    work = pressed.backends.database.write(change)
    current = await defer_if_slow(pressed.interaction, work, thinking=False)
    await update(pressed.interaction, settings(current, await _offered(pressed.interaction)))


async def _offered(interaction: Interaction) -> Catalog:
    backends = host(interaction).backends
    return await backends.database.read(offers.offered, backends.catalog, interaction.guild_id)


@on_press("sm")
async def _model(pressed: Pressed) -> None:
    catalog = await _offered(pressed.interaction)
    name = pressed.values[0]
    await _change(pressed, "model", name if name in catalog.models and name != catalog.default else None)


@on_press("sl")
async def _language(pressed: Pressed) -> None:
    """The panel that answers speaks the new language already."""
    interaction, chosen = pressed.interaction, pressed.values[0]
    language = chosen if chosen in LANGUAGES else None
    work = pressed.backends.database.write(members.change_settings, interaction.user.id, language=language)
    member = await defer_if_slow(interaction, work, thinking=False)
    await _show_anew(interaction, member, language)


@on_press("sr")
async def _ratio(pressed: Pressed) -> None:
    await _change(pressed, "ratio", pressed.custom_id.text, again_is_off=True)


@on_press("ss")
async def _stylize(pressed: Pressed) -> None:
    await _change(pressed, "stylize", pressed.n, again_is_off=True)


@on_press("sp")
async def _choose_mode(pressed: Pressed) -> None:
    mode = _BY_TEXT.get(pressed.custom_id.text or "")
    if mode is None:
        raise UnknownButton(str(pressed.custom_id))
    await _change(pressed, mode.setting, mode.value if pressed.n and not mode.usual else None)


@on_press("sx")
async def _reset(pressed: Pressed) -> None:
    work = pressed.backends.database.write(members.reset_settings, pressed.interaction.user.id)
    member = await defer_if_slow(pressed.interaction, work, thinking=False)
    await _show_anew(pressed.interaction, member, None)


async def _show_anew(interaction: Interaction, member: Member, language: str | None) -> None:
    host(interaction).languages.choose(member.id, language)
    speak(locale_of(interaction))
    await update(interaction, settings(member.settings, await _offered(interaction)))
