"""No picture is decoded while a transaction is open: neither a lock nor a connection waits for Pillow."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partialmethod

import pytest
from PIL.ImageFile import ImageFile
from sqlalchemy.orm import Session

from storage.database import Database


@pytest.fixture(autouse=True)
def undecoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test fails that decodes a picture on a thread which has a transaction open."""
    here = threading.local()
    decoded: list[str] = []
    load = ImageFile.load

    @contextmanager
    def counted(
        database: Database, transaction: Callable[[Database], AbstractContextManager[Session]]
    ) -> Iterator[Session]:
        with transaction(database) as session:
            here.open = getattr(here, "open", 0) + 1
            try:
                yield session
            finally:
                here.open -= 1

    def checked(image: ImageFile) -> object:
        if getattr(here, "open", 0):
            decoded.append("".join(traceback.format_stack(limit=12)))
        return load(image)

    for name in ("reading", "writing"):
        monkeypatch.setattr(Database, name, partialmethod(counted, getattr(Database, name)))
    monkeypatch.setattr(ImageFile, "load", checked)
    yield
    assert not decoded, f"a picture was decoded inside a transaction:\n{decoded[0]}"
