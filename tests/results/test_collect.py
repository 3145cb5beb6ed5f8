import json
import sys
from pathlib import Path
from typing import Any

import pytest

from claf_engine.config import RunConfig
from claf_engine.runs.folder import settings_text
from claf_engine.runs.journal import METRICS
from results import collect
from results.evidence import TABLE1, read_evidence
from tests.results import made
from tests.results.test_choose import run_of

CARD = {
    "format": 1,
    "kind": "audit",
    "verdict": "passes",
    "space": "pixel",
    "budget": "quick",
    "classifier": "adversarial",
    "weights_sha256": "a" * 64,
    "command": "claf-tui audit /srv/runs/at",
    "date": "2026-01-01",
}


def finished(root: Path, name: str, **changes: Any) -> Path:
    run = run_of(root, name, None, **changes)
    (run / "status.json").write_text(json.dumps({"status": "finished"}))
    return run


def reproduced(root: Path, name: str, record: dict[str, Any]) -> None:
    folder = root / "reproductions" / name
    folder.mkdir(parents=True)
    (folder / "reproduction.json").write_text(json.dumps(record))


def test_what_is_collected_is_what_the_page_reads(tmp_path: Path) -> None:
    root, results = tmp_path / "runs", tmp_path / "results"
    run = finished(root, "at", data={"source": "folder:/srv/pictures"})
    (run / "audit" / "cards").mkdir(parents=True)
    (run / "audit" / "cards" / f"{'a' * 16}-adversarial-quick.json").write_text(json.dumps(CARD))
    reproduced(root, "table1-small-pixel-equal", made.table("table1", "pixel", made.BALL, made.PAPER))
    (root / "curves").mkdir()
    (root / "curves" / f"{run.name}.json").write_text(json.dumps({**made.curve(run.name, (0.6, 0.3)), "device": "cpu"}))
    collect.collect(root, results)
    found = read_evidence(results)
    assert found.tables.keys() == {TABLE1}
    assert found.curves.keys() == {run.name}
    assert found.settings[run.name]["data.source"] == "folder:pictures"
    assert found.cards == (f"{run.name}-adversarial-aaaaaaaa",)
    assert {"at", "claf"} < found.paper_units.keys()
    assert "/srv" not in "".join(path.read_text() for path in results.rglob("*") if path.is_file())


def test_collecting_twice_changes_nothing(tmp_path: Path) -> None:
    finished(tmp_path / "runs", "at")
    collect.collect(tmp_path / "runs", tmp_path / "results")
    before = {path: path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file()}
    collect.collect(tmp_path / "runs", tmp_path / "results")
    assert {path: path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file()} == before


def test_of_several_tables_of_one_name_the_fullest_is_taken(tmp_path: Path) -> None:
    full = made.table("table1", "pixel", made.BALL, made.PAPER)
    waiting = {**full, "rows": [{**row, "status": "waiting"} for row in full["rows"]]}
    reproduced(tmp_path / "runs", "a", full)
    reproduced(tmp_path / "runs", "b", {**waiting, "compute": "own"})
    collect.collect(tmp_path / "runs", tmp_path / "results")
    assert read_evidence(tmp_path / "results").tables[TABLE1]["compute"] == "equal"


def test_a_claf_run_tells_how_its_attack_classifier_fared(tmp_path: Path) -> None:
    run = finished(tmp_path, "claf", method="claf")
    moved = {"type": "DissociationMeasured", "epoch": 1, "fitted": 0.3, "moved": 0.2, "num_examples": 64}
    retrained = {"type": "ClassifierRetrained", "epoch": 1, "before": 0.1, "after": 0.3}
    records = [{"seq": number, **record} for number, record in enumerate((retrained, moved))]
    (run / METRICS).write_text("".join(json.dumps(record) + "\n" for record in records))
    found = collect.dissociation_of(run)
    assert found is not None
    assert found["dissociation"] == [{"epoch": 1, "fitted": 0.3, "moved": 0.2}]
    assert found["retraining"] == [{"epoch": 1, "before": 0.1, "after": 0.3}]
    assert collect.dissociation_of(finished(tmp_path, "at")) is None


