"""Event files, read by TensorBoard's own reader where it is installed."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from claf_engine.runs.examples import About, Answers, CleanExamples, ProbedExamples, write_examples
from claf_tui.runners.trackers.tensorboard import FOLDER, TensorBoard
from tests.tui.scripted import run_started

pytest.importorskip("tensorboardX")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


@pytest.fixture(autouse=True)
def _reader_may_warn() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)


def write(run: Path, steps: range, *, resumed: int | None = None) -> None:
    board = TensorBoard()
    board.begin(run_started(run, resumed_from_step=resumed))
    for step in steps:
        board.scalars(step, {"loss/supcon": float(step), "learning_rate": 0.1}, 1000.0 + step)
    board.end("finished")


def read(run: Path) -> "event_accumulator.EventAccumulator":
    reader = event_accumulator.EventAccumulator(str(run / FOLDER), {event_accumulator.SCALARS: 0, "images": 0})
    return reader.Reload()


def test_figures_are_read_again(tmp_path: Path) -> None:
    write(tmp_path, range(1, 4))
    reader = read(tmp_path)
    assert set(reader.Tags()["scalars"]) == {"loss/supcon", "learning_rate"}
    assert [(event.step, event.value, event.wall_time) for event in reader.Scalars("loss/supcon")] == [
        (step, float(step), 1000.0 + step) for step in range(1, 4)
    ]


def test_no_step_is_there_twice_after_a_resume(tmp_path: Path) -> None:
    write(tmp_path, range(1, 9))  # killed at 8; the newest checkpoint is that of step 5
    write(tmp_path, range(6, 11), resumed=5)
    assert [event.step for event in read(tmp_path).Scalars("loss/supcon")] == list(range(1, 11))


def test_without_saying_where_it_resumes_steps_would_be_there_twice(tmp_path: Path) -> None:
    write(tmp_path, range(1, 9))
    write(tmp_path, range(6, 11))
    assert len(read(tmp_path).Scalars("loss/supcon")) == 13


def test_pictures_of_a_probe_are_shown(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (4, 3, 8, 8), dtype=np.uint8)
    answers = Answers(np.zeros(4, np.int64), np.full(4, 0.5, np.float32), np.zeros((4, 2), np.float32))
    probed = ProbedExamples(About(7, 1, "stage 2", "attack"), "PGD-10 at 8/255", pictures, answers, answers)
    write_examples(tmp_path, CleanExamples(pictures, np.zeros(4, np.int64)), probed)
    board = TensorBoard()
    board.begin(run_started(tmp_path))
    board.probed(7)
    board.probed(8)  # which kept none
    board.end("stopped")
    tags = read(tmp_path).Tags()["images"]
    assert any("attacked" in tag for tag in tags)
    assert any("clean" in tag for tag in tags)
