"""`--refine`: where a model's refiner takes over, and what is said where it has none."""

from __future__ import annotations

import pytest

from prompts.flags import help_lines
from prompts.parser import FlagError, parse
from prompts.sentences import hints
from prompts.unparser import command
from prompts.values import Scope
from storage.catalog import Catalog
from tests.prompts.catalogs import catalog

CATALOG = catalog()
XL = CATALOG["dream_xl"].changed(refiner="nowhere", family="sdxl")
REFINING = Catalog(default="dream_xl", models={**CATALOG.models, "dream_xl": XL})


@pytest.mark.parametrize(
    ("typed", "refine"), [("", 0.8), ("--refine .6", 0.6), ("--refine 1", 1.0), ("--refine 0", 0.0)]
)
def test_it_takes_over_where_it_is_told(typed: str, refine: float) -> None:
    request = parse(f"a fox {typed}", REFINING).request
    assert request.refine == refine
    again = command(request, REFINING)
    assert ("--refine" in again) == (refine != 0.8)
    assert parse(again, REFINING).request == request


def test_what_is_no_share_is_refused() -> None:
    with pytest.raises(FlagError) as caught:
        parse("a fox --refine 2", REFINING)
    (fault,) = caught.value.faults
    assert str(fault.suggestion) == "--refine 1"


def test_a_model_without_one_says_so_and_draws() -> None:
    parsed = parse("a fox --refine .6", CATALOG)
    assert parsed.request.refine == 1
    assert hints([parsed], CATALOG) == ["`--refine` changed nothing: Picturebook has no refiner here."]


def test_help_says_for_whom_it_is() -> None:
    lines = {
        model.name: next(line for line in help_lines(Scope(REFINING, model)) if "--refine" in line)
        for model in REFINING.models.values()
    }
    assert lines["dream_xl"].endswith("(a number from 0 to 1)")
    assert lines["picturebook"].endswith("(a number from 0 to 1, where a model has a refiner)")
