"""The real bot on the loopback Discord, with real storage; what a worker does is done by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import select

from bot.client import EaselBot
from storage import attempts, deliveries, jobs
from storage.backends import Backends
from storage.config import Config
from storage.contract import ProgressEvent
from storage.tables import Delivery, Job
from tests.bot import drawing
from tests.bot.discord_server import Channel, DiscordServer, Interaction, Message, User
from tests.bot.discord_server.running import Running

T = TypeVar("T")

PROMPT = "a red castle on green hills"


class Studio:
    """One guild with one channel, two members, and the bot."""

    def __init__(self, server: DiscordServer, config: Config) -> None:
        self.server = server
        self.config = config.model_copy(update={"discord_url": server.url})
        self.ada, self.bob = User("ada"), User("bob")
        self.guild = server.guild("studio", self.ada, self.bob)
        self.channel = self.guild.channel("pictures")
        self.backends = Backends.open(self.config)
        self._bot: Running[EaselBot] | None = None

    def start_bot(self) -> None:
        self._bot = self.start_another()

    def start_another(self) -> Running[EaselBot]:
        """One more bot, which its caller stops."""

        def make() -> EaselBot:
            return EaselBot(self.backends, guild_ready_timeout=0.05)

        return Running(make, self.server.token).start()

    def stop_bot(self) -> None:
        if self._bot is not None:
            self._bot.stop()
            self._bot = None

    def close(self) -> None:
        self.stop_bot()
        self.backends.close()

    def imagine(
        self, user: User | None = None, prompt: str = PROMPT, channel: Channel | None = None
    ) -> Interaction:
        """`/imagine`, answered."""
        interaction = self.server.slash(user or self.ada, channel or self.channel, "imagine", prompt=prompt)
        self.wait(lambda: self._answered(interaction), what="an answer, and its id in the row")
        return interaction

    def _answered(self, interaction: Interaction) -> bool:
        with self.backends.database.reading() as session:
            noted = select(Job.progress_message_id).where(Job.interaction_id == interaction.id)
            return session.scalar(noted) is not None

    def wait(self, condition: Callable[[], T | None], timeout_s: float = 60, what: str = "") -> T:
        return self.server.wait_for(condition, timeout_s, what)

    def job_of(self, interaction: Interaction) -> Job:
        with self.backends.database.reading() as session:
            return session.scalars(select(Job).where(Job.interaction_id == interaction.id)).one()

    def change_job(self, job_id: int, **values: Any) -> None:
        with self.backends.database.writing() as session:
            job = jobs.get(session, job_id)
            for name, value in values.items():
                setattr(job, name, value)

    def deliveries(self) -> list[Delivery]:
        with self.backends.database.reading() as session:
            return list(session.scalars(select(Delivery).order_by(Delivery.id)))

    def settled(self) -> list[Delivery]:
        """All deliveries, once none is open."""

        def closed() -> list[Delivery] | None:
            rows = self.deliveries()
            return None if any(row.state in deliveries.UNFINISHED for row in rows) else rows

        return self.wait(closed, timeout_s=60, what="no open delivery")

    def progress(self, taken: attempts.Claim, fraction: float, preview: bytes | None = None) -> None:
        event = ProgressEvent(job_id=taken.job_id, attempt=taken.attempt, fraction=fraction, preview=preview)
        self.backends.events.publish(event)

    def pictures(self, channel: Channel | None = None) -> list[Message]:
        """Messages that show finished pictures."""
        shown = (channel or self.channel).shown()
        return [message for message in shown if message.files and len(message.buttons) > 1]

    def picture(self, number: int = 1, channel: Channel | None = None) -> Message:
        """The newest picture message, once there are so many."""
        self.wait(lambda: len(self.pictures(channel)) >= number, what=f"{number} picture messages")
        return self.pictures(channel)[-1]

    def grid(self, user: User | None = None, prompt: str = PROMPT) -> Message:
        """A finished grid, its delivery closed."""
        number = len(self.pictures()) + 1
        self.imagine(user, prompt)
        drawing.draw(self.backends)
        message = self.picture(number)
        self.settled()
        return message
