"""A member's settings, as commands take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from prompts.tokenizer import TokenizedPrompt, TypedFlag, tokenize
from storage.contract import Speed


@dataclass(frozen=True)
class Preferences:
    """A member's defaults, for what neither the text nor an option of the command says.

    `options` are the member's own flags and what each stands for; `suffix` is behind every prompt.
    """

    model: str | None = None
    ratio: str | None = None
    stylize: int | None = None
    raw: bool | None = None
    speed: Speed | None = None
    stealth: bool | None = None
    suffix: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Preferences:
        """From `members.settings`, of which other keys are left alone."""
        names = ("model", "ratio", "stylize", "raw", "stealth", "suffix")
        return cls(
            **{key: settings.get(key) for key in names},
            speed=next((speed for speed in Speed if speed == settings.get("speed")), None),
            options=settings.get("options") or {},
        )

    @cached_property
    def behind(self) -> TokenizedPrompt:
        """The suffix, taken apart."""
        return tokenize(self.suffix) if self.suffix else TokenizedPrompt("")

    def typed(self) -> list[TypedFlag]:
        """As flags, but for speed and stealth, which say nothing of the picture."""
        stylize = None if self.raw else self.stylize
        named = {"model": self.model, "ar": self.ratio, "stylize": stylize}
        flags = [TypedFlag(name, str(value)) for name, value in named.items() if value is not None]
        return [*flags, TypedFlag("raw")] if self.raw else flags
