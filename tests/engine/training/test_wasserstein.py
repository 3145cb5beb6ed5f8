import pytest
import torch
from torch import Tensor, nn

from claf_engine.models.generative import Critic, initialise
from claf_engine.training.wasserstein import critic_loss, generator_loss


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    stream = torch.Generator().manual_seed(0)
    natural, generated = (torch.rand(4, 3, 8, 8, dtype=torch.float64, generator=stream) for _ in range(2))
    return natural, generated, torch.rand(4, dtype=torch.float64, generator=stream)


def critic() -> nn.Module:
    return initialise(Critic(4, 3, (8, 8)), torch.Generator().manual_seed(0)).double()


def slow_terms(scored: nn.Module, natural: Tensor, generated: Tensor, shares: Tensor) -> tuple[float, float]:
    """Distance and penalty image by image, the gradient by central differences of every pixel."""
    distance = penalty = 0.0
    for one, other, share in zip(natural, generated, shares, strict=True):
        distance += float(scored(one[None]) - scored(other[None]))
        point = (one + share * (other - one)).flatten()
        squares = 0.0
        for index in range(len(point)):
            step = torch.zeros_like(point)
            step[index] = 1e-6
            up, down = ((point + sign * step).view(1, *one.shape) for sign in (1, -1))
            squares += float((scored(up) - scored(down)) / 2e-6) ** 2
        penalty += (squares**0.5 - 1) ** 2
    return distance / len(natural), penalty / len(natural)


def test_the_critics_loss_is_that_of_a_slow_loop(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    scored = critic()
    found = critic_loss(scored, *batch)
    with torch.no_grad():
        distance, penalty = slow_terms(scored, *batch)
    assert found.distance.item() == pytest.approx(distance, abs=1e-6)
    assert found.penalty.item() == pytest.approx(penalty, abs=1e-6)
    assert found.total(10).item() == pytest.approx(10 * penalty - distance, abs=1e-6)


def test_a_critic_whose_gradient_has_length_one_everywhere_pays_no_penalty(
    batch: tuple[Tensor, Tensor, Tensor],
) -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(192, 1), nn.Flatten(0)).double()
    with torch.no_grad():
        linear[1].weight.fill_(192**-0.5)
    assert critic_loss(linear, *batch).penalty.item() == pytest.approx(0, abs=1e-12)


def test_the_penalty_is_trained_through_and_what_was_generated_is_not(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    natural, generated, shares = batch
    scored, generated = critic(), generated.requires_grad_(True)
    critic_loss(scored, natural, generated, shares).penalty.backward()
    assert generated.grad is None
    assert all(weight.grad is not None and weight.grad.any() for weight in scored.parameters() if weight.dim() > 1)


def test_the_generator_minimises_minus_the_mean_score(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    scored = critic()
    scores = [scored(image[None]).item() for image in batch[1]]
    assert generator_loss(scored, batch[1]).item() == pytest.approx(-sum(scores) / len(scores), abs=1e-12)
