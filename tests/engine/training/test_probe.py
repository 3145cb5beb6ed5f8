from fractions import Fraction
from typing import get_args

import pytest
import torch

from claf_engine import events as ev
from claf_engine.accuracy.measure import Accuracy
from claf_engine.accuracy.suite import AttackSuite, suite_of
from claf_engine.compute.device import Compute
from claf_engine.config import EvaluationConfig, ModelConfig, ProbeConfig
from claf_engine.data import to_pixels
from claf_engine.events.ticks import Boundary
from claf_engine.models.network import NATURAL
from claf_engine.terms.names import Method
from claf_engine.training.alarms import Fall
from claf_engine.training.methods import phases_of
from claf_engine.training.phase import Phase
from claf_engine.training.probe import fall_of, probe_steps, quick_fit, tell
from claf_engine.training.session import Session
from tests.engine.tiny import (
    CPU,
    FP32,
    exhaust,
    natural_training,
    state_sha256,
    tiny_config,
    tiny_data,
    tiny_session,
)

PHASES = {phase.name: phase for method in get_args(Method) for phase in phases_of(tiny_config(method=method))}
every_phase = pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES.keys())


def in_the_middle(phase: Phase) -> Session:
    """A session that has taken two steps of a phase and has gradients, moments and BatchNorm statistics to lose."""
    session = tiny_session()
    steps = (tick for tick in phase.play(session) if isinstance(tick, Boundary))
    for _ in range(2):
        next(steps)
    return session


def probe(session: Session, phase: Phase) -> Accuracy:
    return exhaust(probe_steps(session, phase))[1].accuracy


@every_phase
def test_a_probe_leaves_the_training_state_as_it_was_to_the_bit(phase: Phase) -> None:
    session = in_the_middle(phase)
    before = state_sha256(session.state)
    probe(session, phase)
    assert state_sha256(session.state) == before


@every_phase
def test_a_probe_leaves_the_global_randomness_as_it_was(phase: Phase) -> None:
    session = in_the_middle(phase)
    before = torch.get_rng_state()
    probe(session, phase)
    assert torch.equal(before, torch.get_rng_state())


@every_phase
def test_a_probe_leaves_modes_and_gradients_as_they_were(phase: Phase) -> None:
    session = in_the_middle(phase)

    def look() -> list[object]:
        network = session.state.network
        gradients = [None if weight.grad is None else weight.grad.tolist() for weight in network.parameters()]
        wanted = [weight.requires_grad for weight in network.parameters()]
        return [gradients, wanted, [module.training for module in network.modules()]]

    before = look()
    probe(session, phase)
    assert look() == before


@every_phase
def test_the_same_probe_twice_gives_the_same_figures(phase: Phase) -> None:
    session = in_the_middle(phase)
    assert probe(session, phase) == probe(session, phase)


@every_phase
def test_a_probe_may_be_left_at_any_pulse(phase: Phase) -> None:
    session = in_the_middle(phase)
    pulses, _ = exhaust(probe_steps(session, phase))
    assert pulses
    assert all(pulse.abandonable for pulse in pulses)


@every_phase
def test_a_probe_looks_at_as_many_images_as_the_settings_say(phase: Phase) -> None:
    session = in_the_middle(phase)
    assert {figure.num_examples for figure in probe(session, phase).robust} == {8}


def test_a_probe_of_more_images_than_there_are_looks_at_all_of_them() -> None:
    session = tiny_session(tiny_config(probe__num_examples=500))
    assert probe(session, PHASES["adversarial"]).robust[0].num_examples == 16


@pytest.mark.parametrize("name", ["adversarial", "linear_evaluation", "adversarial_linear_evaluation", "supervised"])
def test_a_phase_is_probed_with_its_own_classifier(name: str) -> None:
    """One that always answers class 2 is right for a quarter of the images, attacked or not; no other is asked."""
    session, phase = tiny_session(), PHASES[name]
    for classifier in session.state.network.classifiers.values():
        torch.nn.init.constant_(classifier.weight, float("nan"))
    assert phase.classifier is not None
    asked = session.state.network.classifiers[phase.classifier]
    torch.nn.init.zeros_(asked.weight)
    asked.bias.data = torch.tensor([0.0, 0.0, 1.0, 0.0])
    accuracy = probe(session, phase)
    assert [accuracy.natural, *(figure.accuracy for figure in accuracy.robust)] == [0.25, 0.25, 0.25]


def test_before_there_is_a_classifier_a_probe_fits_one_to_the_features() -> None:
    session = tiny_session(tiny_config(probe={"fit_epochs": 200, "num_examples": 16}))
    for classifier in session.state.network.classifiers.values():
        torch.nn.init.constant_(classifier.weight, float("nan"))
    assert probe(session, PHASES["contrastive"]).natural > 0.4, "chance is 0.25"


def test_a_quick_fit_learns_the_training_images() -> None:
    session = tiny_session(tiny_config(probe__fit_epochs=300))
    _, model = exhaust(quick_fit(session))
    split = session.data.train
    with torch.no_grad():
        right = model.eval()(to_pixels(split.images)).argmax(1) == split.labels
    assert right.double().mean() > 0.4, "chance is 0.25"


