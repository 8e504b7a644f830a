"""The link that invites the bot to a server, with exactly the permissions that it uses."""

from __future__ import annotations

# Discord's permission bits by the names of its documentation.
PERMISSIONS: dict[str, int] = {
    "View Channels": 1 << 10,
    "Send Messages": 1 << 11,
    "Attach Files": 1 << 15,
    "Read Message History": 1 << 16,
    "Send Messages in Threads": 1 << 38,
}


def invitation(application_id: int) -> str:
    return (
        "https://discord.com/oauth2/authorize"
        f"?client_id={application_id}&scope=bot+applications.commands&permissions={sum(PERMISSIONS.values())}"
    )
