import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from claf_engine.audits.checks.forward import CHECKS, unrepeatable
from claf_engine.audits.diagnostic import NotRun
from claf_engine.models.modes import BATCH_NORMS
from tests.engine.audits.fixtures import (
    Build,
    Damage,
    Wrapped,
    bench_of,
    check_of,
    drifted,
    dropout_left_on,
    examiner,
    gradient_killed,
    images_of,
    quantised,
    random_forward,
    robust,
    robust_linear,
    saturated,
    softmax_output,
    stubborn_dropout,
    undefended,
)
from tests.engine.tiny import exhaust

NAMES = [check.name for check in CHECKS]
NETWORKS = [robust, undefended]
examined = examiner(CHECKS)


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("name", NAMES)
def test_a_sound_model_passes(name: str, build: Build) -> None:
    assert examined(name, bench_of(build())).verdict == "passes"


@pytest.mark.parametrize("deviation", [1e-3, 0.05, 0.5])
def test_a_random_forward_pass_is_not_deterministic(deviation: float) -> None:
    finding = examined("deterministic-forward", bench_of(random_forward(robust(), deviation)))
    assert finding.verdict == "fails"
    assert finding.values["logit_difference"] > 1e-4


def test_dropout_that_ignores_eval_mode_is_not_deterministic() -> None:
    assert examined("deterministic-forward", bench_of(stubborn_dropout(robust()))).verdict == "fails"


@pytest.mark.parametrize("damage", [gradient_killed, quantised, softmax_output, saturated, dropout_left_on, drifted])
def test_what_repeats_itself_is_deterministic(damage: Damage) -> None:
    finding = examined("deterministic-forward", bench_of(damage(robust())))
    assert (finding.verdict, finding.values["logit_difference"]) == ("passes", 0)


def test_rounding_between_passes_is_forgiven() -> None:
    generator = torch.Generator().manual_seed(0)
    noisy = Wrapped(robust(), after=lambda logits: logits + 1e-6 * torch.randn(logits.shape, generator=generator))
    finding = examined("deterministic-forward", bench_of(noisy))
    assert finding.verdict == "passes"
    assert finding.values["logit_difference"] > 0


def test_logits_that_are_not_a_number_are_not_deterministic() -> None:
    undefined = Wrapped(robust(), after=lambda logits: logits * torch.nan)
    assert examined("deterministic-forward", bench_of(undefined)).verdict == "fails"


def test_passes_are_compared_in_direction_and_in_prediction() -> None:
    answers = torch.tensor([[[3.0, 4.0], [1.0, 0.0]], [[6.0, 8.0], [0.0, 2.0]]])
    difference, num_changed = unrepeatable(answers)
    assert difference == pytest.approx(2**0.5)
    assert num_changed == 1


@pytest.mark.parametrize("build", NETWORKS)
def test_probabilities_are_no_logits(build: Build) -> None:
    finding = examined("logits", bench_of(softmax_output(build())))
    assert finding.verdict == "fails"
    assert "every row sums to 1" in finding.figure


AFTER: dict[str, Callable[[Tensor], Tensor]] = {
    "scaled": lambda logits: 1e4 * logits,
    "squashed to [0, 1]": torch.sigmoid,
    "log of probabilities": lambda logits: logits.log_softmax(1),
    "summing to 1 but negative": lambda logits: logits - logits.mean(1, keepdim=True) + 0.25,
}


@pytest.mark.parametrize("name", AFTER)
def test_what_only_resembles_probabilities_passes_as_logits(name: str) -> None:
    assert examined("logits", bench_of(Wrapped(robust(), after=AFTER[name]))).verdict == "passes"


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_outputs_that_are_not_finite_are_no_logits(value: float) -> None:
    finding = examined("logits", bench_of(Wrapped(robust(), after=lambda logits: logits + value)))
    assert finding.verdict == "fails"
    assert finding.figure == "240 outputs are not finite"


def test_dropout_left_in_train_mode_warns_and_is_named() -> None:
    model = dropout_left_on(robust())
    finding = examined("eval-mode", bench_of(model))
    assert finding.verdict == "warns"
    assert finding.figure == f"1 of {len(list(model.modules()))} modules in train mode: 0 (Dropout)"


def test_a_model_in_train_mode_warns_and_is_left_there() -> None:
    model = copy.deepcopy(robust()).train()
    assert examined("eval-mode", bench_of(model)).verdict == "warns"
    assert all(module.training for module in model.modules())


def test_dropout_that_ignores_eval_mode_fails_and_is_named() -> None:
    finding = examined("eval-mode", bench_of(stubborn_dropout(robust())))
    assert finding.verdict == "fails"
    assert finding.figure.endswith("modules ignore eval mode: 0 (StubbornDropout)")
    assert finding.values["num_active_dropouts"] == 1


@pytest.mark.parametrize(("by", "verdict"), [(0.6, "warns"), (3, "fails")])
def test_statistics_that_drifted_warn_and_fail(by: float, verdict: str) -> None:
    finding = examined("batchnorm", bench_of(drifted(robust(), by), images_of(200)))
    assert finding.verdict == verdict
    assert finding.values["gap"] == pytest.approx(finding.values["batch"] - finding.values["running"])


def test_a_model_without_batchnorm_is_not_said_to_pass() -> None:
    with pytest.raises(NotRun, match="no BatchNorm"):
        examined("batchnorm", bench_of(robust_linear()))


@pytest.mark.parametrize("changes", [{"split": images_of(15)}, {"batch_size": 15}])
def test_batches_too_small_for_statistics_are_not_judged(changes: dict[str, object]) -> None:
    bench = bench_of(robust(), **{"split": images_of(60), **changes})  # type: ignore[arg-type]
    with pytest.raises(NotRun, match="at least 16 images"):
        examined("batchnorm", bench)


def test_batchnorm_without_running_statistics_warns() -> None:
    model = Wrapped(copy.deepcopy(robust()))
    for norm in model.modules():
        if isinstance(norm, BATCH_NORMS):
            norm.running_mean = norm.running_var = None
    finding = examined("batchnorm", bench_of(model))
    assert finding.verdict == "warns"
    assert "keep no running statistics" in finding.figure


@pytest.mark.parametrize("count", [61, 110])
def test_images_left_over_join_a_batch_instead_of_being_a_small_one(count: int) -> None:
    bench = bench_of(undefended(), images_of(count), batch_size=60)
    pulses, finding = exhaust(check_of(CHECKS, "batchnorm").run(bench))
    assert {pulse.total for pulse in pulses if pulse.activity == "accuracy with batch statistics"} == {1}
    assert finding.verdict == "passes"


@pytest.mark.parametrize("name", NAMES)
def test_looking_at_a_model_changes_neither_modes_nor_buffers(name: str) -> None:
    model = drifted(dropout_left_on(robust()))
    modes = [module.training for module in model.modules()]
    tensors = {key: value.clone() for key, value in model.state_dict().items()}
    examined(name, bench_of(model))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, tensors[key]) for key, value in model.state_dict().items())
