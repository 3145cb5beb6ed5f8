import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn

from claf_engine.config import OptimizerConfig
from claf_engine.training.optimizers import build_optimizer, learning_rate, set_learning_rate

STEPS_PER_EPOCH = 3
TOTAL = 12
MILESTONES = OptimizerConfig().milestones

fractions = st.floats(0, 1)
rates = st.floats(1e-6, 10)


def rate(step: int, total_steps: int = TOTAL, **settings: object) -> float:
    config = OptimizerConfig.model_validate({"learning_rate": 0.4, **settings})
    return learning_rate(config, step, total_steps, STEPS_PER_EPOCH)


def test_the_cosine_begins_at_the_base_rate() -> None:
    assert rate(0) == 0.4


def test_the_cosine_is_at_half_of_the_base_rate_half_way() -> None:
    assert rate(TOTAL // 2) == pytest.approx(0.2)


@pytest.mark.parametrize("step", range(TOTAL))
def test_every_step_follows_the_cosine(step: int) -> None:
    assert rate(step) == pytest.approx(0.2 * (1 + math.cos(math.pi * step / TOTAL)))


def test_the_last_step_of_a_cosine_still_moves_the_weights() -> None:
    assert rate(TOTAL - 1) > 0


@pytest.mark.parametrize("beyond", [0, 1, 100])
def test_after_its_steps_the_cosine_stays_at_the_final_fraction(beyond: int) -> None:
    assert rate(TOTAL + beyond, final_fraction=0.25) == pytest.approx(0.1)


def test_a_final_fraction_of_one_is_a_constant_rate() -> None:
    assert [rate(step, final_fraction=1) for step in range(TOTAL)] == pytest.approx([0.4] * TOTAL)


def test_a_final_fraction_lifts_the_cosine_half_way() -> None:
    assert rate(TOTAL // 2, final_fraction=0.5) == pytest.approx(0.3)


def test_a_constant_rate_never_changes() -> None:
    assert {rate(step, schedule="constant") for step in (0, 5, TOTAL, 10 * TOTAL)} == {0.4}


def test_warm_up_rises_linearly_from_zero_to_the_base_rate() -> None:
    warming = [rate(step, schedule="constant", warmup_epochs=1) for step in range(5)]
    assert warming == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])


def test_after_warm_up_the_cosine_begins_at_the_base_rate_and_takes_the_other_steps() -> None:
    assert rate(3, warmup_epochs=1) == 0.4
    assert rate(3 + 3, warmup_epochs=1) == pytest.approx(0.2 * (1 + math.cos(math.pi * 3 / 9)))


def test_warm_up_may_take_part_of_an_epoch() -> None:
    warming = [rate(step, schedule="constant", warmup_epochs=0.5) for step in range(3)]
    assert warming == pytest.approx([0.2, 0.4, 0.4])


def test_warm_up_longer_than_the_run_never_reaches_the_base_rate() -> None:
    warming = [rate(step, warmup_epochs=10) for step in range(TOTAL)]
    assert warming == pytest.approx([0.4 * (step + 1) / 31 for step in range(TOTAL)])


def test_a_cosine_of_no_steps_is_defined() -> None:
    assert rate(0, total_steps=0) == 0.4


@given(base=rates, final=fractions, warmup=st.floats(0, 5), step=st.integers(0, 100), total=st.integers(1, 80))
def test_a_rate_is_positive_and_never_above_the_base_rate(
    base: float, final: float, warmup: float, step: int, total: int
) -> None:
    value = rate(step, total, learning_rate=base, final_fraction=final, warmup_epochs=warmup)
    assert 0 <= value <= base * (1 + 1e-12)
    assert value > 0 or step >= total


@given(
    base=rates,
    final=fractions,
    warmup=st.floats(0, 5),
    total=st.integers(1, 60),
    schedule=st.sampled_from(["cosine", "linear", "steps", "constant"]),
)
@example(base=1, final=0, warmup=1, total=1, schedule="steps")
def test_a_rate_rises_until_the_warm_up_is_over_and_falls_from_then_on(
    base: float, final: float, warmup: float, total: int, schedule: str
) -> None:
    settings = {"learning_rate": base, "final_fraction": final, "warmup_epochs": warmup, "schedule": schedule}
    values = [rate(step, total, **settings) for step in range(total + 20)]
    over, peak = math.ceil(warmup * STEPS_PER_EPOCH), math.floor(warmup * STEPS_PER_EPOCH)
    rising, falling = values[:over], values[over:]
    slack = base * 1e-12
    assert all(later >= earlier - slack for earlier, later in zip(rising, rising[1:], strict=False))
    assert all(later <= earlier + slack for earlier, later in zip(falling, falling[1:], strict=False))
    # Milestones count from the first step of all, so that one inside the warm-up drops the rate as soon as it is over.
    if schedule != "steps" or MILESTONES[0] * total > peak:
        assert values[peak] == pytest.approx(max(values), rel=1e-12)


