"""What a soak is asked for, in variables of the environment, and the page that it writes of what it did.

CLAF_SOAK_KILLS: how many runs are killed, over all methods, phases and named points; none unless it is set.
CLAF_SOAK_SEED: of the choice where they are killed; drawn where it is not set.
CLAF_SOAK_PAGE: the file that takes the page; none is written unless it is set.
"""

import os
import random
import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

KILLS = int(os.environ.get("CLAF_SOAK_KILLS", "0"))
SEED = int(os.environ.setdefault("CLAF_SOAK_SEED", str(random.SystemRandom().randrange(2**32))))
"""The same in every process of a session: those that are started later find it set."""
KILL, READER = "kill", "reader"
"""Properties of a test's report: how a killed run went on, and with how many examples a reader was tested."""


class Page:
    """Collects what the tests of a session report, and writes it as a page when they are through."""

    def __init__(self, path: Path, arguments: Sequence[str]) -> None:
        self._path, self._arguments = path, arguments
        self._started = time.time()
        self._kills: list[dict[str, Any]] = []
        self._readers: list[dict[str, Any]] = []
        self._passed = self._failed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what one test tells."""
        if report.when != "call" or report.skipped:
            return
        self._passed, self._failed = self._passed + report.passed, self._failed + report.failed
        for name, value in report.user_properties:
            if name == KILL and isinstance(value, dict):
                self._kills.append(value)
            if name == READER and isinstance(value, dict):
                self._readers.append({**value, "failures": int(report.failed)})

    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        minutes = (time.time() - self._started) / 60
        head = f"# Soak\n\n{self._told(minutes)}\n"
        self._path.write_text("\n".join([head, *self._kill_table(), *self._reader_table()]), encoding="utf-8")

    def _told(self, minutes: float) -> str:
        import torch

        from claf_engine.selftest.environment import processor_name

        commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
        variables = ("HYPOTHESIS_PROFILE", "CLAF_SOAK_KILLS", "CLAF_SOAK_SEED")
        asked = " ".join(f"{name}={os.environ[name]}" for name in variables if name in os.environ)
        return (
            f"`make soak` writes this page. {time.strftime('%Y-%m-%d')}, commit `{commit.stdout.strip()}`, "
            f"{processor_name()}, {os.cpu_count()} cores, torch {torch.__version__}, {minutes:.0f} minutes, with "
            f"`{asked} pytest {shlex.join(self._arguments)}`: {self._passed} tests passed and {self._failed} failed."
        )

    def _kill_table(self) -> list[str]:
        if not self._kills:
            return []
        rows = [
            "## Runs killed with SIGKILL\n",
            "Where they are killed is drawn from the seed: the step in a phase, and whether before, amid or after its "
            "record or a moment later; the method at a named point. A run is the same when its records, its results "
            "and every tensor of its last checkpoint are those of a run that nobody disturbed.\n",
            "| where | runs killed | kills | gone on with | the same |\n|---|---:|---:|---:|---:|",
        ]
        places = list(dict.fromkeys(kill["where"] for kill in sorted(self._kills, key=_place)))
        rows += [self._kill_row(place, [kill for kill in self._kills if kill["where"] == place]) for place in places]
        return [*rows, self._kill_row("all", self._kills), ""]

    @staticmethod
    def _kill_row(place: str, kills: list[dict[str, Any]]) -> str:
        counts = [sum(kill.get(key, 0) for kill in kills) for key in ("killed", "resumed", "identical")]
        return f"| {place} | {len(kills)} | {' | '.join(map(str, counts))} |"

    def _reader_table(self) -> list[str]:
        if not self._readers:
            return []
        rows = [
            "## Readers of files that somebody else may have written\n",
            "Each is given arbitrary bytes and damaged copies of a whole file; nothing but an error of ours may come "
            "out, nothing may be written, and the whole file is read.\n",
            "| reader | examples | of them read | failures |\n|---|---:|---:|---:|",
        ]
        readers = sorted(self._readers, key=lambda reader: str(reader["name"]))
        rows += [
            f"| {each['name']} | {each['examples']:,} | {each['read']:,} | {each['failures']} |" for each in readers
        ]
        return [*rows, ""]


def _place(kill: dict[str, Any]) -> tuple[bool, str]:
    return kill["where"].partition(":")[0] != kill["method"], str(kill["where"])
