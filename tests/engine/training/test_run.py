import json
import random
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from claf_engine import events as ev
from claf_engine.accuracy.measure import require_finite
from claf_engine.compute.device import Compute
from claf_engine.config import RunConfig
from claf_engine.data import Dataset, Split
from claf_engine.events.control import Control
from claf_engine.events.ticks import Pulse
from claf_engine.runs import RunDirectory, create_run, list_checkpoints, open_run, summarise
from claf_engine.runs.journal import read_events
from claf_engine.runs.status import accepted_at_once
from claf_engine.terms.errors import CheckpointError, ClafError, ConfigError, DeviceError, NonFiniteLoss
from claf_engine.training.losses import supcon_loss
from claf_engine.training.run import run
from claf_engine.training.session import Session
from tests.engine.tiny import CPU, play, tiny_config, tiny_data, use_tiny_data, without_clock
from tests.fuzz.run_readers import resealed

METRICS = (
    ev.StepLogged,
    ev.EpochFinished,
    ev.ClassifierRetrained,
    ev.DissociationMeasured,
    ev.ProbeFinished,
    ev.SentinelsChecked,
)

NewRun = Callable[..., RunDirectory]


@pytest.fixture(autouse=True, scope="module")
def _tiny_data() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_data(monkeypatch, num_train=20)
        yield


@pytest.fixture
def new_run(tmp_path: Path) -> NewRun:
    """Makes a run of the shortest configuration that has everything."""
    return lambda config=None, **changes: create_run(tmp_path, "tiny", config or short(**changes), [])


def short(**changes: object) -> RunConfig:
    """All phases and parts in 15 steps; the last batch of a sweep is smaller."""
    settings: dict[str, object] = {
        "attack__steps": 1,
        "contrastive__epochs": 1,
        "adversarial__epochs": 2,
        "linear_evaluation": {"epochs": 1, "adversarial_epochs": 1, "adversarial_steps": 1},
        "probe": {"every_epochs": 1, "num_examples": 4, "epsilons": ["8/255"], "steps": 1, "fit_epochs": 1},
        "evaluation": {"epsilons": ["8/255"], "steps": 1, "num_examples": 4},
    }
    return tiny_config(**settings | changes)


VARIANTS = {
    "paper": {},
    "two passes": {"adversarial__classifier_epochs": 2, "checkpoint__every_steps": 2},
    "fresh classifiers": {"adversarial__classifier_start": "reinitialise", "adversarial__source": "crop"},
    "no passes": {"adversarial__classifier_epochs": 0},
    "adam": {
        "features_optimizer": {"name": "adam", "learning_rate": 0.01},
        "adversarial__classifier_optimizer": {"name": "sgd", "learning_rate": 0.1, "schedule": "cosine"},
        "checkpoint__every_steps": 1,
    },
    "natural": {"method": "natural"},
}


@dataclass(frozen=True)
class Outcome:
    """What must not depend on how often a run was left and resumed."""

    metrics: list[ev.Event]
    weights: str
    results: tuple[ev.TestResult, ...]


def outcome(path: Path) -> Outcome:
    events, newest = read_events(path), list_checkpoints(path)[0].info
    finished = events[-1]
    assert newest is not None
    assert isinstance(finished, ev.RunFinished)
    assert finished.status == "finished"
    return Outcome(without_clock(events, *METRICS), newest.weights_sha256, finished.results)


@dataclass(frozen=True)
class Whole:
    """A run that nobody interrupted."""

    events: list[ev.Event]
    path: Path
    outcome: Outcome


Wholes = Callable[[str], Whole]


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> Wholes:
    """Plays each variant once, when it is first asked for."""
    known: dict[str, Whole] = {}

    def get(variant: str) -> Whole:
        if variant not in known:
            directory = create_run(tmp_path_factory.mktemp("whole"), "tiny", short(**VARIANTS[variant]), [])
            events = play(directory)
            known[variant] = Whole(events, directory.path, outcome(directory.path))
        return known[variant]

    return get


@pytest.fixture(scope="module")
def whole(wholes: Wholes) -> Whole:
    """All of the shortest run."""
    return wholes("paper")


