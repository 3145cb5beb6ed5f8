import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.events import records
from claf_engine.events.control import Control
from claf_tui.reports.printers import (
    LIVE_INTERVAL,
    PROGRESS_INTERVAL,
    LiveJsonPrinter,
    PlainPrinter,
    json_line,
    progress_line,
)
from claf_tui.state import RunState
from claf_tui.words import figures
from tests.tui.hostile import EVERYTHING, HOSTILE
from tests.tui.scripted import Script, robust_figure, run_started
from tests.tui.scripted_methods import METHODS, played, probe, released_code

PROGRESS = ev.Progressed(
    phase=1,
    epoch=3,
    epochs=30,
    activity="retrain 1/5",
    activity_fraction=0.2,
    phase_fraction=0.1,
    run_fraction=0.25,
    elapsed=60.0,
    phase_elapsed=20.0,
    phase_remaining=247.0,
    run_remaining=None,
    images_per_second=812.4,
    memory_bytes=1,
    step=120,
)
NOW = 1_800_000_000.0
LOGGED = ev.StepLogged(120, 1, 3, "retrain", "classifier", 1.2345, 0.1, 812.0, 60.0)


class Lines:
    """A plain printer with its own clock that keeps what it writes."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.now = 0.0
        self.printer = PlainPrinter(self.written.append, lambda: self.now, lambda: NOW)

    def of(self, *events: ev.Event) -> list[str]:
        """What it writes for these events."""
        del self.written[:]
        for event in events:
            self.printer(event)
        return list(self.written)


@pytest.fixture
def lines() -> Lines:
    lines = Lines()
    lines.of(run_started(Path("/runs/demo")))
    return lines


def test_why_figures_cannot_be_right_is_told_once_for_all_probes(lines: Lines) -> None:
    notice = "from 8/255 on the attack may be too weak"
    doubted = replace(probe(10, 0, "natural"), robust=(replace(robust_figure("8/255", 0.5), notice=notice),))
    assert lines.of(doubted, doubted).count(f"warning: {notice}") == 1
    assert not [line for line in lines.of(probe(10, 0, "natural")) if notice in line]


def test_the_start_says_what_is_trained_on_what_and_where() -> None:
    first, second, third = Lines().of(run_started(Path("/runs/demo")))
    assert first == "run demo: claf on shapes, cpu"
    assert second.startswith(
        "4,000 train, 500 validation, 1,000 test images; 175,258 parameters, fp32 channels_last, 1 thread;"
    )
    assert third == "folder /runs/demo"


def test_a_progress_line_has_phase_epoch_step_loss_speed_and_estimates(lines: Lines) -> None:
    assert lines.of(LOGGED, PROGRESS) == [
        "2 · adversarial features  epoch 3/30  step 120  classifier 1.234  812 img/s  eta 4:07  run 25% calibrating"
    ]


def test_a_progress_line_says_how_long_the_run_takes_and_when_it_ends(lines: Lines) -> None:
    written = lines.of(replace(PROGRESS, run_remaining=94_000.0))[0]
    assert written.endswith(f"  run 25% eta 1d 02h, {figures.end_time(94_000.0, NOW)}")


def test_a_progress_line_says_when_the_run_pauses(lines: Lines) -> None:
    assert lines.of(replace(PROGRESS, pause_unit="epoch", pause_count=1))[0].endswith("  pauses after this epoch")


def test_a_loss_of_another_phase_is_not_shown(lines: Lines) -> None:
    assert "classifier" not in lines.of(replace(LOGGED, phase=0), PROGRESS)[0]


def test_progress_comes_every_few_seconds_and_not_with_every_event(lines: Lines) -> None:
    assert len(lines.of(PROGRESS, PROGRESS, PROGRESS)) == 1
    lines.now = PROGRESS_INTERVAL - 0.1
    assert lines.of(PROGRESS) == []
    lines.now = PROGRESS_INTERVAL
    assert len(lines.of(PROGRESS)) == 1


def test_while_data_are_made_the_activity_is_shown() -> None:
    progress = replace(PROGRESS, phase=0, epoch=0, epochs=0, activity="drawing shapes", phase_remaining=None)
    assert Lines().of(progress) == ["drawing shapes"]


def test_what_is_watched_has_a_line_of_its_own(lines: Lines) -> None:
    assert lines.of(ev.ClassifierRetrained(9, 3, 0.25, 0.42, 512)) == [
        "epoch 3: classifier retrained, 25.0% → 42.0% on adversarial examples"
    ]
    assert lines.of(ev.DissociationMeasured(9, 3, 0.42, 0.31, 0.11, 512)) == [
        "epoch 3: dissociation 11.0 points, 42.0% → 31.0% after the encoder moved"
    ]
    probe = ev.ProbeFinished(9, 1, 3, "attack", 0.9, (robust_figure("8/255", 0.5),), 1.0)
    assert lines.of(probe) == ["probe, attack classifier: natural 90.0%, 8/255 50.0%"]
    chosen = lines.of(replace(probe, selection=0.42))
    assert chosen == ["probe, attack classifier: natural 90.0%, 8/255 50.0%, 42.0% under the stronger attack"]
    assert lines.of(ev.CheckpointSaved(9, 1, "x", 2048, ("last",), 0.1)) == ["checkpoint at step 9: last, 2.0 KiB"]


def test_warnings_say_that_they_are(lines: Lines) -> None:
    assert lines.of(ev.Notice("warning", "odd"), ev.Notice("info", "fine")) == ["warning: odd", "fine"]


def test_the_reason_of_a_failure_is_left_to_whoever_runs_the_engine(lines: Lines) -> None:
    assert lines.of(ev.RunFinished("failed", 1, 1.0, reason="diverged")) == []


def test_errors_that_training_survives_are_shown(lines: Lines) -> None:
    assert lines.of(ev.Notice("error", "the disk is full; training goes on")) == [
        "error: the disk is full; training goes on"
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_is_cleaned(text: str) -> None:
    started = replace(run_started(Path("/runs/demo")), run=text, directory=text, data=text, precision=text)
    written = Lines().of(started, ev.Notice("info", text), replace(PROGRESS, activity=text, epochs=0))
    assert all(character.isprintable() for line in written for character in line)


def test_a_whole_run_is_told_in_lines(tmp_path: Path) -> None:
    lines = Lines()
    written = lines.of(*Script(tmp_path / "run")(Control()))
    assert sum(line.startswith("phase begins") for line in written) == 3
    assert written[-1] == "run finished"


def test_every_method_is_told_in_lines(tmp_path: Path) -> None:
    for method in METHODS:
        written = Lines().of(*played(tmp_path / "run", method))
        assert written[-1] == "run finished"
        assert all(any(part.title in line for line in written) for part in METHODS[method])


def test_a_collapse_is_an_error_line_and_is_repeated_at_the_end(tmp_path: Path) -> None:
    written = Lines().of(*played(tmp_path / "run", "fgsm", is_collapsing=True))
    text = "catastrophic overfitting in epoch 2: PGD accuracy fell from 41.0% to 0.3%, one-step attack 62.0%"
    assert "error: epoch 2: collapsed, one-step attack 62.0%, PGD 0.3%" in written
    assert f"ALERT: {text}" in written
    assert written[-1] == f"ALERT of step 10: {text}"
    assert "epoch 1: one-step attack 62.0%, PGD 41.0%" in written


def test_a_probe_without_a_ball_says_so_in_its_line(lines: Lines) -> None:
    (line,) = lines.of(probe(9, 1, "attack", robust=(released_code(robust_figure("8/255", 0.618)),)))
    assert line == (
        "probe, attack classifier: natural 93.1%, 8/255 (no ball) 61.8% · "
        "released-code: not an ε-ball, moved up to 115/255"
    )


def test_a_json_line_is_the_event_s_record(capsys: pytest.CaptureFixture[str]) -> None:
    json_line(replace(LOGGED, loss=math.nan))
    json_line(ev.Notice("info", EVERYTHING))
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first)["loss"] is None
    assert records.from_record(json.loads(second)) == ev.Notice("info", EVERYTHING)
    assert second.isascii()


def test_progress_is_no_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    json_line(PROGRESS)
    assert capsys.readouterr().out == ""


def test_a_line_of_progress_says_when_the_machine_is_busy() -> None:
    idle, busy = (progress_line(replace(PROGRESS, waited=waited), None, RunState(), NOW) for waited in (0.02, 0.5))
    assert busy == f"{idle}  busy machine: 50% of the time without a core"


def test_progress_for_a_program_comes_a_few_times_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    moments = iter([0.0, LIVE_INTERVAL / 2, LIVE_INTERVAL, 2 * LIVE_INTERVAL])
    printer = LiveJsonPrinter(lambda: next(moments, 9.0))
    for step in (1, 2, 3):
        printer(replace(PROGRESS, step=step))
    steps = [json.loads(line)["step"] for line in capsys.readouterr().out.splitlines()]
    assert steps == [1, 3]


def test_everything_but_progress_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    printer = LiveJsonPrinter(lambda: 0.0)
    for _ in range(3):
        printer(LOGGED)
    assert len(capsys.readouterr().out.splitlines()) == 3
