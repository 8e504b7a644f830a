"""A disk that is really full: what every command says of it, and that nothing was drawn or left half made."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from easel.one_sentence import OneSentence, sentence

COMMANDS = (
    "demo", "run", "bot", "worker", "db upgrade", "db check", "db verify", "db adopt", "withhold 1",
    "imagine castle -o {full}/x.png",
)  # fmt: skip
# A memory disk of one megabyte, in which no byte is free; only this process and what it starts see it.
ON_A_FULL_DISK = """
set -e
mount -t tmpfs -o size=1m tmpfs {folder}
mkdir {folder}/data
cat /dev/zero > {folder}/fill || true
exec {python} -c {script} "$0"
"""
SCRIPT = """
import json, sys, time
from typer.testing import CliRunner
from easel import __main__, imagine
imagine.draw = lambda *_: sys.exit("it was drawn")
for command in json.loads(sys.argv[1]):
    began = time.perf_counter()
    answer = CliRunner().invoke(__main__.app, command)
    said = (answer.stderr.splitlines() or [""])[-1]
    print(json.dumps([answer.exit_code, said, repr(answer.exception), time.perf_counter() - began]))
"""


def _memory_disks() -> bool:
    try:
        return subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.exhaustive
@pytest.mark.skipif(not _memory_disks(), reason="this user may not mount a disk of its own")
def test_every_command_names_a_full_disk_and_draws_nothing(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    commands = [command.format(full=full) for command in COMMANDS]
    shell = ON_A_FULL_DISK.format(
        folder=shlex.quote(str(full)),
        python=shlex.quote(sys.executable),
        script=shlex.quote(SCRIPT),
    )
    environment = {
        "EASEL_DATA_DIR": str(full / "data"),
        "DISCORD_TOKEN": "a.b.c",
        "EASEL_DISCORD_URL": "http://127.0.0.1:1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    process = subprocess.run(
        ["unshare", "-rm", "bash", "-c", shell, json.dumps([shlex.split(each) for each in commands])],
        capture_output=True, text=True, check=True, timeout=120, env={**os.environ, **environment},
    )  # fmt: skip
    answers = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(answers) == len(commands), process.stderr
    for command, (code, said, error, seconds) in zip(commands, answers, strict=True):
        assert (code, error) == (2, "SystemExit(2)"), (command, said)
        assert said.startswith("easel: "), (command, said)
        assert any(words in said for words in ("No space left", "is full", "are free there")), (command, said)
        assert seconds < 40, f"{command} tried again and again, which takes over a minute"


def test_what_the_machine_refuses_anywhere_is_a_sentence() -> None:
    app = typer.Typer(cls=OneSentence, pretty_exceptions_enable=False)
    Path("folder").mkdir()

    @app.command()
    def write() -> None:
        Path("folder").write_text("")

    @app.command()
    def fault() -> None:
        raise ValueError("ours")

    answer = CliRunner().invoke(app, ["write"])
    assert answer.exit_code == 2
    assert answer.stderr == "easel: folder: Is a directory.\n"
    assert isinstance(CliRunner().invoke(app, ["fault"]).exception, ValueError)


def test_the_statement_and_its_values_are_not_repeated() -> None:
    error = OperationalError("SELECT secret", {"text": "secret"}, Exception("disk I/O error\nmore"))
    assert sentence(error) == "the database: disk I/O error."
    assert sentence(BrokenPipeError(32, "Broken pipe")) is None
