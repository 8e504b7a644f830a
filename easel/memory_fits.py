"""Memory that models take of this machine's device, as it is told to whoever runs Easel."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from storage.catalog_model import ModelEntry
from storage.config import Config

if TYPE_CHECKING:
    from generator.memory.fits import Fit


def fits(settings: Config) -> Callable[[ModelEntry], Fit | None]:
    """A function that finds how a model fits; None where that is not known, and always without torch.

    Raises:
        CatalogError: there is no such device; and when called, that what a plan needs is not installed.
    """
    if any(find_spec(name) is None for name in ("torch", "diffusers")):
        return lambda _: None
    from generator import devices
    from generator.memory.plans import MemoryPlans

    plans = MemoryPlans(devices.choose(settings.device), settings.memory)

    def fit(entry: ModelEntry) -> Fit | None:
        found = plans.of(entry)
        return found if found.peak else None

    return fit


def sentence(fit: Fit | None) -> str:
    return (
        "not known: its files are not here, or its family has no memory plans"
        if fit is None
        else fit.sentence()
    )
