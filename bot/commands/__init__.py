"""The slash commands, one a file of its name; those that change one setting together."""

from typing import Any

from discord import app_commands

from bot.commands.blend import blend
from bot.commands.describe import describe
from bot.commands.help import help_command
from bot.commands.history import favorites, history
from bot.commands.imagine import imagine
from bot.commands.info import info
from bot.commands.menus import MENUS as MENUS
from bot.commands.mod import mod
from bot.commands.models import models
from bot.commands.prefer import prefer
from bot.commands.privacy import privacy
from bot.commands.queue import queue
from bot.commands.settings import settings
from bot.commands.shorten import shorten
from bot.commands.show import show
from bot.commands.speed import fast, relax, turbo
from bot.commands.visibility import public, stealth

Command = app_commands.Command[Any, ..., None] | app_commands.Group

ALL: tuple[Command, ...] = (
    *(imagine, describe, blend, shorten),
    *(history, favorites, show, queue, info),
    *(settings, prefer, fast, relax, turbo, stealth, public),
    *(help_command, models, privacy, mod),
)
