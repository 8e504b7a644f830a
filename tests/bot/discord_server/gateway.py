"""The gateway: HELLO, IDENTIFY, RESUME, heartbeats and events, as one zlib stream a connection."""

from __future__ import annotations

import json
import secrets
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from tests.bot.discord_server.world import Json

if TYPE_CHECKING:
    from tests.bot.discord_server.server import DiscordServer

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, REQUEST_MEMBERS = 0, 1, 2, 6, 7, 8
INVALID_SESSION, HELLO, HEARTBEAT_ACK = 9, 10, 11
BAD_TOKEN, TOO_FAST = 4004, 4008
SEND_LIMIT = 4096


@dataclass(eq=False)
class Session:
    id: str
    intents: int
    socket: Connection | None = None
    sequence: int = 0
    events: list[Json] = field(default_factory=list)
    """All of them, to be replayed to who resumes."""


class Connection:
    def __init__(self, socket: web.WebSocketResponse, *, compressed: bool) -> None:
        self.socket = socket
        self._stream = zlib.compressobj() if compressed else None

    async def send(self, message: Json) -> None:
        text = json.dumps(message)
        if self._stream is None:
            await self.socket.send_str(text)
            return
        data = self._stream.compress(text.encode()) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        await self.socket.send_bytes(data)


class Gateway:
    def __init__(self, server: DiscordServer) -> None:
        self._server = server
        self.sessions: dict[str, Session] = {}
        self.identified = 0
        self.resumed = 0
        self.violations: list[str] = []

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=None, max_msg_size=0)
        await socket.prepare(request)
        connection = Connection(socket, compressed=request.query.get("compress") == "zlib-stream")
        await connection.send({"op": HELLO, "d": {"heartbeat_interval": 41_250}})
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                if len(message.data.encode()) > SEND_LIMIT:
                    self.violations.append(f"gateway message of {len(message.data)} bytes")
                await self._receive(connection, json.loads(message.data))
        finally:
            for session in self.sessions.values():
                if session.socket is connection:
                    session.socket = None
        return socket

    async def _receive(self, connection: Connection, message: Json) -> None:
        data = message.get("d")
        match message["op"]:
            case 1:
                await connection.send({"op": HEARTBEAT_ACK, "d": None})
            case 2:
                await self._identify(connection, data)
            case 6:
                await self._resume(connection, data)
            case 8:
                await self._members(connection, data)

    async def _identify(self, connection: Connection, data: Any) -> None:
        if data["token"] != self._server.token:
            await connection.socket.close(code=BAD_TOKEN)
            return
        self.identified += 1
        session = Session(secrets.token_hex(8), data["intents"], connection)
        self.sessions[session.id] = session
        guilds = [guild for guild in self._server.guilds if guild.has_bot]
        await self._send(
            session,
            "READY",
            {
                "v": 10,
                "user": self._server.bot.json(),
                "session_id": session.id,
                "resume_gateway_url": self._server.gateway_url,
                "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
                "application": {"id": str(self._server.application_id), "flags": 0},
            },
        )
        for guild in guilds:
            await self._send(session, "GUILD_CREATE", guild.json(self._server.bot))

    async def _resume(self, connection: Connection, data: Any) -> None:
        session = self.sessions.get(data["session_id"])
        if session is None or data["token"] != self._server.token:
            await connection.send({"op": INVALID_SESSION, "d": False})
            return
        self.resumed += 1
        session.socket = connection
        for event in session.events[data["seq"] :]:
            await connection.send(event)
        await self._send(session, "RESUMED", {})

    async def _members(self, connection: Connection, data: Any) -> None:
        guild = next(guild for guild in self._server.guilds if str(guild.id) == str(data["guild_id"]))
        chunk = {
            "guild_id": str(guild.id),
            "members": [user.member_json() for user in guild.members],
            "chunk_index": 0,
            "chunk_count": 1,
            "nonce": data.get("nonce"),
        }
        session = next(item for item in self.sessions.values() if item.socket is connection)
        await self._send(session, "GUILD_MEMBERS_CHUNK", chunk)

    async def _send(self, session: Session, name: str, data: Json) -> None:
        session.sequence += 1
        event = {"op": DISPATCH, "t": name, "s": session.sequence, "d": data}
        session.events.append(event)
        if session.socket is not None:
            try:
                await session.socket.send(event)
            except ConnectionError:
                session.socket = None

    async def dispatch(self, name: str, data: Json) -> None:
        for session in list(self.sessions.values()):
            if session.socket is not None or session.intents:
                await self._send(session, name, data)

    async def drop(self) -> None:
        """Cut every connection; the sessions may be resumed."""
        for session in self.sessions.values():
            if session.socket is not None:
                await session.socket.socket.close(code=4000)
