"""Time to an answer for members who all type at the same moment, the first burst after a start included.

    python -m benchmarks.burst [--members 200] [--within 1.0] [--bursts 3] [--database URL]

The bot is a process of its own (`easel bot`) on the tests' loopback Discord, which runs in this one. Discord
forgets an interaction that has no answer after three seconds; here late answers are taken, and counted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from storage.config import Config
from storage.database import Database
from tests.bot.discord_server import DiscordServer, User, interactions
from tests.bot.discord_server.interactions import DEFERRED_MESSAGE, Interaction
from tests.bot.discord_server.world import Channel
from tests.bot.processes import Processes

GOAL_S = 1.5
FORGOTTEN_S = interactions.ANSWER_WITHIN_S
_PATIENCE_S = 120.0


class Burst(NamedTuple):
    """Seconds until the first answer to each interaction, sorted; how many were deferred or came too late."""

    took: Sequence[float]
    deferred: int
    late: int

    def quantile(self, share: float) -> float:
        return self.took[min(len(self.took) - 1, int(share * len(self.took)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=200)
    parser.add_argument("--within", type=float, default=1.0, help="seconds in which all of them type")
    parser.add_argument("--bursts", type=int, default=3)
    parser.add_argument("--database", help="URL of an empty PostgreSQL database; SQLite without")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bursts = measure(Path(folder), given.members, given.within, given.bursts, given.database)
    Console().print(table(bursts, given.members, given.within))


def measure(
    folder: Path, members: int, within: float, number: int, database: str | None = None
) -> list[Burst]:
    """Start a bot with its data in `folder`, and let `number` bursts follow each other."""
    config = Config(data_dir=folder, database_url=None if database is None else SecretStr(database))
    with closing(Database(config.database)) as opened:
        opened.upgrade()
    discord = DiscordServer(judges=False)
    interactions.ANSWER_WITHIN_S = _PATIENCE_S
    discord.start()
    processes = Processes(discord, config)
    crowd = [User(f"member {each}") for each in range(members)]
    channel = discord.guild("crowd", *crowd).channel("pictures")
    try:
        processes.start_bot()
        return [_burst(discord, crowd, channel, within) for _ in range(number)]
    finally:
        processes.close()
        discord.stop()


def _burst(discord: DiscordServer, crowd: Sequence[User], channel: Channel, within: float) -> Burst:
    begun = time.monotonic()
    typed: list[Interaction] = []
    for number, member in enumerate(crowd):
        time.sleep(max(0.0, begun + number * within / len(crowd) - time.monotonic()))
        typed.append(discord.slash(member, channel, "imagine", prompt="a red castle on green hills --ar 3:2"))
    discord.wait_for(lambda: all(_settled(each) for each in typed), _PATIENCE_S, "every answer")
    took = sorted(each.took for each in typed)
    deferred = sum(each.answer_type == DEFERRED_MESSAGE for each in typed)
    return Burst(took, deferred, sum(seconds > FORGOTTEN_S for seconds in took))


def _settled(interaction: Interaction) -> bool:
    """True if it says what it is to say in the end."""
    original = interaction.original
    return original is not None and "(Waiting to start)" in original.content


def table(bursts: Sequence[Burst], members: int, within: float) -> Table:
    made = Table(
        title=f"{members} × /imagine within {within:g} s", caption=f"goal: p99 ≤ {GOAL_S} s, none late"
    )
    for heading in ("burst", "median", "p99", "slowest", "deferred", f"after {FORGOTTEN_S:g} s"):
        made.add_column(heading, justify="right")
    for number, burst in enumerate(bursts, 1):
        times = (burst.quantile(0.5), burst.quantile(0.99), burst.took[-1])
        made.add_row(
            str(number), *(f"{seconds:.2f} s" for seconds in times), str(burst.deferred), str(burst.late)
        )
    return made


if __name__ == "__main__":
    main()
