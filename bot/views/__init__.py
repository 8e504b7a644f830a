"""Buttons, menus, forms and pages; each is rebuilt from its `custom_id` and the database."""

from bot.views import (
    audits,
    bans,
    batches,
    carries,
    deeds,
    deletions,
    describes,
    favorites,
    handovers,
    helps,
    histories,
    letters_home,
    member_jobs,
    parameters,
    privacies,
    queues,
    regions,
    reports,
    settings,
    shortens,
    shows,
    uses,
    zips,
    zooms,
)
from bot.views.batches import cancel_batch
from bot.views.cancels import cancel
from bot.views.describes import described
from bot.views.grids import grid
from bot.views.handovers import handed_over, handed_over_batch
from bot.views.modals import submitted
from bot.views.press import Press
from bot.views.shortens import shortened
from bot.views.singles import single

# Importing them registers what their buttons do.
_WITH_HANDLERS = (
    audits,
    bans,
    batches,
    carries,
    deeds,
    deletions,
    describes,
    favorites,
    handovers,
    helps,
    histories,
    letters_home,
    member_jobs,
    parameters,
    privacies,
    queues,
    regions,
    reports,
    settings,
    shortens,
    shows,
    uses,
    zips,
    zooms,
)

__all__ = [
    "Press",
    "cancel",
    "cancel_batch",
    "described",
    "grid",
    "handed_over",
    "handed_over_batch",
    "shortened",
    "single",
    "submitted",
]
