from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from claf_engine.accuracy.defences import defended_steps
from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.squeezing import Squeezing
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.accuracy.universal import UniversalSuite, crafted_steps, num_surviving, suite_steps
from claf_engine.attacks.universal import perturbed
from claf_engine.data import Split, to_pixels
from claf_engine.terms.errors import ClafError, ConfigError
from tests.engine.tiny import FP32, exhaust, tiny_data

DATA = tiny_data(num_train=40)
EPSILON = Fraction(60, 255)
NAMES = ("universal", "universal-deepfool")


class Tints(nn.Module):
    """Classes by the tint of an image, which one displacement for all images can drown."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        means = [to_pixels(DATA.train.images[DATA.train.labels == label]).mean(0) for label in range(num_classes)]
        prototypes = torch.stack(means).mean((2, 3))
        self.layer = nn.Linear(3, num_classes)
        with torch.no_grad():
            self.layer.weight.copy_(60 * prototypes)
            self.layer.bias.copy_(-30 * prototypes.square().sum(1))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layer(images.mean((2, 3)))
        return logits


def suite(**changes: Any) -> UniversalSuite:
    return replace(UniversalSuite((EPSILON,), DATA.train, passes=10), **changes)


@pytest.mark.parametrize("name", NAMES)
def test_one_perturbation_from_training_images_breaks_test_images(name: str) -> None:
    _, found = exhaust(suite_steps(Tints(), DATA.test, suite(name=name), FP32))
    assert found.natural == 1.0
    assert found.robust[0].accuracy <= 0.5
    assert 0 < (found.robust[0].largest_distance or 0) <= float(EPSILON) + 1e-6


def test_the_figure_says_what_it_was_crafted_on() -> None:
    _, found = exhaust(suite_steps(Tints(), DATA.test, suite(crafting=DATA.train.first(8)), FP32))
    (figure,) = found.robust
    assert (figure.attack, figure.num_crafted, figure.steps, figure.step_size) == ("universal", 8, 10, "6/255")
    _, plain = exhaust(suite_steps(Tints(), DATA.test, AttackSuite((EPSILON,)), FP32))
    assert plain.robust[0].num_crafted is None


@pytest.mark.parametrize("name", NAMES)
def test_it_moves_all_test_images_by_the_same_displacement(name: str) -> None:
    model, asked = Tints(), suite(name=name)
    examples = to_pixels(DATA.train.images), DATA.train.labels
    _, perturbation = exhaust(crafted_steps(model, examples, asked, EPSILON, FP32))
    _, found = exhaust(suite_steps(model, DATA.test, asked, FP32, batch_size=5))
    test = to_pixels(DATA.test.images)
    expected = model(perturbed(test, perturbation)).argmax(1) == DATA.test.labels
    assert torch.equal(found.outcomes[0], expected & (model(test).argmax(1) == DATA.test.labels))


def test_test_images_do_not_decide_what_is_crafted() -> None:
    """The same perturbation, and so the same outcomes, whichever other images are measured beside."""
    _, whole = exhaust(suite_steps(Tints(), DATA.test, suite(), FP32))
    _, half = exhaust(suite_steps(Tints(), Split(DATA.test.images[8:], DATA.test.labels[8:]), suite(), FP32))
    assert torch.equal(whole.outcomes[0][8:], half.outcomes[0])


def test_an_attack_on_every_image_by_itself_is_at_least_as_strong() -> None:
    _, one = exhaust(suite_steps(Tints(), DATA.test, suite(), FP32))
    _, each = exhaust(accuracy_steps(Tints(), DATA.test, AttackSuite((EPSILON,), 20, EPSILON / 8), FP32))
    assert each.robust[0].accuracy <= one.robust[0].accuracy


def test_of_several_restarts_the_one_that_breaks_most_crafting_images_counts() -> None:
    model, examples = Tints(), (to_pixels(DATA.train.images), DATA.train.labels)
    left = []
    for restarts in (1, 4):
        asked = suite(restarts=restarts, passes=1, step_size=Fraction(1, 255), epsilons=(Fraction(20, 255),))
        _, found = exhaust(crafted_steps(model, examples, asked, Fraction(20, 255), FP32))
        left.append(num_surviving(model, examples, found, 100, FP32))
    assert left[1] <= left[0]


def test_a_radius_of_zero_is_natural_accuracy() -> None:
    _, found = exhaust(suite_steps(Tints(), DATA.test, suite(epsilons=(Fraction(0),)), FP32))
    assert found.robust[0].accuracy == found.natural


def test_behind_a_defence_it_is_crafted_with_and_without_knowledge_of_it() -> None:
    _, found = exhaust(defended_steps(Tints(), Squeezing("bit-depth", 4), DATA.test, suite(), FP32))
    assert [(figure.knowledge, figure.num_crafted) for figure in found.robust] == [("oblivious", 40), ("adaptive", 40)]


def test_without_training_images_it_says_so() -> None:
    empty = Split(DATA.train.images[:0], DATA.train.labels[:0])
    with pytest.raises(ConfigError, match="universal is crafted on training images, and 0 are there"):
        UniversalSuite((EPSILON,), empty)


def test_a_perturbation_that_is_not_finite_is_told_and_no_figure() -> None:
    class Broken(Tints):
        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            return logits + (0 * logits).sqrt() if images.requires_grad else logits

    with pytest.raises(ClafError, match="universal at .* gave an image that is not finite"):
        exhaust(suite_steps(Broken(), DATA.test, suite(), FP32))


def test_the_same_seed_gives_the_same_figure() -> None:
    assert (
        exhaust(suite_steps(Tints(), DATA.test, suite(), FP32))[1]
        == exhaust(suite_steps(Tints(), DATA.test, suite(), FP32))[1]
    )
