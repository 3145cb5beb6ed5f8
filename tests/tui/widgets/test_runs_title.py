from pathlib import Path

from claf_tui.widgets.runs_title import RunsCount, runs_title

COUNT = RunsCount(num_shown=12, num_runs=1050, num_live=3, num_archived=7, num_marked=2, num_waiting=900)


def test_numbers_go_where_there_is_no_room_for_them() -> None:
    assert runs_title(COUNT, Path("/runs"), 120).plain.startswith(
        " claf-tui 12 of 1,050 runs · 3 live · 2 marked · 7 put away · reading 900 …"
    )
    assert runs_title(COUNT, Path("/runs"), 40).plain.startswith(" claf-tui 12 of 1,050 runs · 3 live")
    assert all(runs_title(COUNT, Path("/runs" * 20), width).cell_length <= width for width in range(1, 200))


def test_why_nothing_is_shown_is_told() -> None:
    assert "reading" in RunsCount().empty_text(Path("/runs"))
    assert "no runs in /runs" in RunsCount(num_waiting=0).empty_text(Path("/runs"))
    assert "no run fits" in RunsCount(num_runs=3, num_waiting=0).empty_text(Path("/runs"))
