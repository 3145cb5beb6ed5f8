from dataclasses import replace

from claf_engine import events as ev
from claf_tui.runners.trackers.figures import figures_of
from tests.tui.scripted import robust_figure


def test_a_logged_step_tells_its_loss_by_name() -> None:
    told = figures_of(ev.StepLogged(7, 0, 1, "encoder", "supcon", 4.5, 0.1, None, 2.0))
    assert told is not None
    assert (told.step, told.values) == (7, {"loss/supcon": 4.5, "learning_rate": 0.1})


def test_a_probe_tells_its_accuracies_by_classifier_and_radius() -> None:
    robust = (
        robust_figure("8/255", 0.4),
        replace(robust_figure("1/2", 0.2), norm="l2"),
        replace(robust_figure("8/255", 0.1), space="released-code"),
    )
    told = figures_of(ev.ProbeFinished(9, 0, 1, "attack", 0.8, robust, 1.0))
    assert told is not None
    assert told.values == {
        "probe/attack/natural": 0.8,
        "probe/attack/robust-8-255": 0.4,
        "probe/attack/robust-1-2-l2": 0.2,
        "probe/attack/robust-8-255-released-code": 0.1,
    }


def test_the_end_of_a_run_tells_its_results() -> None:
    result = ev.TestResult("step-9", "natural", 0.9, (robust_figure("8/255", 0.5),), True)
    told = figures_of(ev.RunFinished("finished", 9, 1.0, (result,)))
    assert told is not None
    assert told.values == {"test/natural/natural": 0.9, "test/natural/robust-8-255": 0.5}


def test_names_hold_what_every_tracker_takes() -> None:
    told = figures_of(ev.StepLogged(7, 0, 1, "x", "a loss (mine)", 4.5, 0.1, None, 2.0))
    assert told is not None
    assert "loss/a-loss-mine-" in told.values


def test_what_is_no_measurement_is_not_told() -> None:
    assert figures_of(ev.Notice("info", "x")) is None
    assert figures_of(ev.RunFinished("stopped", 9, 1.0)) is None


def test_what_is_not_finite_is_left_out() -> None:
    told = figures_of(ev.StepLogged(7, 0, 1, "x", "supcon", float("nan"), 0.1, float("inf"), 2.0))
    assert told is not None
    assert told.values == {"learning_rate": 0.1}
