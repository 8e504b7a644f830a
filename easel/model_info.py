"""`easel models info`: what a file or a folder of weights is, and what Easel does with it."""

from __future__ import annotations

from typing import Annotated

import typer

from generator.inspection import acceptance
from generator.inspection.inspected import Inspection
from generator.inspection.inspecting import inspect


def info(
    source: Annotated[
        str, typer.Argument(help="A file, a folder, or a Hugging Face id that is in the cache.")
    ],
    file: Annotated[str | None, typer.Option(help="Which file of a folder or id is meant.")] = None,
) -> None:
    """Say what a model, LoRA, control or the like is; exit code 1 if Easel cannot draw with it."""
    found = inspect(source, file)
    for what, said in facts(found).items():
        typer.echo(f"{what:<12}{said}")
    typer.echo(acceptance.sentence(found))
    if acceptance.refusal(found, acceptance.key_of(found) or "source"):
        raise typer.Exit(1)


def facts(found: Inspection) -> dict[str, str]:
    """Lines of what is known of it, by their titles."""
    told = {
        "kind": found.kind.value,
        "is": found.name,
        "made for": found.base.name,
        "layout": found.layout,
        "prediction": found.prediction and f"{found.prediction.type} (by {found.prediction.told_by})",
        "noise": "down to a signal of zero" if found.zero_snr else "",
        "precision": found.precision,
        "parameters": f"{found.parameters:,}" if found.parameters else "",
        "bytes": f"{found.size_bytes:,}" if found.size_bytes else "",
        "forms": ", ".join(found.lora_forms),
        "trigger": ", ".join(found.trigger_words),
        "missing": ", ".join(found.missing),
    }
    return {what: said for what, said in told.items() if said}
