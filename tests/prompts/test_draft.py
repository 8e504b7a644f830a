"""`--draft`: by the model's own preset, which is then the request, and less than what is typed beside it."""

from __future__ import annotations

from typing import Any

import PIL.Image
import pytest

from bot.messages import image_actions
from generator.worker import output
from prompts import embedded_commands, unparser
from prompts.parser import parse, parse_all
from storage import metadata
from storage.catalog import Catalog
from storage.catalog_companions import DraftEntry, LoraEntry
from storage.catalog_model import ModelEntry
from storage.contract import GenerationRequest
from storage.tables.jobs import Job

LORAS = {"lcm": LoraEntry(source="nowhere"), "ink": LoraEntry(source="nowhere")}
PRESET = DraftEntry(num_inference_steps=6, guidance_scale=1.5, scheduler="lcm", loras={"lcm": 0.9})


def catalog(draft: DraftEntry | None) -> Catalog:
    entry = ModelEntry(
        name="m", title="M", source="nowhere", sizes=((64, 64), (96, 64)), num_inference_steps=24,
        guidance_scale=7.0, scheduler="euler", loras=LORAS, draft=draft,
    )  # fmt: skip
    return Catalog(default="m", models={"m": entry})


CATALOG = catalog(PRESET)


def drawn(typed: str, models: Catalog = CATALOG) -> tuple[Any, ...]:
    request = parse(f"a fox {typed}", models).request
    loras = {lora.name: lora.weight for lora in request.loras}
    return request.num_inference_steps, request.guidance_scale, request.scheduler, loras


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", (24, 7.0, "euler", {})),
        ("--draft", (6, 1.5, "lcm", {"lcm": 0.9})),
        ("--draft --steps 8", (8, 1.5, "lcm", {"lcm": 0.9})),
        ("--cfg 3 --draft", (6, 3.0, "lcm", {"lcm": 0.9})),
        ("--draft --sampler ddim", (6, 1.5, "ddim", {"lcm": 0.9})),
        ("--draft --lora ink:.5", (6, 1.5, "lcm", {"lcm": 0.9, "ink": 0.5})),
        ("--draft --lora lcm:.5", (6, 1.5, "lcm", {"lcm": 0.5})),
        ("--draft --lora lcm:0", (6, 1.5, "lcm", {})),
        ("--draft --quality 2", (48, 7.0, "euler", {})),
        ("--quality 2 --draft", (6, 1.5, "lcm", {"lcm": 0.9})),
    ],
)
def test_a_draft_is_the_models_own_but_for_what_is_typed(typed: str, expected: tuple[Any, ...]) -> None:
    assert drawn(typed) == expected


def test_a_preset_may_say_no_more_than_its_steps() -> None:
    assert drawn("--draft", catalog(DraftEntry(num_inference_steps=9))) == (9, 7.0, "euler", {})


def test_without_one_a_draft_is_a_quarter_of_the_steps() -> None:
    assert drawn("--draft", catalog(None)) == (6, 7.0, "euler", {})
    assert drawn("--draft --steps 40", catalog(None)) == (10, 7.0, "euler", {})


@pytest.mark.parametrize(
    "typed", ["--draft", "--draft --steps 8 --ar 3:2", "--draft --sameseed 5 --lora ink:-1"]
)
def test_a_draft_is_asked_for_again_by_every_way(typed: str) -> None:
    parsed = parse(f"a fox {typed}", CATALOG)
    request = parsed.request
    assert GenerationRequest.model_validate_json(request.model_dump_json()) == request
    assert parse(parsed.command, CATALOG).request == request
    assert parse(unparser.command(request, CATALOG), CATALOG).request == request
    shown = image_actions.whole_prompt(Job(text=parsed.text, request=request.model_dump(mode="json")))
    assert parse(shown, CATALOG).request == request
    found = embedded_commands.read(
        metadata.read(output.encode(PIL.Image.new("RGB", (64, 64)), request, 0)), CATALOG
    )
    assert found is not None
    assert found.exact
    assert parse_all(found.command, CATALOG)[0].request == request
