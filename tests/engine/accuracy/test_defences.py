from dataclasses import replace
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.accuracy.defences import Preprocessed, defended_steps, labelled
from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.squeezing import Squeezing
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.data import Split, to_pixels
from claf_engine.models.network import NATURAL
from tests.engine.tiny import FP32, exhaust, tiny_data, tiny_session

SPLIT = tiny_data(num_other=24).test
SUITE = AttackSuite((Fraction(0), Fraction(8, 255), Fraction(32, 255)), steps=3, step_size=None)

every_defence = pytest.mark.parametrize("defence", [Squeezing("bit-depth", 2), Squeezing("median", 3)], ids=str)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """A tiny classifier after a few steps of natural training."""
    network = tiny_session().state.network
    model = network.with_classifier(NATURAL)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    images = to_pixels(SPLIT.images)
    model.train()
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(images), SPLIT.labels).backward()
        optimizer.step()
    return model.eval()


@every_defence
def test_the_gradient_passes_straight_through(defence: Squeezing) -> None:
    images = torch.rand(2, 3, 6, 6, requires_grad=True)
    weights = torch.randn(2, 3, 6, 6)
    (defence.guarded(nn.Identity())(images) * weights).sum().backward()
    assert images.grad is not None
    assert torch.equal(images.grad, weights)


@every_defence
def test_a_defended_classifier_sees_exactly_the_squeezed_image(defence: Squeezing, model: nn.Module) -> None:
    images = to_pixels(SPLIT.images)
    with torch.no_grad():
        assert torch.equal(defence.guarded(model)(images), model(defence.squeeze(images)))


def test_a_defended_classifier_names_its_defence_because_its_weights_do_not(model: nn.Module) -> None:
    one, other = Squeezing("median", 2).guarded(model), Squeezing("median", 3).guarded(model)
    assert "median:2" in repr(one)
    assert repr(one) != repr(other)


@pytest.mark.parametrize("defence", [Squeezing("bit-depth", 2), Squeezing("median", 3)], ids=str)
def test_both_attackers_are_measured_each_by_its_own_gradient(model: nn.Module, defence: Squeezing) -> None:
    _, measured = exhaust(defended_steps(model, defence, SPLIT, SUITE, FP32))
    defended = defence.guarded(model)
    targets = {"oblivious": model, "adaptive": defended}
    for knowledge, target in targets.items():
        _, expected = exhaust(accuracy_steps(defended, SPLIT, SUITE, FP32, gradient_source=target))
        figures = [item for item in measured.robust if item.knowledge == knowledge]
        alone = labelled(expected, defence, knowledge).robust
        assert [replace(item, accuracy=0) for item in figures] == [replace(item, accuracy=0) for item in alone]
        lost = [one.accuracy - other.accuracy for one, other in zip(alone, figures, strict=True)]
        has_more = knowledge == "adaptive" and defence.kind == "median"  # attacks of its own
        assert lost == [0, 0, 0] or (has_more and min(lost) >= 0)
        assert measured.natural == expected.natural


def test_the_figures_of_both_attackers_stand_as_measured(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the adaptive one did worse: no figure is derived from the other."""
    seen: list[nn.Module] = []

    def fake(*arguments: object) -> object:
        target = arguments[-1]
        assert isinstance(target, nn.Module)
        seen.append(target)
        _, measured = exhaust(accuracy_steps(model, SPLIT, AttackSuite((Fraction(len(seen), 255),), 0), FP32))
        yield from ()
        return measured

    monkeypatch.setattr("claf_engine.accuracy.defences.suite_steps", fake)
    _, measured = exhaust(defended_steps(model, Squeezing("median", 2), SPLIT, AttackSuite((Fraction(0),)), FP32))
    assert [(item.knowledge, item.epsilon) for item in measured.robust] == [
        ("oblivious", "1/255"),
        ("adaptive", "2/255"),
    ]
    assert [isinstance(target, Preprocessed) for target in seen] == [False, True]


def test_behind_a_defence_a_radius_of_zero_gives_natural_accuracy(model: nn.Module) -> None:
    _, measured = exhaust(defended_steps(model, Squeezing("bit-depth", 3), SPLIT, SUITE, FP32))
    assert [item.accuracy for item in measured.robust[:2]] == [measured.natural] * 2


def test_natural_accuracy_is_with_the_defence(model: nn.Module) -> None:
    defence = Squeezing("bit-depth", 1)
    _, measured = exhaust(defended_steps(model, defence, SPLIT, AttackSuite(()), FP32))
    with torch.no_grad():
        predicted = model(defence.squeeze(to_pixels(SPLIT.images))).argmax(1)
    assert measured.natural == int((predicted == SPLIT.labels).sum()) / len(SPLIT)


def test_the_adaptive_attack_breaks_what_the_missing_gradient_seemed_to_protect(model: nn.Module) -> None:
    """Rounding to one bit has no gradient, so only an attacker who knows of it finds the way across a level."""
    defence, suite = Squeezing("bit-depth", 1), AttackSuite((Fraction(64, 255),), 20, Fraction(16, 255))
    _, measured = exhaust(defended_steps(model, defence, SPLIT, suite, FP32))
    oblivious, adaptive = measured.robust
    assert adaptive.accuracy <= oblivious.accuracy < 1


class _OnePixel(nn.Module):
    """Says the first class where the pixel in the middle is darker than half, else the second."""

    def forward(self, images: Tensor) -> Tensor:
        above = images[:, 0, 4, 4] - 0.5
        return torch.stack([-above, above], dim=1)


@pytest.mark.parametrize("side", [2, 3])
def test_who_knows_of_a_median_climbs_through_the_pixels_that_it_takes_its_values_from(side: int) -> None:
    levels = torch.randint(113, 116, (40, 3, 9, 9), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    split = Split(levels, torch.zeros(40, dtype=torch.int64))
    suite = AttackSuite((Fraction(16, 255),), steps=40, step_size=None)
    measured = exhaust(defended_steps(_OnePixel(), Squeezing("median", side), split, suite, FP32))[1]
    oblivious, adaptive = (figure.accuracy for figure in measured.robust)
    assert oblivious > 0.8  # one pixel moves, and a median does not care
    assert adaptive == 0
    assert any("its own as well" in notice for notice in measured.notices)


def test_pulses_name_the_attacker(model: nn.Module) -> None:
    pulses, _ = exhaust(defended_steps(model, Squeezing("median", 2), SPLIT, SUITE, FP32))
    activities = list(dict.fromkeys(pulse.activity for pulse in pulses))
    assert activities[0] == "natural accuracy, oblivious"
    assert "PGD-3 at 8/255, adaptive" in activities
    assert all(pulse.abandonable for pulse in pulses)
