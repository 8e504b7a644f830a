"""Sentences of `/settings`, `/prefer` and the commands of speed and visibility."""

from __future__ import annotations

from collections.abc import Mapping

from bot.messages import CONTENT
from prompts.markdown import code, length, show_prompt
from prompts.translation import N_, _
from storage.contract import Speed

_SUFFIX = 300
"""UTF-16 units of the suffix in the panel."""
_OPTION = 150
_SPEEDS = {
    Speed.FAST: N_("Done. Your jobs are drawn in fast mode: in turn with everybody else's."),
    Speed.RELAX: (
        N_(
            "Done. Your jobs are drawn in relaxed mode: they wait until nobody else's do, for some "
            "minutes at most. Type `/fast` to go back."
        )
    ),
    Speed.TURBO: (
        N_(
            "Done. Your jobs are drawn in turbo mode: before those of yours that are fast or relaxed. "
            "Type `/fast` to go back."
        )
    ),
}


def settings_title() -> str:
    return _(
        "### Your settings\n"
        "What your commands take where they do not say it themselves. Green is on. Flags in a "
        "prompt always win."
    )


def settings_model() -> str:
    return _("**Model** (`--model`)")


def settings_ratio() -> str:
    return _("**Ratio** (`--ar`)")


def settings_stylize() -> str:
    return _("**Stylize** (`--s`): how strongly the model's own taste is blended in")


def settings_modes() -> str:
    return _("**Modes**: how pictures are drawn, who sees them, and how soon")


def settings_own_language() -> str:
    return _("Language: as your Discord")


def settings_suffix(suffix: str, options: int) -> str:
    """The end of the panel: what is added to every prompt, and how many flags the member made."""
    current = show_prompt(suffix, _SUFFIX) if suffix else _("none")
    own = (
        _("\n**Your own options:** {options}, see `/prefer option list`").format(options=options)
        if options
        else ""
    )
    return _("**Current suffix:** {current}{own}").format(current=current, own=own)


def speed_set(speed: Speed) -> str:
    return _(_SPEEDS[speed])


def stealth_set(on: bool) -> str:
    if on:
        return _(
            "Done. Your new pictures are made in stealth: in servers only you and the moderators see "
            "them. Type `/public` to go back."
        )
    return _("Done. Your new pictures are public: whoever sees the channel sees them.")


def remix_set(on: bool) -> str:
    if on:
        return _("Remix mode turned on. V, 🔄, pan and zoom ask you for a changed prompt first.")
    return _("Remix mode turned off. V, 🔄, pan and zoom draw at once from the same prompt.")


def variability_set(high: bool) -> str:
    if high:
        return _("High variation mode turned on. V1 to V4 draw pictures that differ clearly.")
    return _("Low variation mode turned on. V1 to V4 draw pictures that stay near the first.")


def auto_dm_set(on: bool) -> str:
    if on:
        return _("Auto DM turned on. Finished jobs also come to you by direct message.")
    return _("Auto DM turned off. Finished jobs come to their channel alone.")


def suffix_set(suffix: str) -> str:
    if suffix:
        return _("Your suffix is now {suffix}. It is added to every prompt of yours.").format(
            suffix=show_prompt(suffix, CONTENT // 2)
        )
    return _("Your suffix is removed. Nothing is added to your prompts.")


def option_set(name: str, value: str) -> str:
    return _("{name} now stands for {value}.").format(
        name=code(f"--{name}"), value=show_prompt(value, CONTENT // 2)
    )


def option_removed(name: str) -> str:
    return _("{name} is removed.").format(name=code(f"--{name}"))


def no_such_option(name: str) -> str:
    return _("You have no option {name}. `/prefer option list` shows yours.").format(name=code(f"--{name}"))


def option_list(options: Mapping[str, str]) -> str:
    """Every option on a line of its own, as many as fit."""
    if not options:
        return _("You have no options of your own yet: `/prefer option set` makes one.")
    lines = [_("### Your own options")]
    for place, (name, value) in enumerate(sorted(options.items())):
        line = f"{code(f'--{name}')} {show_prompt(value, _OPTION)}"
        if length("\n".join([*lines, line])) > CONTENT - length("\n" + _("… and {number} more")):
            lines.append(_("… and {number} more").format(number=len(options) - place))
            break
        lines.append(line)
    return "\n".join(lines)


def out_of_time() -> str:
    """Added to a result that comes by direct message because its place took no more answers."""
    return _(
        "\n-# Discord gives 15 minutes to answer where you asked, and they were over: so your "
        "pictures come to you here."
    )


def closed_messages() -> str:
    """Note that a picture could not come by direct message too, as the member's settings ask."""
    return _(
        "Your pictures could not be sent to you by direct message: Discord does not let me. Allow "
        "messages from members of this server, or turn it off by `/prefer auto_dm`. `/history` has "
        "everything."
    )
