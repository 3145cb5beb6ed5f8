import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from claf_engine.config import RunConfig
from claf_engine.events import ProbeFinished, RobustFigure
from claf_engine.runs.folder import settings_text
from claf_engine.runs.journal import METRICS
from results import choose

EPOCHS = 8


def run_of(root: Path, name: str, selection: float | None, *, epoch: int = EPOCHS, **changes: Any) -> Path:
    """A run's folder: its settings, and its last probe."""
    folder = root / f"20260101-000000-{name}"
    folder.mkdir(parents=True)
    config = RunConfig.model_validate({"method": "at", "supervised": {"epochs": EPOCHS}, **changes})
    (folder / "config.toml").write_text(settings_text(config))
    figures = tuple(
        RobustFigure(
            epsilon=epsilon, accuracy=0.4, attack="pgd", steps=10, step_size="2/255", restarts=1, num_examples=1000
        )
        for epsilon in ("8/255", "16/255")
    )
    probe = asdict(ProbeFinished(100, 0, epoch, "adversarial", 0.6, figures, 1.0, selection=selection))
    records = [{"seq": 0, "type": "ProbeFinished", **probe}] if selection is not None else []
    (folder / METRICS).write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def names(root: Path) -> list[str]:
    return [candidate.name for candidate in choose.read_candidates(root)]


def test_the_best_on_validation_images_comes_first(tmp_path: Path) -> None:
    for name, selection in (("low", 0.2), ("high", 0.35), ("middle", 0.3)):
        run_of(tmp_path, f"search-{name}", selection)
    assert names(tmp_path) == ["high", "middle", "low"]


def test_what_a_run_said_of_test_images_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        run = run_of(tmp_path, f"search-{name}", 0.3)
        (run / "results.json").write_text("not even JSON")
    opened: list[Path] = []
    read = choose.read_records
    monkeypatch.setattr(choose, "read_records", lambda path: (opened.append(path), read(path))[1])
    assert names(tmp_path) == ["a", "b"]
    assert {path.name for path in opened} == {METRICS}


def test_test_results_in_the_same_journal_do_not_move_the_choice(tmp_path: Path) -> None:
    run_of(tmp_path, "search-a", 0.3)
    worse = run_of(tmp_path, "search-b", 0.2)
    with (worse / METRICS).open("a") as journal:
        journal.write(json.dumps({"seq": 1, "type": "RunFinished", "selection": 0.99}) + "\n")
    assert names(tmp_path) == ["a", "b"]


def test_runs_that_still_train_and_other_runs_are_left_out(tmp_path: Path) -> None:
    run_of(tmp_path, "search-done", 0.3)
    run_of(tmp_path, "search-begun", None)
    run_of(tmp_path, "search-half", 0.5, epoch=EPOCHS // 2)
    run_of(tmp_path, "at", 0.5)
    assert names(tmp_path) == ["done"]


def test_a_candidate_says_what_it_changes_and_what_it_costs(tmp_path: Path) -> None:
    run_of(tmp_path, "search-a", 0.3, attack={"steps": 10})
    run_of(tmp_path, "search-b", 0.2, attack={"steps": 10}, averaging={"decay": 0.999}, seed=3)
    first, second = choose.read_candidates(tmp_path)
    assert (first.changes, second.changes) == ({}, {"averaging.decay": 0.999})
    assert first.units == EPOCHS * 23, "ten steps of 2 and a full pass of 3"
    assert second.seed == 3


def test_the_ranking_gives_the_interval_of_the_figure_that_decides(tmp_path: Path) -> None:
    run_of(tmp_path, "search-a", 0.3)
    assert "| 30.0 (27.2 to 32.9) |" in choose.as_table(choose.read_candidates(tmp_path))


def test_records_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run_of(tmp_path / "runs", "search-a", 0.3)
    kept = tmp_path / "search.json"
    monkeypatch.setattr("sys.argv", ["choose", str(tmp_path / "runs"), "--records", str(kept)])
    choose.main()
    (record,) = json.loads(kept.read_text())
    assert (record["name"], record["selection"]) == ("a", 0.3)
    assert "| a | 104 |" in capsys.readouterr().out
