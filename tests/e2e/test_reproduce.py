"""A table of the paper as a real process: killed with SIGKILL while it trains, and begun again."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import SETTINGS, environment

SCRIPT = """
import sys, tomllib
import claf_engine.reproduce.scales as scales
sections = {"common": tomllib.loads(sys.argv.pop(1)), "claf": {"method": "claf"}}
scales.scale_sections = lambda scale: sections
from claf_tui.cli import main
main()
"""
"""The command line, at a scale at which a run takes seconds."""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, SETTINGS, "reproduce", "table4", "--scale", "tiny", *arguments]


def reproduce_until_killed(folder: Path, step: int) -> int:
    """Reproduce in a process of its own and kill it as soon as a run has logged a step; gives its return code."""
    with (folder / "stderr").open("ab") as errors:
        process = subprocess.Popen(
            command("--ui", "jsonl"), env=environment(folder), stdout=subprocess.PIPE, stderr=errors
        )
        assert process.stdout is not None
        for line in process.stdout:
            record = json.loads(line)
            if record["type"] == "StepLogged" and record["step"] >= step:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
        return process.wait(120)


def reproduced(folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        command("--json"), env=environment(folder), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


@pytest.mark.slow
def test_a_table_killed_while_it_trains_ends_with_the_figures_of_one_that_was_not(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    assert reproduce_until_killed(tmp_path / "killed", 30) == -signal.SIGKILL
    killed, whole = reproduced(tmp_path / "killed"), reproduced(tmp_path / "whole")
    assert len(list((tmp_path / "killed" / "runs").glob("*-tiny-claf-seed0"))) == 1
    for row, other in zip(killed["rows"], whole["rows"], strict=True):
        assert row["runs"][0]["weights_sha256"] == other["runs"][0]["weights_sha256"]
        assert (row["natural_accuracy"], row["robust"]) == (other["natural_accuracy"], other["robust"])
    assert set(killed["rows"][0]) >= {"method", "label", "natural_accuracy", "robust", "paper", "run"}
