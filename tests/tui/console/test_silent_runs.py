from collections.abc import Iterable
from dataclasses import replace

import pytest

from claf_engine.config.alerts import SilenceRule
from claf_engine.runs.overview import Overview
from claf_tui.console.silent_runs import GRACE_SECONDS, SilentRuns
from claf_tui.state import Alert
from tests.engine.runs.listed import NOW, listed

RULE = SilenceRule(seconds=60)
LATER = NOW + GRACE_SECONDS
AGAIN = LATER + 100


class Watched(SilentRuns):
    """A book that looks every ten seconds."""

    def look(self, runs: Iterable[Overview], now: float) -> list[Alert]:
        known, told = list(runs), []
        while self._looked_at and self._looked_at + 10 < now:
            told += super().look(known, self._looked_at + 10)
        return told + super().look(known, now)


def run(heartbeat: float = NOW - 90, said: str = "running", **changes: object) -> Overview:
    return listed(status=said, heartbeat=heartbeat, **changes)


def seen(rule: SilenceRule = RULE, **changes: object) -> Watched:
    """A book that has seen a live run once."""
    silent = Watched(rule)
    assert silent.look([run(**changes)], NOW) == []  # type: ignore[arg-type]
    return silent


def test_a_live_run_without_a_sign_of_life_is_told_of_once() -> None:
    silent = seen()
    (alert,) = silent.look([run()], LATER)
    assert (alert.run, alert.name) == (run().name, "no-heartbeat")
    assert alert.text == "the process that trains gave no sign of life for 105 s"
    assert silent.look([run()], AGAIN) == []
    assert (silent.names, silent.alerts) == ({run().name}, (alert,))


def test_a_run_that_speaks_is_not_silent_and_one_that_speaks_again_is_not_any_more() -> None:
    silent = seen()
    assert silent.look([run(LATER - 5)], LATER) == []
    assert silent.look([run(LATER - 5)], AGAIN)
    assert silent.look([run(AGAIN + 5)], AGAIN + 6) == []
    assert (silent.names, silent.alerts) == (frozenset(), ())


@pytest.mark.parametrize(
    "excused",
    [run(said="finished"), run(said="stopped"), run(said="failed"), run(said="starting"), run(is_archived=True)],
)
def test_who_has_ended_or_is_archived_is_excused(excused: Overview) -> None:
    silent = seen()
    assert silent.look([run()], LATER)
    assert silent.look([excused], AGAIN) == []
    assert (silent.names, silent.alerts) == (frozenset(), ())


def test_a_run_that_was_deleted_is_not_silent() -> None:
    silent = seen()
    assert silent.look([run()], LATER)
    assert silent.look([], AGAIN) == []
    assert silent.names == frozenset()


def test_where_the_rule_is_off_nobody_is_silent() -> None:
    silent = seen(SilenceRule(seconds=60, on=False))
    assert silent.look([run()], LATER) == []
    assert silent.names == frozenset()


def test_a_run_that_is_killed_before_our_eyes_is_silent_and_one_that_was_found_so_is_not() -> None:
    silent, killed = seen(), replace(run(), status="interrupted")
    assert silent.look([killed], LATER)
    found = Watched(RULE)
    assert [found.look([killed], at) for at in (NOW, LATER)] == [[], []]


def test_a_run_that_has_not_spoken_yet_and_one_of_another_clock_are_not_silent() -> None:
    unheard = seen(heartbeat=0.0)
    assert unheard.look([run(0.0)], AGAIN) == []
    other_clock = seen(heartbeat=NOW - 4000)
    assert other_clock.look([run(NOW - 3990, heard=LATER - 2)], LATER) == []


def test_a_second_silence_within_the_cooldown_is_marked_and_not_told() -> None:
    silent = seen(SilenceRule(seconds=60, cooldown=1000))
    assert silent.look([run()], LATER)
    assert silent.look([run(LATER + 50)], LATER + 51) == []
    assert silent.look([run(LATER + 50)], LATER + 150) == []
    assert (silent.names, silent.alerts) == ({run().name}, ())
    assert silent.look([run(LATER + 1000)], LATER + 1001) == []
    assert silent.look([run(LATER + 1000)], LATER + 1100)


def test_a_silence_that_lasts_is_told_again_where_the_rule_says_so() -> None:
    silent = seen(SilenceRule(seconds=60, repeat=600))
    assert silent.look([run()], LATER)
    silent.acknowledge()
    assert silent.look([run()], LATER + 599) == []
    (again,) = silent.look([run()], LATER + 600)
    assert (again.text, silent.alerts) == ("the process that trains gave no sign of life for 705 s", (again,))


def test_what_is_acknowledged_is_taken_away_and_its_run_stays_marked() -> None:
    silent = seen()
    silent.look([run()], LATER)
    silent.acknowledge()
    silent.acknowledge()
    assert (silent.alerts, silent.names) == ((), {run().name})


def test_after_a_sleep_of_the_machine_runs_are_heard_first_and_who_was_silent_is_not_told_again() -> None:
    silent = SilentRuns(SilenceRule(seconds=60, cooldown=0))
    sleeper, other = run(), replace(run(NOW), name="other")
    assert silent.look([sleeper, other], NOW) == []
    (told,) = silent.look([sleeper, other], LATER)
    assert told.run == sleeper.name
    awake = LATER + 8 * 3600
    assert silent.look([sleeper, other], awake) == []
    assert silent.names == {sleeper.name}
    (late,) = silent.look([sleeper, other], awake + GRACE_SECONDS)
    assert late.run == "other", "the same silence, once it was listened for"
