"""The command as users run it: real processes, their words and their exit codes."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from easel import __version__, imagine, tenancy
from tests.easel.conftest import Easel

ROOT = Path(__file__).parents[2]
# Stands for a machine where these were never installed.
WITHOUT_TORCH = """
import sys
for name in ("torch", "diffusers", "transformers", "simcord", "scipy"):
    sys.modules[name] = None
from easel.__main__ import app
app()
"""


def _without_torch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )


def test_help_names_every_command(easel: Easel) -> None:
    answer = easel("--help")
    assert answer.returncode == 0
    for command in ("demo", "run", "bot", "worker", "imagine", "parse", "doctor", "db", "models"):
        assert f" {command} " in answer.stdout


@pytest.mark.parametrize(
    "arguments", [["--help"], ["bot", "--help"], ["db", "upgrade"], ["models", "list"], ["models", "check"]]
)
def test_a_machine_without_torch_can_run(arguments: list[str]) -> None:
    answer = _without_torch(*arguments)
    assert answer.returncode == 0, answer.stderr


def test_the_bot_starts_where_torch_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "a.b.c")
    monkeypatch.setenv("EASEL_DISCORD_URL", f"http://127.0.0.1:{unused_tcp_port}/api/v10")
    assert _without_torch("db", "upgrade").returncode == 0
    with subprocess.Popen(
        [sys.executable, "-c", WITHOUT_TORCH, "bot"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as bot:
        assert bot.stderr is not None
        lines: list[str] = []
        for line in bot.stderr:
            lines.append(line)
            if "Discord cannot be reached" in line:
                break
        bot.send_signal(signal.SIGTERM)
        rest = bot.stderr.read()
        assert bot.wait(20) == 0, "".join(lines) + rest
    assert "Traceback" not in rest


@pytest.mark.parametrize("command", ["imagine", "worker"])
def test_drawing_without_torch_says_what_to_install(command: str) -> None:
    assert _without_torch("db", "upgrade").returncode == 0
    answer = _without_torch(command, *(["a red castle"] if command == "imagine" else []))
    assert answer.returncode == 2
    wanted = f"cd {ROOT} && {sys.executable} -m pip install --constraint constraints.txt '.[worker]'"
    assert wanted in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("command", ["run", "bot", "worker", "doctor", "demo"])
def test_wrong_configuration_stops_without_a_traceback(
    easel_here: Easel, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("EASEL_WORKER_SLOTS", "many")
    answer = easel_here(command)
    words = " ".join((answer.stdout + answer.stderr).split())
    assert answer.returncode == (1 if command == "doctor" else 2)
    assert "EASEL_WORKER_SLOTS cannot be used" in words
    assert "Traceback" not in words


@pytest.mark.parametrize("command", ["run", "bot"])
def test_a_missing_token_is_named(easel: Easel, command: str) -> None:
    answer = easel(command)
    assert answer.returncode == 2
    assert answer.stderr.startswith("easel: DISCORD_TOKEN is not set")


def test_a_database_that_does_not_answer_is_named_without_its_password(
    easel: Easel, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv(
        "EASEL_DATABASE_URL", f"postgresql+psycopg://easel:hunter2@127.0.0.1:{unused_tcp_port}/x"
    )
    answer = easel("worker")
    assert answer.returncode == 2
    assert answer.stderr.startswith("easel: EASEL_DATABASE_URL: the database cannot be used")
    assert "hunter2" not in answer.stderr + answer.stdout
    assert len(answer.stderr.strip().splitlines()) == 1


def test_a_database_of_another_version_stops_the_bot(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "a.b.c")
    answer = easel("bot")
    assert answer.returncode == 2
    assert "easel db upgrade" in answer.stderr


def test_database_commands(easel: Easel, easel_here: Easel, clean_environment: Path) -> None:
    before = easel_here("db", "check")
    assert before.returncode == 1
    assert "easel db upgrade" in before.stderr
    assert easel("db", "upgrade").returncode == 0
    assert easel_here("db", "check").returncode == 0
    assert easel_here("db", "verify").returncode == 0
    database = sqlite3.connect(clean_environment / "data" / "easel.db")
    with database:
        database.execute(
            "INSERT INTO members (id, name, settings, served, waiting, running, running_limit, waiting_limit,"
            " singles, created_at) VALUES (7, '', '{}', 0, 4, 0, 3, 10, 0, 0)"
        )
    database.close()
    off = easel_here("db", "verify")
    assert off.returncode == 1
    assert "7" in off.stderr
    assert easel_here("db", "verify", "--repair").returncode == 0
    assert easel_here("db", "verify").returncode == 0


def test_stopping_a_run_takes_no_longer_than_it_should(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "a.b.c")
    monkeypatch.setenv("EASEL_DISCORD_URL", f"http://127.0.0.1:{unused_tcp_port}/api/v10")
    with subprocess.Popen(
        [sys.executable, "-m", "easel", "run"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"},
    ) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if "Discord cannot be reached" in line:
                break
        asked = time.monotonic()
        run.send_signal(signal.SIGINT)
        rest = run.stderr.read()
        assert run.wait(30) == 0, rest
    assert time.monotonic() - asked < 15
    assert "Traceback" not in rest


def test_models_name_what_may_be_chosen_and_say_what_is_missing(
    easel_here: Easel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = easel_here("models", "list").stdout
    assert "blueprint" in shipped
    assert re.search(r"memory +[0-9.]+ of [0-9.]+ GiB\n", shipped)
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(
        f"""
        [models.one]
        source = "owner/one"
        sizes = [[64, 64]]
        upscalers = {{ soft = {{ source = "owner/soft" }}, crisp = {{ source = "{tmp_path}/crisp" }} }}
        loras = {{ oil = "owner/oil", ink = "{tmp_path}/ink.safetensors" }}
        always_loras = {{ quick = "{tmp_path}/quick.safetensors" }}
        embeddings = {{ style = "{tmp_path}/embedding.safetensors" }}
        controls = {{ depth = {{ source = "owner/depth" }}, edges = {{ source = "{tmp_path}/edges" }} }}
        adapters.style = {{ source = "{tmp_path}/style.safetensors", image_encoder = "owner/encoder" }}
        """
    )
    monkeypatch.setenv("EASEL_CATALOG", str(catalog))
    listed = easel_here("models", "list").stdout
    assert "soft, crisp" in listed
    assert "not known: its files are not here, or its family has no memory plans" in listed
    assert "oil, ink" in listed
    checked = easel_here("models", "check")
    assert checked.returncode == 1
    assert f"the LoRA ink cannot be used: {tmp_path}/ink.safetensors does not exist" in checked.stderr
    assert f"the LoRA quick cannot be used: {tmp_path}/quick.safetensors does not exist" in checked.stderr
    said = f"the embedding style cannot be used: {tmp_path}/embedding.safetensors does not exist"
    assert said in checked.stderr
    assert f"{tmp_path}/crisp does not exist" in checked.stderr
    assert f"the control edges cannot be used: {tmp_path}/edges does not exist" in checked.stderr
    assert (
        f"the image adapter for style cannot be used: {tmp_path}/style.safetensors does not exist"
        in checked.stderr
    )
    assert "oil" not in checked.stderr


def test_it_says_its_version(easel_here: Easel) -> None:
    assert easel_here("--version").stdout == f"easel {__version__}\n"


@pytest.mark.parametrize(
    "command",
    ["demo", "run", "bot", "worker", "db check", "db upgrade", "db adopt", "withhold 1"],
)
def test_an_impossible_data_folder_is_named(
    easel_here: Easel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DISCORD_TOKEN", "a.b.c")
    monkeypatch.setenv("EASEL_DISCORD_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path / "file"))
    answer = easel_here(*command.split())
    assert answer.returncode == 2
    *_, sentence = answer.stderr.splitlines()
    assert sentence.startswith("easel: ")
    assert str(tmp_path / "file") in sentence
    assert "Not a directory" in sentence


@pytest.mark.parametrize("command", ["db check", "db upgrade", "worker", "withhold 1"])
def test_a_file_that_is_no_database_is_named(
    easel_here: Easel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    (tmp_path / "x.db").write_text("no database, but longer than the header of one would be. " * 9)
    monkeypatch.setenv("EASEL_DATABASE_URL", f"sqlite:///{tmp_path}/x.db")
    answer = easel_here(*command.split())
    assert answer.returncode == 2
    assert "file is not a database" in answer.stderr


@pytest.mark.parametrize("where", ["nowhere/x.png", ".", "/dev/full/x.png"])
def test_a_picture_that_could_not_be_written_is_not_drawn(
    easel_here: Easel, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(imagine, "draw", lambda *_: pytest.fail("it was drawn"))
    answer = easel_here("imagine", "a castle", "-o", where)
    assert answer.returncode == 2
    assert f"{where} cannot be written: " in answer.stderr


def test_a_second_bot_on_a_data_folder_names_the_first(tmp_path: Path, easel_here: Easel) -> None:
    folder = tmp_path / "data" / "demo"
    holding = f"""
