"""`easel worker` as an operator sees it: on a terminal, in a log, scraped and profiled."""

from __future__ import annotations

import fcntl
import gzip
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from easel.__main__ import app
from storage.config import Config
from storage.contract import JobState
from storage.database import Database
from tests.easel.conftest import Easel
from tests.generator.working import LONG, Place, make_catalog, wait_for

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(
    tmp_path: Path, clean_environment: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> Iterator[Place]:
    """Where the command will work: named in its environment."""
    (tmp_path / "models").mkdir()
    config = Config(
        data_dir=tmp_path / "data",
        catalog=make_catalog(tmp_path / "models"),
        broker_url=SecretStr("memory://"),
        metrics_port=unused_tcp_port,
    )
    config.data_dir.mkdir()
    database = Database(config.database)
    database.upgrade()
    database.close()
    monkeypatch.setenv("EASEL_CATALOG", str(config.catalog))
    monkeypatch.setenv("EASEL_METRICS_PORT", str(unused_tcp_port))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    place = Place(config)
    yield place
    place.close()


class Terminal:
    """A command on a pseudo-terminal of 100 columns, and all that it showed there."""

    def __init__(self, *arguments: str) -> None:
        self.shown = ""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "easel", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=slave,
            env={**environment, "PYTHONPATH": str(ROOT)},
        )
        os.close(slave)
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 4096)
            except OSError:  # Linux says so when the last one has left
                return
            if not data:
                return
            self.shown += data.decode(errors="replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reading.join(10)
        os.close(self._master)


@contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    opened = Terminal(*arguments)
    try:
        yield opened
    finally:
        opened.close()


def test_on_a_terminal_with_figures_and_a_profile(place: Place, tmp_path: Path) -> None:
    profile = tmp_path / "trace.json.gz"
    with terminal("worker", "--profile", str(profile)) as screen:
        wait_for(lambda: "idle" in screen.shown, 60)
        job_id = place.ask(num_inference_steps=LONG, num_images_per_prompt=1)
        place.wait(job_id, JobState.RUNNING)
        wait_for(lambda: "ticks a second" in screen.shown, 30)
        with urlopen(f"http://127.0.0.1:{place.config.metrics_port}/metrics", timeout=10) as answer:
            figures = answer.read().decode()
        screen.process.send_signal(signal.SIGTERM)
        assert screen.process.wait(60) == 0, screen.shown
        wait_for(lambda: "a profile of" in screen.shown, 10)
    assert 'easel_batch_jobs{state="running"} 1.0' in figures
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.shown)
    lines = [line.strip() for line in re.split(r"[\r\n]+", plain) if line.strip()]
    live = [line for line in lines if line.startswith(("idle ·", "1 drawing ·"))]
    assert re.match(r"1 drawing · 2\.\d rows a tick · \d+\.\d ticks a second · ", live[-1])
    assert all(len(line) <= 100 for line in live if "USDT" not in line), "torch's own lines are not ours"
    logged = [line for line in lines if f"job {job_id}: attempt 1 begins" in line]
    assert len(logged) == 1
    assert re.match(r"\d{4}-\d\d-\d\d [\d:,]+ INFO ", logged[0]), "a log line begins at the left"
    assert lines.index(logged[0]) < lines.index(live[-1])
    assert place.job(job_id).state == JobState.QUEUED, "handed back"
    assert b'"name": "aten::conv2d"' in gzip.decompress(profile.read_bytes())


def test_where_no_model_can_be_drawn_with_it_does_not_start(
    place: Place, easel: Easel, tmp_path: Path
) -> None:
    assert place.config.catalog is not None
    index = tmp_path / "flux" / "model_index.json"
    index.parent.mkdir()
    index.write_text('{"_class_name": "FluxPipeline"}')
    table = f'[models.flux]\nsource = "{index.parent}"\nsizes = [[64, 64]]\n'
    place.config.catalog.write_text(table, encoding="utf-8")
    done = easel("worker")
    assert done.returncode == 2
    assert f"easel: Model 'flux': {index.parent} cannot be drawn with: it is a FLUX.1 model:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_stops_the_start(place: Place, easel: Easel) -> None:
    with socket.create_server(("127.0.0.1", place.config.metrics_port or 0)):
        answer = easel("worker")
    assert answer.returncode == 2
    assert answer.stderr.startswith("easel: EASEL_METRICS_PORT: port ")
    assert len(answer.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("file", "sentence"),
    [("trace.txt", "end its name with .json or .json.gz"), ("nowhere/trace.json", "cannot be written")],
)
def test_a_profile_that_cannot_be_is_refused_at_once(file: str, sentence: str) -> None:
    for command in ("worker", "run"):
        answer = CliRunner().invoke(app, [command, "--profile", file])
        assert answer.exit_code == 2
        assert sentence in " ".join(answer.output.split())
