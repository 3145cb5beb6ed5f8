"""The preset `smoke` of every method, and a run that earlier code began, give what that code gave.

`smoke.json` holds the metrics and the hash of the weights. On the processor and torch that wrote it everything must be
equal to the last bit; elsewhere sums round differently, and losses must agree within a tolerance.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from claf_engine.config import RunConfig
from claf_engine.config.presets import Override, resolve_config
from claf_engine.runs import RunDirectory, create_run, list_checkpoints, open_run
from claf_engine.runs.journal import METRICS, read_records
from tests.engine.tiny import play
from tests.golden.arithmetic import processor

FOLDER = Path(__file__).parent
RECORDED: dict[str, Any] = json.loads((FOLDER / "smoke.json").read_text())
METHODS = [name for name in RECORDED["runs"] if name != "earlier_run"]
TIMED = {"elapsed", "images_per_second", "seconds", "seq"}
TOLERANCES = {"rocl": 2e-2}
"""Relative, of losses on other processors: three times what AVX2 and SSE kernels differ by at most."""
TOLERANCE = 5e-4


def smoke_config(method: str) -> RunConfig:
    return resolve_config("smoke", None, [Override("method", method)])


def metrics_of(directory: RunDirectory) -> list[dict[str, Any]]:
    """The records of a run's metrics without what depends on the clock."""
    return [
        {key: value for key, value in record.items() if key not in TIMED}
        for record in read_records(directory.path / METRICS)
    ]


def as_recorded(found: Any, recorded: Any) -> Any:
    """What was found without keys that came later; whatever earlier code wrote must be there and equal."""
    if isinstance(found, dict) and isinstance(recorded, dict):
        return {key: as_recorded(value, recorded[key]) for key, value in found.items() if key in recorded}
    if isinstance(found, list) and isinstance(recorded, list) and len(found) == len(recorded):
        return [as_recorded(one, other) for one, other in zip(found, recorded, strict=True)]
    return found


def weights_of(directory: RunDirectory) -> str:
    info = list_checkpoints(directory.path)[0].info
    assert info is not None
    return info.weights_sha256


def require_recorded(directory: RunDirectory, name: str, tolerance: float) -> None:
    """Compare a finished run with what was recorded under a name."""
    expected, found = RECORDED["runs"][name], metrics_of(directory)
    if (RECORDED["processor"], RECORDED["torch"]) == (processor(), torch.__version__):
        assert as_recorded(found, expected["metrics"]) == expected["metrics"]
        assert weights_of(directory) == expected["weights_sha256"]
        return
    shapes = [[(record["type"], record["step"]) for record in records] for records in (found, expected["metrics"])]
    assert shapes[0] == shapes[1]
    losses = [[record["loss"] for record in records if "loss" in record] for records in (found, expected["metrics"])]
    assert losses[0] == pytest.approx(losses[1], rel=tolerance)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_trains_as_it_did(method: str, tmp_path: Path) -> None:
    directory = create_run(tmp_path, method, smoke_config(method), ["claf-tui"])
    play(directory)
    require_recorded(directory, method, TOLERANCES.get(method, TOLERANCE))


def test_a_run_and_its_checkpoint_from_earlier_code_go_on_as_they_would_have(tmp_path: Path) -> None:
    """Killed by SIGKILL at step 17 of 36, in stage 2; its newest checkpoint is of step 15, inside a pass."""
    folder = tmp_path / "20261128-123419-earlier"
    shutil.copytree(FOLDER / "earlier_run", folder)
    directory = open_run(folder)
    assert [entry.path.name for entry in list_checkpoints(folder)] == ["step-000000015.safetensors"]
    play(directory)
    require_recorded(directory, "earlier_run", TOLERANCE)


def test_a_run_of_another_seed_is_not_taken_for_the_recorded_one(tmp_path: Path) -> None:
    """The control: the comparison sees a difference, exact or within the tolerance."""
    directory = create_run(tmp_path, "natural", smoke_config("natural").model_copy(update={"seed": 1}), ["claf-tui"])
    play(directory)
    with pytest.raises(AssertionError):
        require_recorded(directory, "natural", TOLERANCE)
