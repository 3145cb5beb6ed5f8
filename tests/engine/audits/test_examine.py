import math
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from claf_engine.audits.bench import Bench
from claf_engine.audits.diagnostic import Check, Finding, NotRun
from claf_engine.audits.examine import Examination, examine_steps
from claf_engine.audits.request import BUDGETS, Budget
from claf_engine.audits.store import Store
from claf_engine.events.audit import DiagnosticFound
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import ClafError, ConfigError, RunError
from claf_engine.terms.names import BudgetName
from tests.engine.audits.fixtures import BUDGET, bench_of, undefended_linear
from tests.engine.tiny import exhaust

SUBJECT = bench_of(undefended_linear()).subject


def check(name: str, answer: Finding | Exception, budget: BudgetName = "quick", steps: int = 1) -> Check:
    """A check that attacks with so many steps and then answers, or raises."""

    def run(bench: Bench) -> Generator[Pulse, None, Finding]:
        yield from bench.attack(steps=steps)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Check(name, f"title of {name}", "threshold", "meaning", "source", run, budget)


def passing(name: str, steps: int = 1, **values: Any) -> Check:
    return check(name, Finding("passes", "fine", values), steps=steps)


def examine(*checks: Check, store: Store | None = None, budget: Budget = BUDGET) -> tuple[list[Any], Examination]:
    return exhaust(examine_steps(SUBJECT, budget, checks, store or Store(None, "")))  # type: ignore[arg-type]


def only(*checks: Check, **options: Any) -> DiagnosticFound:
    return examine(*checks, **options)[1].diagnostics[0]


def test_every_diagnostic_is_told_as_soon_as_it_is_known() -> None:
    items, examination = examine(passing("a", 1), passing("b", 2))
    told = [item.name if isinstance(item, DiagnosticFound) else "" for item in items]
    assert told.index("a") < told.index("b")
    assert "" in told[told.index("a") : told.index("b")]
    assert [item.name for item in examination.diagnostics] == ["a", "b"]


def test_a_finding_becomes_a_diagnostic_with_the_words_of_its_check() -> None:
    found = only(check("a", Finding("fails", "9 points", {"points": 9})))
    assert (found.verdict, found.figure, found.values) == ("fails", "9 points", {"points": 9})
    assert (found.title, found.threshold, found.meaning, found.source) == (
        "title of a",
        "threshold",
        "meaning",
        "source",
    )
    assert found.seconds > 0


@pytest.mark.parametrize(
    ("error", "figure"),
    [
        (NotRun("there is no second model"), "there is no second model"),
        (ConfigError("the library is not installed"), "broke off: the library is not installed"),
        (ClafError("left the ball"), "broke off: left the ball"),
        (RuntimeError("shapes differ"), "broke off: RuntimeError: shapes differ"),
        (KeyError("x"), "broke off: KeyError: 'x'"),
        (AssertionError(), "broke off: AssertionError: "),
    ],
)
def test_a_check_that_raises_is_not_run_and_says_why_and_the_others_go_on(error: Exception, figure: str) -> None:
    _, examination = examine(check("a", error), passing("b"))
    assert [(item.verdict, item.figure) for item in examination.diagnostics] == [
        ("not-run", figure),
        ("passes", "fine"),
    ]


def test_a_check_beyond_the_budget_is_not_run_and_says_what_it_needs() -> None:
    quick = replace(BUDGET, name="quick")
    found = only(check("a", Finding("passes", "fine"), "standard"), budget=quick)
    assert (found.verdict, found.figure) == ("not-run", "needs --budget standard")


def test_a_state_that_cannot_be_written_is_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError):
        examine(passing("a"), store=Store(tmp_path / "file" / "state.json", ""))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"share": math.nan, "most": math.inf}, {"share": "NaN", "most": "Infinity"}),
        ({"pair": (1, 2)}, {"pair": [1, 2]}),
        ({"tensor": torch.tensor(0.5), "path": Path("a")}, {"tensor": 0.5, "path": "a"}),
    ],
)
def test_values_are_what_json_can_hold(values: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert only(passing("a", **values)).values == expected


def test_an_interrupted_examination_goes_on_and_finds_the_same(tmp_path: Path) -> None:
    checks = passing("a", 1), passing("b", 2, pair=(1, 2)), passing("c", 3)
    _, whole = examine(*checks)
    steps = examine_steps(SUBJECT, BUDGET, checks, Store(tmp_path / "state.json", "key"))
    for item in steps:
        if isinstance(item, DiagnosticFound) and item.name == "b":
            break
    steps.close()
    store = Store(tmp_path / "state.json", "key")
    assert [item.name for item in store.diagnostics] == ["a", "b"]
    items, resumed = examine(*checks, store=store)
    assert not any("PGD-2" in item.activity for item in items if isinstance(item, Pulse))
    assert [replace(item, seconds=0.0) for item in resumed.diagnostics] == [
        replace(item, seconds=0.0) for item in whole.diagnostics
    ]
    assert [item.label for item in resumed.outcomes] == [item.label for item in whole.outcomes]
    assert torch.equal(resumed.worst_case, whole.worst_case)


def test_what_could_not_be_run_is_tried_again_when_the_audit_goes_on(tmp_path: Path) -> None:
    examine(check("a", ConfigError("not installed")), store=Store(tmp_path / "state.json", "key"))
    assert only(passing("a"), store=Store(tmp_path / "state.json", "key")).verdict == "passes"


@pytest.mark.parametrize("name", ["quick", "standard", "full"])
def test_a_budget_affords_what_a_smaller_one_does(name: BudgetName) -> None:
    order = list(BUDGETS)
    assert [BUDGETS[name].affords(smallest) for smallest in order] == [
        order.index(smallest) <= order.index(name) for smallest in order
    ]
