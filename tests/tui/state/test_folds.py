import math
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_tui.reports.printers import PlainPrinter
from claf_tui.state import MAX_ALERTS, MAX_LOG_LINES, LossKey, RunState, reduce, status_word
from tests.engine.events.test_records import CLASSES, values_of
from tests.properties import examples
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted import Script, robust_figure, run_started
from tests.tui.scripted_methods import checked, collapsed, played, probe, released_code, sentinels


def fold(*events: ev.Event, state: RunState | None = None) -> RunState:
    state = state or RunState()
    for event in events:
        state = reduce(state, event)
    return state


def step(number: int, loss: float = 1.0, name: str = "supcon", phase: int = 0) -> ev.StepLogged:
    return ev.StepLogged(number, phase, 1, "encoder", name, loss, 0.1, 800.0, number * 1.0)


@pytest.fixture
def started(tmp_path: Path) -> RunState:
    return fold(run_started(tmp_path), ev.PhaseStarted(0, "contrastive", 0))


def test_a_whole_run_folds_into_its_results(tmp_path: Path) -> None:
    state = fold(*Script(tmp_path)(Control()))
    assert state.finished is not None
    assert state.finished.status == "finished"
    assert [phase.status for phase in state.phases] == ["done", "done", "done"]
    assert {key: len(series.points) for key, series in state.probes.items()} == {
        ("attack", ""): 12,
        ("attack", "8/255"): 12,
        ("attack", "16/255"): 12,
    }
    assert state.checkpoints[-1].kept_as == ("last", "best")


def test_folding_changes_nothing_of_the_state_before(started: RunState) -> None:
    before = replace(started)
    fold(step(1), ev.Notice("info", "x"), state=started)
    assert started == before


def test_losses_are_kept_apart_by_kind_and_phase(started: RunState) -> None:
    state = fold(step(1), step(2, name="classifier"), step(3, phase=1), state=started)
    assert set(state.losses) == {LossKey("supcon", 0), LossKey("classifier", 0), LossKey("supcon", 1)}


def test_a_new_phase_completes_the_ones_before(started: RunState) -> None:
    state = fold(ev.PhaseStarted(2, "linear_evaluation", 0), state=started)
    assert [phase.status for phase in state.phases] == ["done", "done", "active"]
    assert [phase.fraction for phase in state.phases] == [1.0, 1.0, 0.0]


def test_a_watched_run_shows_progress_by_its_planned_steps(started: RunState) -> None:
    state = fold(step(100), state=started)
    assert state.phases[0].fraction == 0.25


def test_a_resumed_run_takes_back_the_curves_after_its_checkpoint(started: RunState, tmp_path: Path) -> None:
    state = fold(step(10), step(20), step(30), run_started(tmp_path, resumed_from_step=20), state=started)
    assert [point.x for point in state.losses[LossKey("supcon", 0)].points] == [10, 20]
    assert state.step == 20


def test_a_failed_run_marks_the_phase_it_failed_in(started: RunState) -> None:
    state = fold(ev.RunFinished("failed", 7, 1.0, reason="out of memory"), state=started)
    assert state.phases[0].status == "failed"
    assert state.log[-1].level == "error"


def test_an_edit_changes_the_shown_value(started: RunState) -> None:
    assert started.values["probe.every_epochs"] == 5
    assert fold(ev.ValueEdited(3, "probe.every_epochs", 5, 2), state=started).values["probe.every_epochs"] == 2


@pytest.mark.parametrize(
    ("old", "new", "free", "text"),
    [
        (2, 1, 1.25, "others use the cores (1.2 cores for this run): goes on with 1 thread instead of 2"),
        (1, 4, 4.0, "cores are free again (4.0 cores for this run): goes on with 4 threads instead of 1"),
    ],
)
def test_another_number_of_threads_is_told_and_shown(
    started: RunState, old: int, new: int, free: float, text: str
) -> None:
    state = fold(ev.ThreadsChanged(7, old, new, free), state=started)
    assert state.log[-1].text == f"{text}, in other last bits"
    assert state.run is not None
    assert state.run.threads == new


@pytest.mark.parametrize(
    ("control", "word"),
    [("running", "RUNNING"), ("pausing", "PAUSING"), ("paused", "PAUSED"), ("stopping", "STOPPING"), (None, "RUNNING")],
)
def test_the_word_follows_the_control(started: RunState, control: str | None, word: str) -> None:
    assert status_word(started, control) == word


