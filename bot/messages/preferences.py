"""What `/settings`, `/prefer` and the commands of speed and visibility say."""

from __future__ import annotations

from collections.abc import Mapping

from bot.messages import CONTENT
from bot.prompt_text import code, length, show_prompt
from storage.contract import Speed

_SUFFIX = 300
"""UTF-16 units of the suffix in the panel."""
_OPTION = 150
_SPEEDS = {
    Speed.FAST: "Done. Your jobs are drawn in fast mode: in turn with everybody else's.",
    Speed.RELAX: (
        "Done. Your jobs are drawn in relaxed mode: they wait until nobody else's do, for some minutes at "
        "most. Type `/fast` to go back."
    ),
    Speed.TURBO: (
        "Done. Your jobs are drawn in turbo mode: before those of yours that are fast or relaxed. "
        "Type `/fast` to go back."
    ),
}


def settings_title() -> str:
    return (
        "### Your settings\nWhat your commands take where they do not say it themselves. "
        "Green is on. Flags in a prompt always win."
    )


def settings_model() -> str:
    return "**Model** (`--model`)"


def settings_ratio() -> str:
    return "**Ratio** (`--ar`)"


def settings_stylize() -> str:
    return "**Stylize** (`--s`): how strongly the model's own taste is blended in"


def settings_modes() -> str:
    return "**Modes**: how pictures are drawn, who sees them, and how soon"


def settings_suffix(suffix: str, options: int) -> str:
    """The end of the panel: what is added to every prompt, and how many flags the member made."""
    current = show_prompt(suffix, _SUFFIX) if suffix else "none"
    own = f"\n**Your own options:** {options}, see `/prefer option list`" if options else ""
    return f"**Current suffix:** {current}{own}"


def speed_set(speed: Speed) -> str:
    return _SPEEDS[speed]


def stealth_set(on: bool) -> str:
    if on:
        return (
            "Done. Your new pictures are made in stealth: in servers only you and the moderators see them. "
            "Type `/public` to go back."
        )
    return "Done. Your new pictures are public: whoever sees the channel sees them."


def remix_set(on: bool) -> str:
    if on:
        return "Remix mode turned on. V, 🔄, pan and zoom ask you for a changed prompt first."
    return "Remix mode turned off. V, 🔄, pan and zoom draw at once from the same prompt."


def variability_set(high: bool) -> str:
    if high:
        return "High variation mode turned on. V1 to V4 draw pictures that differ clearly."
    return "Low variation mode turned on. V1 to V4 draw pictures that stay near the first."


def auto_dm_set(on: bool) -> str:
    if on:
        return "Auto DM turned on. Finished jobs also come to you by direct message."
    return "Auto DM turned off. Finished jobs come to their channel alone."


def suffix_set(suffix: str) -> str:
    if suffix:
        return (
            f"Your suffix is now {show_prompt(suffix, CONTENT // 2)}. It is added to every prompt of yours."
        )
    return "Your suffix is removed. Nothing is added to your prompts."


def option_set(name: str, value: str) -> str:
    return f"{code(f'--{name}')} now stands for {show_prompt(value, CONTENT // 2)}."


def option_removed(name: str) -> str:
    return f"{code(f'--{name}')} is removed."


def no_such_option(name: str) -> str:
    return f"You have no option {code(f'--{name}')}. `/prefer option list` shows yours."


def option_list(options: Mapping[str, str]) -> str:
    """Every option on a line of its own, as many as fit."""
    if not options:
        return "You have no options of your own yet: `/prefer option set` makes one."
    lines = ["### Your own options"]
    for place, (name, value) in enumerate(sorted(options.items())):
        line = f"{code(f'--{name}')} {show_prompt(value, _OPTION)}"
        if length("\n".join([*lines, line])) > CONTENT - len("\n… and 20 more"):
            lines.append(f"… and {len(options) - place} more")
            break
        lines.append(line)
    return "\n".join(lines)


def out_of_time() -> str:
    """Added to a result that comes by direct message because its place took no more answers."""
    return (
        "\n-# Discord gives 15 minutes to answer where you asked, and they were over: "
        "so your pictures come to you here."
    )


def closed_messages() -> str:
    """Where a picture was to come by direct message, too, and could not."""
    return (
        "Your pictures could not be sent to you by direct message: Discord does not let me. Allow messages "
        "from members of this server, or turn it off by `/prefer auto_dm`. `/history` has everything."
    )
