"""How long the suite takes: dear files first, the dearest named in the summary, a full run kept in a file.

`make test` leaves out what is marked `exhaustive`; `make test-all` runs all and writes `LAST_FULL_RUN`.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

LAST_FULL_RUN = Path(__file__).parent / "last-full-run.txt"
UNKNOWN_S = 5.0
"""What a file is taken to cost that was not in the last full run."""
NAMED = 10
LONG_S = 10.0
"""A test that takes longer by itself, and is not marked, is named in the summary."""
Seconds = defaultdict[str, float]
OUTCOMES = ("passed", "failed", "error", "rerun", "skipped", "xfailed", "xpassed")

_deselected = pytest.StashKey[int]()
_began = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep-result", action="store_true", help=f"write {LAST_FULL_RUN.name}")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_deselected] = 0
    config.stash[_began] = time.monotonic()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The dearest file first, so that the workers end together."""
    seconds = known_seconds()
    items.sort(key=lambda item: -seconds.get(item.nodeid.split("::")[0], UNKNOWN_S))


def known_seconds() -> dict[str, float]:
    """What each file's tests took in `make test` at the last full run."""
    if not LAST_FULL_RUN.exists():
        return {}
    rows = re.findall(r"^ *([\d.]+) +[\d.]+  (\S+\.py)$", LAST_FULL_RUN.read_text(), re.MULTILINE)
    return {file: float(seconds) for seconds, file in rows}


def pytest_deselected(items: list[pytest.Item]) -> None:
    if items:
        items[0].config.stash[_deselected] += len(items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:  # a worker of xdist, whose collection the one who asked does not see
        output["deselected"] = session.config.stash[_deselected]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    deselected = getattr(node, "workeroutput", {}).get("deselected", 0)
    node.config.stash[_deselected] = max(node.config.stash[_deselected], deselected)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    _show_first_tries(terminalreporter)
    tests = Tests(_reports(terminalreporter))
    if not tests.seconds:
        return
    terminalreporter.section("where the time went")
    for line in tests.dearest():
        terminalreporter.write_line(line)
    for line in tests.long():
        terminalreporter.write_line(line, yellow=True, bold=True)
    if config.stash[_deselected]:
        terminalreporter.write_line(
            f"Left out by -m or -k: {config.stash[_deselected]}. `make test-all` runs every test."
        )
    if config.getoption("--keep-result") and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        counts = {name: len(terminalreporter.stats.get(name, ())) for name in OUTCOMES}
        LAST_FULL_RUN.write_text(tests.kept(counts, time.monotonic() - config.stash[_began]))


def _show_first_tries(terminalreporter: pytest.TerminalReporter) -> None:
    """Show why a test needed its second try, so that the cause can be found."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first try of {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


def _reports(terminalreporter: pytest.TerminalReporter) -> list[pytest.TestReport]:
    everything = chain.from_iterable(terminalreporter.stats.values())
    return [report for report in everything if isinstance(report, pytest.TestReport)]


class Tests:
    """What a run's tests took."""

    def __init__(self, reports: Iterable[pytest.TestReport]) -> None:
        self.reports = list(reports)
        self.seconds: Seconds = defaultdict(float)
        """By test, with what its fixtures took."""
        self.usual: Seconds = defaultdict(float)
        self.exhaustive: Seconds = defaultdict(float)
        """By file."""
        for report in self.reports:
            self.seconds[report.nodeid] += report.duration
            files = self.exhaustive if "exhaustive" in report.keywords else self.usual
            files[report.nodeid.split("::")[0]] += report.duration

    def files(self) -> list[str]:
        """The dearest first."""
        files = {*self.usual, *self.exhaustive}
        return sorted(files, key=lambda file: -self.usual[file] - self.exhaustive[file])

    def dearest(self) -> list[str]:
        tests = sorted(self.seconds, key=lambda test: -self.seconds[test])
        return [
            f"{sum(self.seconds.values()):.0f} s in all, one after the other. The dearest files and tests:",
            *(f"{self.usual[file] + self.exhaustive[file]:7.1f}  {file}" for file in self.files()[:NAMED]),
            *(f"{self.seconds[test]:7.1f}  {test}" for test in tests[:NAMED]),
        ]

    def long(self) -> list[str]:
        """Only named: on a busy machine anything may take so long."""
        return [
            f"{report.nodeid} took {report.duration:.0f} s by itself: make it quicker or `exhaustive`"
            for report in self.reports
            if report.when == "call" and report.duration > LONG_S and "exhaustive" not in report.keywords
        ]

    def kept(self, counts: dict[str, int], wall_s: float) -> str:
        failures = [
            f"{report.outcome.upper()} {report.nodeid}"
            for report in self.reports
            if report.outcome in ("failed", "rerun")
        ]
        said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        return "\n".join(
            [
                "The last `make test-all`, as it says itself. Commit it with what it tested.",
                "",
                f"date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
                f"commit    {_commit()}",
                f"took      {wall_s / 60:.1f} minutes",
                f"tests     {said}",
                f"failures  {len(failures) or 'none'}",
                *failures,
                "",
                "seconds in `make test`, seconds of exhaustive tests, file:",
                *(f"{self.usual[file]:7.1f} {self.exhaustive[file]:7.1f}  {file}" for file in self.files()),
                "",
            ]
        )


def _commit() -> str:
    """The commit that was tested, and whether anything was changed since."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=LAST_FULL_RUN.parent, capture_output=True, text=True, check=False
        ).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!last-full-run.txt")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + (", with changes" if changed else "")