def leave(directory: RunDirectory, at: int, how: str) -> bool:
    """Stop a run, or let it crash, at one of its events; whether it finished before."""
    control = Control()
    events = run(directory, control)
    assert isinstance(events, Generator)
    last: ev.Event | None = None
    for number, event in enumerate(events):
        last = event
        if number == at and how == "crash":
            events.close()
            break
        if number == at:
            control.stop()
    directory.close()
    return isinstance(last, ev.RunFinished) and last.status == "finished"


def reopened(path: Path) -> RunDirectory:
    """A run that was left: gone on with, or begun anew where it had not come to its first checkpoint."""
    return open_run(path, restart=not list_checkpoints(path))


def after(events: list[ev.Event], kind: type[ev.Event]) -> list[ev.Event]:
    return events[next(index for index, event in enumerate(events) if isinstance(event, kind)) :]


def flip_last_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def word(event: ev.Event) -> str:
    return f"{event.name} begins" if isinstance(event, ev.PhaseStarted) else type(event).__name__


EPOCH, SAVED = "EpochFinished", "CheckpointSaved"
PROBE = ("ProbeFinished", "SentinelsChecked")


def test_a_class_without_training_images_is_told_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, told = tiny_data(), []
    kept = whole.train.labels != 1
    rare = replace(whole, train=Split(whole.train.images[kept], whole.train.labels[kept]))
    for number, data in enumerate((whole, rare)):

        def steps(*_: object, data: Dataset = data) -> Generator[Pulse, None, Dataset]:
            yield Pulse("drawing")
            return data

        monkeypatch.setattr("claf_engine.training.opening.dataset_steps", steps)
        events = play(create_run(tmp_path, f"run{number}", tiny_config(method="natural", supervised__epochs=1), []))
        told.append([event.text for event in events if isinstance(event, ev.Notice) and "class 1" in event.text])
    assert told == [[], ["there is no training image of class class 1, so that it is never predicted"]]


def test_a_run_tells_its_story_in_order(whole: Whole) -> None:
    story = [word(event) for event in whole.events if not isinstance(event, ev.Progressed | ev.StepLogged)]
    adversarial_epoch = ["ClassifierRetrained", "DissociationMeasured", EPOCH, *PROBE, SAVED]
    assert story == [
        "RunStarted",
        *("contrastive begins", EPOCH, *PROBE, SAVED),
        *("adversarial begins", *adversarial_epoch, *adversarial_epoch),
        *("linear_evaluation begins", EPOCH, *PROBE, SAVED),
        *("adversarial_linear_evaluation begins", EPOCH, *PROBE, SAVED),
        "test begins",
        "RunFinished",
    ]


def test_every_step_is_logged_once_in_order(whole: Whole) -> None:
    steps = [event for event in whole.events if isinstance(event, ev.StepLogged)]
    assert [event.step for event in steps] == list(range(1, 22))
    parts = ["encoder"] * 3 + (["retrain"] * 3 + ["encoder"] * 3) * 2 + ["natural"] * 3 + ["adversarial"] * 3
    assert [event.part for event in steps] == parts


def test_steps_may_be_logged_less_often(new_run: NewRun) -> None:
    events = play(new_run(runtime__log_every=4))
    assert [event.step for event in events if isinstance(event, ev.StepLogged)] == [4, 8, 12, 16, 20]


def test_the_start_says_what_is_run_on_what(whole: Whole) -> None:
    started = next(event for event in whole.events if isinstance(event, ev.RunStarted))
    assert (started.run, started.directory) == (whole.path.name, str(whole.path))
    assert (started.num_train, started.num_validation, started.num_test) == (20, 16, 16)
    assert (started.method, started.device, started.precision, started.threads) == ("claf", "cpu", "fp32", 1)
    assert [(plan.name, plan.steps) for plan in started.phases] == [
        ("contrastive", 3),
        ("adversarial", 12),
        ("linear_evaluation", 3),
        ("adversarial_linear_evaluation", 3),
        ("test", 0),
    ]
    assert started.resumed_from_step is None


def test_the_mean_loss_of_an_epoch_is_that_of_its_encoder_steps(whole: Whole) -> None:
    means = [event.mean_loss for event in whole.events if isinstance(event, ev.EpochFinished)]
    losses = [event.loss for event in whole.events if isinstance(event, ev.StepLogged) and event.part != "retrain"]
    assert means == pytest.approx([sum(losses[index : index + 3]) / 3 for index in range(0, 15, 3)])


