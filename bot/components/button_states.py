"""States of the buttons below a message, read from the database: no press undoes another's colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import discord
from sqlalchemy.orm import Session

from actions.derivation import Subject
from actions.table import BY_VERB
from bot.components.custom_ids import CustomId
from bot.components.grid import grid
from bot.components.press import Interaction
from bot.components.responses import refresh_buttons, update
from bot.components.single_image import single
from prompts.translation import spoken
from storage import deliveries, jobs, members
from storage.backends import Backends
from storage.contract import Action
from storage.deliveries import Used
from storage.tables import Image, Job


@dataclass(frozen=True)
class GridState:
    """A grid's; the buttons of two equal ones are equal."""

    job: Job = field(compare=False)
    images: Sequence[Image] = field(compare=False)
    shown: frozenset[int]
    used: Used

    @classmethod
    def read(cls, session: Session, job_id: int) -> GridState:
        job, images = jobs.get(session, job_id), jobs.images_of(session, job_id)
        shown = frozenset(image.id for image in images if not image.withheld)
        return cls(job, images, shown, deliveries.used(session, job_id))

    def view(self) -> discord.ui.View:
        return grid(self.job, self.images, self.used)


@dataclass(frozen=True)
class SingleState:
    """A single picture's; the buttons of two equal ones are equal."""

    image: Image = field(compare=False)
    job: Job = field(compare=False)
    used: frozenset[Action]
    favorite: bool

    @classmethod
    def read(cls, session: Session, image_id: int) -> SingleState:
        image, job = jobs.image(session, image_id)
        return cls(
            image,
            job,
            deliveries.used_of_image(session, image_id),
            members.is_favorite(session, job.member_id, image_id),
        )

    def view(self) -> discord.ui.View:
        return single(self.image, self.job, self.used, self.favorite)


State = GridState | SingleState


def state_of(session: Session, custom_id: CustomId) -> State:
    """The buttons of the message to which a button, or the form that it opens, belongs.

    What their numbers say is their action's `subject`; forms, which are no action's, carry an image's id.

    Raises:
        NoSuchJob, NoSuchImage: what it shows is gone.
    """
    action = BY_VERB.get(custom_id.verb)
    match Subject.IMAGE if action is None else action.subject:
        case Subject.CELL:
            return GridState.read(session, custom_id.id)
        case Subject.JOB if custom_id.n is None:
            return GridState.read(session, custom_id.id)
    return SingleState.read(session, custom_id.id if custom_id.n is None else custom_id.n)


async def buttons_of_message(
    interaction: Interaction, backends: Backends, custom_id: CustomId
) -> discord.ui.View:
    """The pressed message's buttons, as the database now has them."""
    state = await backends.database.read(state_of, custom_id)
    return await _view(interaction, backends, state)


async def refresh_buttons_of(
    interaction: Interaction, backends: Backends, custom_id: CustomId, state: State
) -> None:
    """Answer a press by showing `state`; and once more, where another press has changed it meanwhile."""
    await update(interaction, await _view(interaction, backends, state))
    if await backends.database.read(state_of, custom_id) != state:
        await refresh_buttons(interaction, lambda: buttons_of_message(interaction, backends, custom_id))


async def _view(interaction: Interaction, backends: Backends, state: State) -> discord.ui.View:
    """The buttons in the language of whoever the message is for, who need not be the one who presses."""
    assert interaction.message is not None
    locale = await backends.database.read(deliveries.locale_of, state.job.id, interaction.message.id)
    with spoken(locale or state.job.locale):
        return state.view()