import time, pathlib
from easel.tenancy import alone
with alone(pathlib.Path({str(folder)!r}), "easel demo"):
    print("holds", flush=True)
    time.sleep(60)
"""
    first = subprocess.Popen(
        [sys.executable, "-c", holding],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with first:
        assert first.stdout is not None
        assert first.stdout.readline() == "holds\n"
        answer = easel_here("demo")
        first.kill()
    assert answer.returncode == 2
    assert f"{folder} is in use by `easel demo` (process {first.pid} on " in answer.stderr
    with tenancy.alone(folder, "easel demo"):
        assert str(os.getpid()) in (folder / tenancy.FILE).read_text()


@pytest.mark.parametrize("command", ["run", "bot"])
def test_run_and_bot_keep_to_themselves(
    easel_here: Easel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "a.b.c")
    with tenancy.alone(tmp_path / "data", "easel run"):
        answer = easel_here(command)
    assert answer.returncode == 2
    assert "is in use by `easel run`" in answer.stderr


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("EASEL_DEVCE", "EASEL_DEVICE"),
        ("EASEL_DATABSE_URL", "EASEL_DATABASE_URL"),
        ("EASEL_DISCORD_TOKEN", "DISCORD_TOKEN"),
        ("DISCORD_TOKN", "DISCORD_TOKEN"),
        ("EASLE_DEVICE", "EASEL_DEVICE"),
    ],
)
@pytest.mark.parametrize("of_file", [True, False])
def test_a_misspelt_setting_is_refused(
    easel_here: Easel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, meant: str, of_file: bool
) -> None:
    if of_file:
        (tmp_path / ".env").write_text(f"{name}=x\n")
    else:
        monkeypatch.setenv(name, "x")
    answer = easel_here("parse", "a castle")
    assert answer.returncode == 2
    assert answer.stderr.startswith(f"easel: {name} is no setting of Easel's: is {meant} meant?")


def test_what_is_no_setting_at_all_is_told_and_harmless(
    easel_here: Easel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EASEL_PORT", "EASEL_TEST_DEVICE", "POSTGRES_PASSWORD", "easel_device"):
        monkeypatch.setenv(name, "cpu")
    answer = easel_here("parse", "a castle")
    assert answer.returncode == 0
    assert [line.split()[4] for line in answer.stderr.splitlines()] == ["EASEL_PORT"]


@pytest.mark.parametrize(
    "url", ["postgresql://u:a/hunter2@h/x", "postgresql://u:1#hunter2@h/x", "postgresql://u:p@hunter2@h/x"]
)
def test_a_password_that_divides_its_address_is_told_of(
    easel_here: Easel, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("EASEL_DATABASE_URL", url)
    answer = easel_here("db", "check")
    assert answer.returncode == 2
    assert "_PASSWORD" in answer.stderr
    assert "hunter2" not in answer.stderr


def test_names_of_models_are_whole_on_a_narrow_screen(
    easel_here: Easel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = easel_here("models", "list").stdout
    assert "picturebook (default)\n" in listed
    assert "edges, image, style, subject\n" in listed
