"""When something that is watched begins and ends: findings, and the alerts that come of them. Pure functions, no torch.

A finding says two things, whether its alert begins and whether it is over; between them lies a stretch where neither is
so, and an alert that stands stays, so that a figure at its threshold does not flap.
"""

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from claf_engine.config.alerts import AlertSettings, DiskRule, DropRule, MemoryRule, Rule
from claf_engine.events import Alert, AlertEnded
from claf_engine.events.sentinels import Level

ROBUST_DROP, STALL, NO_HEARTBEAT = "robust-drop", "stall", "no-heartbeat"
DISK, GPU_MEMORY = "disk", "gpu-memory"
DIVERGED, FAILED, FINISHED, PAUSED = "diverged", "failed", "finished", "paused"
LEVELS: dict[str, Level] = {
    ROBUST_DROP: "warning",
    DISK: "warning",
    GPU_MEMORY: "warning",
    FINISHED: "info",
    PAUSED: "info",
}
"""Of alerts that are no errors."""
TITLES = {
    "epsilon-zero": "an attack of radius 0 has an effect",
    "one-step-attack": "gradient masking",
    "saturated-gradients": "gradient masking by saturated logits",
    "catastrophic-overfitting": "catastrophic overfitting",
    "robustness-lost": "a fall of robust accuracy",
    ROBUST_DROP: "robust accuracy under its best",
    STALL: "a stall",
    NO_HEARTBEAT: "silence of the process that trains",
    DISK: "a full disk",
    GPU_MEMORY: "full memory of the accelerator",
}
SENTINELS = frozenset(list(TITLES)[:5])
"""Alerts of the probes' sentinels, which one rule switches."""
DISK_MARGIN = 1.2
"""So many times the room of the threshold ends the alert of a full disk."""
MEMORY_MARGIN = 3.0
"""So many points below its threshold ends the alert of full memory."""
MIB = 2**20


@dataclass(frozen=True)
class Finding:
    """What one rule says: whether its alert begins, or is over where it stands, and the reason."""

    name: str
    begins: bool
    ends: bool
    text: str


def rule_of(settings: AlertSettings, name: str) -> Rule:
    """The rule of an alert by its name; those of sentinels, and what has no rule of its own, share one."""
    name = FINISHED if name == "stopped" else name
    found = settings.sentinels if name in SENTINELS else getattr(settings, name.replace("-", "_"), None)
    return found if isinstance(found, Rule) else settings.sentinels


def changes(
    judged: Sequence[Finding], standing: MutableMapping[str, dict[str, Any]], step: int
) -> Iterator[Alert | AlertEnded]:
    """Tell which alerts begin and which are over, and keep book of those that stand.

    Args:
        judged: what was looked at; alerts of other names stand on.
        standing: by name, {"step": when it began, "text": its reason}; changed here.
        step: of the run.
    """
    for finding in judged:
        if finding.begins and finding.name not in standing:
            standing[finding.name] = {"step": step, "text": finding.text}
            yield Alert(step, finding.name, finding.text, level_of(finding.name))
        elif finding.ends and finding.name in standing:
            began = standing.pop(finding.name)["step"]
            title = TITLES.get(finding.name, finding.name)
            yield AlertEnded(step, finding.name, f"{title}, told at step {began:,}, has ended")


def reminders(standing: MutableMapping[str, dict[str, Any]]) -> list[Alert]:
    """The alerts that stand, for whoever goes on with a run."""
    return [Alert(alert["step"], name, alert["text"], level_of(name)) for name, alert in standing.items()]


def level_of(name: str) -> Level:
    """How bad an alert is."""
    return LEVELS.get(name, "error")


def drop_finding(rule: DropRule, accuracy: float, best: float, radius: str) -> Finding:
    """Robust accuracy in [0, 1] against its best; half the points made up for end it."""
    fell = round(100 * (best - accuracy), 6)
    text = f"robust accuracy at {radius} is {100 * accuracy:.1f} %, {fell:.1f} points under its best"
    return Finding(ROBUST_DROP, fell >= rule.points, fell <= rule.points / 2, text)


def disk_finding(rule: DiskRule, free: int) -> Finding:
    """Free bytes on the disk of the run."""
    mib = free / MIB
    text = f"the disk of the run has {mib:,.0f} MiB left, under {rule.free_mib:,.0f}; make room"
    return Finding(DISK, mib < rule.free_mib, mib > rule.free_mib * DISK_MARGIN, text)


def memory_finding(rule: MemoryRule, share: float) -> Finding:
    """The share of the accelerator's memory that is in use, in [0, 1]."""
    percent = 100 * share
    text = f"{percent:.0f} % of the accelerator's memory is in use; runtime.recompute and runtime.micro_batch need less"
    return Finding(GPU_MEMORY, percent >= rule.percent, percent < rule.percent - MEMORY_MARGIN, text)


def silence_finding(name: str, limit: float, seconds: float, *, is_excused: bool = False) -> Finding:
    """Seconds since the last sign of life; any sign ends it.

    Args:
        name: `STALL` or `NO_HEARTBEAT`.
        limit: from which on it is one.
        seconds: since the last sign.
        is_excused: nothing is expected, as of a run that waits or has ended.
    """
    what = "no step and no part of one was done" if name == STALL else "the process that trains gave no sign of life"
    is_silent = seconds >= limit and not is_excused
    return Finding(name, is_silent, not is_silent, f"{what} for {seconds:.0f} s")
