"""Buttons, menus, forms and pages; each is rebuilt from its `custom_id` and the database."""

from bot.components import (
    audit,
    ban,
    batch,
    custom_zoom,
    delete,
    describe,
    download_zip,
    embedded_commands,
    favorite,
    handover,
    help_pages,
    history,
    image_actions,
    member_jobs,
    model_pages,
    moderated_models,
    parameters,
    privacy,
    queue,
    report,
    send_to_dm,
    settings,
    shorten,
    show,
    use_picture,
    vary_region,
)
from bot.components.batch import cancel_batch
from bot.components.cancel import cancel
from bot.components.describe import described
from bot.components.grid import grid
from bot.components.handover import handed_over, handed_over_batch
from bot.components.modals import submitted
from bot.components.press import Press
from bot.components.shorten import shortened
from bot.components.single_image import single

# Importing them registers what their buttons do.
_WITH_HANDLERS = (
    audit,
    ban,
    batch,
    embedded_commands,
    image_actions,
    delete,
    describe,
    favorite,
    handover,
    help_pages,
    history,
    send_to_dm,
    member_jobs,
    model_pages,
    moderated_models,
    parameters,
    privacy,
    queue,
    vary_region,
    report,
    settings,
    shorten,
    show,
    use_picture,
    download_zip,
    custom_zoom,
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
