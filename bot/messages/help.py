"""The three pages of `/help`. The flags come from their table."""

from __future__ import annotations

from prompts.flags import help_lines
from prompts.markdown import length
from prompts.translation import N_, _
from prompts.values import Scope
from storage.catalog import Catalog

TEXT = 4000
"""UTF-16 units that all the text of a page may have."""
_LINE = 110
"""Characters of a flag's line; what is longer stands in the documentation."""

_FIRST = N_(
    "### Help (1 of 3): first steps\n"
    "**1.** Type `/imagine` and say what to draw: `a red castle on green hills at night, "
    "watercolor --ar 3:2`. Text first, then flags.\n"
    "**2.** Four pictures form. **Cancel Job** stops them, waiting or running.\n"
    "**3.** **U1**–**U4** take one picture out, **V1**–**V4** draw four that are like it, 🔄 "
    "draws four new ones.\n"
    "**4.** Below a single picture are more: upscale, vary, zoom, pan, ❤️, ✉️ to get it by "
    "direct message, ℹ️ for its command, and 🗑️.\n"
    "**5.** `/history` finds every picture again, also when its message is gone.\n\n"
    "You may begin with a picture: `/imagine` takes two as `image` and `image2`, and links at "
    "the start of the prompt. `/describe` makes prompts of a picture, `/blend` mixes pictures, "
    "`/shorten` tells which words matter.\n"
    "Several at once: `a {red, blue} castle --repeat 2` makes four jobs, after asking."
)

_BUTTONS = N_(
    "### Help (3 of 3): buttons, commands, history\n"
    "**Below four pictures:** U1–U4 one alone · V1–V4 variations · 🔄 again\n"
    "**Below one:** Upscale · Vary (Subtle, Strong, Region) · Zoom Out · Make Square · "
    "⬅️➡️⬆️⬇️ pan · ❤️ favorite · ✉️ to me · ℹ️ command, seed, Edit & run · 🗑️ delete\n"
    "A button that was used is blue. With `/prefer remix` V, 🔄, zoom and pan ask for other "
    "words first.\n\n"
    "**Find:** `/history` by words, kind, days and model, originals as a ZIP, Edit & run · "
    "`/favorites` · `/show` a job again, here · `/info` links to your jobs and last pictures\n"
    "**Wait:** `/queue` shows and stops what waits or runs\n"
    "**Choose:** `/models` · `/settings` · `/prefer suffix`, `option`, `remix`, `variability`, `auto_dm` · "
    "`/fast`, `/relax`, `/turbo` · `/stealth`, `/public`\n"
    "**Own:** `/privacy export` gives you everything, `/privacy delete` deletes everything\n"
    "**Right click on a message, Apps:** Cancel Job, DM Results, Report Job\n"
    "**Reactions on your own jobs:** ✉️ sends the pictures to you, ❌ stops the job, or deletes "
    "it when finished"
)


def page(number: int, catalog: Catalog) -> str:
    """One of three, counted from 0."""
    return (_(_FIRST), _flags(catalog), _(_BUTTONS))[number]


def _flags(catalog: Catalog) -> str:
    """As many flags as there is room for, as the default model takes them."""
    text = _(
        "### Help (2 of 3): flags\n"
        "After the text, in any order; they beat your `/settings`. In the picture: as it comes, "
        "and with `--chaos 80`."
    )
    for line in help_lines(Scope(catalog, catalog[catalog.default]), _LINE):
        if length(text) + length(line) + 1 > TEXT:
            break
        text += f"\n{line}"
    return text


def alternative(number: int) -> str:
    """Alternative text of a page's picture, for those who cannot see it."""
    return (
        _("Four pictures of a red castle on green hills at night, in watercolor"),
        _("Four castles that are alike, and four that differ by --chaos 80"),
        _("A castle, a balloon over the sea, a boat and a cottage in the snow"),
    )[number]
