"""The watch over catastrophic overfitting of fast adversarial training."""

from collections.abc import Callable, Generator
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from claf_engine import events as ev
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import Attack, attack
from claf_engine.compute.seeding import measurement_generator
from claf_engine.config import RunConfig
from claf_engine.data import to_pixels
from claf_engine.events.ticks import Boundary, PartEnd, Pulse
from claf_engine.models.network import ADVERSARIAL
from claf_engine.runs import RunDirectory, create_run, open_run
from claf_engine.training.methods import phases_of
from claf_engine.training.phases.objectives import single_step
from claf_engine.training.phases.supervised import monitors
from claf_engine.training.session import Session
from tests.engine.tiny import CPU, FP32, play, tiny_config, tiny_session, use_tiny_data, without_clock
from tests.engine.training.test_run import leave, outcome

MULTI_STEP = (0.5, 0.6, 0.3, 0.7, 0.6)
"""Accuracy under PGD of five epochs: it falls by half after the second."""

NewRun = Callable[..., RunDirectory]


def config_of(**changes: object) -> RunConfig:
    return tiny_config(**{"method": "fgsm", "supervised__epochs": 5} | changes)


def checks(events: list[object]) -> list[ev.OverfittingChecked]:
    return [event for event in events if isinstance(event, ev.OverfittingChecked)]


