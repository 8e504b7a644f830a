"""Prompts as a language model reads them: a message of the user's, within a template."""

from __future__ import annotations

from typing import Any, NamedTuple

from generator.conditioning.tokens import Text, phrases_of

_HERE = "\ue000"
"""A letter of nobody's, in whose place the prompt goes."""


class ChatTokens(NamedTuple):
    """Ids of one text in its template, and what each is emphasised by."""

    ids: list[int]
    emphasis: list[float]


def template_of(tokenizer: Any, *, thinking: bool) -> str:
    """The tokenizer's own template of one message, with `{}` in the prompt's place."""
    message = [{"role": "user", "content": _HERE}]
    found: str = tokenizer.apply_chat_template(
        message, tokenize=False, add_generation_prompt=True, enable_thinking=thinking
    )
    return found.replace(_HERE, "{}")


def chat_tokens(tokenizer: Any, template: str, text: Text, most: int) -> ChatTokens:
    """At most so many tokens; those of the template are not emphasised.

    What looks like the tokenizer's own marks within the text is text like any other.
    """
    before, _, after = template.partition("{}")
    opening, closing = (tokenizer(each, add_special_tokens=False).input_ids for each in (before, after))
    ids, emphasis = _content(tokenizer, text)
    whole = [*opening, *ids, *closing]
    weights = [*([1.0] * len(opening)), *emphasis, *([1.0] * len(closing))]
    return ChatTokens(whole[:most], weights[:most])


def _content(tokenizer: Any, text: Text) -> tuple[list[int], list[float]]:
    """The text's own tokens: each is emphasised as the phrase in which its last letter stands."""
    phrases = phrases_of(text)
    letters = [phrase.emphasis for phrase in phrases for _ in phrase.text]
    found = tokenizer(
        "".join(phrase.text for phrase in phrases),
        add_special_tokens=False,
        split_special_tokens=True,
        return_offsets_mapping=True,
        verbose=False,
    )
    return found.input_ids, [letters[max(end, 1) - 1] for _, end in found.offset_mapping]
