"""`easel setup`, unattended and asked, with a Discord on this machine."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from easel import setup
from easel.__main__ import app
from generator import devices
from storage import catalog, config
from tests.easel.conftest import Easel
from tests.easel.test_doctor import TOKEN, discord_url
from tests.generator import tiny

__all__ = ["discord_url"]

WRONG = "wrong.token.abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def token_file(discord_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("EASEL_DISCORD_URL", discord_url)
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return file


@pytest.mark.exhaustive
def test_unattended_it_ends_with_a_picture_and_an_invitation(easel: Easel, token_file: Path) -> None:
    answer = easel("setup", "--yes", "--token-file", str(token_file), "-o", "first.png")
    assert answer.returncode == 0, answer.stderr
    assert "client_id=4242" in answer.stdout
    assert "easel run" in answer.stdout
    assert TOKEN not in answer.stdout + answer.stderr
    with Image.open("first.png") as image:
        assert (
            max(image.getcolors(image.width * image.height) or [(0, 0)])[0] < image.width * image.height / 2
        )
    assert config.load().discord_token is not None
    assert stat.S_IMODE(Path(".env").stat().st_mode) == 0o600


def test_a_second_time_nothing_is_asked_or_changed(easel_here: Easel, token_file: Path) -> None:
    easel_here("setup", "--yes", "--no-draw", "--token-file", str(token_file))
    before = Path(".env").read_bytes()
    answer = easel_here("setup", "--yes", "--no-draw")
    assert answer.returncode == 0, answer.stderr
    assert Path(".env").read_bytes() == before


def test_other_lines_of_the_file_stay(easel_here: Easel, token_file: Path) -> None:
    Path(".env").write_text("# mine\nEASEL_WORKER_SLOTS=2\n")
    Path(".env").chmod(0o644)
    easel_here("setup", "--yes", "--no-draw", "--token-file", str(token_file))
    assert Path(".env").read_text().startswith("# mine\nEASEL_WORKER_SLOTS=2\n")
    assert config.load().worker_slots == 2
    assert stat.S_IMODE(Path(".env").stat().st_mode) == 0o600


def test_a_refused_token_stops_it_and_is_not_kept(easel_here: Easel, token_file: Path) -> None:
    token_file.write_text(WRONG)
    answer = easel_here("setup", "--yes", "--no-draw", "--token-file", str(token_file))
    assert answer.returncode == 2
    assert "401" in answer.stderr
    assert WRONG not in answer.stdout + answer.stderr
    assert not Path(".env").exists()


def test_a_database_that_does_not_answer_stops_it(easel_here: Easel, token_file: Path) -> None:
    answer = easel_here(
        "setup", "--yes", "--no-draw", "--token-file", str(token_file),
        "--database", "postgresql+psycopg://easel:pa55word@127.0.0.1:9/easel",
    )  # fmt: skip
    assert answer.returncode == 2
    assert "EASEL_DATABASE_URL" in answer.stderr
    assert "pa55word" not in answer.stdout + answer.stderr
    assert "EASEL_DATABASE_URL" not in Path(".env").read_text()


@pytest.mark.usefixtures("token_file")
def test_a_wrong_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "_is_asked", lambda *, yes: not yes)
    answer = CliRunner().invoke(app, ["setup", "--no-draw"], input=f"{WRONG}\n{TOKEN}\npicturebook\n")
    assert answer.exit_code == 0, answer.output
    assert answer.output.count("developers/applications") >= 2
    assert TOKEN not in answer.output
    token = config.load().discord_token
    assert token is not None
    assert token.get_secret_value() == TOKEN


def test_a_model_is_added_and_draws_for_who_chose_none(
    easel_here: Easel, token_file: Path, tmp_path: Path
) -> None:
    folder = tiny.make_sd(tmp_path / "castles")
    given = ["--token-file", str(token_file), "--model", str(folder)]
    answer = easel_here("setup", "--yes", "--no-draw", *given)
    assert answer.returncode == 0, answer.stderr
    models = catalog.load(config.load().catalog_file)
    assert models[models.default].family == "sd"
    assert "picturebook" in models.models


@pytest.mark.parametrize(("gib", "proposed"), [(4, "v1-5"), (8, "xl"), (24, "xl")])
def test_a_model_is_proposed_that_the_gpu_has_memory_for(
    monkeypatch: pytest.MonkeyPatch, gib: int, proposed: str
) -> None:
    monkeypatch.setattr(devices, "is_gpu", lambda _: True)
    monkeypatch.setattr(devices, "total_bytes", lambda _: gib * 2**30)
    assert proposed in setup._chosen_model(config.load(), asks=False)


def test_without_a_gpu_the_model_that_ships_is_proposed() -> None:
    assert setup._chosen_model(config.load(device="cpu"), asks=False) == "picturebook"
