import builtins
import copy
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from claf_engine.audits.bench import Bench
from claf_engine.audits.checks import blackbox
from claf_engine.audits.checks.blackbox import CHECKS
from claf_engine.audits.diagnostic import NotRun
from claf_engine.data import Split
from claf_engine.terms.errors import ClafError
from claf_engine.terms.installation import install_line
from tests.engine.audits import fixtures
from tests.engine.audits.fixtures import (
    BUDGET,
    RELEASED,
    SOUND,
    Build,
    Damage,
    check_of,
    examiner,
    gradient_killed,
    images_of,
    misclassified,
    quantised,
    resumed,
    robust,
    saturated,
    undefended,
)
from tests.engine.tiny import exhaust

NAMES = [check.name for check in CHECKS]
FEW = replace(BUDGET, square_queries=40)
examined = examiner(CHECKS)


def bench_of(model: nn.Module, split: Split | None = None, **changes: Any) -> Bench:
    """A bench that affords few queries."""
    return fixtures.bench_of(model, split, **{"budget": FEW, **changes})


class FewClasses(nn.Module):
    """The first classes of a model alone."""

    def __init__(self, model: nn.Module, count: int) -> None:
        super().__init__()
        self.model, self.count = model, count

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images)[:, : self.count]
        return logits


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("build", SOUND)
def test_a_network_that_hides_nothing_passes(name: str, build: Build) -> None:
    assert examined(name, bench_of(build())).verdict == "passes"


@pytest.mark.parametrize(("damage", "build"), [(gradient_killed, robust), (quantised, robust), (quantised, undefended)])
def test_square_fails_hidden_gradients(damage: Damage, build: Build) -> None:
    bench = bench_of(damage(build()))
    finding = examined("square", bench)
    assert finding.verdict == "fails"
    assert finding.values["share"] > 0.02
    assert bench.worst_case().double().mean() <= 1 - finding.values["share"]


def test_square_is_not_asked_about_what_gradients_broke() -> None:
    finding = examined("square", bench_of(undefended()))
    assert finding.values["attacked"] == 0
    assert examined("square", bench_of(robust())).values["attacked"] == 48


@pytest.mark.parametrize("build", [robust, undefended])
def test_saturated_logits_silence_cross_entropy_but_not_a_difference_of_logits(build: Build) -> None:
    finding = examined("ce-dlr-gap", bench_of(saturated(build()), images_of(200)))
    assert finding.verdict == "fails"
    assert finding.values["gap"] > 0.07


def test_a_budget_that_affords_it_aims_at_every_other_class() -> None:
    assert "apgd-ce, apgd-t" in examined("ce-dlr-gap", bench_of(robust())).values
    quick = replace(FEW, name="quick")
    assert "apgd-ce, apgd-dlr" in examined("ce-dlr-gap", bench_of(robust(), budget=quick)).values


def test_the_second_loss_is_tried_on_what_the_first_left() -> None:
    pulses, finding = exhaust(check_of(CHECKS, "ce-dlr-gap").run(bench_of(robust())))
    totals = {pulse.activity.split(",")[0]: pulse.total for pulse in pulses if pulse.activity.startswith("APGD")}
    assert totals == {"APGD-CE-10": 56, "APGD-T-10": round(60 * finding.values["apgd-ce"])}


def test_outcomes_say_how_they_were_made() -> None:
    bench = bench_of(robust())
    for name in NAMES:
        examined(name, bench)
    recipes = {outcome.recipe.attack: outcome.recipe for outcome in bench.outcomes.values() if outcome.recipe}
    assert {"square", "apgd-ce", "apgd-t"} < set(recipes)
    assert recipes["square"].steps == 40
    assert recipes["apgd-ce"].steps == 10
    assert all(outcome.largest_distance <= 8 / 255 + 1e-6 for outcome in bench.outcomes.values())


def test_global_randomness_and_flags_stay_as_they_were() -> None:
    model = copy.deepcopy(robust()).train()
    model.zero_grad()
    torch.rand(3)
    before = torch.get_rng_state()
    for name in NAMES:
        examined(name, bench_of(model))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_what_the_library_warns_of_does_not_reach_the_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    examined(name, bench_of(gradient_killed(robust())))
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_there_is_a_pulse_before_every_call_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blackbox, "CPU_BATCH", 16)
    pulses, _ = exhaust(check_of(CHECKS, "square").run(bench_of(robust())))
    calls = [pulse for pulse in pulses if pulse.activity.startswith("Square-40")]
    assert [(pulse.done, pulse.total) for pulse in calls] == [(0, 48), (16, 48), (32, 48)]
    assert all(pulse.abandonable for pulse in calls)


@pytest.mark.parametrize("name", NAMES)
def test_an_audit_that_goes_on_does_not_ask_the_library_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = bench_of(gradient_killed(robust()))
    before = examined(name, bench)
    monkeypatch.setattr(blackbox, "_build", None)
    assert examined(name, resumed(bench)) == before


@pytest.mark.parametrize("name", NAMES)
def test_without_the_library_it_is_not_run_and_the_reason_says_how_to_get_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def refuse(module: str, *arguments: Any) -> Any:
        if module.startswith("pyautoattack"):
            raise ModuleNotFoundError(name=module)
        return original(module, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(NotRun, match=re.escape(install_line("audit"))):
        examined(name, bench_of(robust()))


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_in_the_released_code_s_space_is_not_run(name: str) -> None:
    with pytest.raises(NotRun, match="attacks in pixel space, and the claim is in released-code space"):
        examined(name, bench_of(robust(), space=RELEASED))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_passes_where_nothing_is_classified_correctly(name: str) -> None:
    with pytest.raises(NotRun, match="no image is classified correctly"):
        examined(name, bench_of(robust(), misclassified(robust())))


def test_two_classes_are_too_few_for_the_gap_and_enough_for_square() -> None:
    split = images_of(200)
    few = Split(split.images[split.labels < 2], split.labels[split.labels < 2])
    model = FewClasses(robust(), 2)
    with pytest.raises(NotRun, match="compares 3 classes, and here are 2"):
        examined("ce-dlr-gap", bench_of(model, few))
    assert examined("square", bench_of(gradient_killed(model), few)).verdict == "fails"


def test_three_classes_are_enough_for_the_plain_difference_of_logits() -> None:
    split = images_of()
    few = Split(split.images[split.labels < 3], split.labels[split.labels < 3])
    found = examined("ce-dlr-gap", bench_of(FewClasses(robust(), 3), few))
    assert "with APGD-DLR" in found.figure


def test_a_library_that_leaves_the_ball_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cheating:
        def perturb(self, images: Tensor, _: Tensor) -> Tensor:
            return (images + 0.1).clamp(0, 1)

    monkeypatch.setattr(blackbox, "_build", lambda *_: Cheating())
    with pytest.raises(ClafError, match=r"^Square-40, after gradients, at 8/255 left the ball: .* image lies 0\.1"):
        examined("square", bench_of(robust()))
