from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.attacks.gradients import Target
from claf_engine.attacks.universal import (
    CEILING,
    Algorithm,
    Universal,
    ascend,
    capped_log_odds,
    into_ball,
    perturbed,
    total_gradient,
    universal_steps,
)
from claf_engine.compute.device import Compute
from claf_engine.events.ticks import Pulse, exhaust
from claf_engine.terms.names import Norm

FP32 = Compute(torch.device("cpu"), "fp32", 1)
EACH_NORM = pytest.mark.parametrize("norm", ["linf", "l2"])
EACH_ALGORITHM = pytest.mark.parametrize("algorithm", ["ascent", "deepfool"])
EPSILONS = {"linf": Fraction(1, 10), "l2": Fraction(1, 2)}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 40) -> Tensor:
    """A third of the values is black or white."""
    return (torch.rand(count, 3, 4, 4, generator=seeded(1)) * 1.5 - 0.25).clamp(0, 1)


def linear() -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(generator=seeded(2))
    return model.eval()


def searched(spec: Universal, seed: int = 0) -> Tensor:
    model, shown = linear(), images()
    return exhaust(universal_steps(model, (shown, model(shown).argmax(1)), spec, seeded(seed), FP32))


@EACH_NORM
@EACH_ALGORITHM
def test_one_displacement_within_epsilon_changes_most_classes(norm: Norm, algorithm: Algorithm) -> None:
    spec = Universal(EPSILONS[norm] * 3, norm, algorithm, passes=5, batch_size=10)
    found, model, shown = searched(spec), linear(), images()
    order = torch.inf if norm == "linf" else 2
    assert found.shape == (1, 3, 4, 4)
    assert float(torch.linalg.vector_norm(found.flatten(), order)) <= float(spec.epsilon) + 1e-6
    changed = model(perturbed(shown, found)).argmax(1) != model(shown).argmax(1)
    assert float(changed.float().mean()) > 0.5


@EACH_NORM
def test_a_random_displacement_of_that_length_does_not(norm: Norm) -> None:
    """The control of the test above."""
    model, shown = linear(), images()
    drawn = into_ball(torch.randn(1, 3, 4, 4, generator=seeded(3)), 3 * float(EPSILONS[norm]), norm)
    changed = model(perturbed(shown, drawn)).argmax(1) != model(shown).argmax(1)
    assert float(changed.float().mean()) < 0.5


@EACH_NORM
def test_a_pass_of_ascent_is_that_of_a_slow_loop(norm: Norm) -> None:
    spec = Universal(EPSILONS[norm], norm, passes=1, batch_size=7)
    model, shown = linear(), images()
    labels = torch.arange(40) % 3
    found = exhaust(universal_steps(model, (shown, labels), spec, seeded(), FP32))
    stream, epsilon = seeded(), float(spec.epsilon)
    if norm == "linf":
        slow = (torch.rand(1, 3, 4, 4, generator=stream) * 2 - 1) * epsilon
    else:
        direction = torch.randn(1, 3, 4, 4, generator=stream)
        slow = epsilon * torch.rand(1, generator=stream) * direction / direction.norm()
    order = torch.randperm(40, generator=stream)
    for begin in range(0, 40, 7):
        slow = slow.clone().requires_grad_(True)
        total = torch.zeros(())
        for row in order[begin : begin + 7].tolist():
            chance = F.softmax(model((shown[row : row + 1] + slow).clamp(0, 1)), 1)[0, labels[row]]
            total = total + torch.minimum(((1 - chance) / chance).log(), torch.tensor(CEILING))
        (gradient,) = torch.autograd.grad(total, slow)
        direction = gradient.sign() if norm == "linf" else gradient / gradient.norm()
        slow = slow.detach() + epsilon / 10 * direction
        slow = slow.clamp(-epsilon, epsilon) if norm == "linf" else slow * min(1, epsilon / float(slow.norm()))
    torch.testing.assert_close(found, slow, rtol=0, atol=1e-6)


def test_a_loss_beyond_the_ceiling_pulls_no_more() -> None:
    logits = torch.tensor([[0.0, 2 * CEILING], [0.0, CEILING / 2]], requires_grad=True)
    losses = capped_log_odds(logits, torch.tensor([0, 0]))
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    assert losses.tolist() == pytest.approx([CEILING, CEILING / 2])
    assert gradient[0].abs().sum() == 0
    assert gradient[1].abs().sum() > 0


def test_a_value_that_is_cut_off_does_not_follow() -> None:
    target = Target(linear(), FP32)
    white = torch.ones(2, 3, 4, 4)
    gradients = target.gradient(capped_log_odds, torch.tensor([0, 1]))(white)
    assert total_gradient(gradients, white, torch.full((1, 3, 4, 4), 0.1)).abs().sum() == 0
    assert total_gradient(gradients, white, torch.full((1, 3, 4, 4), -0.1)).abs().sum() > 0


@EACH_NORM
def test_a_step_never_leaves_the_ball(norm: Norm) -> None:
    spec = Universal(EPSILONS[norm], norm, step_size=Fraction(5))
    found = ascend(torch.zeros(1, 3, 4, 4), torch.randn(1, 3, 4, 4, generator=seeded(4)), spec, float(spec.step))
    order = torch.inf if norm == "linf" else 2
    assert float(torch.linalg.vector_norm(found.flatten(), order)) == pytest.approx(float(spec.epsilon))


@EACH_ALGORITHM
def test_the_same_seed_finds_the_same(algorithm: Algorithm) -> None:
    spec = Universal(EPSILONS["linf"], "linf", algorithm, passes=1)
    assert torch.equal(searched(spec), searched(spec))
    assert not torch.equal(searched(spec), searched(spec, seed=1))


@EACH_ALGORITHM
def test_it_pulses_where_a_stop_may_leave(algorithm: Algorithm) -> None:
    model, shown = linear(), images()
    spec = Universal(EPSILONS["linf"], "linf", algorithm, passes=1, batch_size=10)
    pulses = list(universal_steps(model, (shown, model(shown).argmax(1)), spec, seeded(), FP32))
    named = [pulse for pulse in pulses if isinstance(pulse, Pulse) and pulse.activity.startswith("universal")]
    assert len(named) == (4 if algorithm == "ascent" else 40)
    assert all(pulse.abandonable for pulse in named)


def test_by_deepfool_it_ends_after_its_passes_where_most_images_cannot_be_changed() -> None:
    """Public codes loop for ever where their wanted share of fooled images cannot be had."""
    constant = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    with torch.no_grad():
        constant[1].weight.zero_()
        constant[1].bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    spec = Universal(EPSILONS["linf"], "linf", "deepfool", passes=2)
    found = exhaust(universal_steps(constant, (images(3), torch.zeros(3).long()), spec, seeded(), FP32))
    assert found.abs().sum() == 0