def test_the_word_of_a_watched_run_follows_its_events(started: RunState) -> None:
    assert status_word(RunState()) == "STARTING"
    assert status_word(fold(ev.ControlChanged(1, "paused"), state=started)) == "PAUSED"
    assert status_word(fold(ev.RunFinished("stopped", 1, 1.0), state=started), "stopping") == "STOPPED"


def test_the_log_is_bounded_and_counts_on(started: RunState) -> None:
    state = fold(*(ev.Notice("info", str(i)) for i in range(MAX_LOG_LINES + 50)), state=started)
    assert len(state.log) == MAX_LOG_LINES
    assert state.num_log_lines == MAX_LOG_LINES + 52


def test_foreign_text_is_cleaned_on_its_way_into_the_state(started: RunState) -> None:
    alert = ev.Alert(1, EVERYTHING, EVERYTHING)
    probe = ev.ProbeFinished(1, 0, 1, EVERYTHING, 0.5, (replace(robust_figure("8/255", 0.4), epsilon=EVERYTHING),), 1.0)
    state = fold(ev.Notice("error", EVERYTHING), probe, alert, sentinels(1, epsilon=EVERYTHING), state=started)
    assert all(item.text.isprintable() for item in state.alerts)
    assert all(line.text.isprintable() for line in state.log)
    assert all(text.isprintable() for key in state.probes for text in key)
    assert all(record.classifier.isprintable() and record.radius.isprintable() for record in state.records)


def test_a_step_folds_as_fast_after_twenty_thousand_as_after_a_thousand(started: RunState) -> None:
    def seconds(state: RunState) -> float:
        events = [step(100_000 + i) for i in range(500)]
        began = time.process_time()
        fold(*events, state=state)
        return time.process_time() - began

    states = {count: fold(*(step(i) for i in range(count)), state=started) for count in (1000, 20_000)}
    early, late = (min(seconds(state) for _ in range(5)) for state in states.values())
    assert late < 3 * early


def test_the_learning_rate_is_kept_by_phase_without_that_of_retraining(started: RunState) -> None:
    state = fold(step(1), replace(step(2), part="retrain", learning_rate=9.0), step(3, phase=1), state=started)
    assert {phase: [point.mean for point in series.points] for phase, series in state.rates.items()} == {
        0: [0.1],
        1: [0.1],
    }


def test_the_accuracies_of_fast_training_become_two_curves(started: RunState) -> None:
    state = fold(checked(5, 1, 0.3), checked(10, 2, 0.4), state=started)
    assert [point.mean for point in state.multi_step.points] == [0.3, 0.4]
    assert [point.mean for point in state.one_step.points] == [0.62, 0.62]
    assert state.log[-1].text == "epoch 2: one-step attack 62.0%, PGD 40.0%"
    assert state.alerts == ()


def test_each_check_of_a_lasting_collapse_is_an_error_its_beginning_alone_an_alert(started: RunState) -> None:
    lasting = [checked(5 * epoch, epoch, 0.01, has_collapsed=True) for epoch in (3, 4)]
    begins = [checked(10, 2, 0.003, has_collapsed=True), collapsed(10, 2)]
    state = fold(checked(5, 1, 0.41), *begins, *lasting, state=started)
    (alert,) = state.alerts
    assert (alert.level, alert.step) == ("error", 10)
    assert alert.text.startswith("catastrophic overfitting in epoch 2: PGD accuracy fell from 41.0% to 0.3%")
    assert [line.level for line in state.log[-4:]] == ["error"] * 4
    assert state.log[-1].text == "epoch 4: collapsed, one-step attack 62.0%, PGD 1.0%"


def test_an_alert_that_a_resumed_run_sends_once_more_is_the_same_one(started: RunState, tmp_path: Path) -> None:
    state = fold(collapsed(10, 2), run_started(tmp_path, resumed_from_step=20), collapsed(10, 2), state=started)
    assert [alert.step for alert in state.alerts] == [10]


def test_an_alert_that_stands_when_a_run_is_resumed_elsewhere_is_shown(tmp_path: Path) -> None:
    state = fold(run_started(tmp_path, resumed_from_step=20), collapsed(10, 2))
    assert [alert.step for alert in state.alerts] == [10]


def test_an_alert_that_comes_back_is_another_one(started: RunState) -> None:
    assert [alert.step for alert in fold(collapsed(10, 2), collapsed(30, 6), state=started).alerts] == [10, 30]


def test_sentinels_are_a_line_of_the_log(started: RunState) -> None:
    state = fold(sentinels(5), state=started)
    assert state.log[-1] == (
        "info",
        "sentinels on 64 images: natural 90.0%, radius 0 90.0%; "
        "8/255: FGSM 60.0%, PGD 55.0%, cross-entropy 55.0%, margin 50.0%",
        0.0,
    )
    assert state.alerts == ()


