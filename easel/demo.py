"""`easel demo`: the real bot and a real worker on a Discord of their own, in the browser."""

from __future__ import annotations

import asyncio
import gc
import socket
import webbrowser
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Annotated

import typer
from rich.console import Console

from easel import logs, start, tenancy
from easel.run import embedded_worker
from easel.stop_signals import unwatch_signals, watch_signals
from storage import config
from storage.backends import Backends
from storage.config import Config

FIRST_PROMPT = "/imagine a red castle on green hills at night --ar 3:2"


def demo(
    port: Annotated[int, typer.Option(help="Port of the page; another one is taken if it is in use.")] = 8765,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Try everything with nothing: no Discord account, no GPU, no network."""
    settings = demo_settings()
    logs.set_up(settings, file=settings.data_dir / "demo.log")
    start.require("demo", "discord", "torch", "diffusers", "transformers", "simcord")
    console = Console()
    with ExitStack() as stack:
        stack.enter_context(tenancy.alone(settings.data_dir, "easel demo"))
        backends = stack.enter_context(start.backends(settings, migrate=True))
        name = backends.catalog.default
        console.print(f"Loading {backends.catalog[name].title}, which draws …")
        _quiet_transformers()
        worker = stack.enter_context(embedded_worker(backends))
        worker.prepare(name)
        asyncio.run(_serve(backends, port, show, console))
        console.print("Stopping: what is being drawn is handed back, and goes on at the next start …")
    console.print(f"Stopped. Pictures and jobs are kept in {settings.data_dir}.")
    # Python would look through the whole model for garbage before it ends: seconds, for what ends anyway.
    gc.freeze()


def _quiet_transformers() -> None:
    """The shipped model is as it should be: what transformers remarks on its files helps nobody here."""
    import transformers

    transformers.utils.logging.set_verbosity_error()


async def _serve(backends: Backends, port: int, show: bool, console: Console) -> None:
    from bot.client import EaselBot
    from easel.simulated.discord import SimulatedDiscord

    client = EaselBot(backends)
    discord = SimulatedDiscord(client, backends.config.data_dir / "discord")
    async with _told_to_stop() as stop, discord.page(_free(port)) as page:
        console.print(
            f"\n[bold]Easel draws at[/bold] {page.url}\n\n"
            f"Open it, and press one of its prompts, or type:\n\n  [bold]{FIRST_PROMPT}[/bold]\n\n"
            "Pictures come with buttons; the names at the top let you be someone else. Ctrl-C stops.\n",
            soft_wrap=True,
        )
        if show:
            webbrowser.open(page.url)
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(page.wait_closed())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        console.print("Closing the page, and waiting for what the bot has begun to post …")
        for end in ends:
            end.cancel()
        await client.close()


@asynccontextmanager
async def _told_to_stop() -> AsyncIterator[asyncio.Event]:
    """Set by Ctrl-C and SIGTERM; the next one ends the process as usual."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    watch_signals(loop, stop.set)
    yield stop
    unwatch_signals(loop)


def _free(port: int) -> int:
    """The port where it is free, else 0: any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


def demo_settings() -> Config:
    """The demo keeps to itself: a folder of its own, whatever `.env` says of a real database or queue."""
    folder = config.load(database_url=None, broker_url="memory://", images_url=None).data_dir / "demo"
    return config.load(
        data_dir=folder,
        database_url=f"sqlite:///{folder / 'easel.db'}",
        broker_url="memory://",
        images_url=(folder / "images").as_uri(),
        discord_url=config.DISCORD_URL,
        catalog=None,
        safety="on",
    )
