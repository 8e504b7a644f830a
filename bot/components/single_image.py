"""The buttons under one picture, in five rows: enlarge; vary; zoom; pan and favorite; all else."""

from __future__ import annotations

from collections.abc import Collection

import discord

from actions.derivation import Subject
from actions.table import ACTIONS, ImageAction
from bot.components.press import Press, button
from prompts.translation import _
from storage.contract import Action
from storage.tables import Image, Job

FAVORITE = "fav"


def single(image: Image, job: Job, used: Collection[Action], favorite: bool) -> discord.ui.View:
    """The buttons of one picture of `job`, coloured where they were used; `favorite` is its owner's."""
    view = discord.ui.View(timeout=None)
    for action in ACTIONS:
        if action.row is not None and action.shown((image.width, image.height)):
            pressed = favorite if action.verb == FAVORITE else not action.coloured_by.isdisjoint(used)
            view.add_item(_button(action, image, job, used=pressed, remixed=action.remix in used))
    return view


def _button(action: ImageAction, image: Image, job: Job, *, used: bool, remixed: bool) -> Press:
    assert action.verb is not None
    small_enough = action.fits((image.width, image.height))
    return button(
        action.verb,
        *((job.id, image.id) if action.subject is Subject.JOB else (image.id,)),
        label=_(action.label) or None,
        emoji=action.emoji,
        used=used,
        remixed=remixed,
        disabled=not small_enough or (image.withheld and not action.of_withheld),
        row=action.row,
    )