def test_sentinels_name_a_radius_that_is_no_linf_ball(started: RunState) -> None:
    outside = sentinels(5, space="released-code")
    assert "; 8/255 (no ball): FGSM" in fold(outside, state=started).log[-1].text
    assert "; L2 0.5: FGSM" in fold(sentinels(5, epsilon="0.5", norm="l2"), state=started).log[-1].text


def test_sentinels_of_a_probe_without_a_radius_say_what_they_know(started: RunState) -> None:
    unknown = sentinels(5, epsilon="", one_step=None, multi_step=None, cross_entropy=None, margin=None)
    assert fold(unknown, state=started).log[-1].text == "sentinels on 64 images: natural 90.0%, radius 0 90.0%"


def test_an_error_that_training_survives_is_an_alert_and_a_warning_is_not(started: RunState) -> None:
    state = fold(ev.Notice("warning", "odd"), ev.Notice("error", "the disk is full", 7), state=started)
    assert [(alert.text, alert.step) for alert in state.alerts] == [("the disk is full", 7)]


def test_alerts_are_bounded(started: RunState) -> None:
    state = fold(*(ev.Notice("error", str(i)) for i in range(MAX_ALERTS + 5)), state=started)
    assert len(state.alerts) == MAX_ALERTS
    assert state.alerts[-1].text == str(MAX_ALERTS + 4)


def test_a_resumed_run_takes_back_the_alerts_after_its_checkpoint(started: RunState, tmp_path: Path) -> None:
    events = [ev.Notice("error", "before", 5), checked(30, 2, 0.01, has_collapsed=True), collapsed(30, 2)]
    state = fold(*events, run_started(tmp_path, resumed_from_step=20), state=started)
    assert [alert.text for alert in state.alerts] == ["before"]
    assert state.overfitting is None
    assert state.multi_step.points == ()


def test_another_run_keeps_the_alerts_of_the_one_before_and_the_same_run_does_not(
    started: RunState, tmp_path: Path
) -> None:
    state = fold(ev.Notice("error", "the disk is full"), state=started)
    assert fold(run_started(tmp_path, run="next"), state=state).alerts == state.alerts
    assert fold(run_started(tmp_path), state=state).alerts == ()


def test_a_phase_that_ends_early_keeps_the_epochs_it_came_to(tmp_path: Path) -> None:
    state = fold(*played(tmp_path, "fgsm", is_collapsing=True))
    assert (state.phases[0].status, state.phases[0].epoch) == ("stopped", 2)
    assert "fast adversarial training ended early, after 2 of 4 epochs" in [line.text for line in state.log]


def test_a_running_epoch_is_not_taken_for_a_finished_one(tmp_path: Path) -> None:
    *events, after, _ = played(tmp_path, "fgsm", is_collapsing=True)
    progress = ev.Progressed(0, 3, 4, "", 0, 0.5, 0.5, 1.0, 1.0, None, None, None, 0, 10)
    assert fold(*events, progress, after).phases[0].epoch == 2


def test_figures_that_are_not_of_a_ball_say_so_in_the_log(started: RunState) -> None:
    outside = probe(5, 0, "natural", robust=(released_code(robust_figure("8/255", 0.618)),))
    text = fold(outside, state=started).log[-1].text
    assert "8/255 (no ball) 61.8%" in text
    assert text.endswith("released-code: not an ε-ball, moved up to 115/255")


def test_an_l2_radius_is_named_in_log_and_curves(started: RunState) -> None:
    of_l2 = probe(5, 0, "natural", robust=(replace(robust_figure("0.5", 0.7), norm="l2"),))
    state = fold(of_l2, state=started)
    assert "L2 0.5 70.0%" in state.log[-1].text
    assert set(state.probes) == {("natural", ""), ("natural", "L2 0.5")}


def test_fast_training_in_the_released_code_s_space_says_so_with_its_accuracies(tmp_path: Path) -> None:
    begun = run_started(tmp_path, method="fgsm", config={"attack": {"space": "released-code"}})
    assert fold(begun, checked(5, 1, 0.4)).log[-1].text.endswith("released-code: not an ε-ball")


def served(request: str, *, is_accepted: bool = True) -> ev.RequestServed:
    return ev.RequestServed(4, request, "", "ann on node1, process 12", 0.0, is_accepted=is_accepted, answer="so be it")


