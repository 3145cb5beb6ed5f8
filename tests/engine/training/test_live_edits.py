"""Edits while a run goes on: the phase begins again where it stands, and a resumed run takes the same steps."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from claf_engine import events as ev
from claf_engine.config import RunConfig
from claf_engine.evaluation.measured_card import facts
from claf_engine.events.control import Control, LiveEdit
from claf_engine.runs import create_run, open_run
from claf_engine.runs.header import read_info
from claf_engine.terms.errors import CheckpointError, ConfigError
from claf_engine.training.live_edits import Trained, change_of, with_edits
from claf_engine.training.methods import phases_of
from claf_engine.training.state import Cursor, Ledger
from tests.engine.tiny import React, play, tiny_config, use_tiny_data, without_clock
from tests.engine.training.test_run import outcome

METRICS = (ev.StepLogged, ev.EpochFinished, ev.ClassifierRetrained, ev.DissociationMeasured, ev.ProbeFinished)
METHODS = ["claf", "at", "fgsm", "rocl"]
SHORT: dict[str, Any] = {
    "probe": {"every_epochs": 0, "num_examples": 4, "epsilons": ["8/255"], "steps": 1, "sentinel_examples": 0},
    "evaluation": {"epsilons": ["8/255"], "steps": 1, "num_examples": 4},
    "contrastive": {"epochs": 1, "temperature": 0.2},
    "adversarial__epochs": 1,
    "attack__steps": 1,
    "linear_evaluation": {"epochs": 1, "adversarial_epochs": 0},
    "rocl__epochs": 1,
    "supervised__epochs": 1,
}


@pytest.fixture(autouse=True, scope="module")
def _tiny_data() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_data(monkeypatch, num_train=16)
        yield


def steering(asked: dict[int, tuple[str, float | str]], *, stop: bool = False) -> React:
    """Asks at steps for edits, and to stop right after each."""

    def react(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step in asked:
            control.edit(*asked[event.step])
            if stop:
                control.stop()

    return react


def edits(events: list[ev.Event]) -> list[tuple[int, str, object, object]]:
    return [(one.step, one.name, one.old, one.new) for one in events if isinstance(one, ev.ValueEdited)]


@pytest.mark.parametrize("method", METHODS)
def test_an_edit_that_changes_nothing_of_the_training_leaves_every_bit_as_it_was(method: str, tmp_path: Path) -> None:
    config = tiny_config(**SHORT, method=method)
    calm = play(untouched := create_run(tmp_path, "calm", config, []))
    every_step = dict(zip(range(1, 50), itertools.cycle([("checkpoint.min_seconds", 0.0)]), strict=False))
    events = play(directory := create_run(tmp_path, "edited", config, []), steering(every_step))
    assert len(edits(events)) >= 2
    assert without_clock(events, *METRICS) == without_clock(calm, *METRICS)
    assert outcome(directory.path) == outcome(untouched.path)


CHANGES: dict[str, tuple[str, int, str, float | str]] = {
    "temperature": ("claf", 1, "temperature", 0.5),
    "epochs": ("scl", 1, "epochs_left", 2),
    "fewer epochs": ("natural", 1, "epochs_left", 1),
    "radii": ("natural", 1, "probe.epsilons", "8/255 4/255"),
    "saving": ("natural", 1, "checkpoint.every_steps", 1),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_run_that_was_edited_left_and_resumed_is_the_same_to_the_bit(name: str, tmp_path: Path) -> None:
    method, step, *edit = CHANGES[name]
    asked, config = {step: (edit[0], edit[1])}, tiny_config(**SHORT | {"supervised__epochs": 2}, method=method)
    whole = play(untouched := create_run(tmp_path, "whole", config, []), steering(asked))
    directory = create_run(tmp_path, "left", config, [])
    before = play(directory, steering(asked, stop=True))
    after = play(open_run(directory.path))
    assert edits(before) == edits(whole) != []
    assert without_clock([*before, *after], *METRICS) == without_clock(whole, *METRICS)
    assert outcome(directory.path) == outcome(untouched.path)
    assert edits(whole)[0] == (step, *TOLD[name])


TOLD = {
    "temperature": ("contrastive.temperature", 0.2, 0.5),
    "epochs": ("contrastive.epochs", 1, 2),
    "fewer epochs": ("supervised.epochs", 2, 1),
    "radii": ("probe.epsilons", "8/255", "8/255, 4/255"),
    "saving": ("checkpoint.every_steps", "none", 1),
}


def test_an_edited_temperature_changes_the_next_loss_and_no_earlier_one(tmp_path: Path) -> None:
    def losses(events: list[ev.Event]) -> list[float]:
        return [event.loss for event in events if isinstance(event, ev.StepLogged)]

    config = tiny_config(**SHORT | {"contrastive": {"epochs": 2, "temperature": 0.2}}, method="scl")
    calm = losses(play(create_run(tmp_path, "calm", config, [])))
    events = losses(play(create_run(tmp_path, "edited", config, []), steering({2: ("temperature", 1.0)})))
    assert events[:2] == calm[:2]
    assert events[2] != calm[2]


def test_more_epochs_are_trained_planned_and_spread_the_schedule(tmp_path: Path) -> None:
    config = tiny_config(**SHORT, method="natural")
    events = play(create_run(tmp_path, "longer", config, []), steering({1: ("epochs_left", 4)}))
    steps = [event for event in events if isinstance(event, ev.StepLogged)]
    assert steps[-1].step == 8
    assert steps[2].learning_rate > steps[-1].learning_rate > 0
    assert [event.run_fraction for event in events if isinstance(event, ev.Progressed)][-1] == 1.0


def test_a_checkpoint_keeps_the_edits_beside_the_settings_that_the_run_began_with(tmp_path: Path) -> None:
    config = tiny_config(**SHORT, method="natural")
    directory = create_run(tmp_path, "kept", config, [])
    play(directory, steering({1: ("checkpoint.every_epochs", 7)}))
    info = read_info(max(directory.checkpoints.iterdir()))
    assert info.metadata["claf.ledger"]["edits"] == {"checkpoint.every_epochs": 7}
    assert info.metadata["claf.config"]["checkpoint"]["every_epochs"] == 1
    assert (info.edits, info.edited) == ({"checkpoint.every_epochs": 7}, "checkpoint.every_epochs 1 to 7 at step 1")
    assert facts(info, config, "natural")["edited"] == info.edited


def test_who_edited_and_when_is_on_record(tmp_path: Path) -> None:
    def react(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step in (1, 2):
            control.edit("checkpoint.every_epochs", event.step, *(("ann on node1", 12.5) if event.step == 1 else ()))

    events = play(create_run(tmp_path, "told", tiny_config(**SHORT, method="natural"), []), react)
    asked, here = [event for event in events if isinstance(event, ev.ValueEdited)]
    assert (asked.who, asked.at) == ("ann on node1", 12.5)
    assert ", process " in here.who
    assert here.at > 1e9


def trained(config: RunConfig, **cursor: int) -> Trained:
    return Trained(config, phases_of(config), Cursor(**cursor), rate=0.1)


@pytest.mark.parametrize(
    ("edit", "config", "reason"),
    [
        (LiveEdit("temperature", 0.1), tiny_config(method="at"), "adversarial training has no temperature"),
        (LiveEdit("learning_rate", 0.1), None, "once the phase has taken a step"),
        (LiveEdit("epochs_left", 2.5), tiny_config(), "must be a whole number"),
    ],
)
def test_what_a_phase_does_not_have_cannot_be_edited(edit: LiveEdit, config: RunConfig | None, reason: str) -> None:
    here = replace(trained(tiny_config()), rate=None) if config is None else trained(config)
    with pytest.raises(ConfigError, match=reason):
        change_of(edit, here)


def test_the_temperature_is_that_of_the_phase_that_goes_on() -> None:
    assert change_of(LiveEdit("temperature", 0.1), trained(tiny_config())).name == "contrastive.temperature"
    assert change_of(LiveEdit("temperature", 0.1), trained(tiny_config(method="rocl"))).name == "rocl.temperature"


def test_epochs_left_count_the_one_that_goes_on() -> None:
    change = change_of(LiveEdit("epochs_left", 1), trained(tiny_config(), epoch=1, batch=1))
    assert (change.name, change.old, change.new) == ("contrastive.epochs", 2, 2)


@pytest.mark.parametrize("edited", [{"attack.steps": 3}, {"contrastive.epochs": -1}, {"probe.epsilons": "no"}])
def test_edits_that_a_checkpoint_cannot_have_are_refused(edited: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="live edits"):
        with_edits(tiny_config(), edited)


def test_the_ledger_of_earlier_code_knew_one_edit() -> None:
    record = {**Ledger().to_record(), "probe_every": 3}
    assert Ledger.from_record(record).edits == {"probe.every_epochs": 3}
    assert Ledger.from_record({**record, "probe_every": None}).edits == {}
