import copy
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from claf_engine.attacks import Attack, ascent_steps, attack, attack_steps, make_attack, require_pixels
from claf_engine.attacks.norms import distances, gaussian_noise, uniform_noise
from claf_engine.attacks.spec import Start
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import DataError
from claf_engine.terms.names import Norm
from tests.engine.attacks.helpers import (
    AS_RELEASED,
    ATTACKS,
    BF16,
    FP32,
    LABELS,
    MI_FGSM,
    NORMS,
    PGD,
    PGD_L2,
    PROPERTY,
    ROUNDING,
    SEEDS,
    STARTS,
    assert_close,
    convolutional_model,
    craft,
    grey_images,
    linear_model,
    random_images,
    randomised,
    seeded,
    specs,
)
from tests.engine.tiny import exhaust

EPSILON = Fraction(8, 255)
EACH_ATTACK = pytest.mark.parametrize("spec", ATTACKS.values(), ids=ATTACKS)


@pytest.mark.parametrize("norm", NORMS)
def test_without_steps_the_result_is_the_random_start(norm: Norm) -> None:
    images = grey_images(6)
    spec = Attack(EPSILON, Fraction(2, 255), steps=0, norm=norm)
    expected = images + uniform_noise(images, 8 / 255, norm, seeded(7))
    assert_close(craft(convolutional_model(), images, LABELS, spec, seed=7), expected)


def test_a_gaussian_start_has_the_deviation_of_trades() -> None:
    images = grey_images(6)
    spec = Attack(EPSILON, Fraction(2, 255), steps=0, start="gaussian")
    expected = images + gaussian_noise(images, seeded(7))
    assert_close(craft(convolutional_model(), images, LABELS, spec, seed=7), expected)


def test_a_bernoulli_start_lies_half_a_radius_away_in_every_coordinate() -> None:
    images = grey_images(6)
    spec = Attack(EPSILON, Fraction(2, 255), steps=0, start="bernoulli")
    moved = craft(convolutional_model(), images, LABELS, spec, seed=7) - images
    assert_close(moved.abs(), torch.full_like(moved, 4 / 255))
    assert 0.3 < float((moved > 0).float().mean()) < 0.7
    other = craft(convolutional_model(), images, LABELS, spec, seed=8) - images
    assert not torch.equal(moved > 0, other > 0)


@pytest.mark.parametrize("norm", NORMS)
def test_a_gaussian_start_does_not_leave_a_smaller_ball(norm: Norm) -> None:
    images = grey_images(6)
    spec = Attack(Fraction(1, 10000), Fraction(0), steps=0, start="gaussian", norm=norm)
    moved = distances(craft(convolutional_model(), images, LABELS, spec), images, spec.norm)
    torch.testing.assert_close(moved, torch.full((4,), 0.0001), rtol=0, atol=ROUNDING)


def test_no_step_and_no_random_start_is_the_identity() -> None:
    images = random_images(4)
    spec = Attack(EPSILON, Fraction(2, 255), steps=0, start="none")
    assert torch.equal(craft(convolutional_model(), images, LABELS, spec), images)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("begin", STARTS)
def test_a_radius_of_zero_returns_the_images(begin: Start, norm: Norm) -> None:
    images = random_images(5)
    spec = Attack(Fraction(0), Fraction(2, 255), 3, begin, norm)
    assert torch.equal(craft(convolutional_model(), images, LABELS, spec), images)


@PROPERTY
@given(specs(), SEEDS)
def test_adversarial_images_lie_in_the_ball(spec: Attack, seed: int) -> None:
    images = random_images(seed)
    moved = distances(craft(convolutional_model(seed), images, LABELS, spec), images, spec.norm)
    assert moved.max() <= float(spec.epsilon) + ROUNDING


@PROPERTY
@given(specs(), SEEDS)
def test_adversarial_images_lie_in_the_image_range(spec: Attack, seed: int) -> None:
    images = random_images(seed).round()  # black and white: every pixel sits on a border
    require_pixels(craft(convolutional_model(seed), images, LABELS, spec))


@PROPERTY
@given(specs(), SEEDS)
def test_the_same_generator_state_gives_the_same_result(spec: Attack, seed: int) -> None:
    model, images = convolutional_model(seed), random_images(seed)
    first, second = (craft(model, images, LABELS, spec, seed=seed) for _ in range(2))
    assert torch.equal(first, second)


@EACH_ATTACK
def test_another_generator_state_gives_another_result_where_the_start_is_random(spec: Attack) -> None:
    model, images = convolutional_model(), random_images(16)
    first, second = (craft(model, images, LABELS, spec, seed=seed) for seed in (1, 2))
    assert torch.equal(first, second) == (spec.start == "none")


