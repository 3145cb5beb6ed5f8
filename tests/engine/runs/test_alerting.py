from typing import Any

import pytest

from claf_engine.config.alerts import AlertSettings, DropRule, MemoryRule
from claf_engine.events import Alert, AlertEnded
from claf_engine.runs.alerting import (
    DISK,
    MIB,
    NO_HEARTBEAT,
    STALL,
    changes,
    disk_finding,
    drop_finding,
    memory_finding,
    reminders,
    rule_of,
    silence_finding,
)

RULES = AlertSettings()


def course(values: list[float], find: Any) -> list[str]:
    """What begins and ends over a course of values."""
    standing: dict[str, dict[str, Any]] = {}
    told = [event for step, value in enumerate(values) for event in changes([find(value)], standing, step)]
    return [f"{'-' if isinstance(event, AlertEnded) else '+'}{event.step}" for event in told]


def test_a_disk_that_hovers_at_its_threshold_is_told_of_once() -> None:
    found = course([1100, 1000, 1030, 1000, 1200, 1300, 1000], lambda mib: disk_finding(RULES.disk, int(mib * MIB)))
    assert found == ["+1", "-5", "+6"]


def test_accuracy_must_make_up_for_half_of_its_fall() -> None:
    rule = DropRule(on=True, points=10)
    assert course([0.5, 0.41, 0.40, 0.42, 0.46], lambda now: drop_finding(rule, now, 0.5, "8/255")) == ["+2", "-4"]


def test_memory_must_leave_its_threshold_behind() -> None:
    rule = MemoryRule(percent=90)
    assert course([0.89, 0.91, 0.88, 0.91, 0.86], lambda share: memory_finding(rule, share)) == ["+1", "-4"]


@pytest.mark.parametrize("name", [STALL, NO_HEARTBEAT])
def test_silence_ends_with_the_first_sign_of_life(name: str) -> None:
    assert course([59, 60, 70, 1], lambda seconds: silence_finding(name, 60, seconds)) == ["+1", "-3"]


def test_a_run_that_waits_may_be_silent() -> None:
    assert not silence_finding(STALL, 60, 1000, is_excused=True).begins


def test_alerts_say_how_bad_they_are() -> None:
    standing: dict[str, dict[str, Any]] = {}
    (alert,) = changes([disk_finding(RULES.disk, 0)], standing, 3)
    assert alert == Alert(3, DISK, "the disk of the run has 0 MiB left, under 1,024; make room", "warning")
    assert reminders(standing) == [alert]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("catastrophic-overfitting", RULES.sentinels),
        ("gpu-memory", RULES.gpu_memory),
        ("stopped", RULES.finished),
        ("bell", RULES.sentinels),
        ("of-a-plugin", RULES.sentinels),
    ],
)
def test_every_alert_has_a_rule(name: str, rule: object) -> None:
    assert rule_of(RULES, name) is rule
