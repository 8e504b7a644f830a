"""The buttons under one picture, in five rows: enlarge; vary; zoom; pan and favorite; all else."""

from __future__ import annotations

from collections.abc import Collection

import discord

from actions.variations import LARGEST_SIDE
from bot.components.press import button
from prompts.translation import N_, _
from storage.contract import Action
from storage.tables import Image, Job

_UPSCALES = (
    ("xs", N_("Upscale (Subtle)"), {Action.UPSCALE_SUBTLE, Action.UPSCALE_2X}, 2),
    ("xc", N_("Upscale (Creative)"), {Action.UPSCALE_CREATIVE}, 2),
    ("x4", N_("Upscale (4×)"), {Action.UPSCALE_4X}, 4),
)
_VARIATIONS = (
    ("vs", N_("Vary (Subtle)"), Action.VARY_SUBTLE, Action.REMIX_SUBTLE),
    ("vb", N_("Vary (Strong)"), Action.VARY_STRONG, Action.REMIX_STRONG),
    ("vr", N_("Vary (Region)"), Action.VARY_REGION, Action.REMIX_REGION),
)
_ZOOMS = (
    ("z2", N_("Zoom Out 2×"), Action.ZOOM_OUT),
    ("z15", N_("Zoom Out 1.5×"), Action.ZOOM_OUT_15X),
    ("zc", N_("Custom Zoom"), Action.ZOOM_CUSTOM),
)
_PANS = (
    ("al", "⬅️", Action.PAN_LEFT),
    ("ar", "➡️", Action.PAN_RIGHT),
    ("au", "⬆️", Action.PAN_UP),
    ("ad", "⬇️", Action.PAN_DOWN),
)


def single(image: Image, job: Job, used: Collection[Action], favorite: bool) -> discord.ui.View:
    """The buttons of one picture of `job`, coloured where they were used; `favorite` is its owner's."""
    view = discord.ui.View(timeout=None)
    id_, withheld = image.id, image.withheld
    for verb, label, actions, scale in _UPSCALES:
        too_large = max(image.width, image.height) * scale > LARGEST_SIDE
        mark = not actions.isdisjoint(used)
        view.add_item(button(verb, id_, label=_(label), used=mark, disabled=withheld or too_large, row=0))
    for verb, label, action, remix in _VARIATIONS:
        view.add_item(
            button(
                verb,
                id_,
                label=_(label),
                used=action in used,
                remixed=remix in used,
                disabled=withheld,
                row=1,
            )
        )
    for verb, label, action in _ZOOMS:
        view.add_item(button(verb, id_, label=_(label), used=action in used, disabled=withheld, row=2))
    if image.width != image.height:
        mark = Action.MAKE_SQUARE in used
        view.add_item(button("sq", id_, label=_("Make Square"), used=mark, disabled=withheld, row=2))
    for verb, arrow, action in _PANS:
        view.add_item(button(verb, id_, emoji=arrow, used=action in used, disabled=withheld, row=3))
    view.add_item(button("fav", id_, emoji="❤️", used=favorite, row=3))
    view.add_item(button("r", job.id, id_, emoji="🔄", used=Action.REROLL in used, row=4))
    view.add_item(button("dm", id_, emoji="✉️", disabled=withheld, row=4))
    view.add_item(button("i", id_, emoji="ℹ️", row=4))
    view.add_item(button("rm", id_, emoji="🗑️", row=4))
    return view