def test_a_longer_quick_fit_fits_better() -> None:
    losses = []
    for epochs in (1, 50):
        session = tiny_session(tiny_config(probe__fit_epochs=epochs))
        _, model = exhaust(quick_fit(session))
        split = session.data.train
        with torch.no_grad():
            logits = model.eval()(to_pixels(split.images))
        losses.append(float(torch.nn.functional.cross_entropy(logits, split.labels)))
    assert losses[1] < losses[0]


def test_a_probe_measures_in_fp32_whatever_the_run_trains_in() -> None:
    exact = tiny_session()
    in_bf16 = Session(exact.config, Compute(CPU, "bf16", 1), exact.data, exact.state, exact.feature_epochs)
    assert exact.compute == FP32
    assert probe(in_bf16, PHASES["contrastive"]) == probe(exact, PHASES["contrastive"])


def test_a_probe_has_the_attack_of_its_settings() -> None:
    config = ProbeConfig.model_validate({"epsilons": ["1/255", "2/255"], "steps": 7, "step_size": "1/510"})
    radii = (Fraction(1, 255), Fraction(2, 255))
    assert suite_of(config, ModelConfig()) == AttackSuite(radii, 7, Fraction(1, 510), restarts=1, seed=0)


def test_an_evaluation_has_the_restarts_of_its_settings() -> None:
    assert suite_of(EvaluationConfig(restarts=5), ModelConfig()).restarts == 5


def test_what_decides_is_set_for_evaluations_and_in_a_probe_always_the_last_point() -> None:
    assert suite_of(EvaluationConfig(), ModelConfig()).decides == "last"
    assert suite_of(EvaluationConfig(decides="any"), ModelConfig()).decides == "any"
    assert suite_of(ProbeConfig(), ModelConfig()).decides == "last"


@pytest.fixture(scope="module")
def trained() -> Session:
    """A session with a natural classifier that is right most of the time, and enough images to judge it by."""
    config = tiny_config(
        method="natural",
        probe={"num_examples": 128, "steps": 5, "epsilons": ["64/255"], "step_size": "32/255"},
        supervised={"epochs": 25, "optimizer": {"name": "adam", "learning_rate": 0.01}},
    )
    session = tiny_session(config, tiny_data(num_other=128))
    list(natural_training(session))
    return session


NATURAL_PHASE = phases_of(tiny_config(method="natural"))[0]


def told(session: Session, phase: Phase = NATURAL_PHASE) -> list[ev.Event]:
    _, probed = exhaust(probe_steps(session, phase))
    return list(tell(session, phase, probed, 1.0, requested=False))


def alerts(events: list[ev.Event]) -> list[str]:
    return [event.name for event in events if isinstance(event, ev.Alert)]


def test_an_honestly_trained_network_raises_no_alert(trained: Session) -> None:
    events = told(trained)
    (checked,) = [event for event in events if isinstance(event, ev.SentinelsChecked)]
    assert checked.natural > 0.5
    assert checked.radius_zero == checked.natural
    assert checked.num_examples == 32
    assert alerts(events) == []


def test_a_network_with_saturated_logits_raises_the_masking_alert_until_they_are_not(trained: Session) -> None:
    honest, classifier = told(trained), trained.state.network.classifiers[NATURAL]
    with torch.no_grad():
        classifier.weight *= 1e5
        classifier.bias *= 1e5
    saturated, again = told(trained), told(trained)
    with torch.no_grad():
        classifier.weight /= 1e5
        classifier.bias /= 1e5
    assert alerts(saturated) == ["saturated-gradients"]
    assert alerts(again) == []
    assert saturated[0].robust == honest[0].robust  # type: ignore[union-attr]
    over = [event.text for event in told(trained) if isinstance(event, ev.AlertEnded)]
    assert over == ["gradient masking by saturated logits, told at step 75, has ended"]


@pytest.mark.parametrize("method", get_args(Method))
def test_a_fall_is_watched_for_where_a_phase_trains_on_attacked_images(method: Method) -> None:
    config = tiny_config(method=method)
    session, measured = tiny_session(config), Accuracy(0.9, (robust_figure(0.5), robust_figure(0.2)))
    watched = [phase.name for phase in phases_of(config) if fall_of(session, phase, measured) is not None]
    expected = {"claf": ["adversarial"], "two-encoders": ["two_encoders"]}
    untold = {"natural", "scl", "fgsm", "clp", "rectifier", "defense-gan"}
    assert watched == expected.get(method, [] if method in untold else ["supervised"])


def robust_figure(accuracy: float) -> ev.RobustFigure:
    return ev.RobustFigure("8/255", accuracy, "pgd", 10, "2/255", 1, 256)


def test_a_fall_is_measured_from_the_best_probe_so_far() -> None:
    session, phase = tiny_session(tiny_config(method="at")), phases_of(tiny_config(method="at"))[0]
    course = [
        fall_of(session, phase, Accuracy(0.9, (robust_figure(accuracy), robust_figure(0.1))))
        for accuracy in (0.3, 0.5, 0.1)
    ]
    assert course == [Fall(0.3, 0.3, 256, 4), Fall(0.5, 0.5, 256, 4), Fall(0.1, 0.5, 256, 4)]
