from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from torch import nn

from claf_engine.audits.bench import Bench
from claf_engine.audits.checks import CHECKS
from claf_engine.audits.examine import Examination, examine_steps
from claf_engine.audits.store import Store
from claf_engine.events.audit import DiagnosticFound
from claf_engine.models.network import Network
from tests.engine.audits import fixtures
from tests.engine.audits.checks.test_convergence import OneByOne, TwoWays, walked_past


def examine(bench: Bench) -> tuple[dict[str, str], Examination]:
    """The verdict of every check, by name, and all that was found."""
    steps, verdicts = examine_steps(bench.subject, bench.budget, CHECKS, Store(None, "")), {}
    while True:
        try:
            item = next(steps)
        except StopIteration as stop:
            return verdicts, stop.value
        if isinstance(item, DiagnosticFound):
            verdicts[item.name] = item.verdict


def test_an_adversarially_trained_network_passes_every_diagnostic_that_applies_to_it() -> None:
    bench = fixtures.bench_of(
        fixtures.robust(),
        fixtures.images_of(100),
        network=fixtures.robust_network(),
        classifier=fixtures.ADVERSARIAL,
        train=fixtures.images_of(400, seed=1),
        surrogate=fixtures.undefended(),
    )
    verdicts, _ = examine(bench)
    assert set(verdicts) == {check.name for check in CHECKS}
    assert {name for name, verdict in verdicts.items() if verdict != "passes"} == {"too-good"}
    assert verdicts["too-good"] == "not-run"


def test_an_undefended_network_keeps_nothing_at_8_255_and_no_attack_is_at_fault() -> None:
    verdicts, found = examine(fixtures.bench_of(fixtures.undefended(), fixtures.images_of(60)))
    assert not found.worst_case.any()
    assert "fails" not in verdicts.values()


def test_a_layer_that_kills_gradients_does_not_get_through() -> None:
    model = fixtures.gradient_killed(fixtures.robust())
    bench = fixtures.bench_of(model, fixtures.images_of(100), surrogate=fixtures.robust())
    verdicts, _ = examine(bench)
    assert {"zero-gradients", "square", "transfer"} <= {name for name in verdicts if verdicts[name] == "fails"}


def bench(model: nn.Module, **changes: Any) -> Bench:
    """A bench of 100 images for any check; `changes` are arguments of `fixtures.bench_of`."""
    budget = replace(fixtures.BUDGET, noise_examples=60)
    options = {"split": fixtures.images_of(100), "surrogate": fixtures.undefended(), "budget": budget, **changes}
    return fixtures.bench_of(model, **options)


def refitting(model: nn.Module, network: Network) -> Bench:
    """A bench for checks that know the encoder."""
    return bench(model, network=network, train=fixtures.images_of(200, seed=1), classifier=fixtures.ADVERSARIAL)


def anchored(model: nn.Module) -> Bench:
    """A bench that claims to be of CIFAR-10."""
    return bench(model, data="cifar10", budget=replace(fixtures.BUDGET, name="quick"))


def short(model: nn.Module) -> Bench:
    """A bench whose claim is of one step of 2/255."""
    return bench(model, budget=replace(fixtures.BUDGET, steps=(1, 2)))


def released(model: nn.Module) -> Bench:
    """A bench of the released code's claim."""
    return bench(model, space=fixtures.RELEASED)


def weak() -> nn.Module:
    """The undefended network without a gradient."""
    return fixtures.gradient_killed(fixtures.undefended())


def after_all(model: nn.Module) -> Bench:
    """A bench on which another attack has found more than the claim's."""
    held = bench(model)
    fixtures.found(fixtures.check_of(CHECKS, "targeted"), held)
    return held


def grey_bench(model: nn.Module, **changes: Any) -> Bench:
    """A bench of images of one grey."""
    return bench(model, split=fixtures.grey(40), budget=replace(fixtures.BUDGET, **changes))


TRIPPED: dict[str, Callable[[], Bench]] = {
    "epsilon-zero": lambda: released(fixtures.robust()),
    "distance": lambda: released(fixtures.robust()),
    "reach": lambda: short(fixtures.robust()),
    "deterministic-forward": lambda: bench(fixtures.random_forward(fixtures.robust())),
    "logits": lambda: bench(fixtures.softmax_output(fixtures.robust())),
    "eval-mode": lambda: bench(fixtures.stubborn_dropout(fixtures.robust())),
    "batchnorm": lambda: bench(fixtures.drifted(fixtures.robust())),
    "zero-gradients": lambda: bench(weak()),
    "saturation": lambda: bench(fixtures.saturated(fixtures.robust())),
    "logit-scale": lambda: bench(fixtures.Decoy(fixtures.undefended())),
    "frozen-choice": lambda: bench(fixtures.Gated(fixtures.undefended())),
    "steps": lambda: grey_bench(OneByOne(), steps=(10, 80)),
    "restarts": lambda: grey_bench(TwoWays(), restarts=(1, 4)),
    "fgsm": lambda: bench(fixtures.Gated(fixtures.undefended())),
    "silent-success": lambda: grey_bench(walked_past()),
    "targeted": lambda: bench(fixtures.Decoy(fixtures.undefended())),
    "epsilon-sweep": lambda: bench(fixtures.gradient_killed(fixtures.robust())),
    "noise": lambda: bench(weak()),
    "transfer": lambda: bench(weak()),
    "ce-dlr-gap": lambda: bench(fixtures.saturated(fixtures.undefended())),
    "square": lambda: bench(fixtures.gradient_killed(fixtures.robust())),
    "planted-point": lambda: bench(fixtures.gradient_killed(fixtures.robust())),
    "feature-attacks": lambda: refitting(weak(), fixtures.undefended_network()),
    "refitted-classifiers": lambda: refitting(weak(), fixtures.undefended_network()),
    "claimed-attack": lambda: after_all(fixtures.Decoy(fixtures.undefended())),
    "too-good": lambda: anchored(fixtures.robust_linear()),
}
"""What each check must fail. The network that none may is in the first test of this file."""


def test_there_is_a_network_for_every_check() -> None:
    assert set(TRIPPED) == {check.name for check in CHECKS}


@pytest.mark.parametrize("name", TRIPPED)
def test_no_check_is_of_the_kind_that_never_fails(name: str) -> None:
    assert fixtures.found(fixtures.check_of(CHECKS, name), TRIPPED[name]()).verdict == "fails"
