import errno
import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from claf_engine import events as ev
from claf_engine.config import RunConfig
from claf_engine.events.control import Control, Later
from claf_engine.runs import RunDirectory, create_run, list_checkpoints, open_run
from claf_engine.runs.alerting import Finding
from claf_engine.runs.status import read_status
from claf_engine.terms.errors import CheckpointError
from tests.engine.tiny import React, all_of, play, tiny_config, use_tiny_data, without_clock

METRICS = (
    ev.StepLogged,
    ev.EpochFinished,
    ev.ClassifierRetrained,
    ev.DissociationMeasured,
    ev.ProbeFinished,
    ev.SentinelsChecked,
    ev.Alert,
)

PROBES = (ev.ProbeFinished, ev.SentinelsChecked)

NewRun = Callable[..., RunDirectory]
Hits = Callable[[ev.Event], bool]


@pytest.fixture(autouse=True, scope="module")
def _tiny_data() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_data(monkeypatch, num_train=16)
        yield


def short(**changes: Any) -> RunConfig:
    """A run that is over in a moment: ten steps, two in a sweep."""
    settings: dict[str, Any] = {
        "attack__steps": 2,
        "contrastive__epochs": 2,
        "adversarial__epochs": 1,
        "linear_evaluation": {"epochs": 1, "adversarial_epochs": 0},
        "probe": {"every_epochs": 0, "num_examples": 4, "epsilons": ["8/255"], "steps": 1, "fit_epochs": 1},
        "evaluation": {"epsilons": ["8/255"], "steps": 1, "num_examples": 4},
    }
    return tiny_config(**settings | changes)


@pytest.fixture
def new_run(tmp_path: Path) -> NewRun:
    """Makes a short run."""
    return lambda **changes: create_run(tmp_path, "tiny", short(**changes), [])


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> list[ev.Event]:
    """The events of a short run that nobody steers."""
    return play(create_run(tmp_path_factory.mktemp("calm"), "tiny", short(), []))


def when(hits: Hits, act: Callable[[Control], None], number: int = 1) -> React:
    """Acts on the n-th event that hits, and on no other."""
    count = itertools.count(1)

    def react(event: ev.Event, control: Control) -> None:
        if hits(event) and next(count) == number:
            act(control)

    return react


def at_step(step: int) -> Hits:
    return lambda event: isinstance(event, ev.StepLogged) and event.step == step


def at_phase(name: str) -> Hits:
    return lambda event: isinstance(event, ev.PhaseStarted) and event.name == name


def is_paused(event: ev.Event) -> bool:
    return isinstance(event, ev.ControlChanged) and event.status == "paused"


