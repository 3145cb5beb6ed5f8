from collections.abc import Generator
from fractions import Fraction
from typing import Any

import pytest
import torch

from claf_engine.attacks import Attack, ascent_steps
from claf_engine.events.ticks import Boundary, Pulse
from claf_engine.training.methods import phases_of
from claf_engine.training.ramps import ramp
from claf_engine.training.session import Session
from tests.engine.tiny import tiny_config, tiny_session

EPSILON, STEP = Fraction(8, 255), Fraction(2, 255)
PLACES = ("objectives", "adversarial", "rocl", "linear")


@pytest.mark.parametrize(
    ("progress", "share", "grown"),
    [("0", 0.4, "0"), ("1/10", 0.4, "1/4"), ("4/10", 0.4, "1"), ("9/10", 0.4, "1"), ("0", 0, "1"), ("1/3", 1, "1/3")],
)
def test_what_grows_does_so_linearly_over_its_share_and_then_is_whole(progress: str, share: float, grown: str) -> None:
    assert ramp(Fraction(progress), share) == Fraction(grown)


@pytest.fixture
def crafted(monkeypatch: pytest.MonkeyPatch) -> list[Attack]:
    """The attacks of training, as they are crafted."""
    seen: list[Attack] = []

    def watched(climb: Any, images: Any, spec: Attack, *rest: Any, **named: Any) -> Generator[Pulse, None, Any]:
        seen.append(spec)
        return ascent_steps(climb, images, spec, *rest, **named)

    for place in PLACES:
        monkeypatch.setattr(f"claf_engine.training.phases.{place}.ascent_steps", watched)
    return seen


def session_of(method: str, share: float = 1.0, **changes: Any) -> Session:
    """Three steps an epoch, and two epochs of each phase."""
    adversarial = {"epochs": 2, "classifier_epochs": 1}
    linear = {"epochs": 0, "adversarial_epochs": 2, "adversarial_steps": 1}
    settings = {"adversarial": adversarial, "linear_evaluation": linear, "contrastive__epochs": 0, "attack__steps": 1}
    return tiny_session(tiny_config(method=method, attack__epsilon_ramp=share, **settings | changes))


def play(session: Session) -> list[float]:
    losses = []
    for phase in phases_of(session.config):
        losses += [float(tick.loss) for tick in phase.play(session) if isinstance(tick, Boundary)]
        session.state.cursor.end_phase()
    return losses


@pytest.mark.parametrize("method", ["at", "fgsm", "trades", "alp", "scl"])
def test_the_radius_of_every_training_attack_grows_step_by_step(method: str, crafted: list[Attack]) -> None:
    play(session_of(method))
    assert [attack.epsilon / EPSILON for attack in crafted] == [Fraction(step, 6) for step in range(6)]
    length = Fraction(10, 255) if method == "fgsm" else STEP
    assert [attack.step_size / length for attack in crafted] == [Fraction(step, 6) for step in range(6)]


def test_it_grows_over_the_epochs_of_each_phase(crafted: list[Attack]) -> None:
    play(session_of("rocl", 0.5, supervised__epochs=4))
    fine_tuning = [min(1, Fraction(step, 6)) for step in range(12)]
    assert [attack.epsilon / EPSILON for attack in crafted] == [
        0,
        Fraction(1, 3),
        Fraction(2, 3),
        1,
        1,
        1,
        *fine_tuning,
    ]


def test_both_parts_of_an_epoch_of_stage_2_see_the_same_radii(crafted: list[Attack]) -> None:
    play(session_of("claf", linear_evaluation={"epochs": 1}))
    sixths = [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]
    assert [attack.epsilon / EPSILON for attack in crafted] == [Fraction(number, 6) for number in sixths]


def test_without_a_ramp_attacks_are_whole_from_the_beginning(crafted: list[Attack]) -> None:
    play(session_of("at", 0.0))
    assert {(attack.epsilon, attack.step_size) for attack in crafted} == {(EPSILON, STEP)}


@pytest.mark.parametrize("method", ["at", "trades", "alp"])
def test_a_ball_of_l2_may_begin_as_a_point(method: str) -> None:
    l2 = {"norm": "l2", "epsilon": "0.5", "step_size": "0.5", "steps": 1, "epsilon_ramp": 1.0}
    losses = play(tiny_session(tiny_config(method=method, attack=l2)))
    assert torch.tensor(losses).isfinite().all()


def test_a_warm_start_goes_with_a_ramp() -> None:
    assert torch.tensor(play(session_of("claf", attack__warm_start=True))).isfinite().all()


def test_the_title_of_a_growing_attack_stays_short() -> None:
    assert Attack(EPSILON * Fraction(17, 2340), STEP, 5).title == "PGD-5 at 0.000228"
