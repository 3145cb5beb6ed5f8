from dataclasses import replace

from claf_engine.events.ticks import Pulse
from claf_tui.console.audit_app import progress
from claf_tui.state.audit import AuditScene, counts, end_word, rows, running_index, telling_index
from claf_tui.state.moment import Moment
from tests.tui.scripted_audit import checks, diagnostics

LIVE = AuditScene(checks=checks(), activity=progress(Pulse("PGD-10", 1, 4)), moment=Moment("RUNNING"))


def test_the_first_check_that_is_not_known_is_the_running_one() -> None:
    listed = rows(replace(LIVE, found=diagnostics()[:3]))
    assert [row.status for row in listed[:5]] == ["passes", "passes", "passes", "running", "waiting"]
    assert running_index(listed) == 3
    assert len(listed) == 18


def test_nothing_runs_once_the_audit_has_ended() -> None:
    listed = rows(replace(LIVE, found=diagnostics()[:3], moment=Moment("STOPPED")))
    assert running_index(listed) is None
    assert {row.status for row in listed[3:]} == {"waiting"}


def test_what_is_found_without_being_expected_is_listed_last() -> None:
    odd = replace(diagnostics()[0], name="another")
    assert rows(replace(LIVE, found=(odd,)))[-1].name == "another"


def test_a_diagnostic_that_was_not_run_is_never_counted_as_passed() -> None:
    found = tuple(replace(item, verdict="not-run") for item in diagnostics())
    assert counts(rows(replace(LIVE, found=found))) == {"not-run": 18}


def test_the_gravest_verdict_is_looked_at_first() -> None:
    listed = rows(replace(LIVE, found=diagnostics()))
    assert listed[telling_index(listed)].name == "square"
    assert telling_index([row for row in listed if row.status == "passes"]) == 0
    assert telling_index([]) == 0


def test_an_audit_without_a_card_is_not_finished() -> None:
    assert end_word(has_failed=False, has_card=False) == "STOPPED"
    assert end_word(has_failed=False, has_card=True) == "FINISHED"
    assert end_word(has_failed=True, has_card=True) == "FAILED"
