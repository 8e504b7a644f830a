"""The buttons under a grid: U1–U4 🔄 / V1–V4."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.components.press import button
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
    rows = (("u", "U", used.picked, frozenset[int]()), ("v", "V", used.varied, used.remixed))
    for row, (verb, letter, done, remixed) in enumerate(rows):
        for index in range(count):
            view.add_item(
                button(
                    verb,
                    job.id,
                    index + 1,
                    label=f"{letter}{index + 1}",
                    used=index in done,
                    remixed=index in remixed,
                    disabled=index not in shown,
                    row=row,
                )
            )
        if verb == "u":
            view.add_item(button("r", job.id, emoji="🔄", used=used.rerolled, row=row))
    return view
