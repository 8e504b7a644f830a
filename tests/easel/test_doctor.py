"""What the doctor says, with a Discord on this machine and without one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pydantic import SecretStr

from actions import permissions
from easel import checkups, invitation
from easel.checkups import Finding
from easel.doctor import Purpose, examine
from generator import devices
from storage import config
from storage.config import Config
from storage.database import Database
from tests.easel.conftest import Easel

TOKEN = "right.token.abcdefghijklmnopqrstuvwxyz"


class _Discord(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        right = self.headers["Authorization"] == f"Bot {TOKEN}"
        known = right and self.path.endswith("/oauth2/applications/@me")
        body = json.dumps({"id": "4242", "name": "Easel of mine"} if known else {"message": "401"}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not on the test's output."""


@pytest.fixture
def discord_url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Discord) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api/v10"
        server.shutdown()
        thread.join()


def _of(findings: list[Finding], subject: str) -> Finding:
    return next(finding for finding in findings if finding.subject == subject)


def test_a_machine_that_could_start(discord_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
    monkeypatch.setenv("EASEL_DISCORD_URL", discord_url)
    database = Database(config.load().database)
    database.upgrade()
    database.close()
    findings = list(examine(Purpose.RUN))
    assert [finding for finding in findings if finding.state == "bad"] == []
    assert "Easel of mine" in _of(findings, "DISCORD_TOKEN").text
    assert "client_id=4242" in _of(findings, "invitation").text
    assert _of(findings, "database").state == "good"
    assert _of(findings, "broker").state == "good"
    assert _of(findings, "torch").state == "good"
    assert _of(findings, "model picturebook").state == "good"


def test_without_a_token_it_could_not_start_and_says_so(easel: Easel) -> None:
    answer = easel("doctor", "bot")
    assert answer.returncode == 1
    assert "DISCORD_TOKEN" in answer.stdout
    assert "is not set" in answer.stdout
    assert "bad" in answer.stdout


def test_the_demo_needs_no_token() -> None:
    assert [finding for finding in examine(Purpose.DEMO) if finding.state == "bad"] == []


def test_a_refused_token_is_named_and_not_shown(
    easel: Easel, discord_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "wrong.token.abcdefghijklmnopqrstuvwxyz")
    monkeypatch.setenv("EASEL_DISCORD_URL", discord_url)
    answer = easel("doctor")
    assert answer.returncode == 1
    assert "401" in answer.stdout
    assert "wrong.token" not in answer.stdout + answer.stderr


def test_a_gpu_without_a_compiler_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpu = torch.device("cuda")
    monkeypatch.setattr(devices, "choose", lambda _: gpu)
    monkeypatch.setattr(devices, "name", lambda _: "A GPU")
    monkeypatch.setattr(devices, "total_bytes", lambda _: 2**34)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 6))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    findings = list(checkups.device(Config(device="cuda")))
    assert (findings[0].state, findings[0].text) == ("good", "A GPU, 16 GiB")
    assert {(each.state, each.subject) for each in findings[1:]} == {("note", "EASEL_COMPILE")}
    assert "g++" in findings[1].mend
    assert [each.state for each in checkups.device(Config(device="cuda", compile="off"))] == ["good"]


def test_a_model_that_does_not_fit_is_noticed() -> None:
    told = {each.subject: each for each in checkups.models(Config(device="cpu"))}
    assert told["memory of picturebook"].state == "good"
    told = {each.subject: each for each in checkups.models(Config(device="cpu", memory=0.6))}
    assert told["memory of picturebook"].state == "note"
    assert "does not fit" in told["memory of picturebook"].text


@pytest.mark.parametrize(("cuda", "mend"), [(None, "force-reinstall"), ("13.0", "driver for CUDA 13.0")])
def test_a_driver_that_torch_cannot_use_is_noticed(
    cuda: str | None, mend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "nvidia-smi").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    *_, finding = checkups.device(Config())
    assert (finding.state, finding.subject) == ("note", "device")
    assert mend in finding.mend


