"""What the console shows of an audit while its diagnostics are run: pure functions, nothing drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from claf_engine import events as ev
from claf_tui.state.moment import Moment

RowStatus = ev.Verdict | Literal["waiting", "running"]

END_WORDS = {"FINISHED", "STOPPED", "FAILED"}
VERDICTS: tuple[ev.Verdict, ...] = ("fails", "warns", "not-run", "passes")
"""From the one that a person must see first to the one that needs no look."""


@dataclass(frozen=True)
class Row:
    """One diagnostic on the screen; before it is known it has no figure and no values."""

    name: str
    title: str
    status: RowStatus
    threshold: str = ""
    meaning: str = ""
    source: str = ""
    figure: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class AuditScene:
    """All that the screen draws.

    Attributes:
        checks: what will be run, in order; empty while it is not known.
        found: what is known, in the order in which it was told.
        activity: what is being done right now.
        moment: the status word, the picture of the spinner, and the seconds since the console began.
        began: the moment's clock when the running diagnostic began.
        card: the robustness card, once the audit has ended.
        reason: why the audit failed, or an empty string.
        command: what goes on from here when it is typed again.
    """

    checks: tuple[ev.PlannedCheck, ...] = ()
    found: tuple[ev.DiagnosticFound, ...] = ()
    activity: ev.Progressed | None = None
    moment: Moment = Moment()
    began: float = 0.0
    card: Mapping[str, Any] | None = None
    reason: str = ""
    command: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self.moment.word in END_WORDS

    @property
    def num_checks(self) -> int:
        """Diagnostics in all, as far as that is known."""
        return max(len(self.checks), len(self.found))


def reduce(scene: AuditScene, event: ev.Event) -> AuditScene:
    """Fold one event into the scene; the clock of what runs now begins anew at its last picture."""
    now = scene.moment.waited
    match event:
        case ev.AuditStarted():
            return replace(scene, checks=event.checks)
        case ev.Progressed():
            return replace(scene, activity=event, began=now if scene.activity is None else scene.began)
        case ev.DiagnosticFound():
            return replace(scene, found=(*scene.found, event), began=now)
        case ev.AuditFinished():
            return replace(scene, card=event.card)
        case _:
            return scene


def at_moment(scene: AuditScene, moment: Moment) -> AuditScene:
    """The scene at a later moment; once the audit has ended, its clock stands."""
    if moment.word in END_WORDS and scene.has_ended:
        moment = replace(moment, waited=scene.moment.waited)
    return replace(scene, moment=moment)


def rows(scene: AuditScene) -> list[Row]:
    """Every diagnostic that is known or expected, in the order of the audit."""
    found = {item.name: item for item in scene.found}
    listed: list[Row] = []
    is_next = not scene.has_ended and scene.activity is not None
    for check in scene.checks:
        if check.name in found:
            listed.append(_known(found.pop(check.name)))
            continue
        status: RowStatus = "running" if is_next else "waiting"
        is_next = False
        listed.append(Row(check.name, check.title, status, check.threshold, check.meaning, check.source))
    return [*listed, *map(_known, found.values())]


def running_index(listed: Sequence[Row]) -> int | None:
    """The row that is being worked on."""
    return next((index for index, row in enumerate(listed) if row.status == "running"), None)


def telling_index(listed: Sequence[Row]) -> int:
    """The row that a person should look at first once all is known: the first of the gravest verdict."""
    for verdict in VERDICTS:
        for index, row in enumerate(listed):
            if row.status == verdict:
                return index
    return 0


def counts(listed: Sequence[Row]) -> dict[RowStatus, int]:
    """How many diagnostics stand how; statuses that none has are left out."""
    order: tuple[RowStatus, ...] = ("passes", "warns", "fails", "not-run", "running", "waiting")
    numbers = {status: sum(row.status == status for row in listed) for status in order}
    return {status: number for status, number in numbers.items() if number}


def end_word(*, has_failed: bool, has_card: bool) -> str:
    """The status word of an audit that has ended."""
    if has_failed:
        return "FAILED"
    return "FINISHED" if has_card else "STOPPED"


def _known(item: ev.DiagnosticFound) -> Row:
    return Row(
        item.name,
        item.title,
        item.verdict,
        item.threshold,
        item.meaning,
        item.source,
        item.figure,
        item.values,
        item.seconds,
    )
