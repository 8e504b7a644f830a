"""The buttons under a grid: U1–U4 🔄 / V1–V4."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from actions.derivation import Subject
from actions.table import ACTIONS, ImageAction
from bot.components.press import Press, button
from prompts.translation import _
from storage.contract import GenerationRequest
from storage.deliveries import Used
from storage.tables import Image, Job


def grid(job: Job, images: Sequence[Image], used: Used) -> discord.ui.View:
    """The buttons of a finished grid, coloured where they were used.

    `images` are the ones that still exist; a withheld or deleted one's buttons are disabled. Needs a
    running event loop, as every view does.
    """
    shown = {image.index for image in images if not image.withheld}
    count = GenerationRequest.model_validate(job.request).num_images_per_prompt
    view = discord.ui.View(timeout=None)
    for action in ACTIONS:
        if action.grid_row is not None and action.subject is Subject.JOB:
            view.add_item(_button(action, job, used))
        elif action.grid_row is not None:
            for index in range(count):
                view.add_item(_button(action, job, used, index, disabled=index not in shown))
    return view


def _button(
    action: ImageAction, job: Job, used: Used, index: int | None = None, *, disabled: bool = False
) -> Press:
    """`index` is the cell's that the button is about, from 0; None for one about the whole grid."""
    assert action.verb is not None
    number = None if index is None else index + 1
    return button(
        action.verb,
        job.id,
        number,
        label=_(action.label).format(number=number) or None,
        emoji=action.emoji,
        used=used.has(action.action, index),
        remixed=action.remix is not None and used.has(action.remix, index),
        disabled=disabled,
        row=action.grid_row,
    )
