import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.events.ticks import Pulse
from claf_engine.reproduce.auditing import Audited
from claf_engine.reproduce.measuring import Subject
from claf_engine.reproduce.runner import reproduce
from claf_engine.runs import RunDirectory, list_runs
from claf_engine.terms.errors import ConfigError, DataError, NonFiniteLoss, RunLocked
from claf_engine.terms.names import Verdict
from claf_engine.training.run import run
from tests.engine.reproduce.conftest import Reproduced, request_of
from tests.engine.wavy import Short

pytestmark = pytest.mark.usefixtures("tiny_scale")


def played(root: Path, table: str = "table4", **changes: Any) -> list[ev.Event]:
    return list(reproduce(request_of(root, table, **changes), Control()))


def last(events: list[ev.Event]) -> ev.ReproductionChanged:
    assert isinstance(events[-1], ev.ReproductionChanged)
    return events[-1]


def num_trained(events: list[ev.Event]) -> int:
    return sum(isinstance(event, ev.RunStarted) for event in events)


def num_measured(events: list[ev.Event]) -> int:
    """Attacks on test images that were really made."""
    seen = [event for event in events if isinstance(event, ev.Progressed) and event.activity.startswith("test images")]
    return sum(event.activity.endswith("natural accuracy") for event in seen)


def test_every_row_ends_with_a_figure_for_every_column(reproduced: Reproduced) -> None:
    table = last(reproduced.events)
    assert [row.label for row in table.rows] == ["Natural", "Adversarial"]
    assert all(row.natural is not None and None not in row.robust and len(row.robust) == 4 for row in table.rows)
    assert table.columns == ("PGD-10 at 8/255", "PGD-10 at 16/255", "PGD-20 at 8/255", "PGD-40 at 16/255")


def test_rows_of_the_same_settings_share_one_run(reproduced: Reproduced) -> None:
    assert num_trained(reproduced.events) == len(list_runs(reproduced.root)) == 1
    rows = last(reproduced.events).rows
    assert rows[0].runs == rows[1].runs
    assert [row.status for row in rows] == ["finished", "reused"]


def test_a_table_tells_whenever_a_row_changes_and_the_run_s_own_events_come_between(tmp_path: Path) -> None:
    events = played(tmp_path, "table3")
    tables = [event for event in events if isinstance(event, ev.ReproductionChanged)]
    statuses = [table.rows[0].status for table in tables]
    assert list(dict.fromkeys(statuses)) == ["waiting", "running", "evaluating", "finished"]
    filled = [sum(value is not None for value in table.rows[0].robust) for table in tables]
    assert filled == sorted(filled)
    assert set(filled) == {0, 1, 2, 3}
    kinds = {type(event) for event in events}
    assert {ev.RunStarted, ev.StepLogged, ev.CheckpointSaved, ev.RunFinished} <= kinds


def test_the_run_of_a_row_is_named_as_soon_as_it_begins(tmp_path: Path) -> None:
    events = played(tmp_path, "table3")
    begun = next(index for index, event in enumerate(events) if isinstance(event, ev.RunStarted))
    told = events[begun + 1]
    assert isinstance(told, ev.ReproductionChanged)
    assert told.rows[0].runs == (list_runs(tmp_path)[0].name,)


def test_a_second_reproduction_trains_and_measures_nothing(tmp_path: Path, reproduced: Reproduced) -> None:
    first = last(reproduced.events)
    events = played(reproduced.copy(tmp_path))
    assert (num_trained(events), num_measured(events)) == (0, 0)
    again = last(events)
    assert [(row.natural, row.robust, row.runs) for row in again.rows] == [
        (row.natural, row.robust, row.runs) for row in first.rows
    ]
    assert {row.status for row in again.rows} == {"reused"}


def test_another_table_finds_the_run_and_measures_only_its_own_attacks(tmp_path: Path, reproduced: Reproduced) -> None:
    events = played(reproduced.copy(tmp_path), "table3")
    assert num_trained(events) == 0
    assert num_measured(events) == 2


def kill(events: Iterator[ev.Event], when: Callable[[ev.Event], bool]) -> None:
    """Stop consuming, as a killed process does: nothing is said to anybody."""
    for event in events:
        if when(event):
            break
    events.close()  # type: ignore[attr-defined]


