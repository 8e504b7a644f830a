"""Forms: opened by a button, read from what Discord sends when they are submitted, never from memory.

discord.py keeps an open modal by its `custom_id`: it is lost when the process ends, and the first of two
members who have it open takes it from the other. So a form is sent without being kept, and its submit finds
what to do from the `custom_id` alone, as a button does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import discord

from bot.components.custom_ids import CustomId, parse
from bot.components.press import Interaction, UnknownButton, host, locale_of, register, telling
from bot.messages import forms
from bot.messages.typed import Typed, filled_in
from prompts.enumerations import listed
from prompts.markdown import code, length
from prompts.translation import _, speak
from storage.backends import Backends
from storage.errors import Refused

LONGEST_VALUE = 4000
"""Characters that a text field may hold, which is less than a prompt with its flags may have."""
PROMPT = "prompt"

Handler = Callable[["SubmittedForm"], Awaitable[None]]
SUBMITS: dict[str, Handler] = {}
FIELDS: dict[str, Field] = {}
"""Fields that forms have below their text, except files."""


@dataclass(frozen=True)
class Field:
    """A field by which a refused form gives back what it held."""

    label: Callable[[], str]
    names: Mapping[str, str] | None = None
    """Of a menu: what each value is called, before it is translated."""

    def given_back(self, held: str | Sequence[str]) -> str:
        names = self.names
        if names is None:
            return filled_in(self.label(), code(str(held), LONGEST_VALUE))
        return filled_in(self.label(), listed([_(names[value]) for value in held if value in names]))


def field(name: str, label: Callable[[], str], names: Mapping[str, str] | None = None) -> str:
    """Register a field that stands below a form's text; returns its `custom_id`."""
    FIELDS[name] = Field(label, names)
    return name


class TooLongForForm(Refused):
    def __init__(self, limit: int = LONGEST_VALUE) -> None:
        super().__init__(f"more than {limit} characters")
        self.limit = limit


class Unresolved(Refused):
    """Discord names a file that was added, and does not say where it is."""


class FormTooLate(Refused):
    """Discord opens a form only as the first answer, within three seconds."""


@dataclass(frozen=True)
class SubmittedForm:
    """A form that was filled in; fields are named by their own `custom_id`."""

    interaction: Interaction
    sent_id: str
    """Its `custom_id` as Discord sends it, which another version may have given it."""
    fields: Mapping[str, Any]

    @cached_property
    def custom_id(self) -> CustomId:
        return parse(self.sent_id)

    @property
    def id(self) -> int:
        return self.custom_id.id

    @property
    def backends(self) -> Backends:
        return host(self.interaction).backends

    def text(self, name: str) -> str:
        """Text of a field; empty where nothing was typed."""
        return str(self.fields.get(name) or "")

    def chosen(self, name: str) -> tuple[str, ...]:
        """The values chosen in a menu."""
        return tuple(self.fields.get(name) or ())

    def typed(self) -> Typed:
        """All that was typed and chosen, to be given back."""
        held = {name: self.fields[name] for name in FIELDS if self.fields.get(name)}
        return Typed(self.text(PROMPT), tuple(FIELDS[name].given_back(each) for name, each in held.items()))

    def files(self, name: str) -> list[discord.Attachment]:
        """The files that were added to a field, as Discord has resolved them.

        Raises:
            Unresolved: it has not.
        """
        data: Any = self.interaction.data
        if not data.get("resolved", {}).get("attachments", {}).keys() >= {*self.chosen(name)}:
            raise Unresolved
        resolved = data.get("resolved", {}).get("attachments", {})
        state = self.interaction._state  # noqa: SLF001 - the same way as discord.py's own FileUpload
        return [discord.Attachment(data=resolved[id_], state=state) for id_ in self.chosen(name)]


def on_submit(verb: str) -> Callable[[Handler], Handler]:
    """Register what submitting a form of this verb does."""
    return register(SUBMITS, verb)


async def submitted(interaction: Interaction) -> None:
    """Do what a form asks for; the sentence for what cannot be done goes to its member."""
    speak(locale_of(interaction))
    data: Any = interaction.data
    form = SubmittedForm(interaction, data["custom_id"], dict(_fields(data["components"])))
    async with telling(lambda error: host(interaction).explain(interaction, error, form.typed())):
        await _handler(form)(form)


def _handler(form: SubmittedForm) -> Handler:
    try:
        return SUBMITS[form.custom_id.verb]
    except (ValueError, KeyError):
        raise UnknownButton(form.sent_id) from None


def _fields(components: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Each field's name and what it holds, in whatever it is wrapped."""
    for component in components:
        if "component" in component:
            yield from _fields([component["component"]])
        elif "components" in component:
            yield from _fields(component["components"])
        elif "custom_id" in component:
            yield component["custom_id"], component.get("value", component.get("values"))


@dataclass(frozen=True)
class Form:
    """A form before it is sent. `prompt` is what its text field is filled with."""

    custom_id: CustomId
    title: str
    prompt: str
    label: str
    others: tuple[Callable[[], discord.ui.Label[Any]], ...] = ()
    """Makes the fields below the text."""

    def modal(self) -> discord.ui.Modal:
        """Needs a running event loop, as every view does.

        Raises:
            TooLongForForm: the text is longer than a field may be filled with.
        """
        if length(self.prompt) > LONGEST_VALUE:
            raise TooLongForForm
        modal = discord.ui.Modal(title=self.title, custom_id=str(self.custom_id))
        text: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id=PROMPT,
            style=discord.TextStyle.paragraph,
            default=self.prompt or None,
            # What was drawn of pictures alone has no words, and may be left without.
            required=bool(self.prompt),
            max_length=LONGEST_VALUE,
        )
        modal.add_item(discord.ui.Label(text=self.label, component=text))
        for make in self.others:
            modal.add_item(make())
        return modal


async def open_form(interaction: Interaction, form: Form) -> None:
    """Answer with a form.

    Raises:
        TooLongForForm: its text does not fit.
        FormTooLate: the answer was deferred already.
    """
    if interaction.response.is_done():
        raise FormTooLate
    modal = form.modal()
    # A stopped modal is sent as it is, but not kept in memory.
    modal.stop()
    await interaction.response.send_modal(modal)


def imagine_form(job_id: int, prompt: str, number: int | None = None) -> Form:
    """The form from which a job's words, or the prompt of this number that it has found, are asked for."""
    return Form(CustomId("fi", job_id, number), forms.imagine_title(), prompt, forms.prompt_label())
