"""Brokers of a test's own, which it may kill: the machine's are shared."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether `true()` came about in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return bool(true())


class OwnBroker(ABC):
    """A broker process on a free port of 127.0.0.1, started from `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def _command(self) -> tuple[list[str], dict[str, str]]: ...

    def start(self) -> None:
        command, environment = self._command()
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=os.environ | environment,
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        assert wait_until(self._answers, 120), (self.folder / "output").read_text()

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def running(self) -> bool:
        return self._process is not None

    def pause(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


class OwnRedis(OwnBroker):
    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _command(self) -> tuple[list[str], dict[str, str]]:
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""], {}


class OwnRabbitMQ(OwnBroker):
    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def _command(self) -> tuple[list[str], dict[str, str]]:
        (self.folder / "rabbitmq.conf").write_text(f"listeners.tcp.default = 127.0.0.1:{self.port}\n")
        (self.folder / "plugins").write_text("[].\n")
        # Not the wrapper in /usr/sbin: it changes to the service's own user and folders.
        return [str(RABBITMQ)], {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"easel{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
        }


@contextmanager
def own_broker(kind: type[OwnBroker], program: str, folder: Path) -> Iterator[OwnBroker]:
    if not (shutil.which(program) or Path(program).exists()):
        message = f"{program} is not here; apt-get install redis-server rabbitmq-server"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    broker = kind(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


@pytest.fixture(scope="session")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    with own_broker(OwnRedis, "redis-server", tmp_path_factory.mktemp("redis")) as broker:
        yield broker


@pytest.fixture(scope="session")
def own_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    with own_broker(OwnRabbitMQ, str(RABBITMQ), tmp_path_factory.mktemp("rabbitmq")) as broker:
        yield broker


@pytest.fixture(params=["redis", "amqp"])
def broker(request: pytest.FixtureRequest) -> Iterator[OwnBroker]:
    """A broker that may be killed; afterwards it runs again."""
    broker: OwnBroker = request.getfixturevalue("own_redis" if request.param == "redis" else "own_rabbitmq")
    yield broker
    if not broker.running:
        broker.start()


@pytest.fixture(params=["memory", "redis", "amqp"])
def broker_url(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return "memory://"
    broker: OwnBroker = request.getfixturevalue("own_redis" if request.param == "redis" else "own_rabbitmq")
    return broker.url
