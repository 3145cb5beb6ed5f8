import json
from pathlib import Path

import pytest
import torch

from benchmarks import straightforward
from benchmarks.engine_side import Size
from benchmarks.linear import CHECKED_EPOCHS, check, main

SMALL = Size(16, 8, 8)


def test_both_sides_take_the_same_steps_loss_for_loss() -> None:
    found = check(SMALL, "cpu")
    assert len(found) == 2 * CHECKED_EPOCHS
    assert max(found) < 1e-5


def test_a_side_that_lets_batch_statistics_in_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(straightforward.Model, "eval", torch.nn.Module.train)
    assert max(check(SMALL, "cpu")) > 1e-3


@pytest.mark.benchmark
def test_a_tiny_run_says_how_many_epochs_were_measured_and_scales_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    tiny = ["--images=16", "--batch=8", "--width=8", "--repeats=1", "--epochs=6", "--measured-epochs=2"]
    main([*tiny, f"--json={file}"])
    figures = json.loads(file.read_text())
    plain, engine = (figures["sides"][name]["median_seconds"] for name in ("straightforward", "engine"))
    assert (figures["epochs"], figures["straightforward_measured_epochs"]) == (6, 2)
    assert figures["straightforward_scaled_seconds"] == pytest.approx(3 * plain, rel=0.1)
    assert figures["ratios"]["linear"] == pytest.approx(figures["straightforward_scaled_seconds"] / engine)
    assert "scaled" in capsys.readouterr().out
