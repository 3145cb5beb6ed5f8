import math
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.runs.journal import METRICS, Journal
from claf_engine.runs.logged_steps import MAX_CURVES, CurveName, StepReader
from claf_engine.terms.errors import ForeignFileError


def step(number: int, loss: float = 1.0, part: str = "encoder", phase: int = 0, name: str = "supcon") -> ev.StepLogged:
    return ev.StepLogged(number, phase, 1, part, name, loss, 0.1 * number, None, 1.0)


def written(directory: Path, *events: ev.Event, keep: int | None = None) -> Path:
    journal = Journal(directory)
    journal.open(keep=keep)
    for event in events:
        journal.append(event)
    journal.close()
    return directory


def read(reader: StepReader) -> dict[CurveName, tuple[list[float], list[float]]]:
    reader.read()
    return {name: (list(column.steps), list(column.values)) for name, column in reader.curves.items()}


def test_every_logged_step_is_read_with_its_loss_and_rate(tmp_path: Path) -> None:
    written(tmp_path, *(step(number, number / 7) for number in range(1, 3001)), ev.EpochFinished(3000, 0, 1, 1.0, 1.0))
    curves = read(StepReader(tmp_path))
    assert curves[CurveName("supcon", 0)] == (list(range(1, 3001)), [number / 7 for number in range(1, 3001)])
    assert curves[CurveName("", 0)][1] == [0.1 * number for number in range(1, 3001)]


def test_losses_and_phases_are_kept_apart_and_some_parts_have_another_rate(tmp_path: Path) -> None:
    written(tmp_path, step(1), step(2, 3.0, "retrain", 1, "classifier"), step(3, 2.0, phase=1))
    curves = read(StepReader(tmp_path, frozenset({"retrain"})))
    assert curves[CurveName("classifier", 1)] == ([2], [3.0])
    assert curves[CurveName("", 1)][0] == [3]


def test_a_loss_that_is_not_finite_is_a_gap(tmp_path: Path) -> None:
    written(tmp_path, step(1), step(2, math.nan), step(3, -1e-12))
    values = read(StepReader(tmp_path))[CurveName("supcon", 0)][1]
    assert [math.isnan(value) for value in values] == [False, True, False]
    assert values[2] == -1e-12


def test_what_is_added_is_read_at_the_next_look_and_nothing_twice(tmp_path: Path) -> None:
    reader = StepReader(written(tmp_path, step(1)))
    assert read(reader)[CurveName("supcon", 0)][0] == [1]
    with open(tmp_path / METRICS, "ab") as file:
        line = (tmp_path / METRICS).read_bytes().replace(b'"step": 1', b'"step": 2')
        file.write(line[:60])
        file.flush()
        assert read(reader)[CurveName("supcon", 0)][0] == [1]
        file.write(line[60:])
    assert read(reader)[CurveName("supcon", 0)][0] == [1, 2]


def test_a_journal_that_a_resumed_run_wrote_anew_is_read_anew(tmp_path: Path) -> None:
    reader = StepReader(written(tmp_path, *(step(number) for number in range(1, 9))))
    assert read(reader)[CurveName("supcon", 0)][0] == list(range(1, 9))
    written(tmp_path, step(5, 9.0), keep=4)
    assert read(reader)[CurveName("supcon", 0)] == ([1, 2, 3, 4, 5], [1.0, 1.0, 1.0, 1.0, 9.0])


def test_hostile_lines_leave_a_bounded_number_of_curves(tmp_path: Path) -> None:
    lines = [
        f'{{"seq": 1, "type": "StepLogged", "step": {number}, "phase": {number}, "epoch": 1, "part": "a", '
        f'"loss_name": "x{number}", "loss": 1e999, "learning_rate": --1, "images_per_second": null}}'
        for number in range(1000)
    ]
    (tmp_path / METRICS).write_text("\n".join([*lines, "{" * 1000, "\x00" * 5000, ""]))
    curves = read(StepReader(tmp_path))
    assert 0 < len(curves) <= MAX_CURVES
    assert all(math.isnan(value) for _, values in curves.values() for value in values)


def test_a_journal_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / METRICS).mkdir()
    with pytest.raises(ForeignFileError, match="metrics.jsonl"):
        StepReader(tmp_path).read()
