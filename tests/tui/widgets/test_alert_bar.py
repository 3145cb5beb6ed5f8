import pytest

from claf_tui.state import Alert
from claf_tui.widgets.alert_bar import MAX_ALERT_LINES, alert_lines
from tests.tui.hostile import HOSTILE
from tests.tui.widgets.folded import plain

ALERT = Alert("error", "catastrophic overfitting in epoch 2: PGD accuracy fell from 41.0% to 0.3%", "run", 10)


def test_no_alert_takes_no_room() -> None:
    assert alert_lines((), "run", 80) == []


@pytest.mark.parametrize("width", [60, 80, 140])
def test_an_alert_fills_its_lines_and_names_level_and_key(width: int) -> None:
    lines = alert_lines((ALERT,), "run", width)
    assert all(line.cell_length == width for line in lines)
    assert " ".join(" ".join(plain(lines)).split()) == f"ALERT · {ALERT.text} · a acknowledges"


def test_a_narrow_alert_is_cut_and_keeps_its_key() -> None:
    assert plain(alert_lines((ALERT,), "run", 36))[-1].rstrip().endswith("a acknowledges")


def test_the_oldest_alert_comes_first_and_the_others_are_counted() -> None:
    others = (ALERT._replace(text="the disk is full"), ALERT._replace(text="another"))
    (line,) = plain(alert_lines((ALERT._replace(text="first"), *others), "run", 80))
    assert line.strip() == "ALERT · first · a acknowledges · 2 more"


def test_an_alert_of_another_run_names_it() -> None:
    (line,) = plain(alert_lines((ALERT._replace(text="the disk is full", run="earlier"),), "run", 80))
    assert "earlier: the disk is full" in line


@pytest.mark.parametrize("text", [*HOSTILE, "long " * 200, ""])
@pytest.mark.parametrize("width", [10, 24, 80])
def test_any_text_stays_within_its_lines(text: str, width: int) -> None:
    lines = alert_lines((ALERT._replace(text=text),), "run", width)
    assert len(lines) <= MAX_ALERT_LINES
    assert all(line.cell_length == width for line in lines)
