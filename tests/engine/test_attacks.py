import copy
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from claf_engine.attacks import Attack, attack, attack_steps, from_config, require_pixels
from claf_engine.attacks.norms import uniform_start
from claf_engine.attacks.spec import Start
from claf_engine.config import AttackConfig, ModelConfig
from claf_engine.device import Compute
from claf_engine.errors import DataError
from claf_engine.ticks import Pulse

FP32 = Compute(torch.device("cpu"), "fp32", 1)
BF16 = Compute(torch.device("cpu"), "bf16", 1)
PROPERTY = settings(derandomize=True, deadline=None, max_examples=30)
SEEDS = st.integers(0, 2**31)
ROUNDING = 1e-6
PGD = Attack(Fraction(8, 255), Fraction(2, 255), steps=3)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(seed: int, num: int = 4, size: int = 4) -> Tensor:
    return torch.rand(num, 3, size, size, generator=seeded(seed))


@torch.no_grad()
def randomised(model: nn.Module, seed: int, scale: float = 0.3) -> nn.Module:
    generator = seeded(seed)
    for parameter in model.parameters():
        parameter.normal_(0, scale, generator=generator)
    return model


def linear_model(seed: int, num_classes: int = 2) -> nn.Module:
    return randomised(nn.Sequential(nn.Flatten(), nn.Linear(48, num_classes)), seed)


