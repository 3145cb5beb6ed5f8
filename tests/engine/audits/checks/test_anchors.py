from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from torch import nn

from claf_engine.audits.bench import Bench
from claf_engine.audits.checks.anchors import CHECKS, at_least, exceeded, judge, published
from claf_engine.audits.diagnostic import Finding, NotRun
from claf_engine.terms.names import BudgetName
from tests.engine.audits.fixtures import (
    BUDGET,
    RELEASED,
    bench_of,
    found,
    gradient_killed,
    robust_linear,
    undefended_linear,
)

QUICK = replace(BUDGET, name="quick")


def bench(model: nn.Module, **changes: Any) -> Bench:
    options: dict[str, Any] = {"data": "cifar10", "budget": QUICK, **changes}
    return bench_of(model, **options)


def examined(begun: Bench) -> Finding:
    return found(CHECKS[0], begun)


def test_no_anchor_exceeds_the_thresholds() -> None:
    thresholds, anchors = published()
    assert len(anchors) >= 5
    assert not any(thresholds.are_exceeded(anchor.natural / 100, anchor.autoattack / 100) for anchor in anchors)


def test_every_anchor_is_of_a_resnet18_without_extra_data_and_names_its_source() -> None:
    for anchor in published()[1]:
        assert anchor.architecture in {"ResNet-18", "PreActResNet-18"}
        assert anchor.data == "no extra data"
        assert anchor.source
        assert 0 < anchor.autoattack < anchor.natural < 100


@pytest.mark.parametrize(
    ("natural", "robust", "count", "budget", "verdict"),
    [
        (0.85, 0.525, 10_000, "quick", "passes"),
        (0.85, 0.53, 10_000, "quick", "passes"),
        (0.88, 0.50, 10_000, "quick", "passes"),
        (0.95, 0.45, 10_000, "quick", "passes"),
        (0.85, 0.535, 10_000, "quick", "passes"),
        (0.85, 0.56, 100, "quick", "passes"),
        (0.90, 0.50, 100, "quick", "passes"),
        (0.85, 0.56, 10_000, "quick", "fails"),
        (0.85, 0.70, 100, "standard", "fails"),
        (0.924, 0.50, 10_000, "standard", "fails"),
        (0.924, 0.604, 10_000, "standard", "fails"),
        (0.924, 0.604, 10_000, "full", "warns"),
    ],
)
def test_what_is_too_good_fails_unless_chance_or_a_full_audit_speaks_for_it(
    natural: float, robust: float, count: int, budget: BudgetName, verdict: str
) -> None:
    assert judge(at_least(natural, count), at_least(robust, count), budget) == verdict


def test_the_anchor_that_is_exceeded_is_named() -> None:
    finding = examined(bench(robust_linear()))
    assert finding.verdict == "fails"
    assert published()[1][0].name in finding.figure
    assert exceeded(0.6).autoattack == max(anchor.autoattack for anchor in published()[1])
    assert exceeded(0.5).natural == max(anchor.natural for anchor in published()[1])


def test_an_undefended_model_is_not_too_good() -> None:
    finding = examined(bench(undefended_linear()))
    assert (finding.verdict, finding.values["robust"]) == ("passes", 0)


def test_a_masked_model_is_compared_by_the_worst_case_over_everything_that_was_run() -> None:
    masked = bench(gradient_killed(undefended_linear()))
    assert examined(masked).verdict == "fails"
    outcome = next(outcome for label, outcome in masked.outcomes.items() if label.startswith("PGD-10"))
    masked.record(replace(outcome, label="another attack", survives=~outcome.survives))
    assert examined(masked).verdict == "passes"


class Large(nn.Module):
    """More parameters than ResNet-18 has."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = robust_linear()
        self.unused = nn.Linear(12_000, 1_001, device="meta")

    def forward(self, images: Any) -> Any:
        return self.inner(images)


@pytest.mark.parametrize(
    ("model", "changes", "reason"),
    [
        (robust_linear(), {"data": "shapes"}, "these images are of shapes"),
        (robust_linear(), {"data": ""}, "these images are of another source"),
        (robust_linear(), {"epsilon": Fraction(4, 255)}, "the claim is of 4/255 in pixel space"),
        (robust_linear(), {"space": RELEASED}, "in released-code space"),
        (Large(), {}, "this network is larger: 12.0 million"),
    ],
)
def test_what_the_anchors_say_nothing_about_is_not_compared(
    model: nn.Module, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(NotRun, match=reason):
        examined(bench(model, **changes))