@PROPERTY
@given(specs(), SEEDS)
def test_an_attack_leaves_the_images_as_they_were(spec: Attack, seed: int) -> None:
    images = random_images(seed)
    before = images.clone()
    craft(convolutional_model(), images, LABELS, spec)
    assert torch.equal(images, before)
    assert not images.requires_grad


@pytest.mark.parametrize("spec", [PGD, PGD_L2, AS_RELEASED], ids=["pgd", "pgd l2", "released code"])
def test_an_attack_may_begin_at_a_given_point_of_its_ball_and_then_draws_nothing(spec: Attack) -> None:
    images, generator, standing = grey_images(6), seeded(7), replace(spec, steps=0)
    inside = craft(convolutional_model(), images, LABELS, standing, seed=1)
    before = generator.get_state()
    _, begun = exhaust(ascent_steps(torch.zeros_like, images, standing, generator, inside))
    assert_close(begun, inside)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("spec", [PGD, PGD_L2], ids=["pgd", "pgd l2"])
def test_a_given_point_outside_the_ball_is_brought_back_to_its_border(spec: Attack) -> None:
    images, standing = grey_images(6), replace(spec, steps=0)
    _, begun = exhaust(ascent_steps(torch.zeros_like, images, standing, seeded(), images + 3 * float(spec.epsilon)))
    moved = distances(begun, images, spec.norm)
    torch.testing.assert_close(moved, torch.full((4,), float(spec.epsilon)), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("begin", STARTS)
def test_what_is_drawn_from_the_generator_depends_on_start_norm_and_shape_alone(begin: Start, norm: Norm) -> None:
    states = []
    for seed, (radius, steps, momentum) in enumerate([(8, 3, None), (0, 0, None), (255, 2, 1.0)]):
        generator, epsilon = seeded(), Fraction(radius, 255)
        spec = Attack(epsilon, epsilon, steps, begin, norm, momentum)
        attack(convolutional_model(seed), random_images(seed), LABELS.roll(seed), spec, generator, FP32)
        states.append(generator.get_state())
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])


@EACH_ATTACK
def test_an_attack_leaves_the_global_randomness_as_it_was(spec: Attack) -> None:
    model, images = convolutional_model(), random_images(15)
    before = torch.get_rng_state()
    craft(model, images, LABELS, spec)
    assert torch.equal(torch.get_rng_state(), before)


@EACH_ATTACK
def test_in_bf16_adversarial_images_stay_fp32_and_in_the_image_range(spec: Attack) -> None:
    adversarial = craft(convolutional_model(), random_images(3), LABELS, spec, compute=BF16)
    assert adversarial.dtype == torch.float32
    require_pixels(adversarial)


@EACH_ATTACK
def test_an_image_is_attacked_alike_alone_and_in_a_batch(spec: Attack) -> None:
    model, images = convolutional_model(), random_images(8)
    spec = Attack(spec.epsilon, spec.step_size, 3, "none", spec.norm, spec.momentum, spec.name, spec.space)
    together = craft(model, images, LABELS, spec)
    alone = torch.cat([craft(model, images[i : i + 1], LABELS[i : i + 1], spec) for i in range(4)])
    assert_close(together, alone)


@EACH_ATTACK
def test_the_network_is_attacked_in_eval_mode(spec: Attack) -> None:
    model, images = convolutional_model(), random_images(9)
    expected = craft(copy.deepcopy(model).eval(), images, LABELS, spec)
    assert torch.equal(craft(model, images, LABELS, spec), expected)


def test_an_attack_works_inside_no_grad() -> None:
    model, images = convolutional_model(), random_images(10)
    expected = craft(model, images, LABELS, PGD)
    with torch.no_grad():
        assert torch.equal(craft(model, images, LABELS, PGD), expected)


@EACH_ATTACK
def test_adversarial_images_carry_no_graph(spec: Attack) -> None:
    assert not craft(convolutional_model(), random_images(11), LABELS, spec).requires_grad


