import io
from typing import Any

import pytest
from rich.console import Console

from claf_tui.reports import audit
from tests.engine.evaluation.test_cards import card
from tests.tui.hostile import EVERYTHING

DIAGNOSTIC = {
    "name": "steps",
    "title": "More steps find nothing",
    "verdict": "passes",
    "figure": "0.4 points",
    "threshold": "warns above 1",
    "meaning": "it had not converged",
    "source": "Carlini 2019",
    "values": {},
    "seconds": 1.0,
}


def text_of(*renderables: object, width: int = 200) -> str:
    shown = Console(file=io.StringIO(), width=width, markup=False)
    for renderable in renderables:
        shown.print(renderable)
    assert isinstance(shown.file, io.StringIO)
    return shown.file.getvalue()


def lines_of(**changes: Any) -> list[str]:
    return text_of(*audit.diagnostic_lines({**DIAGNOSTIC, **changes})).splitlines()


def summary(**changes: Any) -> str:
    return text_of(*audit.summary_lines({**card(), "seconds": 61.0, **changes}))


def test_a_diagnostic_that_passes_is_one_line_with_verdict_figure_and_threshold() -> None:
    assert lines_of() == ["✔ passes  More steps find nothing: 0.4 points (warns above 1)"]


@pytest.mark.parametrize(("verdict", "glyph"), [("warns", "!"), ("fails", "✘")])
def test_below_one_that_does_not_pass_is_what_it_means_and_where_it_is_from(verdict: str, glyph: str) -> None:
    first, second = lines_of(verdict=verdict)
    assert first.startswith(f"{glyph} {verdict}")
    assert second.rstrip() == "    it had not converged [Carlini 2019]"


def test_one_that_was_not_run_says_why_and_shows_no_threshold() -> None:
    assert lines_of(verdict="not-run", figure="needs --budget standard") == [
        "○ not-run More steps find nothing: needs --budget standard"
    ]


def test_the_summary_tells_the_worst_case_and_counts_what_was_not_run_apart() -> None:
    told = [DIAGNOSTIC, {**DIAGNOSTIC, "name": "square", "verdict": "not-run"}]
    shown = summary(diagnostics=told, verdict="passes")
    assert "Robust accuracy at 8/255 (linf, pixel space): 50.0 % (95 % interval 40.0 to 60.0), worst case" in shown
    assert "✔ audit passes: 1 passes, 1 not run (square); 1:01" in shown
    assert "ball" not in shown


def test_an_audit_without_a_verdict_says_that_nothing_was_run() -> None:
    assert "○ audit not-run: nothing was run" in summary(verdict="not-run")


def test_the_summary_of_figures_of_no_ball_says_so() -> None:
    worst = {**card()["worst_case"], "is_epsilon_ball": False, "space": "released-code"}
    assert "The figures are not accuracy in an epsilon-ball." in summary(worst_case=worst)


def test_foreign_text_of_a_diagnostic_and_of_a_card_is_cleaned() -> None:
    texts = dict.fromkeys(("title", "figure", "threshold", "meaning", "source", "name"), EVERYTHING)
    diagnostic = {**DIAGNOSTIC, **texts, "verdict": "not-run"}
    shown = text_of(*audit.diagnostic_lines({**diagnostic, "verdict": "fails"}))
    shown += summary(diagnostics=[diagnostic], verdict="fails")
    assert all(character.isprintable() or character == "\n" for character in shown)


@pytest.mark.parametrize("standing", ["unaudited", "evaluated", "audit passes", "audit fails", EVERYTHING])
def test_a_standing_is_shown_in_words_and_clean(standing: str) -> None:
    shown = audit.standing_text(standing).plain
    assert shown.isprintable()
    assert shown[:9] == standing[:9] or not standing.isprintable()
