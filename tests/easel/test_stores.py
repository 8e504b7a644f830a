"""Another folder than the database's pictures are in: refused, seen by the doctor, adopted; and no room."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from easel import start
from easel.checkups import Finding
from easel.doctor import Purpose, examine
from storage import config, workers
from storage.config import Config
from storage.database import Database
from storage.errors import ConfigError
from tests.easel.conftest import Easel


def settings_with(folder: Path) -> Config:
    return config.load(images_url=folder.as_uri())


def opened(settings: Config) -> None:
    with start.backends(settings, migrate=True):
        pass


def test_whoever_sees_another_folder_does_not_start(
    easel: Easel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    opened(settings_with(right))
    monkeypatch.setenv("EASEL_IMAGES_URL", wrong.as_uri())
    answer = easel("worker")
    assert answer.returncode == 2
    assert answer.stderr.count("\n") <= 2, "a sentence, and no traceback"
    assert str(right) in answer.stderr
    assert str(wrong) in answer.stderr

    adopted = easel("db", "adopt")
    assert adopted.returncode == 0, adopted.stderr
    assert str(wrong) in adopted.stdout
    opened(settings_with(wrong))
    with pytest.raises(ConfigError):
        opened(settings_with(right))


def _of(findings: list[Finding], subject: str) -> list[Finding]:
    return [finding for finding in findings if finding.subject == subject]


def test_the_doctor_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(settings_with(tmp_path / "right"))
    monkeypatch.setenv("EASEL_IMAGES_URL", (tmp_path / "right").as_uri())
    assert _of(list(examine(Purpose.WORKER)), "EASEL_IMAGES_URL") == []
    monkeypatch.setenv("EASEL_IMAGES_URL", (tmp_path / "wrong").as_uri())
    for purpose in (Purpose.WORKER, Purpose.BOT, Purpose.RUN):
        (finding,) = _of(list(examine(purpose)), "EASEL_IMAGES_URL")
        assert finding.state == "bad"
        assert str(tmp_path / "right") in finding.mend
    assert not (tmp_path / "wrong" / "easel-store.txt").exists(), "the doctor settles nothing"


@pytest.mark.parametrize("lacks", ["pictures", "memory"])
def test_the_doctor_names_workers_without_room(lacks: str) -> None:
    settings = config.load()
    opened(settings)
    with closing(Database(settings.database)) as database, database.writing() as session:
        workers.register(session, "roomy", ["m"])
        full = workers.register(session, "crowded", ["m"])
        workers.renew(session, full, lacks=lacks)
    for purpose in (Purpose.WORKER, Purpose.BOT, Purpose.RUN):
        findings = list(examine(purpose))
        (finding,) = _of(findings, "worker crowded")
        assert finding.state == "note"
        assert lacks in finding.text
        assert not _of(findings, "worker roomy")


def test_the_doctor_says_when_the_disk_is_too_full_to_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easel.checkups.LEAST_FREE", 2**62)
    (finding,) = _of(list(examine(Purpose.WORKER)), "pictures")
    assert finding.state == "bad"
    assert "take no jobs" in finding.text
