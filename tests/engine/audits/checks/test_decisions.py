from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from claf_engine.attacks import attack, make_attack
from claf_engine.audits.bench import Bench
from claf_engine.audits.checks import convergence
from claf_engine.audits.checks.decisions import CHECKS, next_of_another_class
from claf_engine.audits.diagnostic import Finding, NotRun
from claf_engine.data import to_pixels
from tests.engine.audits.fixtures import (
    RELEASED,
    SOUND,
    Build,
    Damage,
    Gated,
    Wrapped,
    bench_of,
    check_of,
    found,
    gradient_killed,
    images_of,
    quantised,
    robust,
    saturated,
    undefended,
)
from tests.engine.tiny import FP32, exhaust


def examined(bench: Bench) -> Finding:
    return found(CHECKS[0], bench)


class Cornered(nn.Module):
    """ReLU, max-pooling and a hard clamp: corners enough, and no jump."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first, self.last = nn.Conv2d(3, 16, 3), nn.Linear(16 * 9, 4)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator)

    def forward(self, images: Tensor) -> Tensor:
        hidden = F.max_pool2d(F.relu(self.first(images - 0.5)), 2).clamp(max=0.4)
        logits: Tensor = self.last(hidden.flatten(1))
        return logits


@pytest.mark.parametrize("build", [*SOUND, Cornered, lambda: saturated(robust())])
def test_a_network_whose_decisions_turn_by_what_gradients_tell_passes(build: Build) -> None:
    finding = examined(bench_of(build()))
    assert (finding.verdict, finding.values["share"]) == ("passes", 0)
    assert finding.values["median"] < 0.05


@pytest.mark.parametrize("damage", [Gated, gradient_killed, quantised])
@pytest.mark.parametrize("build", [undefended, robust])
def test_a_choice_that_gradients_do_not_see_fails(damage: Damage, build: Build) -> None:
    finding = examined(bench_of(damage(build())))
    assert finding.verdict == "fails"
    assert finding.values["share"] == 1


class StraightThrough(torch.autograd.Function):
    """Rounds to 16 levels, and lets the gradient through as if it had not."""

    @staticmethod
    def forward(_: Any, images: Tensor) -> Tensor:
        return (images * 15).round() / 15

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return gradient


def test_a_gradient_that_is_made_up_fails_though_attacks_may_use_it() -> None:
    assert examined(bench_of(Wrapped(undefended(), before=StraightThrough.apply))).verdict == "fails"


def test_what_is_detached_without_a_jump_fails_too() -> None:
    def softly(logits: Tensor) -> Tensor:
        return logits.detach() * 5 + 0.1 * logits

    assert examined(bench_of(Wrapped(robust(), after=softly))).verdict == "fails"


def test_what_pgd_and_more_of_it_find_nothing_of_is_broken_and_found_out() -> None:
    """What PGD sees of the gated network, and the truth: its decisions are those of a network without robustness."""
    split, gated = images_of(100), Gated(undefended())
    bench = bench_of(gated, split)
    assert all(found(check_of(convergence.CHECKS, name), bench).verdict == "passes" for name in ("steps", "restarts"))
    assert exhaust(bench.attack())[1].accuracy >= 0.94
    images = to_pixels(split.images)
    spec, starts = make_attack("pgd", "8/255", steps=20), torch.Generator().manual_seed(0)
    broken = attack(undefended(), images, split.labels, spec, starts, FP32)
    assert float((gated(broken).argmax(1) == split.labels).double().mean()) <= 0.45
    assert examined(bench).verdict == "fails"


def test_where_all_images_are_taken_for_one_class_no_decision_turns() -> None:
    constant = Wrapped(robust(), after=lambda logits: 0 * logits)
    with pytest.raises(NotRun, match="no decision turns between them"):
        examined(bench_of(constant))


def test_each_image_goes_to_the_next_one_of_another_class() -> None:
    assert next_of_another_class(torch.tensor([0, 0, 1, 0, 2])).tolist() == [2, 2, 3, 4, 0]


@pytest.mark.parametrize("batch_size", [7, 250])
def test_the_batch_size_does_not_change_the_figure(batch_size: int) -> None:
    assert examined(bench_of(Gated(robust()), batch_size=batch_size)).values["share"] == 1


def test_the_space_of_the_claim_does_not_matter() -> None:
    assert examined(bench_of(Gated(robust()), space=RELEASED)).verdict == "fails"
