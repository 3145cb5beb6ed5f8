import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from claf_engine.config import OptimizerConfig
from claf_engine.events.ticks import Boundary
from claf_engine.runs import create_run
from claf_engine.training import saving
from claf_engine.training.checkpoint import restore_state
from claf_engine.training.methods import phases_of
from claf_engine.training.optimizers import Lars, build_optimizer, scaled
from claf_engine.training.session import Session
from tests.engine.tiny import FP32, state_sha256, tiny_config, tiny_data, tiny_session
from tests.properties import examples

PROPERTY = examples(60)
numbers = st.floats(-3, 3, width=32)
vectors = st.lists(numbers, min_size=3, max_size=3)


def length(values: list[float]) -> float:
    return math.sqrt(sum(value * value for value in values))


class Slow:
    """You et al. (2017) with momentum, one number after the other."""

    def __init__(self, weight: list[float], rate: float, momentum: float, decay: float) -> None:
        self.weight, self.rate, self.momentum, self.decay = weight, rate, momentum, decay
        self.velocity: list[float] | None = None

    def step(self, gradient: list[float]) -> None:
        size, slope = length(self.weight), length(gradient)
        trust = 1e-3 * size / (slope + self.decay * size + 1e-8) if size > 0 and slope > 0 else 1.0
        change = [trust * (g + self.decay * w) for g, w in zip(gradient, self.weight, strict=True)]
        if self.velocity is not None:
            change = [self.momentum * v + c for v, c in zip(self.velocity, change, strict=True)]
        self.velocity = change
        self.weight = [w - self.rate * c for w, c in zip(self.weight, change, strict=True)]


def parameter(values: list[float]) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


@PROPERTY
@given(
    weight=vectors,
    gradients=st.lists(vectors, min_size=1, max_size=4),
    rate=st.floats(0.01, 10),
    momentum=st.floats(0, 0.99),
    decay=st.floats(0, 0.1),
)
def test_steps_follow_the_formula(
    weight: list[float], gradients: list[list[float]], rate: float, momentum: float, decay: float
) -> None:
    slow, ours = Slow(weight, rate, momentum, decay), parameter(weight)
    optimizer = Lars([ours], lr=rate, momentum=momentum, weight_decay=decay)
    for gradient in gradients:
        slow.step(gradient)
        ours.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
    torch.testing.assert_close(ours.detach(), torch.tensor(slow.weight, dtype=torch.float64), rtol=1e-9, atol=1e-12)


def test_every_tensor_has_a_trust_ratio_of_its_own() -> None:
    small, large = parameter([1.0, 0.0, 0.0]), parameter([100.0, 0.0, 0.0])
    optimizer = Lars([small, large], lr=1.0)
    for weight in (small, large):
        weight.grad = torch.tensor([0.0, 7.0, 0.0], dtype=torch.float64)
    optimizer.step()
    assert [small.tolist()[1], large.tolist()[1]] == pytest.approx([-1e-3, -0.1])


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
def test_without_decay_a_step_does_not_depend_on_the_scale_of_the_gradient(factor: float) -> None:
    weight, gradient = torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0])
    assert float(scaled(weight, factor * gradient, 0.0).norm()) == pytest.approx(5e-3, rel=1e-4)


def test_a_weight_of_zero_still_learns() -> None:
    weight = parameter([0.0, 0.0])
    optimizer = Lars([weight], lr=0.5)
    weight.grad = torch.tensor([1.0, -2.0], dtype=torch.float64)
    optimizer.step()
    assert weight.tolist() == [-0.5, 1.0]


def test_gradients_and_settings_are_given_back() -> None:
    weight, idle = parameter([1.0, 2.0]), parameter([1.0])
    optimizer = Lars([weight, idle], lr=0.5, weight_decay=0.1)
    gradient = torch.tensor([1.0, -2.0], dtype=torch.float64)
    weight.grad = gradient
    optimizer.step()
    assert weight.grad is gradient
    assert gradient.tolist() == [1.0, -2.0]
    assert optimizer.param_groups[0]["weight_decay"] == 0.1
    assert idle.item() == 1.0, "it had no gradient, so it does not decay either"


def test_the_settings_name_it() -> None:
    config = OptimizerConfig(name="lars", learning_rate=0.2, momentum=0.7, weight_decay=1e-6)
    optimizer = build_optimizer(config, [parameter([1.0])])
    group = optimizer.param_groups[0]
    assert isinstance(optimizer, Lars)
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.2, 0.7, 1e-6)


def steps(session: Session, count: int) -> list[Tensor]:
    ticks = phases_of(session.config)[session.state.cursor.phase].play(session)
    boundaries = (tick for tick in ticks if isinstance(tick, Boundary))
    return [next(boundaries).loss for _ in range(count)]


def test_its_momentum_survives_a_checkpoint_to_the_bit(tmp_path: Path) -> None:
    config = tiny_config(
        method="rocl",
        rocl__epochs=2,
        features_optimizer={"name": "lars", "learning_rate": 1.5, "weight_decay": 1e-6, "warmup_epochs": 1},
    )
    session, directory = tiny_session(config), create_run(tmp_path, "tiny", config, [])
    steps(session, 2)
    saving.save(session, directory, phases_of(config)[0], 0, requested=False)
    (path,) = directory.checkpoints.iterdir()
    directory.close()
    data = tiny_data()
    resumed = Session(config, FP32, data, restore_state(config, 4, FP32, path), session.feature_epochs)
    assert state_sha256(resumed.state) == state_sha256(session.state)
    assert steps(resumed, 4) == steps(session, 4)
    assert state_sha256(resumed.state) == state_sha256(session.state)
