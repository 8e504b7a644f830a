"""An archive whose upload takes longer than the export is kept from other bots for."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import select

from bot import exports
from storage.tables import Export
from tests.bot.studio import Studio


def test_two_bots_send_it_once(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "HOLD_MS", 1000)
    monkeypatch.setattr(exports, "RENEW_S", 0.2)
    monkeypatch.setattr(exports, "POLL_S", 0.1)
    studio.stop_bot()
    studio.start_bot()
    studio.grid()
    arrived = threading.Event()
    sending = studio.server.faults.add("PATCH", "@original", hold=arrived, times=2)
    interaction = studio.server.slash(studio.ada, studio.channel, "privacy export")
    studio.wait(lambda: sending.met, what="an upload")
    other = studio.start_another()
    time.sleep(2 * exports.HOLD_MS / 1000)
    arrived.set()
    studio.wait(lambda: _handed_over(studio), what="the end of the export")
    other.stop()
    assert sending.met == 1
    assert interaction.original is not None
    assert interaction.original.files
    assert interaction.followups == []


def _handed_over(studio: Studio) -> bool:
    with studio.backends.database.reading() as session:
        return session.scalar(select(Export.id)) is None