def test_a_finished_run_reports_its_classifiers_on_the_test_split(whole: Whole) -> None:
    last = [result.classifier for result in whole.outcome.results if result.checkpoint == "last"]
    assert last == ["natural", "adversarial"]
    assert {figure.num_examples for result in whole.outcome.results for figure in result.robust} == {4}


def test_exactly_one_result_is_selected(whole: Whole) -> None:
    assert [result.selected for result in whole.outcome.results].count(True) == 1


def test_the_result_says_what_it_was_selected_on(whole: Whole) -> None:
    finished = whole.events[-1]
    assert isinstance(finished, ev.RunFinished)
    assert (finished.status, finished.step) == ("finished", 21)
    told = "validation robust accuracy at 8/255 under PGD-1 and 20 crossing steps on the margin"
    assert finished.selected_on == told


def test_the_natural_method_finishes_with_its_classifier(wholes: Wholes) -> None:
    results = wholes("natural").outcome.results
    assert {result.classifier for result in results} == {"natural"}
    assert [result.selected for result in results].count(True) == 1


def test_the_journal_holds_exactly_what_was_told_except_the_progress(whole: Whole) -> None:
    assert read_events(whole.path) == [event for event in whole.events if not isinstance(event, ev.Progressed)]


def test_an_event_is_in_the_journal_before_the_next_one_is_told(new_run: NewRun) -> None:
    directory = new_run()
    seen = 0

    def look(event: ev.Event, _: Control) -> None:
        nonlocal seen
        seen += not isinstance(event, ev.Progressed)
        assert len(read_events(directory.path)) == seen

    play(directory, look)
    assert seen > 30


def test_the_status_file_says_how_the_run_ended(whole: Whole) -> None:
    status = json.loads((whole.path / "status.json").read_text())
    assert (status["status"], status["step"], status["method"]) == ("finished", 21, "claf")
    assert [result["classifier"] for result in status["results"]][:2] == ["natural", "adversarial"]


def test_a_run_that_goes_on_does_not_say_that_it_has_stopped(new_run: NewRun) -> None:
    directory, said = new_run(), []

    def stop(event: ev.Event, control: Control) -> None:
        said.append(summarise(directory.path).status)
        if isinstance(event, ev.EpochFinished):
            control.stop()

    play(directory, stop)
    assert said.pop() == "stopped"
    said.clear()
    play(open_run(directory.path), stop)
    assert (set(said[:-1]), said[-1]) == ({"starting", "running"}, "stopped")


def test_what_a_run_writes_into_its_status_is_accepted_at_once(new_run: NewRun, whole: Whole) -> None:
    stopped = new_run()
    accepted = []

    def stop(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.ProbeFinished):
            stopped.write_status({})
            accepted.append(accepted_at_once((stopped.path / "status.json").read_bytes()))
            control.stop()

    play(stopped, stop)
    files = [directory / "status.json" for directory in (stopped.path, whole.path)]
    accepted += [accepted_at_once(file.read_bytes()) for file in files]
    assert [record["status"] for record in accepted if record is not None] == ["running", "stopped", "finished"]


def test_the_weights_of_a_result_are_those_of_its_checkpoint(whole: Whole) -> None:
    infos = {reason: entry.info for entry in list_checkpoints(whole.path) for reason in entry.kept_as}
    finished = whole.events[-1]
    assert isinstance(finished, ev.RunFinished)
    for result in finished.results:
        info = infos[result.checkpoint]
        assert info is not None
        assert result.weights_sha256 == info.weights_sha256


def test_a_finished_run_is_listed_as_finished(whole: Whole) -> None:
    assert summarise(whole.path).status == "finished"


@pytest.mark.parametrize("variant", VARIANTS)
def test_progress_only_grows_and_reaches_all_of_the_run(wholes: Wholes, variant: str) -> None:
    progress = [event for event in wholes(variant).events if isinstance(event, ev.Progressed)]
    fractions = [event.run_fraction for event in progress]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_time_only_grows_and_nothing_remains_in_the_end(whole: Whole) -> None:
    progress = [event for event in whole.events if isinstance(event, ev.Progressed)]
    elapsed = [event.elapsed for event in progress]
    assert elapsed == sorted(elapsed)
    assert progress[-1].run_remaining == 0.0


def test_two_runs_of_one_seed_are_the_same_to_the_bit(new_run: NewRun, whole: Whole) -> None:
    directory = new_run()
    play(directory)
    assert outcome(directory.path) == whole.outcome


