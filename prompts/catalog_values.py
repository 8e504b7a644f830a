"""Values that the catalog offers: versions of models, a model's samplers, refiner, upscalers, LoRAs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from prompts.translation import _
from prompts.values import IDLE, Idle, Number, Problem, Scope, WrongValue, chosen, one_of, single
from storage.catalog_values import plain_name
from storage.contract import HEAVIEST_LORA, Lora


@dataclass(frozen=True)
class Version:
    """One of Midjourney's versions. The value is the model that stands for it, IDLE where none does."""

    niji: bool = False
    form: str = "N"

    def expected(self, scope: Scope) -> str:
        carried = [f"{version:g}" for version in sorted(scope.catalog.versions(niji=self.niji))]
        return _("a version's number (models here have {versions})").format(
            versions=_(", ").join(carried) or _("none")
        )

    def read(self, typed: str, scope: Scope) -> str | Idle:
        carried = scope.catalog.versions(niji=self.niji)
        if self.niji and not typed:
            return carried[max(carried)] if carried else IDLE
        word = single(typed)
        if not re.fullmatch(r"[0-9]{1,2}(\.[0-9])?", word):
            raise WrongValue(Problem.WRONG, word)
        return carried.get(float(word), IDLE)


@dataclass(frozen=True)
class ModelName:
    """One of the models; of one that is off where the prompt is read, that is said."""

    form: str = "NAME"

    def expected(self, scope: Scope) -> str:
        return one_of(tuple(scope.catalog.models))

    def read(self, typed: str, scope: Scope) -> str:
        try:
            return chosen(typed, scope.catalog.models)
        except WrongValue:
            if plain_name(typed) in map(plain_name, scope.catalog.off):
                raise WrongValue(Problem.OFF, typed) from None
            raise


@dataclass(frozen=True)
class SamplerName:
    """One of the samplers that the model can be drawn with."""

    form: str = "NAME"

    def expected(self, scope: Scope) -> str:
        return one_of(scope.entry.samplers)

    def read(self, typed: str, scope: Scope) -> str:
        return chosen(typed, scope.entry.samplers)


@dataclass(frozen=True)
class RefinerShare:
    """Part of the noise that is gone when the model's refiner takes over. IDLE where it has none."""

    form: str = "N"

    def expected(self, scope: Scope) -> str:
        if scope.entry.refiner is None:
            return _("a number from 0 to 1, where a model has a refiner")
        return Number(0, 1).expected(scope)

    def read(self, typed: str, scope: Scope) -> float | Idle:
        share = Number(0, 1).read(typed, scope)
        return IDLE if scope.entry.refiner is None else share


@dataclass(frozen=True)
class UpscalerName:
    """One of the model's upscalers. IDLE where it has none to choose from."""

    form: str = "NAME"

    def expected(self, scope: Scope) -> str:
        names = [*scope.entry.upscalers]
        return one_of(names) if names else _("a name, where a model has several upscalers")

    def read(self, typed: str, scope: Scope) -> str | Idle:
        return chosen(typed, scope.entry.upscalers) if scope.entry.upscalers else IDLE


@dataclass(frozen=True)
class Loras:
    """The model's LoRAs with their weights; the value is a tuple of them. IDLE where it has none."""

    form: str = "NAME:WEIGHT"

    def expected(self, scope: Scope) -> str:
        names = [*scope.entry.loras]
        if not names:
            return _("a name and a weight, where a model has LoRAs")
        return _("{names}, with a weight from {low:g} to {high:g} such as `{example}:.8`").format(
            names=one_of(names), low=-HEAVIEST_LORA, high=HEAVIEST_LORA, example=names[0]
        )

    def read(self, typed: str, scope: Scope) -> tuple[Lora, ...] | Idle:
        words = typed.split()
        if not words:
            raise WrongValue(Problem.MISSING, "")
        if not scope.entry.loras:
            return IDLE
        return tuple(self._lora(word, scope) for word in words)

    @staticmethod
    def _lora(word: str, scope: Scope) -> Lora:
        name, weight = named_weight(word, scope.entry.loras, Number(-HEAVIEST_LORA, HEAVIEST_LORA), scope)
        return Lora(name=name, weight=weight)


def named_weight(word: str, names: Iterable[str], weights: Number, scope: Scope) -> tuple[str, float]:
    """One of some names, and the weight that stands behind it after a colon, or 1."""
    typed, colon, typed_weight = word.partition(":")
    try:
        name = chosen(typed, names)
    except WrongValue as wrong:
        if wrong.problem is Problem.SURPLUS or not word:
            raise
        weight = f":{typed_weight}" if colon else ""
        suggestion = wrong.suggestion and f"{wrong.suggestion}{weight}"
        raise WrongValue(Problem.WRONG, word, suggestion) from None
    if not colon:
        return name, 1.0
    try:
        return name, weights.read(typed_weight, scope)
    except WrongValue as wrong:
        raise WrongValue(Problem.WRONG, word, f"{name}:{wrong.suggestion or 1}") from None
