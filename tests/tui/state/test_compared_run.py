import json
from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine.accuracy.intervals import wilson
from claf_engine.evaluation.cards import write_card
from claf_tui.state.compared_run import Accuracy, with_labels
from tests.tui.compared import compared_folder, figure, read_folder, result, with_best
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted_audit import card
from tests.tui.scripted_methods import played


def test_a_finished_run_stands_for_its_selected_result_with_intervals(tmp_path: Path) -> None:
    other = replace(result([figure(0.1)], 0.2), selected=False)
    run = read_folder("A", compared_folder(tmp_path, "1-a", results=[other, result([figure(0.6)])]))
    assert run.measured is not None
    assert (run.measured.split, run.measured.natural.share, run.measured.robust[0].accuracy) == ("test", 0.9, 0.6)
    assert (run.measured.natural.low, run.measured.natural.high) == wilson(900, 1000)


def test_a_run_on_its_way_stands_for_its_latest_probe(tmp_path: Path) -> None:
    events = list(played(tmp_path / "1-a", "at"))[:-1]
    run = read_folder("A", compared_folder(tmp_path, "1-a", method="at", status="running", events=events))
    assert run.measured is not None
    assert (run.measured.split, run.measured.natural.share) == ("validation", 0.931)
    assert run.status == "interrupted"


def test_where_the_journal_is_lost_the_probe_of_the_status_counts(tmp_path: Path) -> None:
    folder = compared_folder(tmp_path, "1-a", events=[])
    probe = {"natural": 0.5, "classifier": "attack", "robust": []}
    (folder / "status.json").write_text(json.dumps({"status": "stopped", "probe": probe}))
    run = read_folder("A", folder)
    assert run.measured is not None
    assert (run.measured.split, run.measured.natural.share) == ("validation", 0.5)


def test_units_are_counted_from_the_epochs_that_were_finished(tmp_path: Path) -> None:
    folder = compared_folder(tmp_path, "1-a", method="at")
    run = read_folder("A", folder, (23.0,))
    assert (run.epochs, run.units) == (4, 92.0)


def test_units_of_other_phases_than_the_run_has_are_not_believed(tmp_path: Path) -> None:
    assert read_folder("A", compared_folder(tmp_path, "1-a", method="at"), (1.0, 2.0)).units is None


def test_settings_that_this_version_does_not_know_are_shown_as_they_are_and_told(tmp_path: Path) -> None:
    folder = compared_folder(tmp_path, "1-a")
    (folder / "config.toml").write_text('method = "claf"\n[strange]\nvalue = 3\n')
    run = read_folder("A", folder)
    assert run.settings == {"method": "claf", "strange.value": 3}
    assert "strange" in " ".join(run.notices)


def test_a_run_without_readable_settings_is_told_and_compared_by_the_rest(tmp_path: Path) -> None:
    folder = compared_folder(tmp_path, "1-a")
    (folder / "config.toml").write_bytes(b"\xff = [")
    run = read_folder("A", folder)
    assert run.settings is None
    assert run.measured is not None
    assert "config.toml" in run.notices[0]


def test_the_card_of_the_measured_classifier_is_found(tmp_path: Path) -> None:
    folder = with_best(compared_folder(tmp_path, "1-a"))
    (folder / "audit").mkdir()
    write_card(card(), folder / "audit" / "step-40")
    run = read_folder("A", folder)
    assert run.standing == "audit fails"
    assert run.best is not None


def test_names_are_cleaned(tmp_path: Path) -> None:
    folder = compared_folder(tmp_path, "1-a")
    record = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps({**record, "status": EVERYTHING, "data": EVERYTHING}))
    assert read_folder("A", folder).status.isprintable()


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("20261124-080000-at", "20261124-090000-claf"), ["at", "claf"]),
        (("20261124-080000-at", "20261124-090000-at"), ["080000 at", "090000 at"]),
        (("20261124-080000-at", "20261125-080000-at"), ["20261124-080000-at", "20261125-080000-at"]),
    ],
)
def test_runs_of_one_name_are_told_apart(tmp_path: Path, names: tuple[str, str], labels: list[str]) -> None:
    runs = [read_folder("A", compared_folder(tmp_path, name)) for name in names]
    assert [run.label for run in with_labels(runs)] == labels


def test_an_accuracy_on_no_images_has_no_interval() -> None:
    assert Accuracy.of(0.5, 0) == Accuracy(0.5, 0, None, None)
