"""Can a row's figures be believed: the quick audit of its subject, once for each network."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from claf_engine.audits.audit import audit_steps
from claf_engine.audits.checks import CHECKS
from claf_engine.audits.request import AuditRequest
from claf_engine.evaluation.defences import parse_defence
from claf_engine.events import DiagnosticFound
from claf_engine.events.ticks import Pulse
from claf_engine.reproduce.measuring import MEASUREMENTS, Subject
from claf_engine.reproduce.stored import key_of, read_stored, store
from claf_engine.reproduce.systems import system_of
from claf_engine.runs import read_config, versions
from claf_engine.terms.names import BudgetName, SpaceName, Verdict

FORMAT = 1
QUICK: BudgetName = "quick"
BY_WEIGHT: tuple[Verdict, ...] = ("fails", "warns", "passes", "not-run")


@dataclass(frozen=True)
class Audited:
    """The verdict of an audit.

    Attributes:
        verdict: as its card says.
        failed: the diagnostics that failed, by what must hold.
        warned: those that warned; where nothing was run, why.
        worst_case: accuracy under all of its attacks together, in [0, 1]; None where nothing was run.
        interval: of the worst case.
        num_examples: test images that were asked about.
        budget: of the audit.
        space: of the claim.
    """

    verdict: Verdict
    failed: tuple[str, ...]
    warned: tuple[str, ...]
    worst_case: float | None
    interval: tuple[float, float] | None
    num_examples: int
    budget: str
    space: str


def audited_steps(
    root: Path, subject: Subject, space: SpaceName, command: Sequence[str]
) -> Generator[Pulse | DiagnosticFound, None, Audited]:
    """Audit a subject in a space, or find that it was done.

    Args:
        root: folder of the reproductions.
        subject: what is audited.
        space: of the claim.
        command: the command line, for the card of the audit, which lies below the run.

    Raises:
        ClafError: see `audit_steps`; or the verdict cannot be written.
    """
    if reason := system_of(subject.system).without_audit:
        return Audited("not-run", (), (reason,), None, None, 0, QUICK, space)
    file = _file(root, subject, space)
    if (known := read_stored(file, _of_record)) is not None:
        return known
    defence = parse_defence(subject.system) if subject.system else None
    about: dict[str, Any] = {
        "space": space,
        "classifier": subject.classifier,
        "command": tuple(command),
        "defence": defence,
    }
    request = AuditRequest(subject.checkpoint, **about)
    report = yield from audit_steps(request)
    found = _of_card(report.card)
    store(file, asdict(found))
    return found


def is_audited(root: Path, subject: Subject, space: SpaceName) -> bool:
    """Whether the verdict is known, or none can be.

    Raises:
        RunError: the settings of the subject's run cannot be read.
    """
    can_be = not system_of(subject.system).without_audit
    return not can_be or read_stored(_file(root, subject, space), _of_record) is not None


def worst(verdicts: Sequence[Verdict]) -> Verdict | None:
    """The gravest of the verdicts; None of none."""
    return min(verdicts, key=BY_WEIGHT.index, default=None)


def _file(root: Path, subject: Subject, space: SpaceName) -> Path:
    """Equal only where weights, classifier, images, space, checks and versions are."""
    data = read_config(subject.checkpoint.parent.parent).data.model_dump(mode="json")
    checks = [(check.name, check.threshold) for check in CHECKS]
    plain = [FORMAT, "quick audit", subject.weights_sha256, subject.classifier, space, data, checks, versions()]
    plain += [subject.system] if subject.system else []
    return root / MEASUREMENTS / f"{key_of(plain)}.json"


def _of_card(card: Mapping[str, Any]) -> Audited:
    found = card["diagnostics"]
    failed, warned = (
        tuple(item["title"] for item in found if item["verdict"] == verdict) for verdict in ("fails", "warns")
    )
    worst_case = card["worst_case"]
    return Audited(
        card["verdict"],
        failed,
        warned,
        worst_case["accuracy"],
        tuple(worst_case["interval"]),
        card["num_examples"],
        card["budget"],
        card["space"],
    )


def _of_record(record: Mapping[str, Any]) -> Audited:
    if record["verdict"] not in get_args(Verdict):
        raise ValueError(f"{record['verdict']!r} is no verdict")
    low, high = record["interval"]
    return Audited(
        record["verdict"],
        tuple(map(str, record["failed"])),
        tuple(map(str, record["warned"])),
        float(record["worst_case"]),
        (float(low), float(high)),
        int(record["num_examples"]),
        str(record["budget"]),
        str(record["space"]),
    )
