"""`easel demo`: the real bot and a real worker on a Discord of their own, in the browser."""

from __future__ import annotations

import asyncio
import signal
import socket
import webbrowser
from contextlib import ExitStack
from typing import Annotated

import typer
from rich.console import Console

from easel import logs, start, tenancy
from easel.run import embedded_worker
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
        with console.status("Waking the worker …"):
            backends = stack.enter_context(start.backends(settings, migrate=True))
            stack.enter_context(embedded_worker(backends))
        asyncio.run(_serve(backends, port, show, console))
    console.print(f"Stopped. Pictures and jobs are kept in {settings.data_dir}.")


async def _serve(backends: Backends, port: int, show: bool, console: Console) -> None:
    from bot.client import EaselBot
    from easel.simulated_discord import SimulatedDiscord

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    client = EaselBot(backends)
    discord = SimulatedDiscord(client, backends.config.data_dir / "discord")
    async with discord.page(_free(port)) as page:
        console.print(
            f"\n[bold]Easel draws at[/bold] {page.url}\n\n"
            f"Open it, and type for a start:\n\n  [bold]{FIRST_PROMPT}[/bold]\n\n"
            "Pictures come with buttons; the names at the top let you be someone else. Ctrl-C stops.\n",
            soft_wrap=True,
        )
        if show:
            webbrowser.open(page.url)
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(page.wait_closed())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
    await client.close()


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