def test_a_reproduction_killed_while_it_trains_goes_on_with_that_run(tmp_path: Path, reproduced: Reproduced) -> None:
    whole = last(reproduced.events)
    kill(
        reproduce(request_of(tmp_path), Control()),
        lambda event: isinstance(event, ev.CheckpointSaved) and event.step > 3,
    )
    assert list_runs(tmp_path)[0].status == "interrupted"
    events = played(tmp_path)
    [started] = [event for event in events if isinstance(event, ev.RunStarted)]
    assert started.resumed_from_step
    assert len(list_runs(tmp_path)) == 1
    assert [(row.natural, row.robust) for row in last(events).rows] == [(row.natural, row.robust) for row in whole.rows]


def test_a_reproduction_killed_while_it_measures_keeps_what_was_measured(
    tmp_path: Path, reproduced: Reproduced
) -> None:
    kill(
        reproduce(request_of(reproduced.copy(tmp_path), "table3"), Control()),
        lambda event: isinstance(event, ev.ReproductionChanged) and event.rows[0].robust[0] is not None,
    )
    events = played(tmp_path, "table3")
    assert (num_trained(events), num_measured(events)) == (0, 2)


def test_a_stop_while_it_trains_saves_the_run_and_leaves(tmp_path: Path) -> None:
    control = Control()
    events = []
    for event in reproduce(request_of(tmp_path), control):
        events.append(event)
        if isinstance(event, ev.StepLogged):
            control.stop()
    assert [run.status for run in list_runs(tmp_path)] == ["stopped"]
    assert [row.status for row in last(events).rows] == ["waiting", "waiting"]
    assert [row.status for row in last(played(tmp_path)).rows] == ["finished", "reused"]


def test_a_stop_while_it_measures_leaves_at_once(tmp_path: Path) -> None:
    control = Control()
    events = []
    for event in reproduce(request_of(tmp_path), control):
        events.append(event)
        if isinstance(event, ev.Progressed) and event.activity.startswith("test images, PGD"):
            control.stop()
    assert last(events).rows[0].status == "waiting"
    assert num_measured(events) == 1


def test_a_measurement_can_be_paused(tmp_path: Path, reproduced: Reproduced) -> None:
    control = Control()
    told = []
    for event in reproduce(request_of(reproduced.copy(tmp_path), "table3"), control):
        if isinstance(event, ev.Progressed) and event.activity.startswith("test images") and not told:
            told.append("asked")
            control.pause()
        if isinstance(event, ev.ControlChanged):
            told.append(event.status)
            control.resume()
    assert told == ["asked", "paused", "resumed"]


def test_what_is_asked_for_while_a_row_is_measured_is_refused_in_words(tmp_path: Path, reproduced: Reproduced) -> None:
    control = Control()
    notices = []
    for event in reproduce(request_of(reproduced.copy(tmp_path), "table3"), control):
        if isinstance(event, ev.ReproductionChanged) and event.rows[0].status == "evaluating" and not notices:
            control.probe_now()
        if isinstance(event, ev.Notice):
            notices.append(event.text)
    assert notices[0] == "a row is being measured: there is nothing to edit, probe or save"


def failing(recipe_change: str) -> Callable[[RunDirectory, Control], Iterator[ev.Event]]:
    def engine(directory: RunDirectory, control: Control) -> Iterator[ev.Event]:
        if recipe_change not in directory.path.name:
            yield from run(directory, control)
            return
        yield ev.RunFinished("failed", 1, 0.0, reason="training diverged")
        raise NonFiniteLoss("training diverged")

    return engine


def test_a_run_that_fails_marks_its_row_and_the_next_row_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_engine.reproduce.runner.run", failing("reinitialise"))
    rows = last(played(tmp_path, "table5")).rows
    assert (rows[0].status, rows[0].reason, rows[0].natural) == ("failed", "training diverged", None)
    assert rows[1].status == "finished"
    record = json.loads((request_of(tmp_path, "table5").directory / "reproduction.json").read_text())
    assert [row["reason"] for row in record["rows"]] == ["training diverged", ""]


def crashing(part: str) -> Callable[..., Iterator[ev.Event]]:
    def step(*_: object) -> Iterator[ev.Event]:
        yield from ()
        raise ZeroDivisionError(part)

    return step


