from dataclasses import replace

from claf_engine import events as ev
from claf_tui.state.audit import AuditScene, at_moment, counts, end_word, reduce, rows, running_index, telling_index
from claf_tui.state.moment import Moment
from tests.tui.scripted_audit import card, checks, diagnostics

LIVE = AuditScene(checks=checks(), activity=ev.Progressed.of_activity("PGD-10", 0.25), moment=Moment("RUNNING"))


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


def test_what_will_be_checked_is_listed_before_anything_is_known() -> None:
    scene = reduce(AuditScene(), ev.AuditStarted(checks()))
    assert [row.status for row in rows(scene)] == ["waiting"] * 18


def test_a_diagnostic_is_kept_and_the_clock_of_the_next_one_begins() -> None:
    scene = reduce(replace(LIVE, moment=Moment("RUNNING", 3, 12.5)), diagnostics()[0])
    assert scene.found == diagnostics()[:1]
    assert scene.began == 12.5


def test_progress_is_what_runs_and_only_the_first_begins_the_clock() -> None:
    first, second = ev.Progressed.of_activity("natural accuracy", 0.0), ev.Progressed.of_activity("PGD-10", 0.5)
    scene = reduce(AuditScene(moment=Moment("STARTING", 0, 4.0)), first)
    assert (scene.activity, scene.began) == (first, 4.0)
    scene = reduce(at_moment(scene, Moment("RUNNING", 1, 6.0)), second)
    assert (scene.activity, scene.began) == (second, 4.0)


def test_the_card_is_kept() -> None:
    assert reduce(LIVE, ev.AuditFinished(card())).card == card()


def test_an_event_of_a_run_changes_nothing() -> None:
    assert reduce(LIVE, ev.PhaseStarted(0, "contrastive", 0)) is LIVE


def test_the_clock_goes_on_while_the_audit_lives_and_stands_once_it_has_ended() -> None:
    ended = at_moment(replace(LIVE, moment=Moment("RUNNING", 1, 6.0)), Moment("FINISHED", 2, 7.0))
    assert ended.moment.waited == 7.0
    assert at_moment(ended, Moment("FINISHED", 3, 9.0)).moment == Moment("FINISHED", 3, 7.0)
