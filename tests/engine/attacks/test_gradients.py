import math
from fractions import Fraction
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from claf_engine.attacks import Attack, gradient_of, log_odds
from claf_engine.attacks.gradients import outputs_and_gradient
from claf_engine.models.modes import batch_statistics, frozen
from tests.engine.attacks.helpers import (
    BF16,
    FP32,
    LABELS,
    ROUNDING,
    assert_close,
    convolutional_model,
    craft,
    random_images,
    seeded,
)

LOGITS = torch.randn(4, 3, generator=seeded(3)) * 2


def test_log_odds_are_what_a_slow_loop_gives() -> None:
    expected = [
        math.log(sum(math.exp(z) for j, z in enumerate(row) if j != label)) - row[label]
        for row, label in zip(LOGITS.tolist(), LABELS.tolist(), strict=True)
    ]
    assert_close(log_odds(LOGITS, LABELS), torch.tensor(expected))


def test_cross_entropy_is_the_softplus_of_the_log_odds() -> None:
    expected = cross_entropy(LOGITS, LABELS, reduction="none")
    assert_close(nn.functional.softplus(log_odds(LOGITS, LABELS)), expected)


def cross_entropy_gradient(model: nn.Module, images: Tensor) -> Tensor:
    moved = images.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(cross_entropy(model(moved), LABELS, reduction="sum"), moved)
    return gradient


def test_the_gradient_of_log_odds_points_where_cross_entropy_grows() -> None:
    model, images = convolutional_model().eval(), random_images(0)
    ours = gradient_of(model, partial(log_odds, labels=LABELS), FP32)(images)
    s = log_odds(model(images).detach(), LABELS).view(-1, 1, 1, 1)
    torch.testing.assert_close(torch.sigmoid(s) * ours, cross_entropy_gradient(model, images), rtol=1e-4, atol=ROUNDING)


def test_a_gradient_is_taken_of_the_summed_loss() -> None:
    images = random_images(1)
    gradient = gradient_of(nn.Identity(), lambda outputs: (outputs**2).flatten(1).mean(1), FP32)(images)
    assert_close(gradient, 2 * images / 48)


def test_a_gradient_leaves_the_images_without_one() -> None:
    images = random_images(2)
    gradient_of(nn.Identity(), torch.square, FP32)(images)
    assert not images.requires_grad
    assert images.grad is None


def test_in_bf16_the_loss_and_the_gradient_are_fp32() -> None:
    seen: list[torch.dtype] = []

    def loss(outputs: Tensor) -> Tensor:
        seen.append(outputs.dtype)
        return outputs

    gradient = gradient_of(convolutional_model(), loss, BF16)(random_images(3))
    assert (seen, gradient.dtype) == ([torch.float32], torch.float32)


def test_with_batch_statistics_the_gradient_is_that_of_train_mode_batchnorm() -> None:
    model, images = convolutional_model(), random_images(4)
    ours = gradient_of(model, lambda outputs: log_odds(outputs, LABELS), FP32, batch_statistics)(images)
    batchwise = convolutional_model().eval()
    batchwise[1].train()  # type: ignore[index]
    moved = images.clone().requires_grad_(True)
    (expected,) = torch.autograd.grad(log_odds(batchwise(moved), LABELS).sum(), moved)
    assert_close(ours, expected)
    in_eval_mode = gradient_of(model, partial(log_odds, labels=LABELS), FP32)(images)
    assert (ours - in_eval_mode).abs().max() > 0.01, "the mode makes a difference here"


class Confident(nn.Module):
    """A linear two-class model whose logits differ by far more than fp32 cross-entropy can tell apart."""

    def forward(self, images: Tensor) -> Tensor:
        score = 400 * (images.mean((1, 2, 3)) - 0.49)
        return torch.stack([score, -score], 1) * 3


def test_a_network_too_sure_of_itself_for_cross_entropy_is_attacked_all_the_same() -> None:
    images, labels = torch.full((4, 3, 4, 4), 0.51), torch.zeros(4, dtype=torch.int64)
    moved = images.clone().requires_grad_(True)
    (vanished,) = torch.autograd.grad(cross_entropy(Confident()(moved), labels), moved)
    adversarial = craft(Confident(), images, labels, Attack(Fraction(8, 255), Fraction(2, 255), 10))
    assert float(vanished.abs().max()) < 1e-7
    assert (Confident()(adversarial).argmax(1) == 1).all()


@pytest.mark.parametrize("shift", [-1e4, 1e4])
def test_log_odds_do_not_overflow(shift: float) -> None:
    torch.testing.assert_close(log_odds(LOGITS + shift, LABELS), log_odds(LOGITS, LABELS), rtol=0, atol=0.01)


def test_outputs_and_gradient_of_one_pass_are_those_of_two() -> None:
    model, images = convolutional_model(), random_images(9)
    outputs, gradient = outputs_and_gradient(model, lambda logits: log_odds(logits, LABELS), images, FP32)
    with frozen(model):
        # In the same memory layout: another one sums in another order on some processors.
        assert torch.equal(outputs, model(FP32.arrange(images)).float())
    assert torch.equal(gradient, gradient_of(model, partial(log_odds, labels=LABELS), FP32)(images))
    assert not outputs.requires_grad
    assert not gradient.requires_grad