def of(events: list[ev.Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def changes(events: list[ev.Event]) -> list[str]:
    """What a person's requests led to, in order."""
    told = [event for event in events if isinstance(event, ev.ControlChanged | ev.ProbeFinished | ev.CheckpointSaved)]
    return [event.status if isinstance(event, ev.ControlChanged) else type(event).__name__ for event in told]


def metrics(events: list[ev.Event]) -> list[ev.Event]:
    return without_clock(events, *METRICS)


@pytest.mark.parametrize(
    ("activity", "number"),
    [
        ("features of the training images", 1),
        ("quick linear fit", 1),
        ("natural accuracy", 2),
        ("sentinels", 1),
        ("PGD-1 at 8/255", 1),
        ("PGD-1 at 8/255", 3),
        ("PGD-2 at 8/255", 2),
        ("PGD-2 at 8/255", 5),
        ("PGD-2 at 8/255", 9),
    ],
)
def test_a_pause_inside_an_attack_or_a_measurement_does_not_change_the_run(
    new_run: NewRun, calm: list[ev.Event], activity: str, number: int
) -> None:
    directory = new_run()
    pause = when(lambda event: isinstance(event, ev.Progressed) and event.activity == activity, Control.pause, number)
    events = play(directory, all_of(pause, when(is_paused, Control.resume)))
    assert [event.status for event in of(events, ev.ControlChanged)] == ["paused", "resumed"]
    assert metrics(events) == metrics(calm)
    assert events[-1].results == calm[-1].results  # type: ignore[union-attr]


def resume_later(control: Control) -> None:
    """Resume a run 0.2 s after it has begun to wait."""

    def resume() -> None:
        while control.status != "paused":
            time.sleep(0.01)
        time.sleep(0.2)
        control.resume()

    threading.Thread(target=resume).start()


def test_a_paused_run_waits_where_it_is_until_it_is_resumed(new_run: NewRun) -> None:
    directory = new_run()
    events = play(directory, all_of(when(at_step(3), Control.pause), when(is_paused, resume_later)))
    paused, resumed = of(events, ev.ControlChanged)
    assert events[events.index(paused) + 1] is resumed
    assert (paused.step, resumed.step) == (3, 3)
    assert resumed.waited >= 0.15


def test_a_pause_does_not_count_as_time_of_training(new_run: NewRun) -> None:
    directory = new_run()
    started = time.monotonic()
    events = play(directory, all_of(when(at_step(3), Control.pause), when(is_paused, resume_later)))
    seconds = time.monotonic() - started
    waited = of(events, ev.ControlChanged)[1].waited
    assert waited > 0.2
    assert events[-1].elapsed <= seconds - waited  # type: ignore[union-attr]


def test_a_paused_run_shows_in_its_status_file_that_it_is_alive(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_engine.training.conductor.STATUS_SECONDS", 0.01)
    directory = new_run()
    heartbeats: set[float] = set()
    words: set[str] = set()

    def look(control: Control) -> None:
        while "paused" not in words or len(heartbeats) <= 2:
            time.sleep(0.02)
            status = json.loads((directory.path / "status.json").read_text())
            words.add(status["status"])
            heartbeats.add(status["heartbeat"])
        control.resume()

    watch = when(is_paused, lambda control: threading.Thread(target=look, args=[control]).start())
    play(directory, all_of(when(at_step(3), Control.pause), watch))
    assert "paused" in words
    assert len(heartbeats) > 2


def test_a_paused_run_can_be_stopped(new_run: NewRun) -> None:
    directory = new_run()
    events = play(directory, all_of(when(at_step(3), Control.pause), when(is_paused, Control.stop)))
    assert events[-1].status == "stopped"  # type: ignore[union-attr]
    assert [entry.info.step for entry in list_checkpoints(directory.path) if entry.info] == [3, 2]


def test_a_run_may_be_paused_again(new_run: NewRun) -> None:
    directory = new_run()
    pause = all_of(when(at_step(2), Control.pause), when(at_step(5), Control.pause))
    resume = all_of(when(is_paused, Control.resume, 1), when(is_paused, Control.resume, 2))
    events = play(directory, all_of(pause, resume))
    assert [event.status for event in of(events, ev.ControlChanged)] == ["paused", "resumed"] * 2


is_requested_probe: Hits = lambda event: isinstance(event, ev.ProbeFinished) and event.requested  # noqa: E731
is_saved: Hits = lambda event: isinstance(event, ev.CheckpointSaved) and "requested" in event.kept_as  # noqa: E731
is_edited: Hits = lambda event: isinstance(event, ev.ValueEdited)  # noqa: E731


@pytest.mark.parametrize(
    ("ask", "is_answer"),
    [
        (Control.probe_now, is_requested_probe),
        (Control.checkpoint_now, is_saved),
        (lambda control: control.edit("probe.every_epochs", 3), is_edited),
    ],
)
@pytest.mark.parametrize("paused_at", [at_step(3), lambda event: getattr(event, "activity", "") == "PGD-2 at 8/255"])
def test_what_is_asked_for_in_a_pause_is_answered_in_it(
    new_run: NewRun, ask: Callable[[Control], None], is_answer: Hits, paused_at: Hits
) -> None:
    """At the next step boundary, where the state is consistent; then the run waits again."""
    directory = new_run()
    num_answered = 0

    def resume_at_last(control: Control) -> None:
        nonlocal num_answered
        num_answered = len(seen)
        threading.Timer(0.05, control.resume).start()

    seen: list[ev.Event] = []
    react = all_of(
        lambda event, _: seen.append(event),
        when(paused_at, Control.pause),
        when(is_paused, ask),
        when(is_answer, resume_at_last),
    )
    events = play(directory, react)
    paused, resumed = of(events, ev.ControlChanged)
    assert (paused.status, resumed.status) == ("paused", "resumed")
    assert events.index(paused) < num_answered - 1 < events.index(resumed)
    assert not of(events[num_answered : events.index(resumed)], ev.StepLogged), "it waits again"


def test_a_run_that_is_resumed_while_it_answers_says_so(new_run: NewRun) -> None:
    directory = new_run()
    is_probing = lambda event: isinstance(event, ev.Progressed) and event.activity == "quick linear fit"  # noqa: E731
    react = all_of(
        when(at_step(2), Control.pause),
        when(is_paused, Control.probe_now),
        when(is_probing, Control.resume),
        when(at_step(5), Control.pause),
        when(is_paused, Control.resume, 2),
    )
    events = play(directory, react)
    assert [event.status for event in of(events, ev.ControlChanged)] == ["paused", "resumed"] * 2


def test_a_requested_probe_is_answered_at_the_next_boundary(new_run: NewRun) -> None:
    directory = new_run()
    events = play(directory, when(at_step(3), Control.probe_now))
    (answer,) = [event for event in of(events, ev.ProbeFinished) if event.requested]
    assert (answer.step, answer.phase, answer.epoch, answer.classifier) == (3, 0, 2, "quick fit")


def test_a_requested_probe_does_not_change_the_run(new_run: NewRun, calm: list[ev.Event]) -> None:
    expected = metrics(calm)
    directory = new_run()
    events = play(directory, all_of(*(when(at_step(step), Control.probe_now) for step in (1, 5, 7, 9))))
    asked = {event.step for event in of(events, ev.ProbeFinished) if event.requested}
    unasked = [event for event in metrics(events) if not (isinstance(event, PROBES) and event.step in asked)]
    assert unasked == expected
    assert len(of(events, ev.ProbeFinished)) == len(of(calm, ev.ProbeFinished)) + 4


def test_a_requested_checkpoint_is_answered_at_the_next_boundary_and_kept(new_run: NewRun) -> None:
    directory = new_run(checkpoint={"min_seconds": 0, "keep_last": 2})
    events = play(directory, when(at_step(1), Control.checkpoint_now))
    (answer,) = [event for event in of(events, ev.CheckpointSaved) if event.step == 1]
    assert "requested" in answer.kept_as
    assert Path(answer.path).is_file()


def test_a_checkpoint_requested_at_the_last_step_of_an_epoch_is_kept_too(new_run: NewRun) -> None:
    directory = new_run(checkpoint={"min_seconds": 0, "keep_last": 2})
    events = play(directory, when(at_step(2), Control.checkpoint_now))
    saved = [event for event in of(events, ev.CheckpointSaved) if event.step == 2]
    assert ["requested" in event.kept_as for event in saved] == [True, True]
    assert Path(saved[0].path).is_file()


def rates(events: list[ev.Event]) -> dict[int, float]:
    return {event.step: event.learning_rate for event in of(events, ev.StepLogged)}


def edit(name: str, value: float | str) -> Callable[[Control], None]:
    return lambda control: control.edit(name, value)


def edits(events: list[ev.Event]) -> list[tuple[int, str, object, object]]:
    return [(event.step, event.name, event.old, event.new) for event in of(events, ev.ValueEdited)]


def test_an_edited_learning_rate_scales_the_rest_of_the_phase(new_run: NewRun, calm: list[ev.Event]) -> None:
    before = rates(calm)
    events = play(new_run(), when(at_step(2), edit("learning_rate", before[2] / 4)))
    now = rates(events)
    assert edits(events) == [(2, "learning_rate", before[2], before[2] / 4)]
    assert now[2] == before[2]
    assert [now[step] for step in (3, 4)] == pytest.approx([before[step] / 4 for step in (3, 4)])


def test_the_next_phase_has_the_learning_rate_of_its_schedule_again(new_run: NewRun, calm: list[ev.Event]) -> None:
    before = rates(calm)
    now = rates(play(new_run(), when(at_step(2), edit("learning_rate", 0.001))))
    assert [now[step] for step in range(5, 11)] == [before[step] for step in range(5, 11)]


def test_an_edited_learning_rate_is_not_meant_for_the_classifier_that_is_retrained(new_run: NewRun) -> None:
    changed = {"adversarial__epochs": 2}
    before = rates(play(new_run(**changed)))
    now = rates(play(new_run(**changed), when(at_step(7), edit("learning_rate", before[7] / 2))))
    assert [now[step] for step in (9, 10)] == [before[step] for step in (9, 10)], "retraining of the second epoch"
    assert [now[step] for step in (8, 11)] == pytest.approx([before[step] / 2 for step in (8, 11)])


def test_two_edits_at_once_leave_the_second_value(new_run: NewRun, calm: list[ev.Event]) -> None:
    def both(control: Control) -> None:
        control.edit("learning_rate", 0.3)
        control.edit("learning_rate", 0.02)

    before = rates(calm)
    events = play(new_run(), when(at_step(2), both))
    assert [(event.old, event.new) for event in of(events, ev.ValueEdited)] == [(before[2], 0.3), (0.3, 0.02)]
    assert rates(events)[3] == pytest.approx(0.02 * before[3] / before[2])


def test_an_edited_learning_rate_survives_a_resume(new_run: NewRun) -> None:
    change = when(at_step(2), edit("learning_rate", 0.001))
    expected = play(new_run(), change)
    directory = new_run()
    change = when(at_step(2), edit("learning_rate", 0.001))
    before = play(directory, all_of(change, when(at_step(3), Control.stop)))
    after = play(open_run(directory.path))
    assert rates(before) | rates(after) == rates(expected)
    assert metrics(before) + metrics(after) == metrics(expected)


def probed(events: list[ev.Event]) -> list[int]:
    return [event.step for event in of(events, ev.ProbeFinished)]


def test_probes_come_as_often_as_a_person_edits(new_run: NewRun) -> None:
    changed = {"contrastive__epochs": 4}
    assert probed(play(new_run(**changed)))[:1] == [8]
    events = play(new_run(**changed), when(at_step(3), edit("probe.every_epochs", 1)))
    assert probed(events)[:3] == [4, 6, 8]
    assert edits(events) == [(3, "probe.every_epochs", 0, 1)]


def test_an_edit_of_the_probes_survives_a_resume(new_run: NewRun) -> None:
    directory = new_run(contrastive__epochs=4)
    change = when(at_step(1), edit("probe.every_epochs", 2))
    before = play(directory, all_of(change, when(at_step(3), Control.stop)))
    after = play(open_run(directory.path))
    assert probed(before + after)[:2] == [4, 8]


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("learning_rate", NAN, "learning_rate must be a finite number, not nan"),
        ("learning_rate", INF, "learning_rate must be a finite number, not inf"),
        ("learning_rate", 0.0, "learning_rate must be greater than 0, not 0.0"),
        ("probe.every_epochs", -1, "probe.every_epochs must be at least 0, not -1"),
        ("probe.every_epochs", INF, "probe.every_epochs must be a finite number, not inf"),
        ("probe.epsilons", "16/255", "probe.epsilons must begin with 8/255, which the best checkpoint is chosen by"),
        ("probe.epsilons", "8/255, no", "'no' is not a distance"),
        ("temperature", 0.0, "contrastive.temperature must be greater than 0, not 0.0"),
        ("epochs_left", 0, "epochs_left must be a whole number of at least 1"),
        ("checkpoint.every_steps", 0, "checkpoint.every_steps must be at least 1, not 0"),
        ("seed", 3, "seed cannot be set while the run goes on; learning_rate"),
        ("", 1, " cannot be set while the run goes on"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused_with_the_reason(
    new_run: NewRun, calm: list[ev.Event], name: str, value: float | str, reason: str
) -> None:
    events = play(new_run(), when(at_step(2), edit(name, value)))
    (notice,) = of(events, ev.Notice)
    assert (notice.level, notice.step) == ("warning", 2)
    assert reason in notice.text
    assert of(events, ev.ValueEdited) == []
    assert metrics(events) == metrics(calm)


def test_a_learning_rate_cannot_be_edited_before_it_was_used(new_run: NewRun) -> None:
    """The steps that begin an epoch of stage 2 retrain the classifier, which has a rate of its own."""
    events = play(new_run(), when(at_phase("adversarial"), edit("learning_rate", 0.01)))
    text = "the learning rate can be edited once the phase has taken a step"
    assert of(events, ev.Notice) == [ev.Notice("warning", text, 5)]


def test_when_training_is_over_requests_are_declined_and_a_pause_holds(new_run: NewRun) -> None:
    def ask(control: Control) -> None:
        control.pause()
        control.probe_now()
        control.checkpoint_now()

    is_declined: Hits = lambda event: isinstance(event, ev.Notice)  # noqa: E731
    resume = when(is_paused, Control.resume)
    events = play(new_run(), all_of(when(at_phase("test"), ask), resume))
    text = "training is over: there is nothing to edit, probe or save any more"
    (declined,) = [event for event in events if is_declined(event)]
    assert declined == ev.Notice("warning", text, 10)
    assert changes(events)[-2:] == ["paused", "resumed"]
    assert events[-1].status == "finished"  # type: ignore[union-attr]


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def disk_is_full(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("claf_engine.training.checkpoint.write_atomically", full_disk)
    return


@pytest.mark.usefixtures("disk_is_full")
def test_a_save_that_fails_is_told_and_training_goes_on(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    events = play(new_run(), when(at_phase("test"), lambda _: monkeypatch.undo()))
    notices = of(events, ev.Notice)
    assert {(notice.level, notice.text.partition(": ")[2]) for notice in notices} == {
        ("error", "No space left on device; older checkpoints are untouched; training goes on")
    }
    assert [notice.step for notice in notices] == [2, 4, 8, 10]
    assert saved(events) == [10], "tried again before the test, because nothing else would keep the result"
    assert events[-1].status == "finished"  # type: ignore[union-attr]


@pytest.mark.usefixtures("disk_is_full")
def test_a_run_whose_last_state_cannot_be_saved_is_a_failure(new_run: NewRun) -> None:
    seen: list[ev.Event] = []
    with pytest.raises(CheckpointError, match="No space left on device"):
        play(new_run(), lambda event, _: seen.append(event))
    assert isinstance(seen[-1], ev.RunFinished)
    assert (seen[-1].status, seen[-1].results) == ("failed", ())


@pytest.mark.usefixtures("disk_is_full")
def test_a_requested_save_that_fails_is_told_too(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    free = when(at_phase("test"), lambda _: monkeypatch.undo())
    events = play(new_run(), all_of(when(at_step(3), Control.checkpoint_now), free))
    assert 3 in [notice.step for notice in of(events, ev.Notice)]


@pytest.mark.usefixtures("disk_is_full")
def test_a_stop_that_cannot_save_is_a_failure_and_not_a_silent_loss(new_run: NewRun) -> None:
    seen: list[ev.Event] = []
    react = all_of(lambda event, _: seen.append(event), when(at_step(3), Control.stop))
    with pytest.raises(CheckpointError, match="No space left on device"):
        play(new_run(), react)
    assert isinstance(seen[-1], ev.RunFinished)
    assert seen[-1].status == "failed"


def test_a_damaged_best_checkpoint_does_not_keep_a_run_from_finishing(new_run: NewRun) -> None:
    directory = new_run()

    def damage(_: Control) -> None:
        for entry in list_checkpoints(directory.path):
            data = bytearray(entry.path.read_bytes())
            data[-1] ^= 1
            entry.path.write_bytes(data)

    events = play(directory, when(at_phase("linear_evaluation"), damage))
    assert events[-1].status == "finished"  # type: ignore[union-attr]
    texts = [notice.text for notice in of(events, ev.Notice)]
    assert [text.startswith("the best checkpoint is left out of the test: ") for text in texts] == [True]


def saved(events: list[ev.Event]) -> list[int]:
    return [event.step for event in of(events, ev.CheckpointSaved)]


def test_checkpoints_come_every_so_many_steps_too(new_run: NewRun) -> None:
    events = play(new_run(checkpoint={"min_seconds": 0, "every_steps": 3}))
    assert saved(events) == [2, 3, 4, 6, 8, 9, 10]


def test_short_epochs_are_not_saved_one_by_one(new_run: NewRun) -> None:
    events = play(new_run(contrastive__epochs=5, checkpoint={"min_seconds": 1000}))
    assert saved(events)[0] == 10, "the end of the phase"


def test_checkpoints_come_every_so_many_epochs(new_run: NewRun) -> None:
    events = play(new_run(contrastive__epochs=5, checkpoint={"min_seconds": 0, "every_epochs": 2}))
    assert saved(events)[:3] == [4, 8, 10]


def test_a_checkpoint_has_the_figures_of_the_probe_before_it(new_run: NewRun) -> None:
    directory = new_run()
    events = play(directory)
    figures = [event for event in of(events, ev.ProbeFinished) if event.classifier == "attack"][-1]
    metadata = [entry.info.metrics for entry in list_checkpoints(directory.path) if entry.info and entry.info.step == 8]
    expected = {
        "validation_natural": figures.natural,
        "validation_robust": figures.robust[0].accuracy,
        "validation_selection": figures.selection,
    }
    assert metadata == [expected]


def test_a_checkpoint_has_no_figures_of_a_state_before(new_run: NewRun) -> None:
    directory = new_run(
        adversarial__epochs=2, probe__every_epochs=1, checkpoint={"min_seconds": 0, "every_steps": 1, "keep_last": 20}
    )
    play(directory)
    measured = {
        entry.info.step for entry in list_checkpoints(directory.path) if entry.info is not None and entry.info.metrics
    }
    assert measured == {8, 12, 13, 14}, "linear evaluation, steps 13 and 14, leaves encoder and attack classifier alone"


def test_a_stop_as_linear_evaluation_begins_leaves_the_best_checkpoint_its_figures(new_run: NewRun) -> None:
    directory = new_run()
    play(directory, when(at_phase("linear_evaluation"), Control.stop))
    best = [entry.info for entry in list_checkpoints(directory.path) if "best" in entry.kept_as]
    assert [(info.step, info.classifier) for info in best if info is not None] == [(8, "attack")]


def test_the_activity_of_a_measurement_is_over_once_training_goes_on(new_run: NewRun) -> None:
    events = play(new_run(probe__every_epochs=1))
    steps = [index for index, event in enumerate(events) if isinstance(event, ev.StepLogged) and event.phase == 0]
    assert len(steps) == 4
    assert [events[index + 1].activity for index in steps] == [""] * 2 + ["PGD-1 at 8/255", ""]  # type: ignore[union-attr]


def without_sentinels(events: list[ev.Event]) -> list[ev.Event]:
    return [event for event in metrics(events) if not isinstance(event, ev.SentinelsChecked)]


def test_every_probe_is_followed_by_its_sentinels(calm: list[ev.Event]) -> None:
    probes = of(calm, ev.ProbeFinished)
    assert [calm[calm.index(probe) + 1] for probe in probes] == of(calm, ev.SentinelsChecked)
    followers = of(calm, ev.SentinelsChecked)
    assert [(each.step, each.epoch, each.classifier) for each in followers] == [
        (probe.step, probe.epoch, probe.classifier) for probe in probes
    ]
    assert {(each.epsilon, each.num_examples) for each in followers} == {("8/255", 1)}


def test_sentinels_can_be_switched_off_and_change_nothing_but_what_is_told(
    new_run: NewRun, calm: list[ev.Event]
) -> None:
    on, off = new_run(probe__num_examples=16), new_run(probe__num_examples=16, probe__sentinel_examples=0)
    events, without = play(on), play(off)
    assert {each.num_examples for each in of(events, ev.SentinelsChecked)} == {4}
    assert of(without, ev.SentinelsChecked) == []
    assert without_sentinels(events) == metrics(without)
    assert events[-1].results == without[-1].results  # type: ignore[union-attr]
    hashes = [
        [entry.info.weights_sha256 for entry in list_checkpoints(run.path) if entry.info is not None]
        for run in (on, off)
    ]
    assert len(hashes[0]) > 1
    assert hashes[0] == hashes[1]


RELEASED = {"probe__space": "released-code", "probe__every_epochs": 1, "model__std": [0.2, 0.2, 0.2]}


def test_the_released_code_s_space_raises_one_alert_however_often_it_is_probed(new_run: NewRun) -> None:
    events = play(new_run(**RELEASED))
    (alert,) = of(events, ev.Alert)
    assert (alert.step, alert.name) == (2, "epsilon-zero")
    assert "released-code figures are not accuracy in an ε-ball" in alert.text
    assert len(of(events, ev.SentinelsChecked)) > 3


def test_a_standing_alert_is_told_once_more_when_the_run_goes_on(new_run: NewRun) -> None:
    directory = new_run(**RELEASED)
    before = play(directory, when(at_step(3), Control.stop))
    after = play(open_run(directory.path))
    assert of(after, ev.Alert) == of(before, ev.Alert)
    assert len(of(after, ev.Alert)) == 1
    kept = (directory.path / "events.jsonl").read_text()
    assert kept.count('"type": "Alert"') == 2


def test_an_alert_that_is_over_does_not_come_back_with_a_resume(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    epsilon_zero = lambda found: Finding("epsilon-zero", found.num_changed < 0, True, "over")  # noqa: E731
    directory = new_run(**RELEASED)
    over = when(at_step(3), lambda _: monkeypatch.setattr("claf_engine.training.alarms.epsilon_zero", epsilon_zero))
    before = play(directory, all_of(over, when(at_step(5), Control.stop)))
    text = "an attack of radius 0 has an effect, told at step 2, has ended"
    assert ev.AlertEnded(4, "epsilon-zero", text) in before
    assert of(play(open_run(directory.path)), ev.Alert) == []


def test_the_best_probe_that_a_collapse_is_measured_from_is_one_of_the_same_phase(new_run: NewRun) -> None:
    directory = new_run(adversarial__epochs=2, checkpoint={"min_seconds": 0, "keep_last": 20}, probe__every_epochs=1)
    play(directory)
    infos = [entry.info for entry in reversed(list_checkpoints(directory.path)) if entry.info is not None]
    best = {info.step: info.metadata["claf.ledger"].get("best_probed") for info in infos}
    assert [step for step, accuracy in best.items() if accuracy is not None] == [8, 12], "the ends of stage 2's epochs"


@pytest.mark.parametrize(
    ("later", "step"), [(Later("steps", 2), 3), (Later("epoch"), 2), (Later("phase"), 4), (Later("steps", 99), None)]
)
def test_a_run_goes_on_for_as_long_as_was_asked_and_pauses(
    new_run: NewRun, calm: list[ev.Event], later: Later, step: int | None
) -> None:
    events = play(
        new_run(),
        all_of(when(at_step(1), lambda control: control.pause_later(later)), when(is_paused, Control.resume)),
    )
    paused = [event.step for event in of(events, ev.ControlChanged) if event.status == "paused"]
    assert paused == ([] if step is None else [step])
    assert metrics(events) == metrics(calm)


def test_a_pause_that_is_to_come_is_told_and_written_until_it_is_withdrawn(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds in ("PROGRESS_SECONDS", "STATUS_SECONDS"):
        monkeypatch.setattr(f"claf_engine.training.conductor.{seconds}", 0.0)
    directory, written = new_run(), {}

    def steer(event: ev.Event, control: Control) -> None:
        record = read_status(directory.path / "status.json")[0]
        written.setdefault(record.get("step"), (record.get("pause_unit"), record.get("pause_count")))
        if isinstance(event, ev.StepLogged) and event.step == 1:
            control.pause_later(Later("steps", 9))
        if isinstance(event, ev.StepLogged) and event.step == 3:
            control.resume()

    told = {event.step: (event.pause_unit, event.pause_count) for event in of(play(directory, steer), ev.Progressed)}
    assert [told[step] for step in (1, 2, 3, 4)] == [("steps", 9), ("steps", 8), ("", 0), ("", 0)]
    assert (("steps", 8) in written.values(), written[4]) == (True, ("", 0))
