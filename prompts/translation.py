"""Translation: every sentence for members is written in English and looked up as it is said.

`_()` marks and translates a sentence where it is said; `N_()` only marks one that stands in a table. The
catalogs are gettext's, below `locale/`; `make messages` brings them up to date.
"""

from __future__ import annotations

import gettext
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from types import MappingProxyType

DOMAIN = "easel"
LOCALES = Path(__file__).with_name("locale")

LANGUAGES: Mapping[str, str] = MappingProxyType({"en-US": "English", "zh-CN": "简体中文"})
"""Discord's locales that Easel speaks, each by its own name for itself."""

_CATALOGS = MappingProxyType({"zh-CN": "zh_CN", "zh-TW": "zh_CN"})
"""The catalog for each locale; the sentences themselves are English.

Who reads the traditional signs reads the simplified ones sooner than English.
"""
TRANSLATED = frozenset(_CATALOGS)

_locale: ContextVar[str | None] = ContextVar("locale", default=None)


def speak(locale: str | None) -> None:
    """Say everything in this task from now on to someone with this locale of Discord's."""
    _locale.set(locale)


@contextmanager
def spoken(locale: str | None) -> Iterator[None]:
    """Say what is said in here to someone with this locale of Discord's; None is English."""
    before = _locale.set(locale)
    try:
        yield
    finally:
        _locale.reset(before)


def current_locale() -> str | None:
    """The locale of the one who is spoken to."""
    return _locale.get()


def _(sentence: str) -> str:
    """The sentence in the reader's language."""
    return _catalog(_locale.get()).gettext(sentence) if sentence else ""


def ngettext(one: str, several: str, count: int) -> str:
    """The form of a sentence for this number of things, in the reader's language."""
    return _catalog(_locale.get()).ngettext(one, several, count)


def N_(sentence: str) -> str:  # noqa: N802 - gettext's own name for it
    """A sentence in a table, which is translated where it is said."""
    return sentence


@cache
def _catalog(locale: str | None) -> gettext.NullTranslations:
    name = _CATALOGS.get(locale or "")
    if name is None:
        return gettext.NullTranslations()
    return gettext.translation(DOMAIN, LOCALES, [name])