def test_a_bug_while_a_row_is_trained_ends_the_reproduction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claf_engine.reproduce.runner.run", crashing("training"))
    told: list[ev.Event] = []
    with pytest.raises(ZeroDivisionError, match="training"):
        told.extend(reproduce(request_of(tmp_path, "table5"), Control()))
    assert num_trained(told) == 0


def test_a_bug_while_a_row_is_measured_ends_the_reproduction(
    tmp_path: Path, reproduced: Reproduced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_engine.reproduce.runner.Measurer.measure_steps", crashing("measuring"))
    with pytest.raises(ZeroDivisionError, match="measuring"):
        played(reproduced.copy(tmp_path), "table3")


def test_an_error_of_ours_while_a_row_is_measured_fails_that_row_alone(
    tmp_path: Path, reproduced: Reproduced, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Iterator[ev.Event]:
        yield from ()
        raise DataError("the test images are gone")

    monkeypatch.setattr("claf_engine.reproduce.runner.Measurer.measure_steps", fail)
    rows = last(played(reproduced.copy(tmp_path))).rows
    assert [(row.status, row.reason) for row in rows] == [("failed", "the test images are gone")] * 2


def test_a_run_in_use_by_another_process_fails_its_row_alone(tmp_path: Path) -> None:
    control = Control()
    for event in reproduce(request_of(tmp_path), control):
        if isinstance(event, ev.StepLogged):
            control.stop()
    other = RunDirectory(list_runs(tmp_path)[0].directory, None)  # type: ignore[arg-type]
    rows = last(played(tmp_path)).rows
    other.close()
    assert rows[0].status == "failed"
    assert "is in use by process" in rows[0].reason


def test_several_seeds_give_their_mean_and_their_spread(tmp_path: Path, reproduced: Reproduced) -> None:
    rows = last(played(reproduced.copy(tmp_path), seeds=2)).rows
    assert len(list_runs(tmp_path)) == len(rows[0].runs) == 2
    record = json.loads((request_of(tmp_path).directory / "reproduction.json").read_text())
    naturals = [seed["natural_accuracy"] for seed in record["rows"][0]["runs"]]
    assert rows[0].natural == pytest.approx(sum(naturals) / 2)
    assert rows[0].spread is not None
    assert rows[0].spread >= max(naturals) - min(naturals)


def test_one_seed_has_no_spread(reproduced: Reproduced) -> None:
    assert last(reproduced.events).rows[0].spread is None


def test_the_released_code_s_space_is_trained_and_measured_in(tmp_path: Path) -> None:
    played(tmp_path, space="released-code")
    record = json.loads((request_of(tmp_path, space="released-code").directory / "reproduction.json").read_text())
    figures = record["rows"][0]["robust"]
    assert [figure["space"] for figure in figures] == ["released-code"] * 2 + ["pixel"] * 2
    assert not record["is_epsilon_ball"]
    assert figures[0]["largest_distance"] > 8 / 255


def test_the_folder_of_reproductions_is_no_run(reproduced: Reproduced) -> None:
    assert (reproduced.root / "reproductions").is_dir()
    assert all(run.name != "reproductions" for run in list_runs(reproduced.root))


def test_two_processes_do_not_fill_one_table(tmp_path: Path) -> None:
    events = reproduce(request_of(tmp_path), Control())
    next(events)
    with pytest.raises(RunLocked, match="another process fills"):
        next(reproduce(request_of(tmp_path), Control()))
    events.close()  # type: ignore[attr-defined]


def test_a_wrong_source_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown data source"):
        played(tmp_path, data="mnist")
    assert list(tmp_path.iterdir()) == []


def test_a_row_is_measured_under_autoattack_on_the_first_images(
    tmp_path: Path, reproduced: Reproduced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyautoattack.AutoAttack", Short)
    events = played(reproduced.copy(tmp_path), autoattack=5)
    rows = last(events).rows
    assert last(events).columns[-1] == "AutoAttack at 8/255"
    record = json.loads((request_of(tmp_path).directory / "reproduction.json").read_text())
    figure = record["rows"][0]["robust"][-1]
    assert (figure["attack"], figure["num_examples"], figure["space"]) == ("autoattack", 5, "pixel")
    assert rows[0].robust[-1] == figure["robust_accuracy"]
    low, high = figure["interval"]
    assert low <= figure["robust_accuracy"] <= high
    assert any(isinstance(event, ev.Progressed) and "AutoAttack" in event.activity for event in events)
    assert num_measured(played(tmp_path, autoattack=5)) == 0


def test_without_the_library_the_column_is_not_measured_and_says_what_to_install(
    tmp_path: Path, reproduced: Reproduced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    row = last(played(reproduced.copy(tmp_path), autoattack=5)).rows[0]
    assert (row.status, row.robust[-1]) == ("reused", None)
    assert None not in row.robust[:-1]
    [notice] = [text for text in row.notices if "AutoAttack" in text]
    assert notice.startswith("AutoAttack at 8/255 was not measured: AutoAttack needs the audit extra: ")
    assert notice.endswith("or leave it out, --autoattack 0")


def test_every_row_has_the_verdict_of_its_audit(
    tmp_path: Path, reproduced: Reproduced, monkeypatch: pytest.MonkeyPatch
) -> None:
    def audited(_root: Path, subject: Subject, *_: object) -> Iterator[Pulse]:
        yield Pulse("attacking")
        verdict: Verdict = "fails" if subject.classifier == "natural" else "passes"
        return Audited(verdict, ("steps",) * (verdict == "fails"), (), 0.2, (0.1, 0.3), 16, "quick", "pixel")

    monkeypatch.setattr("claf_engine.reproduce.runner.audited_steps", audited)
    events = played(reproduced.copy(tmp_path), audit=True)
    assert [row.audit for row in last(events).rows] == ["fails", "passes"]
    assert last(events).rows[0].notices[-1] == "Natural, seed 0: the audit fails: steps"
    assert not any("audit" in notice for notice in last(events).rows[1].notices)
    record = json.loads((request_of(tmp_path).directory / "reproduction.json").read_text())
    assert [row["audit"] for row in record["rows"]] == ["fails", "passes"]
    assert record["rows"][0]["runs"][0]["audit"]["failed"] == ["steps"]
    text = (request_of(tmp_path).directory / "reproduction.md").read_text()
    assert "| Natural | 0 | fails | steps | – | 20.0 of 16, pixel |" in text


def test_every_two_rows_are_compared_and_the_record_says_what_is_noise(reproduced: Reproduced) -> None:
    record = json.loads((request_of(reproduced.root).directory / "reproduction.json").read_text())
    pairs = record["pairs"]
    assert [pair["column"] for pair in pairs] == ["natural", *record["columns"]]
    assert {(pair["first"], pair["second"]) for pair in pairs} == {("Natural", "Adversarial")}
    for pair, place in zip(pairs[1:], range(4), strict=True):
        ours, theirs = (row["robust"][place]["robust_accuracy"] for row in record["rows"])
        assert pair["difference"] == pytest.approx(ours - theirs, abs=1e-6)
        assert pair["interval"][0] <= pair["difference"] <= pair["interval"][1]


def test_no_path_of_this_machine_is_in_the_record(reproduced: Reproduced) -> None:
    text = (request_of(reproduced.root).directory / "reproduction.json").read_text()
    assert str(reproduced.root) not in text


def activity_of(event: ev.Event) -> str:
    return event.activity if isinstance(event, ev.Progressed) else ""


def test_a_reproduction_killed_in_the_middle_of_autoattack_goes_on_with_it(
    tmp_path: Path, reproduced: Reproduced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyautoattack.AutoAttack", Short)
    monkeypatch.setattr("claf_engine.reproduce.systems.AUTOATTACK_BATCH", 2)
    root = reproduced.copy(tmp_path)
    whole = tmp_path / "whole"
    events = played(reproduced.copy(whole), autoattack=8)
    kill(reproduce(request_of(root, autoattack=8), Control()), lambda event: "fab-t" in activity_of(event))
    rest = played(root, autoattack=8)
    attacks, left = ([event for event in each if "AutoAttack" in activity_of(event)] for each in (events, rest))
    assert 0 < len(left) < len(attacks)
    assert [row.robust for row in last(rest).rows] == [row.robust for row in last(events).rows]
    assert not any("went on" in notice for notice in last(rest).rows[0].notices)
