from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from easel import logs
from storage import config

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4OQ.GhJkLm.abcdefghijklmnopqrstuvwxyz0123456789AB"
INTERACTION = "aW50ZXJhY3Rpb246MTIzNDU2Nzg5MDEyMzQ1Njc4OTA6c29tZXRoaW5nc2VjcmV0"


@pytest.fixture
def log_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefgh")
    monkeypatch.setenv("CIVITAI_TOKEN", "0123abcd")
    settings = config.load(
        discord_token=TOKEN,
        data_dir=tmp_path,
        database_url="postgresql+psycopg://easel:p%40ss-word@db/easel",
        broker_url="redis://:hunter2@redis:6379/0",
    )
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.set_up(settings, file=tmp_path / "easel.log")
    yield tmp_path / "easel.log"
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.parametrize(
    ("message", "secret"),
    [
        (f"logging in with {TOKEN}", TOKEN),
        ("cannot reach postgresql+psycopg://easel:p%40ss-word@db/easel", "p%40ss-word"),
        ("password authentication failed for p@ss-word", "p@ss-word"),
        ("AUTH hunter2 refused", "hunter2"),
        ("authorization: Bearer hf_abcdefgh", "hf_abcdefgh"),
        ("GET https://civitai.com/api/download/models/1?token=0123abcd", "0123abcd"),
        ("retrying amqp://someone:else@rabbit:5672//", "else"),
        (
            f"PATCH https://discord.com/api/v10/webhooks/1234567890/{INTERACTION}/messages/@original",
            INTERACTION,
        ),
        (f"POST /interactions/1234567890/{INTERACTION}/callback", INTERACTION),
        ("another bot's NzkyNzE1NDU0MTk2MDg4ODQy.X-hvzA.Ovy4MCQywSkoMRRclStW4xAYK7I leaked", "X-hvzA"),
    ],
)
def test_no_secret_reaches_the_log(log_file: Path, message: str, secret: str) -> None:
    logging.getLogger("easel.test").info(message)
    text = log_file.read_text()
    assert "***" in text
    assert secret not in text


def test_a_traceback_is_cleaned_too(log_file: Path) -> None:
    error = RuntimeError(f"could not use {TOKEN}")
    logging.getLogger("easel.test").error("start failed", exc_info=error)
    text = log_file.read_text()
    assert "RuntimeError: could not use ***" in text
    assert TOKEN not in text


def test_addresses_that_are_fetched_are_not_logged(log_file: Path) -> None:
    """Those of downloads are signed: who has one has the file."""
    for name in ("httpx2", "httpcore2.http11"):
        logging.getLogger(name).info("HTTP Request: GET https://files.example/model?signature=abc")
    assert log_file.read_text() == ""


def test_what_is_no_secret_stays(log_file: Path) -> None:
    message = "job 42 of redis://redis:6379/0 took 1.5 s, see https://example.com/webhooks/docs"
    logging.getLogger("easel.test").info(message)
    assert message in log_file.read_text()


@pytest.mark.parametrize(("number", "complaints"), [(errno.ENOSPC, 0), (errno.EIO, 1)])
def test_a_line_that_a_full_disk_does_not_take_is_left_out(
    log_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    complaints: int,
) -> None:
    def refuse() -> None:
        raise OSError(number, "refused")

    (to_file,) = [each for each in logging.getLogger().handlers if isinstance(each, logging.FileHandler)]
    monkeypatch.setattr(to_file, "flush", refuse)
    logging.getLogger("easel.test").info("a line")
    assert capsys.readouterr().err.count("Logging error") == complaints
    monkeypatch.undo()
