"""A Discord of our own on a loopback port: HTTP API v10 and gateway, with members to type and press.

It runs in a thread of its own, so that tests and bots, in this process or another, may use it alike.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import BodyPartReader, web

from tests.bot.discord_server import interactions
from tests.bot.discord_server.faults import Fault, Faults, Refusal
from tests.bot.discord_server.gateway import Gateway
from tests.bot.discord_server.interactions import Interaction
from tests.bot.discord_server.judge import Call, judge
from tests.bot.discord_server.routes import POST_MESSAGE, ROUTES, template_of
from tests.bot.discord_server.world import DM_CHANNEL, GROUP_DM, Channel, Guild, Json, Message, Upload, User

T = TypeVar("T")
PREFIX = "/api/v10"


class DiscordServer:
    def __init__(self, *, judges: bool = True) -> None:
        """With `judges` each request is held against Discord's document, which takes as long as the bot."""
        self._judges = judges
        self.token = "a-token-of-the-loopback-server"
        self.bot = User("Easel", bot=True)
        self.application_id = self.bot.id
        self.owner = User("operator")
        self.guilds: list[Guild] = []
        self.dms: dict[int, Channel] = {}
        self.groups: list[Channel] = []
        self.interactions: dict[str, Interaction] = {}
        self.commands: dict[str, Json] = {}
        self.calls: list[Call] = []
        self.faults = Faults()
        self.gateway = Gateway(self)
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="discord-server", daemon=True)
        self._started = threading.Event()

    # The server's life

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(60)

    def stop(self) -> None:
        async def close() -> None:
            await self._runner.cleanup()
            self._loop.stop()

        asyncio.run_coroutine_threadsafe(close(), self._loop)
        self._thread.join(10)
        self._loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._started.set()
        self._loop.run_forever()

    async def _listen(self) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_get("/gateway/", self.gateway.serve)
        app.router.add_route("*", PREFIX + "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PREFIX}"

    @property
    def gateway_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/gateway/"

    # Requests of the bot

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = await self._read(request)
        self.calls.append(call)
        fault = self.faults.take(call)
        try:
            call.answer = await self._answer(call, fault)
            if fault is not None and fault.then is not None:
                raise fault.then
            call.status = 200 if call.answer is not None else 204
            headers = {}
        except Refusal as refusal:
            call.answer, call.status, headers = refusal.body, refusal.status, refusal.headers
        if fault is not None and fault.hold is not None:
            await asyncio.to_thread(fault.hold.wait, 30)
        if fault is not None and fault.cut:
            assert request.transport is not None
            request.transport.abort()
        if call.answer is None:
            return web.Response(status=204)
        # discord.py parses the body only when the type is exactly this.
        headers["Content-Type"] = "application/json"
        return web.Response(status=call.status, body=json.dumps(call.answer).encode(), headers=headers)

    async def _answer(self, call: Call, fault: Fault | None) -> Any:
        if fault is not None and fault.refusal is not None:
            raise fault.refusal
        route = next((item for item in ROUTES if item[:2] == (call.method, call.template)), None)
        if route is None:
            call.violations.append("this server does not know the route")
            raise Refusal(404, 0, "404: Not Found")
        open_to_all = call.template.startswith(("/interactions", "/webhooks", "/gateway"))
        if not open_to_all and call.authorization != f"Bot {self.token}":
            raise Refusal(401, 0, "401: Unauthorized")
        if self._judges:
            call.violations.extend(judge(call))
        if call.violations:
            raise Refusal(400, 50035, "Invalid Form Body", errors={"violations": call.violations})
        return route[2](self, call)

    async def _read(self, request: web.Request) -> Call:
        path = request.path.removeprefix(PREFIX)
        template, parameters = template_of(request.method, path)
        payload, files, size = None, [], 0
        if request.content_type == "multipart/form-data":
            async for part in await request.multipart():
                assert isinstance(part, BodyPartReader)
                data = bytes(await part.read())
                size += len(data)
                if part.name == "payload_json":
                    payload = json.loads(data)
                else:
                    files.append(Upload(str(part.name), str(part.filename), data))
        elif request.can_read_body:
            data = await request.read()
            size, payload = len(data), json.loads(data) if data else None
        return Call(
            request.method,
            template,
            path,
            parameters,
            dict(request.query),
            payload,
            files,
            request.headers.get("Authorization"),
            size,
            time.time(),
        )

    @property
    def violations(self) -> list[str]:
        found = [f"{call}: {sentence}" for call in self.calls for sentence in call.violations]
        return found + self.gateway.violations

    # The world

    @property
    def channels(self) -> dict[int, Channel]:
        in_guilds = {channel.id: channel for guild in self.guilds for channel in guild.channels}
        return in_guilds | {channel.id: channel for channel in [*self.dms.values(), *self.groups]}

    def guild(self, name: str, *members: User, **options: Any) -> Guild:
        guild = Guild(name, members=list(members), **options)
        self.guilds.append(guild)
        return guild

    def dm(self, user: User) -> Channel:
        if user.id not in self.dms:
            self.dms[user.id] = Channel(user.name, DM_CHANNEL, recipient=user)
        return self.dms[user.id]

    def group(self, *people: User) -> Channel:
        """A group of direct messages, where the bot is not."""
        channel = Channel("group", GROUP_DM, people=list(people))
        self.groups.append(channel)
        return channel

    def delete_channel(self, channel: Channel) -> None:
        assert channel.guild is not None
        channel.guild.channels.remove(channel)
        self.dispatch("CHANNEL_DELETE", channel.json())

    def users(self) -> dict[int, User]:
        people = [user for guild in self.guilds for user in guild.members]
        people += [channel.recipient for channel in self.dms.values() if channel.recipient]
        people += [user for channel in self.groups for user in channel.people]
        return {user.id: user for user in [self.bot, self.owner, *people]}

    def dispatch(self, name: str, data: Json) -> None:
        asyncio.run_coroutine_threadsafe(self.gateway.dispatch(name, data), self._loop).result(60)

    def drop_gateway(self) -> None:
        asyncio.run_coroutine_threadsafe(self.gateway.drop(), self._loop).result(60)

    # What members do

    def slash(self, user: User, channel: Channel, command: str, **arguments: Any) -> Interaction:
        """`/command group sub` with its options; returns at once, the answer comes later."""
        name, *path = command.split()
        registered = self.commands.get(name, {"id": "1"})
        options = interactions.typed_options(arguments)
        for depth, part in enumerate(reversed(path)):
            options = [{"name": part, "type": 1 if depth == 0 else 2, "options": options}]
        data: Json = {"id": registered["id"], "name": name, "type": 1, "options": options}
        people = {str(value.id): value for value in arguments.values() if isinstance(value, User)}
        if people:
            data["resolved"] = {
                "users": {id_: person.json() for id_, person in people.items()},
                "members": {id_: person.member_json() for id_, person in people.items()},
            }
        return self.interact(Interaction(user, channel, interactions.COMMAND, data))

    def press(self, user: User, message: Message, button: str) -> Interaction:
        """Press the button with this label, emoji or custom_id."""
        ids = {item.get("custom_id") for item in message.buttons}
        custom_id = button if button in ids else message.button(button)
        data = {"component_type": 2, "custom_id": custom_id, "id": 1}
        return self.interact(Interaction(user, message.channel, interactions.COMPONENT, data, message))

    def interact(self, interaction: Interaction) -> Interaction:
        self.interactions[interaction.token] = interaction
        self.dispatch("INTERACTION_CREATE", interaction.json(self))
        return interaction

    def wait_for(self, condition: Callable[[], T | None], timeout_s: float = 60.0, what: str = "") -> T:
        """Poll until the condition gives something true, and return that."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.02)
        recent = "\n".join(str(call) for call in self.calls[-20:])
        raise AssertionError(f"not within {timeout_s} s: {what or condition}\n{recent}")

    def posts(self, channel: Channel | None = None) -> list[Call]:
        """Requests that posted, or tried to post, a message to a channel."""
        wanted = [call for call in self.calls if (call.method, call.template) == POST_MESSAGE]
        return [
            call for call in wanted if channel is None or call.parameters["channel_id"] == str(channel.id)
        ]