@pytest.fixture
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accuracies that depend on the epoch alone."""

    def watched_accuracy(session: Session, classifier: str, suite: AttackSuite) -> Generator[Pulse, None, float]:
        yield Pulse("watching", abandonable=True)
        return 0.9 if suite.steps == 1 else MULTI_STEP[session.state.cursor.epoch]

    monkeypatch.setattr("claf_engine.training.phases.supervised.watched_accuracy", watched_accuracy)


@pytest.fixture
def new_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewRun:
    use_tiny_data(monkeypatch)
    return lambda **changes: create_run(tmp_path, "tiny", config_of(**changes), [])


def robust_accuracy(session: Session, spec: Attack, title: str) -> float:
    """Share of the watched images that the network still classifies correctly, with plain torch."""
    model = session.state.network.with_classifier(ADVERSARIAL).eval()
    images, labels = to_pixels(session.data.validation.images[:8]), session.data.validation.labels[:8]
    with torch.no_grad():
        correct = model(images).argmax(1) == labels
    stream = measurement_generator(0, f"{title} at 8/255, batch 0, 0", CPU)
    attacked = attack(model, images[correct], labels[correct], spec, stream, FP32)
    with torch.no_grad():
        return int((model(attacked).argmax(1) == labels[correct]).sum()) / 8


def test_an_epoch_ends_with_accuracy_under_the_training_attack_and_under_pgd() -> None:
    session = tiny_session(
        config_of(supervised__epochs=1, fgsm__monitor_steps=4, supervised__optimizer={"learning_rate": 0.02})
    )
    (check,) = checks(list(phases_of(session.config)[0].play(session)))
    one = Attack(Fraction(8, 255), Fraction(10, 255), 1)
    many = Attack(Fraction(8, 255), Fraction(5, 255), 4)
    assert check.single_step == robust_accuracy(session, one, "PGD-1")
    assert check.multi_step == robust_accuracy(session, many, "PGD-4")
    assert (check.step, check.epoch, check.num_examples) == (3, 1, 8)
    assert 0 < check.single_step < 1


@pytest.mark.parametrize("random_start", [True, False])
def test_the_watched_one_step_attack_is_the_one_that_is_trained_with(random_start: bool) -> None:
    config = config_of(
        attack={"random_start": random_start, "norm": "l2", "step_size": "4/255", "space": "released-code"}
    )
    trained = single_step(tiny_session(config))
    watched = monitors(config)[0].attack(config.attack.epsilon)
    assert (watched.start, watched.steps, watched.norm, watched.space, watched.epsilon) == (
        trained.start,
        trained.steps,
        trained.norm,
        trained.space,
        trained.epsilon,
    )
    assert watched.step_size == (trained.step_size if random_start else config.attack.epsilon)


def test_the_watch_does_not_change_training() -> None:
    losses = []
    for monitor_steps in (1, 5):
        session = tiny_session(config_of(fgsm={"monitor_steps": monitor_steps, "on_collapse": "warn"}))
        ticks = phases_of(session.config)[0].play(session)
        losses.append([float(tick.loss) for tick in ticks if isinstance(tick, Boundary)])
    assert losses[0] == losses[1]


def test_no_other_method_is_watched() -> None:
    session = tiny_session(tiny_config(method="at"))
    assert checks(list(phases_of(session.config)[0].play(session))) == []


def test_a_fall_that_the_one_step_attack_sees_too_is_no_overfitting(monkeypatch: pytest.MonkeyPatch) -> None:
    def watched_accuracy(session: Session, classifier: str, suite: AttackSuite) -> Generator[Pulse, None, float]:
        yield from ()
        return MULTI_STEP[session.state.cursor.epoch] + (0.1 if suite.steps == 1 else 0)

    monkeypatch.setattr("claf_engine.training.phases.supervised.watched_accuracy", watched_accuracy)
    session = tiny_session(config_of())
    found = checks(list(phases_of(session.config)[0].play(session)))
    assert [check.has_collapsed for check in found] == [False] * 5


@pytest.mark.usefixtures("_measured")
def test_the_best_accuracy_so_far_is_what_a_fall_is_measured_from() -> None:
    session = tiny_session(config_of(fgsm__on_collapse="warn"))
    found = checks(list(phases_of(session.config)[0].play(session)))
    assert [check.best for check in found] == [0.5, 0.6, 0.6, 0.7, 0.7]
    assert [check.has_collapsed for check in found] == [False, False, True, False, False]


@pytest.mark.usefixtures("_measured")
@pytest.mark.parametrize(("drop", "epochs"), [(0.2, 3), (0.29, 3), (0.35, 5)])
def test_a_fall_further_than_the_settings_allow_ends_the_phase(drop: float, epochs: int) -> None:
    session = tiny_session(config_of(fgsm__collapse_drop=drop))
    ends = [tick for tick in phases_of(session.config)[0].play(session) if isinstance(tick, PartEnd)]
    assert [end.phase_ended for end in ends] == [False] * (epochs - 1) + [epochs == 3]
    assert session.state.optimizers == {}


@pytest.mark.usefixtures("_measured")
def test_a_collapsed_run_still_probes_saves_and_reports(new_run: NewRun) -> None:
    directory = new_run(probe__every_epochs=0)
    events = play(directory)
    finished = events[-1]
    assert isinstance(finished, ev.RunFinished)
    assert (finished.status, finished.step) == ("finished", 9)
    assert [event.epoch for event in events if isinstance(event, ev.EpochFinished)] == [1, 2, 3]
    assert [(event.epoch, event.classifier) for event in events if isinstance(event, ev.ProbeFinished)] == [
        (3, ADVERSARIAL)
    ]
    assert [event.step for event in events if isinstance(event, ev.CheckpointSaved)][-1] == 9
    assert [(result.checkpoint, result.classifier) for result in finished.results] == [("last", ADVERSARIAL)]
    assert finished.results[0].selected


@pytest.mark.usefixtures("_measured")
def test_what_a_collapsed_run_leaves_out_is_not_waited_for(new_run: NewRun) -> None:
    progress = [event for event in play(new_run()) if isinstance(event, ev.Progressed)]
    shares = [event.run_fraction for event in progress if event.step]
    assert shares == sorted(shares)
    assert (progress[-1].run_fraction, progress[-1].run_remaining) == (1.0, 0.0)


@pytest.mark.usefixtures("_measured")
def test_with_a_warning_alone_a_collapsed_run_goes_on(new_run: NewRun) -> None:
    events = play(new_run(fgsm__on_collapse="warn"))
    assert [event.has_collapsed for event in checks(events)] == [False, False, True, False, False]
    assert events[-1].step == 15


@pytest.mark.usefixtures("_measured")
def test_a_collapse_is_an_alert_once_and_its_end_is_told(new_run: NewRun) -> None:
    events = play(new_run(fgsm__on_collapse="warn"))
    (alert,) = [event for event in events if isinstance(event, ev.Alert)]
    assert (alert.step, alert.name) == (9, "catastrophic-overfitting")
    reason = "catastrophic overfitting in epoch 3: PGD accuracy fell from 60.0% to 30.0%, one-step attack 90.0%"
    assert alert.text == reason
    over = ev.AlertEnded(12, "catastrophic-overfitting", "catastrophic overfitting, told at step 9, has ended")
    assert isinstance(events[events.index(alert) - 1], ev.OverfittingChecked)
    assert [event for event in events if isinstance(event, ev.AlertEnded)] == [over]


@pytest.mark.usefixtures("_measured")
@pytest.mark.parametrize("share", [0.2, 0.45, 0.65, 0.75, 0.85, 0.95])
def test_a_collapsed_run_that_was_stopped_anywhere_is_the_same_to_the_bit(new_run: NewRun, share: float) -> None:
    whole, directory = new_run(), new_run()
    events = play(whole)
    leave(directory, int(share * len(events)), "stop")
    again = play(open_run(directory.path))
    assert outcome(directory.path) == outcome(whole.path)
    known = without_clock(events, ev.OverfittingChecked)
    assert without_clock(again, ev.OverfittingChecked) == known[len(known) - len(checks(again)) :]
