"""Pictures to press the buttons of, and what the presses left behind."""

from __future__ import annotations

from typing import Any

from storage import members
from storage.tables import Image, Job
from tests.bot import drawing
from tests.bot.simulated import Member, World, buttons, labels, press

BLUE, GREY, GREEN = 1, 2, 3
SINGLE = [
    *("Upscale (Subtle)", "Upscale (Creative)", "Upscale (4×)"),
    *("Vary (Subtle)", "Vary (Strong)", "Vary (Region)"),
    *("Zoom Out 2×", "Zoom Out 1.5×", "Custom Zoom"),
    *("⬅️", "➡️", "⬆️", "⬇️", "❤️"),
    *("🔄", "✉️", "ℹ️", "🗑️"),
]
GRID = ["U1", "U2", "U3", "U4", "🔄", "V1", "V2", "V3", "V4"]


def job_rows(world: World) -> list[Job]:
    with world.backends.database.reading() as session:
        return session.query(Job).order_by(Job.id).all()


def images(world: World) -> list[Image]:
    """Those of the first job."""
    return drawing.images(world.backends, job_rows(world)[0].id)


def styles(message: Any) -> dict[str, int]:
    return {label: part["style"] for label, part in zip(labels(message), buttons(message), strict=True)}


def used(message: Any) -> list[str]:
    return [label for label, style in styles(message).items() if style == BLUE]


def remixed(message: Any) -> list[str]:
    return [label for label, style in styles(message).items() if style == GREEN]


async def drawn(world: World, member: Member, prompt: str = "a red castle", **how: Any) -> Any:
    """A finished grid's message."""
    newest = max((message.id for message in world.messages()), default=0)
    await member.slash(world.channel, "imagine", prompt=prompt)
    drawing.draw(world.backends, **how)
    return await world.picture(after=newest)


async def picked(world: World, member: Member, prompt: str = "a red castle") -> tuple[Any, Any]:
    """A grid and its second picture by itself."""
    grid = await drawn(world, member, prompt)
    await press(member, grid, "U2")
    return grid, await world.picture(after=grid.id)


def set_up(world: World, member: Member, **settings: Any) -> None:
    """What `/settings` and `/prefer` would have remembered."""
    with world.backends.database.writing() as session:
        members.change_settings(session, member.id, **settings)
