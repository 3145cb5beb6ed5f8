"""Attacks that any point decides: against slow attacks of every length, and what they cost."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from claf_engine.attacks import (
    RELEASED_CODE,
    Attack,
    Attacked,
    Space,
    attack,
    make_attack,
    predict,
    require_ball,
)
from claf_engine.attacks.any_point import GRAIN, NUM_SIZES, any_point_steps, coarse, misclassified
from claf_engine.terms.names import Norm
from tests.engine.known_accuracy import Threshold, Waves
from tests.engine.tiny import FP32, exhaust
from tests.properties import examples

PROPERTY = examples(40)
EPSILON = Fraction(16, 255)
RELEASED = Space(RELEASED_CODE, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))


class Noting(nn.Module):
    """Another model that notes the sizes of its batches, of passes with a gradient and of those without."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.climbed: list[int] = []
        self.judged: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        (self.climbed if images.requires_grad else self.judged).append(len(images))
        logits: Tensor = self.model(images)
        return logits


def examples_of(model: nn.Module, count: int, seed: int = 3) -> tuple[Tensor, Tensor]:
    """Images 2x2 that the model is right about."""
    images = torch.rand(count, 3, 2, 2, generator=torch.Generator().manual_seed(seed)) * 0.8 + 0.1
    return images, predict(model, images, FP32)


def levels(*values: float) -> tuple[Tensor, Tensor]:
    """Gray images of class 0, of these values."""
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).clone(), torch.zeros(len(values)).long()


def run(
    model: nn.Module, examples: tuple[Tensor, Tensor], spec: Attack, target: nn.Module | None = None
) -> tuple[Tensor, Tensor]:
    attacked, generator = Attacked(model, model if target is None else target), torch.Generator().manual_seed(7)
    ended = exhaust(any_point_steps(attacked, *examples, spec, generator, FP32))[1]
    return ended.points, ended.answers


def run_to_the_last_point(model: nn.Module, examples: tuple[Tensor, Tensor], spec: Attack) -> tuple[Tensor, Tensor]:
    points = attack(model, *examples, spec, torch.Generator().manual_seed(7), FP32)
    return points, predict(model, points, FP32)


def every_point(model: nn.Module, examples: tuple[Tensor, Tensor], spec: Attack) -> list[tuple[Tensor, Tensor]]:
    """The points of the attack from its start on, with the model's answers: each by an attack that ends there."""
    found = []
    for steps in range(spec.steps + 1):
        points = attack(model, *examples, replace(spec, steps=steps), torch.Generator().manual_seed(7), FP32)
        found.append((points, predict(model, points, FP32)))
    return found


ATTACKS = st.builds(
    lambda norm, momentum, starts, steps, radius, share, space: Attack(
        Fraction(radius, 255) * (1 if norm == "linf" else 2),
        Fraction(radius, 255) * share,
        steps,
        starts,
        norm,
        momentum,
        space=space,
    ),
    norm=st.sampled_from(["linf", "l2"]),
    momentum=st.sampled_from([None, 1.0, 0.5]),
    starts=st.sampled_from(["none", "uniform", "gaussian"]),
    steps=st.integers(0, 6),
    radius=st.integers(1, 16),
    share=st.sampled_from([Fraction(1, 4), Fraction(1)]),
    space=st.sampled_from([Space(), RELEASED]),
)


@PROPERTY
@given(spec=ATTACKS, count=st.integers(1, 100), seed=st.integers(0, 3))
def test_an_example_is_broken_by_the_first_of_all_points_that_is_misclassified(
    spec: Attack, count: int, seed: int
) -> None:
    model = Waves(seed)
    images, labels = examples_of(model, count)
    points, answers = run(model, (images, labels), spec)
    expected_points, expected_answers = images.clone(), labels.clone()
    stands = torch.ones(count, dtype=torch.bool)
    for at, taken_for in every_point(model, (images, labels), spec):
        expected_points[stands], expected_answers[stands] = at[stands], taken_for[stands]
        stands &= taken_for == labels
    assert torch.equal(answers, expected_answers)
    torch.testing.assert_close(points, expected_points)


@PROPERTY
@given(spec=ATTACKS, count=st.integers(1, 100))
def test_nothing_survives_that_the_last_point_breaks(spec: Attack, count: int) -> None:
    model = Waves()
    examples = examples_of(model, count)
    last, answers_at_last = run_to_the_last_point(model, examples, spec)
    points, answers = run(model, examples, spec)
    survives, survives_at_last = answers == examples[1], answers_at_last == examples[1]
    assert not (survives & ~survives_at_last).any()
    torch.testing.assert_close(points[survives], last[survives])


def test_waves_are_broken_on_the_way_and_not_at_the_last_point_alone() -> None:
    model = Waves()
    spec = make_attack("pgd", EPSILON, steps=6, step_size=EPSILON)
    examples = examples_of(model, 200)
    _, at_last = run_to_the_last_point(model, examples, spec)
    _, anywhere = run(model, examples, spec)
    assert 0 < int((anywhere == examples[1]).sum()) < int((at_last == examples[1]).sum()) < 200