def test_services_that_do_not_answer(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    nowhere = f"127.0.0.1:{unused_tcp_port}"
    monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
    monkeypatch.setenv("EASEL_DISCORD_URL", f"http://{nowhere}/api/v10")
    monkeypatch.setenv("EASEL_DATABASE_URL", f"postgresql+psycopg://easel:hunter2@{nowhere}/easel")
    monkeypatch.setenv("EASEL_BROKER_URL", f"redis://:hunter2@{nowhere}/0")
    findings = list(examine(Purpose.BOT))
    assert _of(findings, "Discord").state == "bad"
    assert _of(findings, "EASEL_DATABASE_URL").state == "bad"
    assert _of(findings, "EASEL_BROKER_URL").state == "note", "jobs are taken without a broker, too"
    assert all("hunter2" not in finding.text + finding.mend for finding in findings)


def test_real_services_answer(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str, redis_url: str, amqp_url: str
) -> None:
    monkeypatch.setenv("EASEL_DATABASE_URL", postgres_url)
    for broker in (redis_url, amqp_url):
        monkeypatch.setenv("EASEL_BROKER_URL", broker)
        findings = list(examine(Purpose.WORKER))
        assert _of(findings, "broker").state == "good"
        assert _of(findings, "database").state == "note"
        assert "easel db upgrade" in _of(findings, "database").mend


def test_a_misspelt_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEL_DATABSE_URL", "sqlite:///x.db")
    assert "EASEL_DATABASE_URL" in _of(list(examine(Purpose.WORKER)), "EASEL_DATABSE_URL").mend


def test_pictures_that_cannot_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("EASEL_IMAGES_URL", (tmp_path / "file" / "images").as_uri())
    assert _of(list(examine(Purpose.WORKER)), "EASEL_IMAGES_URL").state == "bad"


def test_a_catalog_with_missing_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.toml"
    catalog.write_text('[models.gone]\nsource = "/nowhere/model.safetensors"\nsizes = [[512, 512]]\n')
    monkeypatch.setenv("EASEL_CATALOG", str(catalog))
    finding = _of(list(examine(Purpose.WORKER)), "model gone")
    assert finding.state == "bad"
    assert "/nowhere/model.safetensors does not exist" in finding.text


def test_the_invitation_asks_for_what_the_bot_needs_and_nothing_else() -> None:
    asked = {name.rstrip("s") for name in invitation.PERMISSIONS}
    needed = {permission.value.rstrip("s") for permission in permissions.Permission}
    # Read to look, after a crash, whether a result was posted already.
    assert asked == needed | {"Read Message History", "Send Messages in Thread"}


def test_the_bot_needs_the_catalog_but_not_the_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, discord_url: str
) -> None:
    catalog = tmp_path / "catalog.toml"
    catalog.write_text('[models.elsewhere]\nsource = "/srv/weights"\nsizes = [[512, 512]]\n')
    monkeypatch.setenv("EASEL_CATALOG", str(catalog))
    monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
    monkeypatch.setenv("EASEL_DISCORD_URL", discord_url)
    assert [finding for finding in examine(Purpose.BOT) if finding.state == "bad"] == []
    assert _of(list(examine(Purpose.WORKER)), "model elsewhere").state == "bad"


def test_what_other_users_could_read_is_noticed(tmp_path: Path) -> None:
    settings = Config(data_dir=tmp_path)
    (tmp_path / "easel.key").touch(0o600)
    tmp_path.chmod(0o700)
    assert list(checkups.private_folder(settings)) == []
    tmp_path.chmod(0o750)
    (tmp_path / "easel.key").chmod(0o644)
    assert [finding.mend for finding in checkups.private_folder(settings)] == [
        f"chmod 700 {tmp_path}",
        f"chmod 600 {tmp_path / 'easel.key'}",
    ]


def test_a_key_of_this_machine_alone_is_noticed(tmp_path: Path) -> None:
    """Where the broker joins several processes."""
    redis, key = SecretStr("redis://127.0.0.1"), SecretStr("k" * 40)
    assert list(checkups.key(Config(data_dir=tmp_path))) == []
    (note,) = checkups.key(Config(data_dir=tmp_path, broker_url=redis))
    assert (note.state, note.subject) == ("note", "EASEL_KEY")
    (good,) = checkups.key(Config(data_dir=tmp_path, broker_url=redis, key=key))
    assert good.state == "good"


def test_an_impossible_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path / "file"))
    finding = _of(list(examine(Purpose.DEMO)), "EASEL_DATABASE_URL")
    assert finding.state == "bad"
    assert "Not a directory" in finding.text


def test_a_full_disk_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    assert [each.state for each in checkups.pictures(Config(data_dir=tmp_path))] == ["bad"]


@pytest.mark.parametrize(("name", "value"), [("BROKER", "redis://127.0.0.1:1/x"), ("DISCORD", "nonsense")])
def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"EASEL_{name}_URL", value)
    findings = list(examine(Purpose.WORKER))
    assert any(f"EASEL_{name}_URL" in each.subject + each.text for each in findings if each.state != "good")
