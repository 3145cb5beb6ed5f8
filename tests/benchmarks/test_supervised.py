import json
from pathlib import Path

import pytest

from benchmarks import straightforward
from benchmarks.engine_side import Size
from benchmarks.supervised import METHODS, check, main, settings

SMALL = Size(16, 8, 8)
TOLERANCE = {"at": (1e-6, 5e-3), "trades": (1e-3, 2e-2)}
"""Of the first step and of all: near its start the gradient of TRADES is small enough for rounding to turn signs."""


@pytest.mark.parametrize("method", METHODS)
def test_both_sides_take_the_same_steps_loss_for_loss(method: str) -> None:
    found = check(SMALL, "cpu", settings(method, steps=3))
    first, all_steps = TOLERANCE[method]
    assert len(found) == 4
    assert found[0] < first
    assert max(found) < all_steps


def test_a_side_that_attacks_less_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(straightforward, "pgd", lambda model, x, y, attack: x)
    assert check(SMALL, "cpu", settings("at", steps=3))[0] > 1e-3


def test_a_side_that_weighs_the_divergence_otherwise_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = straightforward.trades
    monkeypatch.setattr(straightforward, "trades", lambda *given: plain(*given[:-1], 60.0))
    assert check(SMALL, "cpu", settings("trades", steps=3))[0] > 2e-2


@pytest.mark.benchmark
def test_a_tiny_run_writes_the_ratio_of_each_method(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    main(["--images=16", "--batch=8", "--width=8", "--steps=1", "--repeats=1", f"--json={file}"])
    figures = json.loads(file.read_text())
    assert set(figures["ratios"]) == set(figures["methods"]) == {"at", "trades"}
    assert min(figures["ratios"].values()) > 0
    for method in figures["methods"].values():
        assert set(method["sides"]) == {"straightforward", "engine"}
        assert all(min(side["seconds"]) > 0 for side in method["sides"].values())
    assert "TRADES" in capsys.readouterr().out