@pytest.mark.parametrize("name", ["pgd", "fgsm", "mi-fgsm"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_where_nothing_breaks_every_point_is_that_of_the_ordinary_attack(name: str, norm: Norm) -> None:
    spec = make_attack(name, Fraction(1, 255), norm=norm)  # type: ignore[arg-type]
    images, labels = levels(*torch.linspace(0.1, 0.4, 50).tolist())
    model = Noting(Threshold())
    points, answers = run(model, (images, labels), spec)
    assert torch.equal(points, attack(Threshold(), images, labels, spec, torch.Generator().manual_seed(7), FP32))
    assert torch.equal(answers, labels)
    assert (model.climbed, model.judged) == ([50] * spec.steps, [50])


def test_broken_examples_leave_the_batch() -> None:
    model = Noting(Threshold())
    values = [0.499] * 64 + [0.49] * 32 + [0.1] * 32
    spec = make_attack("pgd", EPSILON, steps=8, step_size=Fraction(2, 255))
    _, answers = run(model, levels(*values), replace(spec, start="none"))
    # 2/255 is 0.008: the first 64 break in one step, the next 32 in two, the others never.
    assert model.climbed == [128, 128, 64, 32, 32, 32, 32, 32]
    assert model.judged == [64, 32, 32]
    assert answers.tolist() == [1] * 96 + [0] * 32


def test_an_attack_ends_as_soon_as_everything_is_broken() -> None:
    model = Noting(Threshold())
    _, answers = run(model, levels(*[0.499] * 40), replace(make_attack("pgd", EPSILON, steps=8), start="none"))
    assert model.climbed == [40, 40]
    assert answers.tolist() == [1] * 40


def test_dropping_computes_fewer_gradients() -> None:
    model = Noting(Waves())
    run(model, examples_of(model.model, 250), make_attack("pgd", EPSILON, steps=10))
    assert sum(model.climbed) < 250 * 10 / 2
    assert sum(model.judged) < 250 * 2


@pytest.mark.parametrize("count", [7, 32, 100, 250, 1000])
def test_batches_have_few_sizes(count: int) -> None:
    model = Noting(Waves())
    examples = examples_of(model.model, count)
    model.judged.clear()
    run(model, examples, make_attack("pgd", Fraction(6, 255), steps=30, step_size=Fraction(1, 1020)))
    sizes = set(model.climbed) | set(model.judged)
    assert len(sizes) <= NUM_SIZES
    assert all(size % GRAIN == 0 for size in sizes - {count})
    assert model.climbed == sorted(model.climbed, reverse=True)


@PROPERTY
@given(whole=st.integers(1, 3000), data=st.data())
def test_a_coarse_size_has_room_for_all_and_is_never_larger_than_the_batch(whole: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, whole))
    assert count <= coarse(count, whole) <= whole
    assert len({coarse(number, whole) for number in range(1, whole + 1)}) <= NUM_SIZES


def test_what_the_model_does_not_confirm_is_not_dropped() -> None:
    class Alarmed(Threshold):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images + 0.4)

    target = Noting(Alarmed())
    images, labels = levels(*[0.3] * 64)
    spec = make_attack("pgd", EPSILON, steps=4)
    points, answers = run(Threshold(), (images, labels), spec, target)
    assert target.climbed == [64] * 4
    assert torch.equal(answers, labels)
    assert torch.equal(points, attack(Alarmed(), images, labels, spec, torch.Generator().manual_seed(7), FP32))


def test_what_the_target_overlooks_is_judged_at_the_last_point() -> None:
    class Calm(Threshold):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images - 0.4)

    _, answers = run(Threshold(), levels(*[0.49] * 64), make_attack("pgd", EPSILON, steps=10), Calm())
    assert answers.tolist() == [1] * 64


def test_an_example_is_confirmed_where_it_was_suspected() -> None:
    model = Threshold()
    images, labels = levels(0.499, 0.49, 0.4)
    spec = replace(make_attack("pgd", EPSILON, steps=8), start="none")
    points, _ = run(model, (images, labels), spec)
    require_ball(images, points, spec)
    moved = (points - images).mean((1, 2, 3)) * 255
    assert moved.tolist() == pytest.approx([2, 4, 16], abs=1e-3)


LOOKS: dict[str, Callable[[nn.Module], object]] = {
    "modes": lambda model: [module.training for module in model.modules()],
    "wanted gradients": lambda model: [weight.requires_grad for weight in model.parameters()],
    "gradients": lambda model: [weight.grad for weight in model.parameters()],
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_model_and_images_are_left_as_they_were(look: Callable[[nn.Module], object]) -> None:
    model = Waves().train()
    images, labels = examples_of(model, 40)
    before = look(model), images.clone(), labels.clone()
    run(model, (images, labels), make_attack("pgd", EPSILON))
    assert look(model) == before[0]
    assert torch.equal(images, before[1])
    assert torch.equal(labels, before[2])


def test_logits_that_are_not_numbers_break_nothing() -> None:
    logits = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, torch.nan], [-torch.inf, 0.0]])
    assert misclassified(logits, torch.zeros(4, dtype=torch.int64)).tolist() == [True, False, False, True]


def test_every_step_is_a_place_to_pause() -> None:
    attacked, generator = Attacked(Threshold(), Threshold()), torch.Generator().manual_seed(7)
    steps = any_point_steps(attacked, *levels(0.1), make_attack("pgd", EPSILON, steps=3), generator, FP32)
    pulses, _ = exhaust(steps)
    assert [(pulse.activity, pulse.done, pulse.total) for pulse in pulses] == [
        ("PGD-3 at 16/255", number, 3) for number in range(3)
    ]