def test_a_run_is_kept_until_a_table_has_measured_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(collect, "keep", lambda run, folder: asked.append(run.name) or True)
    run = run_of(tmp_path / "runs", "at", None)
    for name, status in (("at", "interrupted"), ("search-x", "interrupted"), ("lost", "diverged")):
        path = run_of(tmp_path / "runs", name, None) if name != "at" else run
        (path / "status.json").write_text(json.dumps({"status": status}))
    collect.collect(tmp_path / "runs", tmp_path / "results")
    assert asked == [run.name], "neither a search nor a run that diverged"
    kept = tmp_path / "results" / "unfinished" / run.name
    kept.mkdir(parents=True)
    (run / "status.json").write_text(json.dumps({"status": "finished"}))
    collect.collect(tmp_path / "runs", tmp_path / "results")
    assert kept.exists(), "finished, and its row is not"
    table = made.table("table1", "pixel", made.BALL, made.PAPER)
    table["rows"][0]["runs"][0]["run"] = run.name
    reproduced(tmp_path / "runs", "table1", table)
    collect.collect(tmp_path / "runs", tmp_path / "results")
    assert not kept.exists()


def test_measurements_are_kept_bit_for_bit_and_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = {"right": "+/srv/x/8=", "survivors": "//8AB/w="}
    record = {**outcomes, "natural": 0.5, "subject": {"checkpoint": "/srv/runs/at/checkpoints/step-1.safetensors"}}
    measurements = tmp_path / "runs" / "reproductions" / "measurements"
    measurements.mkdir(parents=True)
    (measurements / "abc.json").write_text(json.dumps(record))
    assert "measurements: 1" in collect.collect(tmp_path / "runs", tmp_path / "results")
    command = ["collect", str(tmp_path / "elsewhere"), "--results", str(tmp_path / "results"), "--restore"]
    monkeypatch.setattr(sys, "argv", command)
    collect.main()
    back = json.loads((tmp_path / "elsewhere" / "reproductions" / "measurements" / "abc.json").read_text())
    assert {key: back[key] for key in outcomes} == outcomes
    assert back["subject"]["checkpoint"] == "step-1.safetensors"


def unfinished(results: Path, name: str) -> None:
    folder = results / "unfinished" / name
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(settings_text(RunConfig()))


def test_restoring_leaves_alone_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        unfinished(tmp_path / "results", name)
    (tmp_path / "runs" / "one").mkdir(parents=True)
    command = ["collect", str(tmp_path / "runs"), "--results", str(tmp_path / "results"), "--restore"]
    monkeypatch.setattr(sys, "argv", command)
    collect.main()
    out = capsys.readouterr().out
    assert "one: left alone" in out
    assert "two: restored, trains on shapes" in out
    assert (tmp_path / "runs" / "two" / "config.toml").exists()


def test_a_mistake_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["collect", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit, match="there is no folder of runs at"):
        collect.main()
    (tmp_path / "reproductions" / "a").mkdir(parents=True)
    (tmp_path / "reproductions" / "a" / "reproduction.json").write_text("{")
    monkeypatch.setattr(sys, "argv", ["collect", str(tmp_path), "--results", str(tmp_path / "results")])
    with pytest.raises(SystemExit, match=r"error: .*reproduction\.json"):
        collect.main()


def test_a_table_of_earlier_code_is_left_out_and_said(tmp_path: Path) -> None:
    full = made.table("table1", "pixel", made.BALL, made.PAPER)
    reproduced(tmp_path / "runs", "old", {key: value for key, value in full.items() if key != "pairs"})
    told = collect.collect(tmp_path / "runs", tmp_path / "results")
    assert "old left out" in told[0]
    assert not (tmp_path / "results" / "tables").exists()
