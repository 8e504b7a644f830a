"""`easel bot` and `easel worker` as processes of their own, at the loopback Discord."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from storage.config import Config
from tests.bot.discord_server import DiscordServer

ROOT = Path(__file__).parents[2]


class Processes:
    def __init__(self, server: DiscordServer, config: Config) -> None:
        self._server = server
        self._config = config
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """`easel <command>`; its log is appended to `<command>.log` in the data folder."""
        config = self._config
        environment = {
            "DISCORD_TOKEN": self._server.token,
            "EASEL_DISCORD_URL": self._server.url,
            "EASEL_DATABASE_URL": config.database,
            "EASEL_BROKER_URL": config.broker,
            "EASEL_IMAGES_URL": config.images,
            "EASEL_DATA_DIR": str(config.data_dir),
            "EASEL_CATALOG": str(config.catalog or ""),
            "EASEL_DEVICE": "cpu",
            "OMP_NUM_THREADS": "1",
        }
        with (config.data_dir / f"{command}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "easel", command],
                env=os.environ | environment,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._started.append(process)
        return process

    def start_bot(self, command: str = "bot") -> subprocess.Popen[bytes]:
        """`easel bot` (or `run`), ready to answer."""
        before = self._server.gateway.identified
        process = self.start(command)
        self._server.wait_for(
            lambda: self._server.gateway.identified > before or process.poll() is not None,
            240,
            "the bot's login",
        )
        assert process.poll() is None, self.log(command)
        return process

    def log(self, command: str) -> str:
        return (self._config.data_dir / f"{command}.log").read_text(encoding="utf-8")

    @staticmethod
    def kill(process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    @staticmethod
    def stop(process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                self.kill(process)
