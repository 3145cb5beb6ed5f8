import math
import tracemalloc
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.runs.journal import METRICS, Journal
from claf_engine.runs.metric_rows import MEASURED, MetricReader, values_of
from claf_engine.terms.errors import ForeignFileError, MissingFile
from tests.tui.scripted_methods import checked, probe, released_code, sentinels

STEP = ev.StepLogged(7, 1, 2, "encoder", "supcon", 1.5, 0.1, 800.0, 12.5)


def logged(folder: Path, *events: ev.Event) -> MetricReader:
    journal = Journal(folder)
    journal.open()
    for event in events:
        journal.append(event)
    journal.close()
    return MetricReader(folder)


def test_every_event_of_metrics_gives_rows() -> None:
    events = [
        STEP,
        ev.EpochFinished(7, 1, 2, 3.0, 1.4),
        ev.ClassifierRetrained(7, 2, 0.2, 0.4, 100),
        checked(7, 2, 0.4),
        ev.DissociationMeasured(7, 2, 0.4, 0.3, 0.1, 100),
        probe(7, 1, "attack", selection=0.5),
        sentinels(7),
    ]
    assert {type(event) for event in events} == set(MEASURED)
    names = [name for event in events for name, _ in values_of(event)]  # type: ignore[arg-type]
    assert len(names) == len(set(names))
    assert {"loss/supcon", "learning rate/encoder", "probe/attack/robust 8/255", "probe/attack/selection"} <= set(names)


def test_a_row_tells_step_phase_epoch_and_the_time_of_the_last_logged_step(tmp_path: Path) -> None:
    rows = list(logged(tmp_path, STEP, ev.ClassifierRetrained(9, 3, 0.2, 0.4, 100)).rows())
    assert rows[0] == (7, 1, 2, 12.5, "loss/supcon", 1.5)
    assert rows[-1] == (9, 1, 3, 12.5, "retrain/after", 0.4)


def test_before_the_first_logged_step_the_time_is_not_known(tmp_path: Path) -> None:
    assert next(logged(tmp_path, probe(0, 0, "quick fit")).rows()).elapsed is None


def test_a_radius_of_another_space_has_a_name_of_its_own(tmp_path: Path) -> None:
    figures = probe(1, 0, "attack").robust
    event = probe(1, 0, "attack", robust=(figures[0], released_code(figures[0])))
    names = [row.name for row in logged(tmp_path, event).rows()]
    assert names[1:] == ["probe/attack/robust 8/255", "probe/attack/robust 8/255 released-code"]


def test_values_that_are_not_finite_are_kept_and_counted(tmp_path: Path) -> None:
    reader = logged(tmp_path, ev.StepLogged(1, 0, 1, "encoder", "supcon", math.nan, 0.1, None, 1.0))
    rows = list(reader.rows())
    assert math.isnan(rows[0].value)
    assert (reader.num_rows, reader.num_not_finite, reader.num_damaged) == (2, 1, 0)


def test_damaged_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    logged(tmp_path, STEP)
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"seq": 1, "type": "StepLogged"}\nnothing\n')
    reader = MetricReader(tmp_path)
    assert (len(list(reader.rows())), reader.num_damaged) == (3, 2)


def test_no_step_of_a_long_journal_is_left_out_and_memory_is_bounded(tmp_path: Path) -> None:
    count, line = 4000, '{"seq": %d, "type": "StepLogged", "step": %d, "phase": 0, "epoch": 1, "part": "encoder", '
    line += '"loss_name": "supcon", "loss": 1.0, "learning_rate": 0.1, "images_per_second": null, "elapsed": 1.0, '
    line += f'"more": "{"x" * 3000}"}}\n'
    with (tmp_path / METRICS).open("w") as file:
        file.writelines(line % (number, number + 1) for number in range(count))
    tracemalloc.start()
    num_rows = sum(1 for _ in MetricReader(tmp_path).rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert num_rows == 2 * count
    assert peak < (tmp_path / METRICS).stat().st_size / 2


def test_a_run_that_has_logged_nothing_and_a_journal_that_is_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        MetricReader(tmp_path)
    (tmp_path / METRICS).mkdir()
    with pytest.raises(ForeignFileError):
        MetricReader(tmp_path)
