"""Files that came with a command, as `incoming` reads them."""

from __future__ import annotations

from dataclasses import dataclass

import discord

from actions.downloads import Unreachable


@dataclass(frozen=True)
class AttachedFile:
    """A Discord attachment as a file; the same attachment is the same file."""

    attachment: discord.Attachment

    @property
    def filename(self) -> str:
        return self.attachment.filename

    @property
    def size(self) -> int:
        return self.attachment.size

    async def read(self) -> bytes:
        """Fetch its bytes from Discord.

        Raises:
            Unreachable: Discord does not hand them over.
        """
        try:
            return await self.attachment.read()
        except discord.DiscordException as error:
            raise Unreachable(getattr(error, "status", None)) from error
