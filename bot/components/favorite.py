"""❤️ below a single picture: marks it for `/history`, or takes the mark away."""

from __future__ import annotations

from sqlalchemy.orm import Session

from bot.components.button_states import SingleState, refresh_buttons_of
from bot.components.press import Pressed, on_press
from bot.components.responses import defer_if_slow
from bot.messages import panels
from storage import jobs, members


@on_press("fav")
async def _favorite(pressed: Pressed) -> None:
    interaction, backends = pressed.interaction, pressed.backends
    member_id = interaction.user.id

    def toggle(session: Session) -> tuple[bool, SingleState]:
        jobs.seen_image(session, pressed.id, member_id)
        marked = members.toggle_favorite(session, member_id, pressed.id)
        return marked, SingleState.read(session, pressed.id)

    marked, state = await defer_if_slow(interaction, backends.database.write(toggle), thinking=False)
    await refresh_buttons_of(interaction, backends, pressed.custom_id, state)
    await interaction.followup.send(panels.favorite(marked), ephemeral=True)
