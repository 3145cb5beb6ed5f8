from dataclasses import replace

import pytest

from claf_tui.state import RunState
from claf_tui.state.moment import Moment
from claf_tui.state.reproduction import Scene
from claf_tui.widgets.queue_bar import progress_line, segments, title_line
from claf_tui.words import figures
from tests.tui.scripted_reproduction import table, waiting_rows

NOW = 1_800_000_000.0


def scene(word: str = "RUNNING", **changes: object) -> Scene:
    rows = (replace(waiting_rows()[0], status="finished"), *waiting_rows()[1:])
    return Scene(replace(RunState(), reproduction=table(rows, **changes)), Moment(word, 0, 65.0, NOW))


@pytest.mark.parametrize("width", [48, 60, 80, 140])
def test_a_space_that_is_no_ball_is_told_at_every_width(width: int) -> None:
    line = title_line(scene(space="released-code"), width)
    assert "not an ε-ball" in line.plain
    assert line.cell_length <= width


def test_the_title_names_table_scale_and_space() -> None:
    plain = title_line(scene(), 140).plain
    assert all(part in plain for part in ("RUNNING", "table1", "small scale", "pixel space", "CIFAR-10", "1:05"))


@pytest.mark.parametrize("width", [3, 11, 40, 97])
def test_the_segments_fill_their_width_exactly(width: int) -> None:
    assert segments(scene(), width).cell_length == width


def test_the_progress_counts_rows_and_names_the_time_left() -> None:
    plain = progress_line(scene(), 100).plain
    assert plain.startswith(" 1 of 6 rows")
    assert plain.endswith(f"{figures.end_time(2 * 3600 + 32 * 60, NOW)} ")


def test_a_table_that_waits_tells_how_long_it_will_take() -> None:
    assert progress_line(scene("PAUSED"), 100).plain.endswith("~2:32:00 left ")


def test_what_is_left_is_calibrated_before_anything_is_known() -> None:
    rows = tuple(replace(row, seconds=None) for row in waiting_rows())
    unknown = Scene(replace(RunState(), reproduction=table(rows)), Moment("RUNNING", 0, 65.0, NOW))
    assert progress_line(unknown, 100).plain.endswith(" calibrating ")
