"""Training over the union of balls, against slow loops of the papers' equations."""

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.attacks import Attack
from claf_engine.attacks.union import multi_steepest_steps, worst_of
from claf_engine.config import RunConfig, UnionConfig
from claf_engine.events.ticks import exhaust
from claf_engine.models.network import ADVERSARIAL
from claf_engine.training.phases.objectives import crafting_target
from claf_engine.training.phases.union import balls_of, union_loss
from tests.engine.attacks import slow
from tests.engine.attacks.helpers import LABELS, assert_close, convolutional_model, random_images
from tests.engine.tiny import tiny_config, tiny_session

RADII = {"linf": (8 / 255, 8 / 255), "l2": (0.5, 0.25), "l1": (2.0, 1.0)}
SLOW = {"linf": slow.pgd_linf, "l2": slow.pgd_l2, "l1": slow.pgd_l1}
NORMS = tuple(RADII)


def attacked_slowly(model: torch.nn.Module, images: Tensor, labels: Tensor, norm: str, steps: int) -> Tensor:
    return slow.each_image(
        model, images, labels, lambda climb, image, _: SLOW[norm](climb, image, image, *RADII[norm], steps)
    )


def loss_of_each(model: torch.nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        return F.cross_entropy(model(images), labels, reduction="none")


def msd_slowly(model: torch.nn.Module, images: Tensor, labels: Tensor, steps: int) -> Tensor:
    """Maini et al. (2020), algorithm 1, one image at a time."""
    points = []
    for image, label in zip(images, labels, strict=True):
        climb, point, origin = slow.climb_cross_entropy(model, label, image.shape), image, image.flatten().tolist()
        for _ in range(steps):
            tried = [one_step(climb, point.flatten().tolist(), origin, norm).view_as(image) for norm in NORMS]
            point = highest(model, tried, label)
        points.append(point)
    return torch.stack(points)


def one_step(climb: slow.Climb, point: slow.Pixels, origin: slow.Pixels, norm: str) -> Tensor:
    """One step from a point, and back into a ball around the origin."""
    return torch.tensor(SLOW[norm](lambda _: climb(point), origin, point, *RADII[norm], 1))


def highest(model: torch.nn.Module, tried: list[Tensor], label: Tensor) -> Tensor:
    """The one of some versions of an image that has the highest loss."""
    losses = [float(loss_of_each(model, each[None], label[None])) for each in tried]
    return tried[losses.index(max(losses))]


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_msd_is_what_a_slow_loop_gives(steps: int) -> None:
    model, images = convolutional_model().eval(), random_images(2)
    balls = [
        Attack(Fraction(radius), Fraction(step), steps, "none", norm)  # type: ignore[arg-type]
        for norm, (radius, step) in RADII.items()
    ]

    def gradient(points: Tensor) -> Tensor:
        points = points.detach().requires_grad_(True)
        return torch.autograd.grad(F.cross_entropy(model(points), LABELS, reduction="sum"), points)[0]

    found = exhaust(multi_steepest_steps(gradient, lambda points: loss_of_each(model, points, LABELS), images, balls))
    assert_close(found, msd_slowly(model, images, LABELS, steps))


def test_of_each_image_the_point_of_highest_loss_is_taken() -> None:
    tried = [torch.tensor([0.1, 0.9]).view(2, 1, 1, 1), torch.tensor([0.5, 0.2]).view(2, 1, 1, 1)]
    assert worst_of(lambda points: points[:, 0, 0, 0], tried).flatten().tolist() == pytest.approx([0.5, 0.9])


@pytest.mark.parametrize("strategy", ["max", "avg", "msd"])
def test_the_loss_is_what_a_slow_loop_gives(strategy: str) -> None:
    session = tiny_session(tiny_config(method="union", union__strategy=strategy))
    model = session.state.network.with_classifier(ADVERSARIAL)
    images, labels = random_images(4, 6, 8), torch.tensor([0, 1, 2, 3, 0, 1])
    model.eval()
    each = [attacked_slowly(model, images, labels, norm, 2) for norm in NORMS]
    if strategy == "msd":
        learned = msd_slowly(model, images, labels, 2)
    elif strategy == "avg":
        learned = torch.cat(each)
    else:
        learned = torch.stack([highest(model, versions, label) for *versions, label in zip(*each, labels, strict=True)])
    loss_of = exhaust(union_loss(session, model, crafting_target(session, model), (images, labels)))
    expected = F.cross_entropy(model.train()(learned), labels.repeat(len(learned) // len(labels)))
    torch.testing.assert_close(loss_of(), expected, rtol=0, atol=1e-6)


def test_the_balls_of_the_papers_are_the_defaults() -> None:
    balls = [(ball.norm, ball.epsilon, ball.step_size, ball.steps) for ball in balls_of(UnionConfig())]
    assert balls == [
        ("linf", Fraction(3, 100), Fraction(3, 1000), 50),
        ("l2", Fraction(1, 2), Fraction(1, 20), 50),
        ("l1", 12, 1, 50),
    ]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"norms": []}, "union.norms needs each norm once"),
        ({"norms": ["l2", "l2"]}, "union.norms needs each norm once"),
        ({"linf": {"epsilon": 2, "step_size": 1}}, "2 is above 1"),
        ({"l1": {"epsilon": 12, "step_size": "1/100"}}, "the L1 radius is 12; raise step_size"),
    ],
)
def test_balls_that_cannot_be_are_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        RunConfig.model_validate({"union": changes})
