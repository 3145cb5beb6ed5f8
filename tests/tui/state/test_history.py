from pathlib import Path

from claf_engine import events as ev
from claf_tui.state import history
from tests.tui.compared import compared_folder
from tests.tui.scripted_methods import collapsed, played


def test_edits_alerts_phases_and_the_end_are_told_in_order_with_step_and_time(tmp_path: Path) -> None:
    events = list(played(tmp_path / "a", "at"))
    told = [*events[:4], ev.ValueEdited(5, "learning_rate", 0.1, 0.05), collapsed(5, 1), *events[4:]]
    found = history.read_history(compared_folder(tmp_path, "a", method="at", events=told)).happenings
    assert [each.kind for each in found] == ["start", "phase", "edit", "alert", "phase", "end"]
    edit = found[2]
    assert (edit.step, edit.elapsed, edit.text) == (5, 5.0, "learning_rate: 0.1 → 0.05")


def test_another_number_of_threads_belongs_to_the_history(tmp_path: Path) -> None:
    events = list(played(tmp_path / "a", "at"))
    told = [*events[:4], ev.ThreadsChanged(5, 2, 1, 1.25), *events[4:]]
    found = history.read_history(compared_folder(tmp_path, "a", method="at", events=told)).happenings
    assert [(each.step, each.kind) for each in found if "1 thread" in each.text] == [(5, "control")]


def test_of_too_many_the_newest_are_told_and_the_others_counted(tmp_path: Path) -> None:
    edits = [ev.ValueEdited(number, "learning_rate", 0.1, 0.05) for number in range(history.MAX_HAPPENINGS + 7)]
    found = history.read_history(compared_folder(tmp_path, "a", events=edits))
    assert (len(found.happenings), found.num_left_out) == (history.MAX_HAPPENINGS, 7)
    assert found.happenings[0].step == 7