def test_looking_more_often_does_not_change_training(new_run: NewRun, whole: Whole) -> None:
    directory = new_run(
        probe={"every_epochs": 0, "num_examples": 4, "epsilons": ["8/255"], "steps": 1}, runtime__log_every=3
    )
    play(directory)
    assert outcome(directory.path).weights == whole.outcome.weights


def test_another_seed_is_another_run(new_run: NewRun, whole: Whole) -> None:
    directory = new_run(seed=1)
    play(directory)
    assert outcome(directory.path).weights != whole.outcome.weights


def test_notices_of_the_data_are_told_as_warnings(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(*_: object) -> Generator[Pulse, None, Dataset]:
        yield Pulse("drawing")
        return replace(tiny_data(20), notices=("Skipped 3 files.",))

    monkeypatch.setattr("claf_engine.training.opening.dataset_steps", steps)
    events = play(new_run(contrastive__epochs=0, adversarial__epochs=0))
    assert ev.Notice("warning", "Skipped 3 files.", 0) in events


def test_loading_the_data_is_told_as_progress(whole: Whole) -> None:
    first = whole.events[0]
    assert isinstance(first, ev.Progressed)
    assert first.activity == "drawing tiny images"


SHARES = (0.0, 0.03, 0.1, 0.19, 0.27, 0.36, 0.42, 0.5, 0.58, 0.67, 0.75, 0.83, 0.88, 0.93, 0.97)


@pytest.mark.parametrize("share", SHARES)
def test_a_run_that_is_stopped_anywhere_and_resumed_is_the_same_to_the_bit(
    new_run: NewRun, whole: Whole, share: float
) -> None:
    directory = new_run()
    leave(directory, int(share * len(whole.events)), "stop")
    play(open_run(directory.path))
    assert outcome(directory.path) == whole.outcome


@pytest.mark.parametrize("how", ["stop", "crash"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_that_is_left_again_and_again_is_the_same_to_the_bit(
    new_run: NewRun, wholes: Wholes, variant: str, how: str
) -> None:
    directory = new_run(**VARIANTS[variant])
    strides, num_events = random.Random(f"{variant} {how}"), len(wholes(variant).events)
    attempts = 1
    while not leave(directory, strides.randrange(num_events // 6, num_events // 2), how):
        directory = reopened(directory.path)
        attempts += 1
    assert attempts > 2
    assert outcome(directory.path) == wholes(variant).outcome


@pytest.mark.parametrize("at", random.Random(0).sample(range(1, 100), 6))
def test_a_run_that_crashes_anywhere_and_is_resumed_is_the_same_to_the_bit(
    new_run: NewRun, whole: Whole, at: int
) -> None:
    directory = new_run()
    leave(directory, at, "crash")
    play(reopened(directory.path))
    assert outcome(directory.path) == whole.outcome


def test_a_stop_inside_the_probe_at_the_end_of_an_epoch_does_not_lose_the_probe(new_run: NewRun, whole: Whole) -> None:
    directory = new_run()
    after_epoch = [index for index, event in enumerate(whole.events) if isinstance(event, ev.EpochFinished)]
    leave(directory, after_epoch[-1] + 2, "stop")
    assert not any(event.phase == 3 for event in read_events(directory.path) if isinstance(event, ev.ProbeFinished))
    play(open_run(directory.path))
    assert outcome(directory.path) == whole.outcome


def test_a_stop_after_a_classifier_was_reset_does_not_reset_it_again(new_run: NewRun) -> None:
    changes = {"adversarial__classifier_epochs": 0, "adversarial__classifier_start": "reinitialise"}
    whole, directory = new_run(**changes), new_run(**changes)
    events = play(whole)
    retrained = next(index for index, event in enumerate(events) if isinstance(event, ev.ClassifierRetrained))
    leave(directory, retrained - 1, "stop")
    play(open_run(directory.path))
    assert outcome(directory.path).metrics == outcome(whole.path).metrics
    assert outcome(directory.path).weights == outcome(whole.path).weights


def stop_at_step(step: int) -> Callable[[ev.Event, Control], None]:
    def react(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == step:
            control.stop()

    return react


def test_a_stopped_run_saves_and_says_so(new_run: NewRun) -> None:
    directory = new_run()
    events = play(directory, stop_at_step(5))
    stopping, saved, stopped = events[-3:]
    assert stopping == ev.ControlChanged(5, "stopping")
    assert isinstance(saved, ev.CheckpointSaved)
    assert isinstance(stopped, ev.RunFinished)
    assert (stopped.status, stopped.step, saved.step) == ("stopped", 5, 5)
    assert summarise(directory.path).status == "stopped"


def test_a_run_that_is_stopped_before_it_begins_takes_one_step_and_saves_it(new_run: NewRun) -> None:
    directory = new_run()
    events = play(directory, lambda _, control: control.stop())
    assert isinstance(events[-1], ev.RunFinished)
    assert (events[-1].status, events[-1].step) == ("stopped", 1)


def test_a_resumed_run_says_where_it_goes_on(new_run: NewRun) -> None:
    directory = new_run()
    play(directory, stop_at_step(11))
    events = play(open_run(directory.path))
    started, began = after(events, ev.RunStarted)[0], after(events, ev.PhaseStarted)[0]
    assert isinstance(started, ev.RunStarted)
    assert started.resumed_from_step == 11
    assert began == ev.PhaseStarted(1, "adversarial", 1)


def test_time_goes_on_where_it_was_when_a_run_is_resumed(new_run: NewRun) -> None:
    directory = new_run()
    stopped = play(directory, stop_at_step(11))[-1]
    first = next(event for event in play(open_run(directory.path)) if isinstance(event, ev.StepLogged))
    assert isinstance(stopped, ev.RunFinished)
    assert first.elapsed > stopped.elapsed


def test_progress_goes_on_where_it_was_when_a_run_is_resumed(new_run: NewRun) -> None:
    directory = new_run()
    before = [event for event in play(directory, stop_at_step(11)) if isinstance(event, ev.Progressed)]
    now = [event for event in play(open_run(directory.path)) if isinstance(event, ev.Progressed) and event.epochs]
    assert now[0].run_fraction >= before[-1].run_fraction > 0


def test_records_after_the_checkpoint_are_dropped_and_told(new_run: NewRun) -> None:
    directory = new_run()
    events = run(directory, Control())
    for event in events:
        if isinstance(event, ev.StepLogged) and event.step == 5:
            break
    assert isinstance(events, Generator)
    events.close()
    directory.close()
    resumed = play(open_run(directory.path))
    text = "3 records after step 3 were dropped; the run goes on from its checkpoint"
    assert ev.Notice("info", text, 3) in resumed


@pytest.mark.parametrize("line", [b"[" * 200_000, b'{"seq": NaN}', b"\xff"])
def test_a_damaged_line_of_the_journal_is_dropped_and_told_when_a_run_goes_on(new_run: NewRun, line: bytes) -> None:
    directory = new_run()
    play(directory, stop_at_step(3))
    before = read_events(directory.path)
    journal = directory.path / "metrics.jsonl"
    journal.write_bytes(line + b"\n" + journal.read_bytes())
    resumed = play(open_run(directory.path), stop_at_step(4))
    assert ev.Notice("warning", "1 line of the journal was no record and is dropped", 3) in resumed
    steps = [event for event in read_events(directory.path) if isinstance(event, ev.StepLogged)]
    assert steps[:3] == [event for event in before if isinstance(event, ev.StepLogged)]


def test_the_record_of_the_checkpoint_itself_is_kept(new_run: NewRun) -> None:
    directory = new_run()
    play(directory, stop_at_step(5))
    play(open_run(directory.path))
    saved = [event.step for event in read_events(directory.path) if isinstance(event, ev.CheckpointSaved)]
    assert saved == [3, 5, 9, 15, 18, 21]


def interrupted(directory: RunDirectory, step: int) -> list[Path]:
    """A run that was stopped, and its checkpoints, newest first."""
    play(directory, stop_at_step(step))
    return [entry.path for entry in list_checkpoints(directory.path)]


@pytest.mark.parametrize("damage", [flip_last_byte, lambda path: path.write_bytes(path.read_bytes()[:200])])
def test_a_damaged_newest_checkpoint_is_passed_over_with_a_warning(
    new_run: NewRun, whole: Whole, damage: Callable[[Path], object]
) -> None:
    directory = new_run()
    newest, *_ = interrupted(directory, 11)
    damage(newest)
    events = play(open_run(directory.path))
    started = after(events, ev.RunStarted)[0]
    warnings = [event.text for event in events if isinstance(event, ev.Notice) and event.level == "warning"]
    assert isinstance(started, ev.RunStarted)
    assert started.resumed_from_step == 9
    assert len(warnings) == 1
    assert warnings[0].startswith(f"passed over a damaged checkpoint: {newest}")
    assert outcome(directory.path) == whole.outcome


def test_when_all_checkpoints_are_damaged_the_run_fails_and_nothing_is_lost(new_run: NewRun) -> None:
    directory = new_run()
    for path in interrupted(directory, 5):
        flip_last_byte(path)
    before = read_events(directory.path)
    directory, events = open_run(directory.path), []
    with pytest.raises(CheckpointError, match=r"no checkpoint of .*-tiny is whole"):
        events += run(directory, Control())
    directory.close()
    assert read_events(directory.path)[: len(before)] == before
    assert len(list_checkpoints(directory.path)) == 2


def test_a_failure_before_training_is_on_record(new_run: NewRun) -> None:
    directory = new_run()
    for path in interrupted(directory, 5):
        flip_last_byte(path)
    with pytest.raises(CheckpointError):
        play(open_run(directory.path))
    failed = read_events(directory.path)[-1]
    assert isinstance(failed, ev.RunFinished)
    assert failed.status == "failed"
    assert summarise(directory.path).status == "failed"


def test_a_device_that_is_not_there_is_on_record_too(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    directory = new_run(runtime__device="cuda")
    with pytest.raises(DeviceError):
        play(directory)
    (failed,) = read_events(directory.path)
    assert isinstance(failed, ev.RunFinished)
    assert "no CUDA device" in failed.reason


def nan_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """Let the contrastive loss be NaN from some call on."""
    num_calls = 0

    def loss(*arguments: torch.Tensor) -> torch.Tensor:
        nonlocal num_calls
        num_calls += 1
        return supcon_loss(*arguments) * (float("nan") if num_calls >= call else 1)

    monkeypatch.setattr("claf_engine.training.phases.contrastive.supcon_loss", loss)


def fail(directory: RunDirectory, error: type[BaseException]) -> list[ev.Event]:
    """The events of a run that fails."""
    events: list[ev.Event] = []
    with pytest.raises(error) as raised:
        play(directory, lambda event, _: events.append(event))
    failed = events[-1]
    assert isinstance(failed, ev.RunFinished)
    assert failed.status == ("diverged" if error is NonFiniteLoss else "failed")
    assert str(raised.value) in failed.reason
    return events


def test_a_diverging_run_says_its_step_its_newest_checkpoint_and_what_to_try(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan_at(monkeypatch, 6)
    directory = new_run()
    failed = fail(directory, NonFiniteLoss)[-1]
    assert isinstance(failed, ev.RunFinished)
    assert failed.reason.startswith("training diverged: the loss of step 9 is nan; go back to a checkpoint")
    assert failed.checkpoint == str(directory.checkpoints / "step-000000003.safetensors")
    assert failed.way_back == ("features_optimizer.learning_rate=0.005",)
    assert summarise(directory.path).status == "diverged"


@pytest.mark.parametrize("method", ["at", "claf"])
def test_a_probe_that_meets_a_diverged_network_first_says_that_it_diverged(
    method: str, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(session: Session, *_: object) -> Iterator[Pulse]:
        yield Pulse("probe")
        with torch.no_grad():
            next(session.state.network.parameters()).fill_(float("inf"))
        require_finite(session.state.network)

    monkeypatch.setattr("claf_engine.training.conductor.probe_steps", broken)
    failed = fail(new_run(method=method), NonFiniteLoss)[-1]
    assert isinstance(failed, ev.RunFinished)
    assert re.match(r"training diverged at step \d+: \d+ weights are infinite or NaN; go back", failed.reason)


def test_an_error_of_a_probe_of_a_whole_network_is_no_divergence(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Iterator[Pulse]:
        yield Pulse("probe")
        raise ClafError("known")

    monkeypatch.setattr("claf_engine.training.conductor.probe_steps", broken)
    fail(new_run(), ClafError)


def test_a_failure_says_how_far_the_run_came(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    nan_at(monkeypatch, 6)
    monkeypatch.setattr("claf_engine.training.conductor.PROGRESS_SECONDS", 1e9)
    failed = fail(new_run(), NonFiniteLoss)[-1]
    assert isinstance(failed, ev.RunFinished)
    assert failed.step == 8


def test_a_diverged_run_goes_on_from_its_last_good_checkpoint(
    new_run: NewRun, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = new_run()
    with monkeypatch.context() as patched:
        nan_at(patched, 6)
        fail(directory, NonFiniteLoss)
    assert [entry.path.name for entry in list_checkpoints(directory.path)] == ["step-000000003.safetensors"]
    play(open_run(directory.path))
    assert outcome(directory.path) == whole.outcome


def test_an_absurd_learning_rate_ends_in_a_failure_and_no_checkpoint_of_nonsense(new_run: NewRun) -> None:
    directory = new_run(features_optimizer={"learning_rate": 1e30}, contrastive__epochs=4)
    fail(directory, NonFiniteLoss)
    for entry in list_checkpoints(directory.path):
        assert entry.info is not None


@pytest.mark.parametrize(
    ("error", "raised", "reason"),
    [
        (RuntimeError("surprise"), RuntimeError, "RuntimeError: surprise"),
        (torch.OutOfMemoryError("CUDA out of memory"), DeviceError, "memory ran out; set runtime.recompute"),
        (MemoryError(), DeviceError, "memory ran out"),
        (ValueError("Expected more than 1 value per channel"), ConfigError, "BatchNorm cannot train on one"),
        (KeyboardInterrupt(), KeyboardInterrupt, "KeyboardInterrupt"),
        (ClafError("known"), ClafError, "known"),
    ],
)
def test_whatever_happens_is_on_record_and_raised(
    new_run: NewRun,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    raised: type[BaseException],
    reason: str,
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr("claf_engine.training.phases.contrastive.supcon_loss", broken)
    directory = new_run()
    failed = fail(directory, raised)[-1]
    assert isinstance(failed, ev.RunFinished)
    assert failed.reason.startswith(reason)
    assert read_events(directory.path)[-1] == failed


@pytest.mark.parametrize(
    "compute", [{}, None, {"threads": 1, "precision": "fp8"}, {"threads": "many", "precision": "fp32"}]
)
def test_a_checkpoint_that_does_not_say_how_it_was_computed_is_refused(new_run: NewRun, compute: object) -> None:
    directory = new_run()
    play(directory, stop_at_step(17))
    newest = list_checkpoints(directory.path)[0].path
    newest.write_bytes(resealed(newest.read_bytes(), {"claf.compute": compute}))
    with pytest.raises(CheckpointError, match="does not say how it was computed"):
        play(open_run(directory.path))


def test_other_arithmetic_than_before_is_told(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = new_run()
    play(directory, stop_at_step(17))
    monkeypatch.setattr("claf_engine.training.opening.choose_compute", lambda *_: Compute(CPU, "fp32", 3))
    events = play(open_run(directory.path))
    text = "the run goes on with other arithmetic (threads was 1, is 3): it will not be bit-identical"
    assert ev.Notice("warning", text, 17) in events


def test_other_micro_batches_than_before_are_told(new_run: NewRun) -> None:
    directory = new_run()
    play(directory, stop_at_step(17))
    config = (directory.path / "config.toml").read_text()
    (directory.path / "config.toml").write_text(config.replace("[runtime]", "[runtime]\nmicro_batch = 5"))
    events = play(open_run(directory.path))
    told = [event.text for event in events if isinstance(event, ev.Notice) and event.step == 17]
    assert any("micro_batch was whole batch, is 5" in text for text in told)


def test_a_resumed_run_takes_the_arithmetic_of_its_checkpoint(new_run: NewRun) -> None:
    directory = new_run(runtime={"threads": 1, "precision": "bf16", "layout": "contiguous", "log_every": 1})
    play(directory, stop_at_step(2))
    config = (directory.path / "config.toml").read_text().replace('"bf16"', '"fp32"').replace('"contiguous"', '"auto"')
    (directory.path / "config.toml").write_text(config.replace("threads = 1", "threads = 2"))
    started = after(play(open_run(directory.path)), ev.RunStarted)[0]
    assert isinstance(started, ev.RunStarted)
    assert (started.threads, started.precision, started.layout) == (1, "bf16", "contiguous")


def test_a_run_that_is_no_longer_consumed_lets_go_of_its_journal(new_run: NewRun) -> None:
    directory = new_run()
    leave(directory, 12, "crash")
    assert summarise(directory.path).status == "interrupted"
    last = read_events(directory.path)[-1]
    assert not isinstance(last, ev.RunFinished)
