"""A target follows its model and gives the gradients that the model itself would give."""

from typing import Any

import pytest
import torch
from torch import Tensor

from claf_engine.attacks import log_odds
from claf_engine.attacks.gradients import Target, gradient_of
from claf_engine.compute.device import Compute
from claf_engine.models.modes import batch_statistics, frozen
from claf_engine.models.network import ATTACK_CLASSIFIER, Pipeline
from tests.engine.tiny import CPU, FP32, tiny_session

IMAGES = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(3))
LABELS = torch.arange(8) % 4


def model_of() -> Pipeline:
    """A pipeline whose BatchNorm statistics are far from their start."""
    network = tiny_session().state.network
    network.train()
    network.project(2 * IMAGES)
    return network.with_classifier(ATTACK_CLASSIFIER)


def expected(model: Pipeline, mode: Any = frozen) -> Tensor:
    return gradient_of(model, lambda logits: log_odds(logits, LABELS), FP32, mode)(IMAGES)


@pytest.mark.parametrize("mode", [frozen, batch_statistics])
def test_a_target_gives_the_models_own_gradient(mode: Any) -> None:
    model = model_of()
    gradient = Target(model, FP32, mode).gradient(log_odds, LABELS)(IMAGES)
    torch.testing.assert_close(gradient, expected(model, mode), rtol=1e-4, atol=1e-6)


def test_a_refreshed_target_has_learnt_what_the_model_has() -> None:
    model = model_of()
    target = Target(model, FP32)
    stale = target.gradient(log_odds, LABELS)(IMAGES)
    with torch.no_grad():
        for tensor in (*model.parameters(), *(b for name, b in model.named_buffers() if "running" in name)):
            tensor.mul_(1.3)
    target.refresh()
    fresh = target.gradient(log_odds, LABELS)(IMAGES)
    assert not torch.allclose(stale, fresh, rtol=1e-2)
    torch.testing.assert_close(fresh, expected(model), rtol=1e-4, atol=1e-6)


def test_refreshing_takes_no_new_memory() -> None:
    target = Target(model_of(), FP32)
    before = [parameter.data_ptr() for parameter in target.model.parameters()]
    target.refresh()
    assert [parameter.data_ptr() for parameter in target.model.parameters()] == before


def test_a_target_gives_the_models_own_outputs() -> None:
    model = model_of()
    with torch.no_grad(), frozen(model):
        torch.testing.assert_close(Target(model, FP32).outputs(IMAGES), model(IMAGES), rtol=1e-5, atol=1e-5)


def test_a_capturing_target_captures_each_loss_and_shape_once(monkeypatch: pytest.MonkeyPatch) -> None:
    captured: list[int] = []

    def capture(work: Any, inputs: tuple[Tensor, ...]) -> Any:
        captured.append(len(inputs[0]))
        return work

    monkeypatch.setattr("claf_engine.attacks.gradients.Captured", capture)
    model = model_of()
    target = Target(model, Compute(CPU, "fp32", 1, captures=True))
    for _ in range(3):
        gradient = target.gradient(log_odds, LABELS)(IMAGES)
        target.gradient(log_odds, LABELS[:5])(IMAGES[:5])
    assert captured == [8, 5]
    torch.testing.assert_close(gradient, expected(model), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("captures", [False, True])
def test_gradients_in_micro_batches_are_those_of_the_whole_batch(
    monkeypatch: pytest.MonkeyPatch, captures: bool
) -> None:
    seen: list[int] = []

    def capture(work: Any, inputs: tuple[Tensor, ...]) -> Any:
        seen.append(len(inputs[0]))
        return work

    monkeypatch.setattr("claf_engine.attacks.gradients.Captured", capture)
    model = model_of()
    target = Target(model, Compute(CPU, "fp32", 1, captures=captures, micro_batch=3))
    gradient = target.gradient(log_odds, LABELS)(IMAGES)
    torch.testing.assert_close(gradient, expected(model), rtol=1e-4, atol=1e-6)
    assert seen == ([3, 2] if captures else [])


def test_a_loss_of_all_images_together_is_climbed_at_once() -> None:
    def spread(logits: Tensor) -> Tensor:
        return logits.var()

    model, images = model_of(), IMAGES.clone().requires_grad_(True)
    with frozen(model):
        (whole,) = torch.autograd.grad(spread(model(images)), images)
    target = Target(model, Compute(CPU, "fp32", 1, micro_batch=3))
    torch.testing.assert_close(target.gradient(spread, is_joint=True)(IMAGES), whole, rtol=1e-4, atol=1e-6)
