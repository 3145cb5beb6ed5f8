"""A classifier with a detector beside it, on images of which all is known.

The classifier looks at the brightness of a gray image and, more closely, at two patterns that an average removes. An
attack that knows of no detector uses a pattern, and the averaged image is taken for another class than the image: it is
detected. Brightness alone fools both.
"""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from claf_engine.accuracy.defences import Defence, Preprocessed
from claf_engine.accuracy.measure import Accuracy
from claf_engine.accuracy.squeezing import reduce_bits
from claf_engine.accuracy.squeezing_detector import SqueezingDetector
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.accuracy.watched import WEIGHTS, Watched, adaptive_suite, watched_steps
from claf_engine.data import Split
from claf_engine.terms.errors import DataError
from tests.engine.tiny import FP32, exhaust

SIDE = 10
RADIUS = Fraction(10, 255)
SUITE = AttackSuite((Fraction(0), RADIUS), 20, Fraction(2, 255))


class Average(Defence):
    """Every pixel becomes the mean of its image, rounded to 64 levels."""

    def __str__(self) -> str:
        return "average"

    def guarded(self, model: nn.Module) -> nn.Module:
        return Preprocessed(model, self, self.squeeze)

    def squeeze(self, images: Tensor) -> Tensor:
        return reduce_bits(images.mean((1, 2, 3), keepdim=True), 6).expand_as(images)


class PatternClassifier(nn.Module):
    """Two logits of gray images: dark or bright, and how much there is of a pattern that says the same."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("pattern", ((-1.0) ** torch.arange(SIDE)).expand(SIDE, SIDE))

    def forward(self, images: Tensor) -> Tensor:
        for_bright = (images * self.pattern).mean((1, 2, 3))
        for_dark = (images * self.pattern.T).mean((1, 2, 3))
        bright = 400 * (images.mean((1, 2, 3)) - 0.5) + 2e5 * (for_bright.square() - for_dark.square())
        return torch.stack([-bright / 2, bright / 2], 1)


def split(count: int, seed: int) -> Split:
    """Half of the images are a little darker than the middle, half a little brighter, with grain."""
    labels = torch.arange(count) % 2
    levels = (124 + 7 * labels).view(-1, 1, 1, 1)
    grain = torch.randint(0, 2, (count, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(seed))
    return Split((levels + grain).to(torch.uint8), labels)


VALIDATION, TEST = split(40, 1), split(24, 2)
MODEL = PatternClassifier().eval()
WATCHED = Watched.by(MODEL, SqueezingDetector(MODEL, (Average(),)))


@pytest.fixture(scope="module")
def measured() -> Accuracy:
    return exhaust(watched_steps(WATCHED, VALIDATION, TEST, SUITE, FP32))[1]


def test_the_oblivious_attack_is_mostly_detected_and_the_adaptive_one_is_not(measured: Accuracy) -> None:
    assert measured.detection is not None
    oblivious, adaptive = measured.detection.caught[2:]
    assert oblivious.detected.hits >= 0.8 * oblivious.detected.total > 0
    assert adaptive.detected.hits <= 0.1 * adaptive.detected.total
    assert adaptive.detected.total >= 0.9 * measured.detection.right.hits
    assert measured.robust[2].accuracy >= 0.7
    assert measured.robust[3].accuracy <= 0.1


def test_at_a_radius_of_zero_both_figures_are_natural_accuracy(measured: Accuracy) -> None:
    assert [figure.accuracy for figure in measured.robust[:2]] == [measured.natural] * 2


def test_figures_name_the_detector_with_its_rate_and_the_attacker(measured: Accuracy) -> None:
    name = "detector squeezing:average at 5 %"
    assert [(item.epsilon, item.defence, item.knowledge) for item in measured.robust] == [
        ("0/255", name, "oblivious"),
        ("0/255", name, "adaptive"),
        ("10/255", name, "oblivious"),
        ("10/255", name, "adaptive"),
    ]
    assert replace(WATCHED, before="median:2").name == f"median:2 and {name}"


def test_the_adaptive_figure_says_what_was_done_for_it(measured: Accuracy) -> None:
    oblivious, adaptive = measured.robust[2:]
    assert (oblivious.restarts, oblivious.decides) == (1, "last")
    assert (adaptive.restarts, adaptive.decides) == (len(WEIGHTS), "any")


def test_unless_told_otherwise_the_adaptive_attacker_takes_many_steps_that_cross_the_ball() -> None:
    suite = adaptive_suite(AttackSuite((Fraction(8, 255),), None, None), Fraction(8, 255))
    attack = suite.attack(Fraction(8, 255))
    assert (attack.steps, attack.step_size) == (100, Fraction(8, 255) * Fraction(5, 2) / 100)


def test_a_naturally_rejected_image_is_an_error_with_and_without_an_attack(measured: Accuracy) -> None:
    assert measured.detection is not None
    assert measured.correct is not None
    right, stands = measured.detection.right.hits, int(measured.correct.sum())
    assert measured.natural == stands / len(TEST)
    assert stands >= right - measured.detection.false_positives.hits
    for survives in measured.outcomes:
        assert not (survives & ~measured.correct).any()


def test_a_detector_that_rejects_all_it_is_asked_about_keeps_nothing() -> None:
    dark = Split(torch.full((40, 1, SIDE, SIDE), 100, dtype=torch.uint8), torch.zeros(40, dtype=torch.int64))
    _, found = exhaust(watched_steps(WATCHED, dark, _patterned(), replace(SUITE, epsilons=()), FP32))
    assert found.detection is not None
    assert found.detection.right.hits == found.detection.false_positives.hits == 4
    assert found.natural == 0


def _patterned() -> Split:
    """Images that are taken for bright by their pattern alone."""
    images = 120 + 6 * MODEL.pattern.expand(4, 1, SIDE, SIDE)
    return Split(images.to(torch.uint8), torch.ones(4, dtype=torch.int64))


def test_too_few_validation_images_are_refused() -> None:
    with pytest.raises(DataError, match="at least 20 validation images"):
        exhaust(watched_steps(WATCHED, VALIDATION.first(10), TEST, SUITE, FP32))


def test_the_same_question_has_the_same_answer_and_pulses_name_the_attacker() -> None:
    suite = replace(SUITE, epsilons=(RADIUS,), steps=2)
    pulses, once = exhaust(watched_steps(WATCHED, VALIDATION, TEST, suite, FP32))
    assert list(dict.fromkeys(pulse.activity for pulse in pulses)) == [
        "natural accuracy",
        "scores of validation images",
        "scores of test images",
        "PGD-2 at 10/255, oblivious",
        "PGD-2 at 10/255, adaptive",
    ]
    assert all(pulse.abandonable for pulse in pulses)
    _, again = exhaust(watched_steps(WATCHED, VALIDATION, TEST, suite, FP32))
    assert (again.robust, again.detection) == (once.robust, once.detection)
