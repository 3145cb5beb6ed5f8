"""A table of the paper as a real process: killed with SIGKILL while it trains, and begun again."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import SETTINGS, Nursery

PRELUDE = f"""
import tomllib
import claf_engine.reproduce.scales as scales
common = tomllib.loads({SETTINGS!r})
common["linear_evaluation"]["epochs"] = 5
sections = {{"measure": {{"autoattack": 0}}, "common": common, "claf": {{"method": "claf"}}}}
scales.scale_sections = lambda scale: sections
"""
"""A scale at which a run takes seconds."""
COMMAND = ("reproduce", "table4", "--scale", "tiny", "--no-audit")


def reproduced(nursery: Nursery, folder: Path) -> dict[str, Any]:
    done = nursery.claf(folder, *COMMAND, "--json", first=PRELUDE)
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


@pytest.mark.slow
def test_a_table_killed_while_it_trains_ends_with_the_figures_of_one_that_was_not(
    nursery: Nursery, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    assert nursery.claf_until(30, tmp_path / "killed", *COMMAND, first=PRELUDE) == -signal.SIGKILL
    killed, whole = reproduced(nursery, tmp_path / "killed"), reproduced(nursery, tmp_path / "whole")
    assert len(list((tmp_path / "killed" / "runs").glob("*-tiny-claf-seed0"))) == 1
    for row, other in zip(killed["rows"], whole["rows"], strict=True):
        assert row["runs"][0]["weights_sha256"] == other["runs"][0]["weights_sha256"]
        assert (row["natural_accuracy"], row["robust"]) == (other["natural_accuracy"], other["robust"])
    assert set(killed["rows"][0]) >= {"method", "label", "natural_accuracy", "robust", "paper", "run"}
