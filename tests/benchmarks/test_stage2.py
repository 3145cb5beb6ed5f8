import json
from pathlib import Path

import pytest

from benchmarks import straightforward
from benchmarks.engine_side import Size
from benchmarks.stage2 import check, main, settings
from claf_engine.terms.errors import ConfigError

SMALL = Size(16, 8, 8)
TINY = ["--images=16", "--batch=8", "--width=8", "--steps=1", "--sweeps=1", "--repeats=1"]
NUM_EXACT = 2 * 2 + 1
"""Steps until the encoder has learnt: two sweeps of two batches, and the loss of its own first step."""


def test_both_sides_take_the_same_steps_loss_for_loss() -> None:
    found = check(SMALL, "cpu", settings(steps=2, sweeps=2))
    assert len(found) == 2 * (2 * 2 + 2)
    assert max(found[:NUM_EXACT]) < 1e-5
    assert max(found) < 5e-3


def test_a_side_that_attacks_less_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(straightforward, "pgd", lambda model, x, y, attack: x if model.eval() else x)
    assert max(check(SMALL, "cpu", settings(steps=2, sweeps=2))[:NUM_EXACT]) > 1e-4


@pytest.mark.benchmark
def test_a_tiny_run_writes_ratios_and_the_seconds_of_each_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    variant = ["adversarial.classifier_epochs=2", "attack.random_start=false"]
    main([*TINY, "--variant", *variant, "--json", str(file)])
    figures = json.loads(file.read_text())
    assert set(figures["ratios"]) == {"exact", " ".join(variant)}
    assert min(figures["ratios"].values()) > 0
    assert figures["size"] == {"images": 16, "batch": 8, "width": 2}
    for name, side in figures["sides"].items():
        waiting = {"waiting"} if name == "straightforward" else set()
        assert set(side["parts"]) == {"retrain", "encoder"} | waiting
        assert min(side["parts"].values()) > 0
    assert "straightforward" in capsys.readouterr().out


def test_a_setting_that_does_not_exist_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(ConfigError, match="adversarial.classifier_epoch"):
        main(["--variant", "adversarial.classifier_epoch=1"])
