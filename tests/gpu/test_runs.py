"""Whole runs on a real device: every method to its end, left and resumed, evaluated, and moved to the CPU."""

from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from claf_engine import events as ev
from claf_engine.config import DataConfig, RunConfig
from claf_engine.data import Dataset, Split
from claf_engine.evaluation.evaluate import evaluation_steps
from claf_engine.evaluation.request import EvaluationRequest
from claf_engine.events.control import Control
from claf_engine.events.ticks import Pulse
from claf_engine.events.ticks import exhaust as result_of
from claf_engine.runs import create_run, list_checkpoints, open_run
from claf_engine.training.methods import METHODS
from tests.engine.tiny import play, tiny_config, tiny_data, without_clock

pytestmark = pytest.mark.gpu

METRICS = (ev.StepLogged, ev.EpochFinished, ev.ClassifierRetrained, ev.DissociationMeasured, ev.ProbeFinished)

Configure = Callable[..., RunConfig]


@pytest.fixture(autouse=True, scope="module")
def _tiny_data() -> Iterator[None]:
    """Tiny images on the device that a run asks for."""

    def steps(_config: DataConfig, device: torch.device) -> Generator[Pulse, None, Dataset]:
        yield Pulse("drawing tiny images")
        data = tiny_data(num_train=20)
        placed = [
            Split(split.images.to(device), split.labels.to(device))
            for split in (data.train, data.validation, data.test)
        ]
        return Dataset(data.name, data.class_names, *placed)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("claf_engine.training.opening.dataset_steps", steps)
        monkeypatch.setattr("claf_engine.evaluation.subject.dataset_steps", steps)
        yield


def config_of(**changes: object) -> RunConfig:
    """Every phase and part of a method once, in fp32 on the device unless the changes say something else."""
    runtime = {"device": "cuda", "threads": 1, "precision": "fp32", "layout": "channels_last", "log_every": 1}
    settings: dict[str, object] = {
        "attack__steps": 2,
        "contrastive__epochs": 1,
        "adversarial__epochs": 2,
        "supervised__epochs": 2,
        "rocl__epochs": 1,
        "acl__epochs": 1,
        "linear_evaluation": {"epochs": 1, "adversarial_epochs": 1, "adversarial_steps": 1},
        "probe": {"every_epochs": 1, "num_examples": 8, "epsilons": ["8/255"], "steps": 1, "fit_epochs": 1},
        "evaluation": {"epsilons": ["8/255"], "steps": 1},
        "runtime": runtime,
    }
    return tiny_config(**settings | changes)


def finished(events: list[ev.Event]) -> ev.RunFinished:
    last = events[-1]
    assert isinstance(last, ev.RunFinished)
    assert last.status == "finished", last.reason
    return last


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_from_beginning_to_end(method: str, tmp_path: Path) -> None:
    events = play(create_run(tmp_path, "tiny", config_of(method=method), []))
    assert finished(events).results
    assert all(event.loss < float("inf") for event in events if isinstance(event, ev.StepLogged))


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_a_run_in_other_precision_comes_to_its_end(precision: str, tmp_path: Path) -> None:
    config = config_of(runtime={"device": "cuda", "precision": precision, "log_every": 1})
    events = play(create_run(tmp_path, "tiny", config, []))
    assert finished(events).results


def test_a_run_says_which_device_it_trains_on(tmp_path: Path) -> None:
    events = play(create_run(tmp_path, "tiny", config_of(method="natural"), []))
    started = next(event for event in events if isinstance(event, ev.RunStarted))
    assert started.device.startswith("cuda:0 (")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("method", ["claf", "trades"])
def test_a_run_that_is_left_and_resumed_is_the_same_to_the_bit(method: str, precision: str, tmp_path: Path) -> None:
    runtime = {"device": "cuda", "threads": 1, "precision": precision, "layout": "channels_last", "log_every": 1}
    config = config_of(method=method, runtime=runtime, checkpoint__every_steps=1)
    whole = create_run(tmp_path, "whole", config, [])
    play(whole)
    parted = create_run(tmp_path, "parted", config, [])
    path = parted.path

    def stop_at(step: int) -> Callable[[ev.Event, Control], None]:
        def react(event: ev.Event, control: Control) -> None:
            if isinstance(event, ev.StepLogged) and event.step == step:
                control.stop()

        return react

    for step in (2, 5):
        play(parted, stop_at(step))
        parted = open_run(path)
    finished(play(parted))
    assert metrics_of(path) == metrics_of(whole.path)
    assert weights_of(path) == weights_of(whole.path)


def test_a_run_of_the_device_goes_on_on_the_cpu(tmp_path: Path) -> None:
    directory = create_run(tmp_path, "tiny", config_of(), [])
    path = directory.path
    play(directory, lambda event, control: control.stop() if isinstance(event, ev.ClassifierRetrained) else None)
    text = (path / "config.toml").read_text()
    assert 'device = "cuda"' in text
    (path / "config.toml").write_text(text.replace('device = "cuda"', 'device = "cpu"'))
    events = play(open_run(path))
    finished(events)
    assert any("it will not be bit-identical" in event.text for event in events if isinstance(event, ev.Notice))


def test_a_checkpoint_of_the_device_is_evaluated_alike_there_and_on_the_cpu(tmp_path: Path) -> None:
    directory = create_run(tmp_path, "tiny", config_of(method="at"), [])
    play(directory)
    checkpoint = list_checkpoints(directory.path)[0].path

    def natural(device: str) -> float:
        request = EvaluationRequest(checkpoint, epsilons=(Fraction(0), Fraction(8, 255)), steps=2, device=device)
        return result_of(evaluation_steps(request)).accuracy.natural

    assert natural("cuda") == natural("cpu")


def metrics_of(path: Path) -> list[ev.Event]:
    from claf_engine.runs.journal import read_events

    return without_clock(read_events(path), *METRICS)


def weights_of(path: Path) -> str:
    newest = list_checkpoints(path)[0].info
    assert newest is not None
    return newest.weights_sha256
