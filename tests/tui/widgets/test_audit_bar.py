import pytest

from claf_engine import events as ev
from claf_tui.state.audit import AuditScene
from claf_tui.state.moment import Moment
from claf_tui.widgets.audit_bar import bar_lines, worst_text
from tests.tui.scripted_audit import card, checks, diagnostics
from tests.tui.widgets.folded import plain

SCENES = {
    "starting": AuditScene(command="claf-tui audit latest"),
    "live": AuditScene(checks(), diagnostics()[:4], ev.Progressed.of_activity("PGD-10", 0.25), Moment("RUNNING")),
    "paused": AuditScene(checks(), diagnostics()[:4], ev.Progressed.of_activity("PGD-10", 0.25), Moment("PAUSED")),
    "stopped": AuditScene(checks(), diagnostics()[:4], moment=Moment("STOPPED"), command="claf-tui audit latest"),
    "finished": AuditScene(checks(), diagnostics(), moment=Moment("FINISHED"), card=card()),
    "odd": AuditScene(moment=Moment("FINISHED"), card={"verdict": 3, "natural": [], "worst_case": None}),
}


@pytest.mark.parametrize("width", [30, 80, 140])
@pytest.mark.parametrize("name", SCENES)
def test_there_are_always_four_lines_that_fit(name: str, width: int) -> None:
    lines = bar_lines(SCENES[name], width)
    assert len(lines) == 4
    assert max(line.cell_length for line in lines) <= width


def test_a_stopped_audit_names_the_command_that_goes_on() -> None:
    assert "next: claf-tui audit latest" in plain(bar_lines(SCENES["stopped"], 80))[3]


def test_the_worst_case_says_what_it_is_of() -> None:
    assert "at 8/255, 6 attacks, per example" in plain(bar_lines(SCENES["finished"], 80))[3]


def test_a_worst_case_that_any_point_decides_is_marked() -> None:
    told = card()
    assert worst_text(told, {**told["worst_case"], "decides": "any"}).startswith("at 8/255 (any point), ")
    assert worst_text(told, {**told["worst_case"], "decides": "last"}) == worst_text(told, told["worst_case"])