def convolutional_model(seed: int = 0) -> nn.Module:
    """Everything an attack could disturb: BatchNorm, dropout, a mixture of modes and of wanted gradients."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 3)
    )
    randomised(model, seed)
    model[0].weight.requires_grad_(False)
    model[3].eval()
    weight = next(model[5].parameters())
    weight.grad = torch.ones_like(weight)
    return model


LABELS = torch.tensor([0, 1, 2, 0])


def craft(
    model: nn.Module, images: Tensor, labels: Tensor, spec: Attack, *, seed: int = 0, compute: Compute = FP32
) -> Tensor:
    return attack(model, images, labels, spec, seeded(seed), compute)


@pytest.mark.parametrize("start", ["uniform", "none"])
@PROPERTY
@given(seed=SEEDS, level=st.integers(1, 64), steps=st.integers(2, 8))
def test_on_a_linear_model_pgd_reaches_the_best_corner_of_the_ball(
    seed: int, level: int, steps: int, start: Start
) -> None:
    model, images, labels = linear_model(seed), random_images(seed), torch.tensor([0, 1, 1, 0])
    epsilon = Fraction(level, 255)
    spec = Attack(epsilon, 2 * epsilon / steps, steps, start)
    weight = model[1].weight.detach()  # type: ignore[index]
    direction = (weight[1 - labels] - weight[labels]).sign().view_as(images)
    expected = (images + float(epsilon) * direction).clamp(0, 1)
    torch.testing.assert_close(craft(model, images, labels, spec), expected, rtol=0, atol=ROUNDING)


def test_one_step_of_the_whole_radius_is_the_fast_gradient_sign_method() -> None:
    model, images = convolutional_model().eval(), random_images(1)
    moved = images.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(cross_entropy(model(moved), LABELS), moved)
    expected = (images + 8 / 255 * gradient.sign()).clamp(0, 1)
    spec = Attack(Fraction(8, 255), Fraction(8, 255), steps=1, start="none")
    torch.testing.assert_close(craft(model, images, LABELS, spec), expected, rtol=0, atol=ROUNDING)


def slow_pgd(model: nn.Module, image: Tensor, label: Tensor, start: Tensor, spec: Attack) -> Tensor:
    """Madry et al. (2018), section 2.1, one image and one pixel at a time."""
    epsilon, step_size, point = float(spec.epsilon), float(spec.step_size), start.clone()
    for _ in range(spec.steps):
        point.requires_grad_(True)
        loss = cross_entropy(model(point[None]), label[None])
        (gradient,) = torch.autograd.grad(loss, point)
        pixels = []
        for x, x_adv, g in zip(image.flatten(), point.flatten(), gradient.flatten(), strict=True):
            moved = x_adv.item() + step_size * ((g > 0).item() - (g < 0).item())
            in_ball = min(max(moved, x.item() - epsilon), x.item() + epsilon)
            pixels.append(min(max(in_ball, 0.0), 1.0))
        point = torch.tensor(pixels, dtype=image.dtype).view_as(image)
    return point


@pytest.mark.parametrize("start", ["uniform", "none"])
def test_pgd_is_what_a_slow_loop_over_images_and_pixels_gives(start: Start) -> None:
    model, images = convolutional_model().eval(), random_images(2)
    spec = Attack(Fraction(8, 255), Fraction(3, 255), 4, start)
    starts = uniform_start(images, 8 / 255, "linf", seeded(5)) if start == "uniform" else images
    expected = [slow_pgd(model, *case, spec) for case in zip(images, LABELS, starts, strict=True)]
    torch.testing.assert_close(craft(model, images, LABELS, spec, seed=5), torch.stack(expected), rtol=0, atol=ROUNDING)


@st.composite
def specs(draw: st.DrawFn) -> Attack:
    distances = st.builds(Fraction, st.integers(0, 255), st.just(255))
    return Attack(draw(distances), draw(distances), draw(st.integers(0, 4)), draw(st.sampled_from(["uniform", "none"])))


@PROPERTY
@given(specs(), SEEDS)
def test_adversarial_images_lie_in_the_ball(spec: Attack, seed: int) -> None:
    images = random_images(seed)
    moved = (craft(convolutional_model(seed), images, LABELS, spec) - images).abs()
    assert moved.max() <= float(spec.epsilon) + ROUNDING


@PROPERTY
@given(specs(), SEEDS)
def test_adversarial_images_lie_in_the_image_range(spec: Attack, seed: int) -> None:
    images = random_images(seed).round()  # black and white: every pixel sits on a border
    require_pixels(craft(convolutional_model(seed), images, LABELS, spec))


def test_in_bf16_adversarial_images_stay_fp32_and_in_the_ball() -> None:
    images = random_images(3)
    adversarial = craft(convolutional_model(), images, LABELS, PGD, compute=BF16)
    assert adversarial.dtype == torch.float32
    assert (adversarial - images).abs().max() <= 8 / 255 + ROUNDING


def test_no_step_and_no_random_start_is_the_identity() -> None:
    images = random_images(4)
    spec = Attack(Fraction(8, 255), Fraction(2, 255), steps=0, start="none")
    assert torch.equal(craft(convolutional_model(), images, LABELS, spec), images)


@pytest.mark.parametrize("start", ["uniform", "none"])
def test_a_radius_of_zero_returns_the_images(start: Start) -> None:
    images = random_images(5)
    spec = Attack(Fraction(0), Fraction(2, 255), 3, start)
    assert torch.equal(craft(convolutional_model(), images, LABELS, spec), images)


def test_without_steps_the_result_is_the_random_start() -> None:
    images = random_images(6)
    spec = Attack(Fraction(8, 255), Fraction(2, 255), steps=0)
    assert torch.equal(
        craft(convolutional_model(), images, LABELS, spec, seed=7), uniform_start(images, 8 / 255, "linf", seeded(7))
    )


def test_the_random_start_is_uniform_in_the_ball() -> None:
    grey = torch.full((8, 3, 32, 32), 0.5)
    noise = (uniform_start(grey, 0.1, "linf", seeded()) - grey).flatten() / 0.1
    uniform = torch.linspace(-1, 1, len(noise))
    torch.testing.assert_close(noise.sort().values, uniform, rtol=0, atol=0.02)


def test_an_image_is_attacked_alike_alone_and_in_a_batch() -> None:
    model, images = convolutional_model(), random_images(8)
    spec = Attack(Fraction(8, 255), Fraction(2, 255), 3, start="none")
    together = craft(model, images, LABELS, spec)
    alone = torch.cat([craft(model, images[i : i + 1], LABELS[i : i + 1], spec) for i in range(4)])
    torch.testing.assert_close(together, alone, rtol=0, atol=ROUNDING)


def test_the_network_is_attacked_in_eval_mode() -> None:
    model, images = convolutional_model(), random_images(9)
    expected = craft(copy.deepcopy(model).eval(), images, LABELS, PGD)
    assert torch.equal(craft(model, images, LABELS, PGD), expected)


def test_an_attack_works_inside_no_grad() -> None:
    model, images = convolutional_model(), random_images(10)
    expected = craft(model, images, LABELS, PGD)
    with torch.no_grad():
        assert torch.equal(craft(model, images, LABELS, PGD), expected)


def test_adversarial_images_carry_no_graph() -> None:
    assert not craft(convolutional_model(), random_images(11), LABELS, PGD).requires_grad


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


@pytest.mark.parametrize("look", STATE.values(), ids=STATE)
def test_an_attack_leaves_the_network_as_it_was(look: Callable[[nn.Module], list[object]]) -> None:
    model = convolutional_model()
    before = look(model)
    craft(model, random_images(12), LABELS, PGD)
    assert same(before, look(model))


@pytest.mark.parametrize("look", STATE.values(), ids=STATE)
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


@pytest.mark.parametrize("start", ["uniform", "none"])
def test_an_attack_leaves_the_images_as_they_were(start: Start) -> None:
    images = random_images(14)
    before = images.clone()
    craft(convolutional_model(), images, LABELS, Attack(PGD.epsilon, PGD.step_size, 3, start))
    assert torch.equal(images, before)
    assert not images.requires_grad


def test_an_attack_leaves_the_global_randomness_as_it_was() -> None:
    model, images = convolutional_model(), random_images(15)
    before = torch.get_rng_state()
    craft(model, images, LABELS, PGD)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_generator_state_gives_the_same_result() -> None:
    model, images = convolutional_model(), random_images(16)
    assert torch.equal(craft(model, images, LABELS, PGD, seed=1), craft(model, images, LABELS, PGD, seed=1))


def test_another_generator_state_gives_another_result() -> None:
    model, images = convolutional_model(), random_images(16)
    assert not torch.equal(craft(model, images, LABELS, PGD, seed=1), craft(model, images, LABELS, PGD, seed=2))


def test_what_is_drawn_from_the_generator_depends_on_the_shape_alone() -> None:
    states = []
    for seed, spec in enumerate((PGD, Attack(Fraction(0), Fraction(0), 0), Attack(Fraction(1), Fraction(1), 2))):
        generator = seeded()
        attack(convolutional_model(seed), random_images(seed), LABELS.roll(seed), spec, generator, FP32)
        states.append(generator.get_state())
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])


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


def test_an_attack_lowers_the_accuracy_of_a_trained_network() -> None:
    model, images, labels = trained_classifier()
    adversarial = craft(model, images, labels, Attack(Fraction(32, 255), Fraction(8, 255), 10))
    assert accuracy(model, images, labels) > 0.95
    assert accuracy(model, adversarial, labels) < 0.1


def test_an_attack_does_more_harm_than_noise_of_its_radius() -> None:
    model, images, labels = trained_classifier()
    noisy, attacked = (craft(model, images, labels, Attack(Fraction(32, 255), Fraction(8, 255), n)) for n in (0, 10))
    assert accuracy(model, attacked, labels) < accuracy(model, noisy, labels) - 0.5


def exhaust(steps: Generator[Pulse, None, Tensor]) -> tuple[list[Pulse], Tensor]:
    pulses = []
    while True:
        try:
            pulses.append(next(steps))
        except StopIteration as stop:
            return pulses, stop.value


def test_there_is_a_pulse_before_every_step() -> None:
    steps = attack_steps(convolutional_model(), random_images(18), LABELS, PGD, seeded(), FP32)
    pulses, _ = exhaust(steps)
    assert pulses == [Pulse("PGD-3 at 8/255", step, 3) for step in range(3)]


def test_with_and_without_pauses_the_result_is_the_same() -> None:
    model, images = convolutional_model(), random_images(19)
    _, adversarial = exhaust(attack_steps(model, images, LABELS, PGD, seeded(), FP32))
    assert torch.equal(adversarial, craft(model, images, LABELS, PGD))


@pytest.mark.parametrize(
    ("epsilon", "steps", "name"),
    [
        (Fraction(8, 255), 10, "PGD-10 at 8/255"),
        (Fraction(16, 255), 1, "PGD-1 at 16/255"),
        (Fraction(15, 255), 20, "PGD-20 at 15/255"),
        (Fraction("0.03"), 5, "PGD-5 at 0.03"),
    ],
)
def test_the_name_says_the_steps_and_the_exact_radius(epsilon: Fraction, steps: int, name: str) -> None:
    assert Attack(epsilon, Fraction(2, 255), steps).title == name


def test_a_config_section_describes_an_attack() -> None:
    config = AttackConfig(epsilon=Fraction(4, 255), step_size=Fraction(1, 255), steps=7, random_start=False)
    assert from_config(config, ModelConfig()) == Attack(Fraction(4, 255), Fraction(1, 255), 7, start="none")


def test_an_attack_from_a_config_may_have_another_number_of_steps() -> None:
    assert from_config(AttackConfig(steps=7), ModelConfig(), steps=0).steps == 0


class Confident(nn.Module):
    """A linear two-class model whose logits differ by far more than fp32 cross-entropy can tell apart."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        score = 400 * (images.mean((1, 2, 3)) - 0.49)
        return torch.stack([score, -score], 1) * 3


def test_a_network_that_is_too_sure_of_itself_for_cross_entropy_is_attacked_all_the_same() -> None:
    images, labels = torch.full((4, 3, 4, 4), 0.51), torch.zeros(4, dtype=torch.int64)
    logits = Confident()(images.requires_grad_())
    (vanished,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), images)
    spec = Attack(Fraction(8, 255), Fraction(2, 255), 10)
    adversarial = attack(Confident(), images.detach(), labels, spec, torch.Generator().manual_seed(0), FP32)
    assert float(vanished.abs().max()) < 1e-7
    assert (Confident()(adversarial).argmax(1) == 1).all()
