"""`easel parse`: what a prompt with its flags is understood as, as JSON; no database, no Discord."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from easel import start
from storage import catalog
from storage.contract import SEED_SPACE

if TYPE_CHECKING:
    from prompts.parser import Parsed


def parse(
    text: Annotated[str, typer.Argument(help="Links, text and flags, as after /imagine.")],
    model: Annotated[str | None, typer.Option(help="The model, where the text names none.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=SEED_SPACE - 1, help="The seed, where the text names none.")
    ] = None,
) -> None:
    """Print what a prompt is understood as: `requests`, one a job, `prompts` beside them, and `notes`.

    A prompt that cannot run prints its `error`, with exit code 2.
    """
    from prompts import parser, sentences

    models = catalog.load(start.configure(quiet=True).catalog_file)
    options = {} if model is None else {"model": model}
    try:
        parsed = parser.parse_all(text, models, options=options, seed=seed)
    except parser.FlagError as error:
        _print({"error": {
            "sentence": sentences.flag_problems(error.faults),
            "suggestion": error.suggestion,
            "flag": error.flag,
            "prompt": error.echo,
        }})  # fmt: skip
        raise typer.Exit(2) from None
    _print({
        "requests": [each.request.model_dump(mode="json") for each in parsed],
        "prompts": [_prompt(each) for each in parsed],
        "notes": sentences.hints(parsed, models),
    })  # fmt: skip


def _prompt(parsed: Parsed) -> dict[str, Any]:
    """All that a request does not hold: the text as it is shown, and how its job is queued and seen."""
    return {
        "text": parsed.text,
        "command": parsed.command,
        "images": [{"url": image.url, "weight": image.weight} for image in parsed.images],
        "image_weight": parsed.image_weight,
        "references": [
            {"role": linked.role, "urls": linked.urls, "weight": linked.weight} for linked in parsed.linked
        ],
        "speed": parsed.speed,
        "stealth": parsed.stealth,
        "unknown_words": parsed.unknown_words,
    }


def _print(found: dict[str, Any]) -> None:
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
