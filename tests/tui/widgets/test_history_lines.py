from claf_tui.state.run_state import Happening
from claf_tui.widgets.history_lines import EMPTY, history_lines

HISTORY = (
    Happening(
        10, 60.0, "disk", "the disk of the run has 3 MiB left, under 1,024; make room", level="warning", ended=40
    ),
    Happening(20, 120.0, "edit", "temperature 0.07→0.1", who="ann on node1, process 3"),
    Happening(30, 180.0, "robust-drop", "robust accuracy at 8/255 is 30.0 %, 12.0 points under its best"),
)


def drawn(width: int) -> list[str]:
    return [line.plain for line in history_lines(HISTORY, width)]


def test_what_is_active_comes_first_and_then_all_newest_first() -> None:
    lines = drawn(120)
    assert lines[0] == "active: 1"
    assert "robust-drop" in lines[1]
    assert [word for line in lines[3:] for word in ("robust-drop", "edit", "disk") if f" {word} " in line] == [
        "robust-drop",
        "edit",
        "disk",
    ]


def test_a_line_says_who_changed_what_and_until_when_an_alert_stood() -> None:
    text = " ".join(drawn(140))
    assert "temperature 0.07→0.1 · ann on node1, process 3" in text
    assert "make room · over at step 40" in text


def test_lines_fit_any_width() -> None:
    for width in (20, 40, 80, 200):
        assert all(line.cell_length <= width for line in history_lines(HISTORY, width))


def test_a_calm_run_says_so() -> None:
    assert [line.plain for line in history_lines((), 80)] == ["no alert is active", "", EMPTY]