def parameters_and_buffers(model: nn.Module) -> list[Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def wanted_gradients(model: nn.Module) -> list[bool]:
    return [parameter.requires_grad for parameter in model.parameters()]


def gradients(model: nn.Module) -> list[Tensor | None]:
    return [None if p.grad is None else p.grad.clone() for p in model.parameters()]


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def same(before: list[object], after: list[object]) -> bool:
    pairs = zip(before, after, strict=True)
    return all(torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a is b for a, b in pairs)


STATE: dict[str, Callable[[nn.Module], list[object]]] = {
    "parameters and buffers": parameters_and_buffers,  # type: ignore[dict-item]
    "wanted gradients": wanted_gradients,  # type: ignore[dict-item]
    "gradients": gradients,  # type: ignore[dict-item]
    "modes": modes,  # type: ignore[dict-item]
}
EACH_LOOK = pytest.mark.parametrize("look", STATE.values(), ids=STATE)


@EACH_ATTACK
@EACH_LOOK
def test_an_attack_leaves_the_network_as_it_was(look: Callable[[nn.Module], list[object]], spec: Attack) -> None:
    model = convolutional_model()
    before = look(model)
    craft(model, random_images(12), LABELS, spec)
    assert same(before, look(model))


@EACH_LOOK
def test_between_two_steps_the_network_is_as_it_was(look: Callable[[nn.Module], list[object]]) -> None:
    model = convolutional_model()
    before = look(model)
    steps = attack_steps(model, random_images(12), LABELS, PGD, seeded(), FP32)
    next(steps)
    next(steps)
    assert same(before, look(model))


def test_a_network_that_fails_under_attack_gets_its_modes_back() -> None:
    model = convolutional_model()
    before = modes(model)
    with pytest.raises(RuntimeError):
        craft(model, random_images(13, size=5), LABELS, PGD)
    assert modes(model) == before


@pytest.mark.parametrize("value", [-0.001, 1.001, float("nan"), float("inf"), float("-inf")])
def test_an_image_outside_the_range_is_refused(value: float) -> None:
    images = random_images(17)
    images[2, 1, 0, 3] = value
    with pytest.raises(DataError, match=r"must lie in \[0, 1\].*normalise inside the network"):
        craft(convolutional_model(), images, LABELS, PGD)


def test_black_and_white_are_inside_the_range() -> None:
    require_pixels(torch.tensor([0.0, 1.0]))


def trained_classifier() -> tuple[nn.Module, Tensor, Tensor]:
    """A small network that tells dim from bright noisy images, with its data."""
    labels = torch.arange(64) % 2
    images = (0.4 + 0.2 * labels.view(-1, 1, 1, 1) + 0.1 * torch.randn(64, 3, 4, 4, generator=seeded(1))).clamp(0, 1)
    model = randomised(nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.Tanh(), nn.Linear(16, 2)), 2, scale=0.1)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(40):
        optimizer.zero_grad()
        torch.autograd.backward(cross_entropy(model(images), labels))
        optimizer.step()
    return model, images, labels


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    return float((model(images).argmax(1) == labels).double().mean())


STRONG = {
    "pgd": make_attack("pgd", Fraction(32, 255), step_size=Fraction(8, 255)),
    "pgd l2": make_attack("pgd", Fraction(1), norm="l2"),
    "fgsm": make_attack("fgsm", Fraction(32, 255)),
    "mi-fgsm": make_attack("mi-fgsm", Fraction(32, 255)),
}


@pytest.mark.parametrize("spec", STRONG.values(), ids=STRONG)
def test_an_attack_lowers_the_accuracy_of_a_trained_network(spec: Attack) -> None:
    model, images, labels = trained_classifier()
    assert accuracy(model, images, labels) > 0.95
    assert accuracy(model, craft(model, images, labels, spec), labels) < 0.1


class Scaled(nn.Module):
    """A linear classifier whose logits are all multiplied by one number, which changes no decision."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.inner, self.scale = linear_model(20), scale

    def forward(self, images: Tensor) -> Tensor:
        return self.scale * self.inner(images)


@pytest.mark.parametrize("scale", [2.0**-100, 2.0**70])
@pytest.mark.parametrize(
    "spec", [*ATTACKS.values(), replace(MI_FGSM, norm="l2", epsilon=PGD_L2.epsilon)], ids=[*ATTACKS, "mi-fgsm l2"]
)
def test_the_size_of_logits_protects_from_no_attack(spec: Attack, scale: float) -> None:
    images, labels = grey_images(20), torch.tensor([0, 1, 0, 1])
    expected = craft(Scaled(1), images, labels, spec)
    assert_close(craft(Scaled(scale), images, labels, spec), expected)
    assert not torch.equal(expected, images)


@pytest.mark.parametrize("name", ["pgd", "pgd l2"])
def test_an_attack_does_more_harm_than_noise_of_its_radius(name: str) -> None:
    model, images, labels = trained_classifier()
    spec = STRONG[name]
    noise = Attack(spec.epsilon, spec.step_size, 0, "uniform", spec.norm)
    noisy, attacked = (craft(model, images, labels, each) for each in (noise, spec))
    assert accuracy(model, attacked, labels) < accuracy(model, noisy, labels) - 0.5


def test_there_is_a_pulse_before_every_step() -> None:
    steps = attack_steps(convolutional_model(), random_images(18), LABELS, PGD, seeded(), FP32)
    pulses, _ = exhaust(steps)
    assert pulses == [Pulse("PGD-3 at 8/255", step, 3) for step in range(3)]


@EACH_ATTACK
def test_with_and_without_pauses_the_result_is_the_same(spec: Attack) -> None:
    model, images = convolutional_model(), random_images(19)
    _, adversarial = exhaust(attack_steps(model, images, LABELS, spec, seeded(), FP32))
    assert torch.equal(adversarial, craft(model, images, LABELS, spec))
