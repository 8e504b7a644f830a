"""Sentences of `/models` and `/mod models`."""

from __future__ import annotations

from collections.abc import Iterable

from prompts.enumerations import either
from prompts.markdown import clip, code, show_prompt
from prompts.tokenizer import TypedFlag
from prompts.translation import _, ngettext
from storage.catalog import Catalog
from storage.catalog_companions import LoraEntry
from storage.catalog_model import ModelEntry
from storage.offers import Offer

_REASON, _TITLE = 180, 60
"""UTF-16 units of a reason and a title, of which ten stand in one message."""
_LORAS = 12
"""LoRAs and upscalers that a page names; the rest is counted."""


def moderated_title(pages: int, page: int) -> str:
    title = _(
        "### Models of this server\n"
        "What is off is neither offered nor drawn with here. Members who chose none get the default."
    )
    return (
        title if pages == 1 else title + _("\n-# Page {page} of {pages}").format(page=page + 1, pages=pages)
    )


def moderated(catalog: Catalog, offer: Offer, name: str) -> str:
    """One line on a model, and another where it cannot be loaded."""
    entry = catalog[name]
    state = _("off") if name in offer.off else _("on")
    if name == offer.default and name in offer.on:
        state = _("on, the default")
    line = f"**{show_prompt(entry.title, _TITLE)}** ({code(name)}): {state}"
    if name not in offer.broken:
        return line
    why = show_prompt(offer.broken[name], _REASON)
    return line + _("\n-# It cannot be loaded, so it is not offered: {reason}").format(reason=why)


def turn_on() -> str:
    return _("Turn on …")


def turn_off() -> str:
    return _("Turn off …")


def make_default() -> str:
    return _("Make the default …")


def off(title: str, on: tuple[str, ...]) -> str:
    """Refusal of a model that is off; `on` are the titles of the others."""
    model = f"**{show_prompt(title, 100)}**"
    if not on:
        return _("{model} cannot be used here now, nor can any other: a moderator can turn one on.").format(
            model=model
        )
    names = either([f"**{show_prompt(one, 100)}**" for one in on[:_LORAS]])
    return _("{model} cannot be used here now. Choose {names} with `--model`.").format(
        model=model, names=names
    )


def described(entry: ModelEntry, *, default: bool) -> str:
    """All that a member may want to know of a model, but for its pictures."""
    title = f"### {show_prompt(entry.title, 100)}"
    lines = [title, show_prompt(entry.description, 600)] if entry.description else [title]
    lines.append(_usage(entry, default=default))
    lines.append(_("**Sizes:** {sizes}").format(sizes=_sizes(entry)))
    if entry.loras:
        lines.append(_("**LoRAs** (`--lora`):"))
        shown = list(entry.loras.items())[:_LORAS]
        lines += [_lora(name, lora) for name, lora in shown]
        if left := len(entry.loras) - len(shown):
            lines.append(ngettext("-# … and 1 more.", "-# … and {count} more.", left).format(count=left))
    if entry.embeddings:
        names = _names(entry.embeddings)
        lines.append(_("**Embeddings** (named in the prompt): {names}").format(names=names))
    if entry.controls:
        lines.append(_("**Controls** (`--control`): {names}").format(names=_names(entry.controls)))
    if entry.upscalers:
        lines.append(_("**Upscalers** (`--upscaler`): {names}").format(names=_names(entry.upscalers)))
    if entry.nsfw:
        lines.append(_("It was made for pictures of adults."))
    lines.append(
        _("-# Licence: {license}").format(license=show_prompt(entry.license, 200))
        if entry.license
        else _("-# Its licence is not said.")
    )
    return "\n".join(lines)


def _usage(entry: ModelEntry, *, default: bool) -> str:
    chosen = code(str(TypedFlag("model", entry.name)))
    if default:
        return _("It draws where you choose none; by name with {chosen}.").format(chosen=chosen)
    return _("Choose it with {chosen}, or for good in `/settings`.").format(chosen=chosen)


def _sizes(entry: ModelEntry) -> str:
    return _(", ").join(f"{width} × {height}" for width, height in entry.sizes[:_LORAS])


def _names(named: Iterable[str]) -> str:
    return _(", ").join(map(code, list(named)[:_LORAS]))


def _lora(name: str, lora: LoraEntry) -> str:
    if not lora.trigger:
        return f"- {code(name)}"
    return _("- {name}: trigger words {trigger}").format(
        name=code(name), trigger=code(clip(lora.trigger, 100))
    )


def sample(title: str) -> str:
    """Alternative text of a sample picture."""
    return _("A picture drawn with {title}").format(title=title)


def page_of(number: int, count: int) -> str:
    return _("-# Model {number} of {count}").format(number=number, count=count)
