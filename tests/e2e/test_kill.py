"""The promise of `docs/runs.md`: killed at any moment, a run goes on as if nothing had happened."""

import json
import random
from pathlib import Path

import pytest

from tests.e2e.processes import SETTINGS, Nursery, claf, metrics
from tests.soak import KILLS

KILLS_PER_STAGE = 5
STAGE_STEPS = {"contrastive": (0, 20), "adversarial": (20, 56), "linear evaluation": (56, 304)}
"""First and last step of each stage under `SETTINGS`: four batches a pass."""


def weights(nursery: Nursery, folder: Path, run: str) -> str:
    shown = nursery.claf(folder, "checkpoint", "show", run, "--checkpoint", "last", "--json")
    return str(json.loads(shown.stdout)["weights_sha256"])


@pytest.mark.skipif(
    not KILLS, reason="make soak sets CLAF_SOAK_KILLS; test_kill_matrix kills in every run of the tests"
)
@pytest.mark.soak
@pytest.mark.timeout(400)
def test_a_run_killed_five_times_in_each_stage_ends_bit_identical(nursery: Nursery, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(SETTINGS)
    started = ["--config", str(tmp_path / "tiny.toml")]
    train = ("train", "--ui", "jsonl")
    assert claf(tmp_path, *train, *started, "--name", "whole").returncode == 0
    seed = random.SystemRandom().randrange(2**32)
    choose = random.Random(seed)
    arguments = [*started, "--name", "killed"]
    codes = []
    for first, last in STAGE_STEPS.values():
        margin = (last - first) // 5
        for step in sorted(choose.sample(range(first + 1, last - margin), KILLS_PER_STAGE)):
            codes.append(nursery.claf_until(step, tmp_path, "train", *arguments))
            has_checkpoints = any((tmp_path / "runs").glob("*-killed/checkpoints/step-*"))
            arguments = ["--resume", "killed", *([] if has_checkpoints else ["--restart"])]
    assert codes == [-9] * 15, f"not every process was killed (seed {seed}): {codes}"
    assert claf(tmp_path, *train, *arguments).returncode == 0
    whole, killed = ((next((tmp_path / "runs").glob(f"*-{name}"))) for name in ("whole", "killed"))
    assert metrics(killed) == metrics(whole), f"seed {seed}"
    assert weights(nursery, tmp_path, "killed") == weights(nursery, tmp_path, "whole"), f"seed {seed}"
