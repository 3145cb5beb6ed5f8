"""Runs the diagnostics on a bench, one after the other."""

import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from claf_engine.audits.bench import Bench, Outcome, Subject
from claf_engine.audits.diagnostic import Check, Finding, NotRun
from claf_engine.audits.request import Budget
from claf_engine.audits.store import Store
from claf_engine.events.audit import DiagnosticFound
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import ClafError, RunError
from claf_engine.terms.names import Verdict


@dataclass(frozen=True)
class Examination:
    """What an audit found.

    Attributes:
        diagnostics: in the order of the checks.
        outcomes: everything that was run, the natural predictions included.
        worst_case: (N,) bool: the examples that survive everything within the claim's ball.
    """

    diagnostics: tuple[DiagnosticFound, ...]
    outcomes: tuple[Outcome, ...]
    worst_case: Tensor


def examine_steps(
    subject: Subject, budget: Budget, checks: Sequence[Check], store: Store
) -> Generator[Pulse | DiagnosticFound, None, Examination]:
    """Run checks; what the store knows already is told again and not run again.

    Yields:
        Pulses, and every diagnostic as soon as it is known.

    Raises:
        RunError: the store cannot be written.
    """
    bench = Bench(subject, budget, tuple(store.outcomes), store.keep_outcome)
    yield from bench.natural()
    known = {diagnostic.name: diagnostic for diagnostic in store.diagnostics}
    found: list[DiagnosticFound] = []
    for check in checks:
        diagnostic = known.get(check.name)
        if diagnostic is None:
            diagnostic = yield from _diagnose(check, bench)
            if diagnostic.verdict != "not-run":  # what kept it from running may be gone the next time
                store.keep_diagnostic(diagnostic)
        found.append(diagnostic)
        yield diagnostic
    return Examination(tuple(found), tuple(bench.outcomes.values()), bench.worst_case())


def _diagnose(check: Check, bench: Bench) -> Generator[Pulse, None, DiagnosticFound]:
    """Run one check. A check that breaks is reported as not run, with what broke it, and never as passed."""
    started = time.monotonic()
    try:
        if not bench.budget.affords(check.budget):
            raise NotRun(f"needs --budget {check.budget}")
        finding = yield from check.run(bench)
    except NotRun as reason:
        return _report(check, "not-run", Finding("warns", str(reason)), started)
    except RunError:
        raise
    except Exception as error:  # noqa: BLE001 (one broken check must not cost an audit of hours its other verdicts)
        return _report(check, "not-run", Finding("warns", f"broke off: {_described(error)}"), started)
    return _report(check, finding.verdict, finding, started)


def _described(error: Exception) -> str:
    """What went wrong; errors that a user can cause say it in a sentence, all others need their name."""
    return str(error) if isinstance(error, ClafError) else f"{type(error).__name__}: {error}"


def _report(check: Check, verdict: Verdict, finding: Finding, started: float) -> DiagnosticFound:
    return DiagnosticFound(
        name=check.name,
        title=check.title,
        verdict=verdict,
        figure=finding.figure,
        threshold=check.threshold,
        meaning=check.meaning,
        source=check.source,
        values=_plain(finding.values),
        seconds=round(time.monotonic() - started, 3),
    )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values as JSON gives them back, so that a diagnostic that is told again equals the first telling."""
    plain: dict[str, Any] = json.loads(json.dumps(values, default=_scalar), parse_constant=str)
    return plain


def _scalar(value: Any) -> Any:
    """A number of a tensor library as a number, and anything else in words."""
    return value.item() if hasattr(value, "item") else str(value)


def tell_diagnostics(tell: Callable[[DiagnosticFound], None], item: Pulse | DiagnosticFound) -> tuple[()]:
    """Hand over what `examine_steps` yields, where it is a diagnostic; for `pump`."""
    if isinstance(item, DiagnosticFound):
        tell(item)
    return ()
