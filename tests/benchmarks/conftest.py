from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from benchmarks import measure, models
from benchmarks.measure import Sides
from benchmarks.models import Model
from tests.generator import tiny


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return models.named(str(tiny.make_sd(tmp_path_factory.mktemp("models") / "sd", checker=False)))


@pytest.fixture(scope="session")
def sides(model: Model) -> Iterator[Sides]:
    with measure.opened(model, torch.device("cpu")) as sides:
        yield sides