@pytest.mark.parametrize(
    ("events", "word"),
    [
        ([served("pause")], "PAUSING"),
        ([served("pause"), ev.ControlChanged(4, "paused")], "PAUSED"),
        ([served("pause"), ev.ControlChanged(4, "paused"), served("pause")], "PAUSED"),
        ([served("pause"), served("resume")], "RUNNING"),
        ([served("pause", is_accepted=False)], "RUNNING"),
        ([served("stop")], "STOPPING"),
        ([ev.ControlChanged(4, "paused"), served("stop")], "PAUSED"),
        ([served("probe")], "RUNNING"),
    ],
)
def test_what_was_asked_from_elsewhere_is_on_its_way_until_it_comes(
    started: RunState, events: list[ev.Event], word: str
) -> None:
    assert status_word(fold(*events, state=started)) == word


def test_a_run_that_died_while_it_was_paused_goes_on_unpaused(started: RunState) -> None:
    assert started.run is not None
    state = fold(ev.ControlChanged(4, "paused"), replace(started.run, resumed_from_step=2), state=started)
    assert status_word(state) == "RUNNING"


def test_the_log_says_who_asked_for_what_and_how_it_was_answered(started: RunState) -> None:
    accepted, refused = fold(served("pause"), served("set seed=3", is_accepted=False), state=started).log[-2:]
    assert re.fullmatch(
        r"pause, asked by ann on node1, process 12 at \d\d:\d\d:\d\d: accepted, so be it", accepted.text
    )
    assert (refused.level, "refused, so be it" in refused.text) == ("warning", True)


accuracies = st.floats(0, 1)
steps = st.integers(0, 10_000)
any_event = st.one_of(
    st.builds(step, steps, st.floats(allow_nan=True), st.sampled_from(["supcon", "classifier"]), st.integers(0, 4)),
    st.builds(ev.PhaseStarted, st.integers(0, 4), st.text(max_size=5), st.integers(0, 9)),
    st.builds(ev.EpochFinished, steps, st.integers(0, 4), st.integers(1, 9), accuracies, accuracies),
    st.builds(ev.ClassifierRetrained, steps, st.integers(1, 9), accuracies, accuracies, st.just(8)),
    st.builds(ev.DissociationMeasured, steps, st.integers(1, 9), accuracies, accuracies, accuracies, st.just(8)),
    st.builds(ev.OverfittingChecked, steps, st.integers(1, 9), *[accuracies] * 3, st.just(8), st.booleans()),
    st.builds(ev.Alert, steps, st.text(max_size=5), st.text()),
    st.builds(ev.Notice, st.sampled_from(["info", "warning", "error"]), st.text()),
    st.builds(ev.ControlChanged, steps, st.sampled_from(["paused", "resumed", "stopping"])),
    st.builds(
        ev.RequestServed,
        steps,
        st.sampled_from(["pause", "resume", "stop"]),
        st.text(),
        st.text(),
        st.floats(),
        is_accepted=st.booleans(),
        answer=st.text(),
    ),
    st.builds(ev.RunFinished, st.sampled_from(["finished", "stopped", "failed"]), steps, accuracies),
)


@examples(50)
@given(st.lists(any_event, max_size=40), st.booleans())
def test_any_order_of_events_folds(events: list[ev.Event], is_started: bool) -> None:
    first = [run_started(Path("runs/x"))] if is_started else []
    state = fold(*first, *events)
    assert all(0 <= phase.fraction <= 1 for phase in state.phases)
    assert all(line.text.isprintable() for line in state.log)
    assert not math.isnan(state.elapsed)


@examples(100)
@given(st.lists(st.sampled_from(CLASSES).flatmap(values_of), max_size=6))
def test_no_events_of_the_right_types_get_an_error_out_of_the_state_or_the_lines(events: list[ev.Event]) -> None:
    state, show = RunState(), PlainPrinter(write=lambda _: None)
    for event in events:
        state = reduce(state, event)
        show(event)


def probed(step: int, accuracy: float, classifier: str = "attack") -> ev.ProbeFinished:
    return probe(step, 1, classifier, epoch=step, robust=(robust_figure("8/255", accuracy),))


def test_the_best_is_that_of_the_classifier_that_was_probed_last(started: RunState) -> None:
    state = fold(probed(1, 0.9, "natural"), probed(2, 0.4), probed(3, 0.5), probed(4, 0.3), state=started)
    assert state.best == (3, 3, "attack", "8/255", 0.5)
    assert fold(state=started).best is None


