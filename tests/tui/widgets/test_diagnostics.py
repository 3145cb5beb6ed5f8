from dataclasses import replace

import pytest

from claf_tui.state.audit import AuditScene, rows
from claf_tui.state.moment import Moment
from claf_tui.widgets.diagnostics import detail_lines, list_lines, value_text
from tests.tui.scripted_audit import checks, diagnostics
from tests.tui.widgets.folded import plain

ENDED = AuditScene(checks=checks(), found=diagnostics(), moment=Moment("FINISHED"))


@pytest.mark.parametrize("width", [30, 58, 78, 82, 138])
def test_every_line_has_the_width_and_every_title_its_beginning(width: int) -> None:
    lines = plain(list_lines(ENDED, 0, width))
    assert {len(line) for line in lines} == {width}
    assert "An att" in lines[0]


def test_only_the_chosen_line_is_marked() -> None:
    lines = plain(list_lines(ENDED, 2, 78))
    assert [index for index, line in enumerate(lines) if line.startswith("▌")] == [2]


def test_a_diagnostic_that_was_not_run_says_why() -> None:
    row = next(row for row in rows(ENDED) if row.status == "not-run")
    lines = plain(detail_lines(row, 60))
    assert any(line.split() == ["why", "not", "needs", "--budget", "standard"] for line in lines)
    assert any("NOT RUN" in line for line in lines)


def test_the_detail_has_meaning_threshold_source_and_values() -> None:
    row = next(row for row in rows(ENDED) if row.name == "square")
    text = "\n".join(plain(detail_lines(row, 52)))
    assert all(word in text for word in ("threshold", "above 5 fails", "hides its gradient", "Carlini", "black box"))
    assert max(len(line) for line in text.splitlines()) <= 52


def test_many_values_are_counted_and_not_silently_cut() -> None:
    row = replace(rows(ENDED)[0], values={f"value {number}": number for number in range(30)})
    assert plain(detail_lines(row, 52))[-1].strip() == "and 6 more in card.json"


@pytest.mark.parametrize(
    ("value", "text"), [(True, "yes"), (0.27812, "0.2781"), ([1, 2.5], "1, 2.5"), ({"a": 1}, "a 1"), (None, "None")]
)
def test_a_recorded_value_is_one_line(value: object, text: str) -> None:
    assert value_text(value) == text
