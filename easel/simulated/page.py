"""SimCord's page, with what its newcomers look for: typed commands, direct messages, menus and reactions."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from simcord.actors import MemberActor
from simcord.backend.errors import BackendError, SetupError
from simcord.backend.models import Message
from simcord.builders import ChannelHandle
from simcord.env import Env
from simcord.preview import Preview
from simcord.preview._action_plans import _find_scoped_component
from simcord.preview._actions import _Action
from simcord.preview._commands import entry_for_leaf
from simcord.preview._pages import _Page

from easel.simulated import apps, media, typed
from easel.simulated.guide import TRY, Guide

Plan = Callable[[_Action, int], Coroutine[Any, Any, dict[str, Any]]]

_BUTTON = 2
_ABOUT_OLD_MESSAGES = {"edit_message", "delete_message", "set_reaction", "set_pinned", "set_poll_votes"}


class DemoPage(Preview):
    """The channel of a preview is the one that the page in question shows: the guild's, or direct messages.

    Direct messages are chosen in the list of viewers, where the id of their channel stands for them.
    """

    def __init__(
        self, env: Env, channel: ChannelHandle, members: Sequence[MemberActor], guide: Guide, port: int
    ) -> None:
        super().__init__(
            env,
            channel,
            tuple(members),
            layout="channel",
            display="responsive",
            width=960,
            height=720,
            locale="en-US",
            timezone="UTC",
            presentation_time=None,
            assets=None,
            port=port,
        )
        self._server = media.Server(self, port)
        self._media_worker = media.Media()
        self._home = channel
        self._guide = guide

    def publish_all(self) -> None:
        """Show what the bot did by itself."""
        self._advance_presentation_time()
        for page in tuple(self._pages.values()):
            self._publish(page, reason="refresh")

    @property
    def busy(self) -> bool:
        """True while an action of the page is under way, which will publish by itself."""
        return self._active_action is not None

    async def _action(self, context_id: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
        """SimCord refuses a click on a page that was published anew since, which here happens by itself."""
        page = self._get_page(context_id)
        if isinstance(body, Mapping) and "published_revision" in body:
            body = {**body, "published_revision": page.revision}
        return await super()._action(context_id, body)

    def _finish_action(self, page: _Page, action: _Action, *how: Any, **more: Any) -> dict[str, Any]:
        """Bring the answer to an action into view: the page scrolls to a new target."""
        result = super()._finish_action(page, action, *how, **more)
        there = self.env.backend.messages[page.channel_id]
        shown = [int(outcome.get("messageId") or 0) for outcome in action.outcomes]
        answers = [message_id for message_id in shown if message_id in there]
        if answers and action.kind not in _ABOUT_OLD_MESSAGES:
            page.target_id, page.window_end_id = max(answers), None
        return result

    def _get_page(self, context_id: str | None) -> _Page:
        page = super()._get_page(context_id)
        self.channel = self._channel_of(page.viewer)
        return page

    def _open_page(self, viewer_id: Any = None, target_id: Any = None) -> _Page:
        """A page opens on the newest message, as Discord does."""
        self.channel = self._home
        newest = target_id or self._initial_target(self.viewers[0], self._home.id)
        return super()._open_page(viewer_id, newest)

    def _page_payload(self, page: _Page) -> dict[str, Any]:
        payload = super()._page_payload(page)
        for asset_id, asset in payload.get("assets", {}).items():
            blob = self._blobs.get(page.assets[asset_id].digest or "")
            if blob is not None:
                payload["assets"][asset_id] = media.with_size(asset, blob.data)
        return payload

    def _channel_of(self, viewer: apps.Viewer) -> ChannelHandle:
        return self._home if isinstance(viewer, MemberActor) else viewer.dm_channel

    def _viewer(self, viewer_id: Any) -> Any:
        for member in self.viewers:
            if str(member.user.dm_channel.id) == str(viewer_id):
                return member.user
        return super()._viewer(viewer_id)

    def _publish(self, page: _Page, *, reason: Any = "action") -> None:
        super()._publish(page, reason=reason)
        shown = page.snapshot
        shown["viewers"] = [*shown["viewers"], *map(self._letters_of, shown["viewers"])]
        if not isinstance(page.viewer, MemberActor):
            shown["viewerId"] = str(page.channel_id)
        for identity, projected in shown["messages"].items():
            message = self.env.backend.get_message(page.channel_id, int(identity))
            if apps.has_list(self.env, message):
                projected["components"].append(apps.row(self.env, page.viewer, message))

    def _letters_of(self, viewer: dict[str, Any]) -> dict[str, Any]:
        """The entry of a member's direct messages in the list of viewers."""
        channel_id = self.env.backend.get_dm_channel(int(viewer["id"])).id
        count = len(self.env.backend.messages[channel_id])
        return {**viewer, "id": str(channel_id), "name": f"{viewer['name']}: direct messages ({count})"}

    def _prepare_action(self, page: _Page, kind: str, body: Mapping[str, Any]) -> Any:
        if kind == "viewer":
            return self._moving(page, body)
        if kind == "send_message":
            return self._sending(page, body)
        if kind == "select" and str(body.get("control_key")).endswith(f":component:{apps.LIST_ID}"):
            return self._choosing(page, body)
        if kind == "click" and (prompt := self._prompt_of(page, body)) is not None:
            return self._typing(page, f"/imagine {prompt}")
        return super()._prepare_action(page, kind, body)

    def _moving(self, page: _Page, body: Mapping[str, Any]) -> Plan:
        viewer = self._viewer(body.get("viewer_id"))
        plan: Plan = super()._prepare_action(page, "viewer", body)

        async def move(action: _Action, cursor: int) -> dict[str, Any]:
            self.channel = self._channel_of(viewer)
            page.channel_id = self.channel.id
            return await plan(action, cursor)

        return move

    def _sending(self, page: _Page, body: Mapping[str, Any]) -> Plan:
        plan: Plan = super()._prepare_action(page, "send_message", body)
        line = str(body["content"]).strip()
        if line.startswith("/"):
            return self._typing(page, line)

        async def send(action: _Action, cursor: int) -> dict[str, Any]:
            await plan(action, cursor)
            return await self._telling(page, self._guide.commands_only(line))(action, cursor)

        return send

    def _typing(self, page: _Page, line: str) -> Plan:
        """The command that the line means; where it means none, a sentence that says what to do."""
        commands = self.env.backend.visible_commands(user_id=page.viewer.id, channel_id=page.channel_id)
        try:
            command = typed.read(commands, line)
            entry = entry_for_leaf(command.root, command.path, command.leaf)
            body = {
                "command_id": entry["commandId"],
                "path": command.path,
                "schema_fingerprint": entry["schemaFingerprint"],
                "options": command.options,
            }
            plan: Plan = super()._prepare_action(page, "run_command", body)
        except (typed.NotTyped, SetupError, ValueError) as error:
            return self._telling(page, f"{error}\n> {line[:1500]}")
        return plan

    def _telling(self, page: _Page, sentence: str) -> Plan:
        async def tell(action: _Action, cursor: int) -> dict[str, Any]:
            said = self._guide.whisper(page.channel_id, page.viewer.id, sentence)
            action.outcomes = [{"kind": "message", "messageId": str(said.id)}]
            result = self._finish_action(page, action, "settled", cursor)
            self._publish_message_pages()
            return result

        return tell

    def _choosing(self, page: _Page, body: Mapping[str, Any]) -> Plan:
        message = self._message(page, body)
        value = str((body.get("values") or [""])[0])
        offered = apps.row(self.env, page.viewer, message)["components"][0]["options"]
        if value not in {option["value"] for option in offered}:
            raise SetupError("the list has no such entry")

        async def choose(action: _Action, cursor: int) -> dict[str, Any]:
            result = await apps.choose(self.env, page.viewer, message, value)
            if result is None:
                return self._finish_message_edit(page, action, cursor, message)
            return await self._run_interaction_action(
                page, action, cursor, _ready(result), republish_all=True
            )

        return choose

    def _message(self, page: _Page, body: Mapping[str, Any]) -> Message:
        return self._target_message(page, self._target_id(body.get("target_id"), page.viewer))

    def _prompt_of(self, page: _Page, body: Mapping[str, Any]) -> str | None:
        """The prompt on the button that is pressed, if it is one of the greeting's."""
        try:
            pressed = _find_scoped_component(
                self._message(page, body), body.get("control_key"), types=(_BUTTON,)
            )
        except BackendError:
            return None
        return str(pressed["label"]) if str(pressed.get("custom_id")).startswith(TRY) else None


async def _ready(result: Any) -> Any:
    return result