@given(base=rates, final=fractions, step=st.integers(0, 100))
def test_a_cosine_never_falls_below_its_final_fraction(base: float, final: float, step: int) -> None:
    assert rate(step, 50, learning_rate=base, final_fraction=final) >= base * final * (1 - 1e-12)


def test_a_line_falls_from_the_base_rate_to_the_final_fraction_of_it() -> None:
    assert rate(0, schedule="linear") == 0.4
    values = [rate(step, schedule="linear", final_fraction=0.5) for step in (0, 3, 6, 9, TOTAL, 2 * TOTAL)]
    assert values == pytest.approx([0.4, 0.35, 0.3, 0.25, 0.2, 0.2])


def test_after_warm_up_the_line_begins_at_the_base_rate_and_takes_the_other_steps() -> None:
    values = [rate(step, schedule="linear", warmup_epochs=1) for step in (0, 2, 3, 6, TOTAL)]
    assert values == pytest.approx([0.1, 0.3, 0.4, 0.4 * 6 / 9, 0.0])


def test_a_stepped_rate_drops_at_every_milestone() -> None:
    values = [rate(step, schedule="steps", milestones=(0.25, 0.75), decay=0.5) for step in range(TOTAL)]
    assert values == pytest.approx([0.4] * 3 + [0.2] * 6 + [0.1] * 3)


def test_milestones_count_from_the_beginning_of_the_schedule_whatever_the_warm_up() -> None:
    values = [rate(step, schedule="steps", milestones=(0.5,), warmup_epochs=1) for step in (0, 2, 3, 5, 6)]
    assert values == pytest.approx([0.1, 0.3, 0.4, 0.4, 0.04])


def test_a_stepped_rate_without_milestones_is_constant() -> None:
    assert {rate(step, schedule="steps", milestones=()) for step in range(TOTAL)} == {0.4}


@pytest.mark.parametrize(("drop", "epochs"), [(100, 110), (75, 76), (150, 200), (7, 100), (39, 76)])
@pytest.mark.parametrize("steps_per_epoch", [1, 3, 196, 391])
def test_a_milestone_that_is_an_epoch_drops_the_rate_as_that_epoch_begins(
    drop: int, epochs: int, steps_per_epoch: int
) -> None:
    config = OptimizerConfig(learning_rate=1, schedule="steps", milestones=(drop / epochs,))
    at = [learning_rate(config, drop * steps_per_epoch + off, epochs * steps_per_epoch, 1) for off in (-1, 0)]
    assert at == [1, pytest.approx(0.1)]


def stepped(config: OptimizerConfig, gradients: list[float], start: float = 1.0) -> Tensor:
    """A single weight after steps along given gradients."""
    weight = nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer = build_optimizer(config, [weight])
    for gradient in gradients:
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
    return weight.detach()


def test_sgd_adds_up_momentum() -> None:
    config = OptimizerConfig(learning_rate=0.1, momentum=0.5, weight_decay=0)
    assert float(stepped(config, [1, 1])) == pytest.approx(1 - 0.1 * 1 - 0.1 * 1.5)


def test_sgd_decays_weights() -> None:
    config = OptimizerConfig(learning_rate=0.1, momentum=0, weight_decay=0.2)
    assert float(stepped(config, [0], start=3.0)) == pytest.approx(3 - 0.1 * 0.2 * 3)


@pytest.mark.parametrize("gradient", [1e-3, -50.0])
def test_the_first_step_of_adam_has_the_length_of_the_learning_rate(gradient: float) -> None:
    config = OptimizerConfig(name="adam", learning_rate=0.01, weight_decay=0)
    assert float(stepped(config, [gradient])) == pytest.approx(1 - math.copysign(0.01, gradient), rel=1e-4)


def test_adam_decays_weights() -> None:
    config = OptimizerConfig(name="adam", learning_rate=0.01, weight_decay=0.1)
    assert float(stepped(config, [0])) == pytest.approx(0.99, rel=1e-4)


def test_a_learning_rate_is_set_for_every_group() -> None:
    weights = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    optimizer = torch.optim.SGD([{"params": [weights[0]]}, {"params": [weights[1]], "lr": 5.0}], lr=1.0)
    set_learning_rate(optimizer, 0.5)
    for weight in weights:
        weight.grad = torch.ones(1)
    optimizer.step()
    assert [float(weight.detach()) for weight in weights] == [-0.5, -0.5]