def test_a_resumed_run_forgets_a_best_that_it_has_yet_to_reach(started: RunState) -> None:
    state = fold(probed(2, 0.4), probed(8, 0.5), state=started)
    assert started.run is not None
    resumed = fold(replace(started.run, resumed_from_step=5), probed(6, 0.3), state=state)
    assert resumed.best is not None
    assert resumed.best.accuracy == 0.4
    assert [point.x for point in resumed.probes["attack", "8/255"].points] == [2, 6]


def test_a_resumed_run_shows_the_probe_before_its_checkpoint_as_its_latest(started: RunState) -> None:
    state = fold(probed(2, 0.4), probed(8, 0.5), state=started)
    assert state.probe == probed(8, 0.5)
    assert started.run is not None
    assert fold(replace(started.run, resumed_from_step=5), state=state).probe == probed(2, 0.4)
    assert fold(replace(started.run, resumed_from_step=1), state=state).probe is None


def test_the_clock_of_a_resumed_run_goes_on_from_its_checkpoint(started: RunState) -> None:
    taken = [replace(step(number), elapsed=2.0 * number) for number in (10, 20, 30)]
    again = [replace(step(number), elapsed=2.0 * number + 5) for number in (21, 25)]
    assert started.run is not None
    state = fold(*taken, replace(started.run, resumed_from_step=20), *again, state=started)
    assert state.timeline.clock.points == ((10, 20.0), (20, 40.0), (21, 47.0), (25, 55.0))
    assert state.elapsed == 55.0


def test_what_happened_is_marked_where_it_did(started: RunState) -> None:
    saved = ev.CheckpointSaved(4, 0, "step-4", 10, ("last", "best"), 0.1)
    edited, alert = ev.ValueEdited(5, "learning_rate", 0.1, 0.05), ev.Alert(6, "x", "text")
    state = fold(step(3), ev.PhaseStarted(1, "adversarial", 0), saved, edited, alert, state=started)
    assert [mark[:2] for mark in state.marks] == [(3, "phase"), (4, "best"), (5, "edit"), (6, "alert")]
    assert state.marks[2].text == "learning_rate 0.1→0.05"


def test_steps_are_placed_on_the_clock_and_among_the_epochs_of_all_phases(started: RunState) -> None:
    finished = (
        ev.EpochFinished(20, 0, 20, 1.0, 1.0),
        ev.PhaseStarted(1, "adversarial", 0),
        ev.EpochFinished(50, 1, 1, 1, 1),
    )
    state = fold(replace(step(10), elapsed=5.0), *finished, state=started)
    assert state.timeline.clock.values(np.array([5.0, 10.0])).tolist() == pytest.approx([5.0, 5.0])
    assert state.timeline.epochs.values(np.array([20.0, 35.0, 50.0])).tolist() == pytest.approx([20, 20.5, 21])


def test_an_edited_length_of_the_phase_is_the_plan_from_then_on(started: RunState) -> None:
    plan = started.phases[0].plan
    edited = ev.ValueEdited(5, "contrastive.epochs", plan.epochs, 2 * plan.epochs, "ann on node1, process 3")
    state = fold(edited, state=started)
    assert (state.phases[0].plan.epochs, state.phases[0].plan.steps) == (2 * plan.epochs, 2 * plan.steps)
    assert state.phases[1:] == started.phases[1:]
    assert "by ann on node1" in state.log[-1].text


def test_an_alert_that_is_over_leaves_the_screen_and_stays_in_the_history(started: RunState) -> None:
    stands = fold(ev.Alert(5, "disk", "the disk is full", "warning"), state=started)
    over = fold(ev.AlertEnded(9, "disk", "a full disk has ended"), state=stands)
    assert ([alert.name for alert in stands.alerts], over.alerts) == (["disk"], ())
    assert stands.history[-1].is_active
    assert (over.history[-1].ended, over.history[-1].is_active) == (9, False)
    again = fold(ev.Alert(12, "disk", "the disk is full", "warning"), state=over)
    assert [one.ended for one in again.history] == [9, None]


def test_the_history_knows_who_changed_what_and_when(started: RunState) -> None:
    edited = ev.ValueEdited(5, "probe.every_epochs", 5, 2, "ann on node1, process 3", 12.5)
    asked = ev.RequestServed(6, "pause", "ab", "bob on node2, process 4", 13.5, True, "the run waits from here on")
    edit, request = fold(edited, asked, state=started).history
    assert (edit.kind, edit.text, edit.who, edit.at) == ("edit", "every_epochs 5→2", "ann on node1, process 3", 12.5)
    assert (request.kind, request.text, request.who) == ("request", "pause", "bob on node2, process 4")
