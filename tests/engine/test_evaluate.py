import json
from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from claf_engine.accuracy import AttackSuite, accuracy_steps, first
from claf_engine.checkpoint import load_trained_network
from claf_engine.config import DataConfig
from claf_engine.data import Dataset
from claf_engine.errors import CheckpointError, ConfigError, DataError, DeviceError
from claf_engine.evaluate import EvaluationReport, EvaluationRequest, evaluate, evaluation_steps
from claf_engine.models import CLASSIFIERS
from claf_engine.runs import create_run, list_checkpoints
from claf_engine.ticks import Pulse
from tests.engine.tiny import FP32, exhaust, play, tiny_config, tiny_data, use_tiny_data

DATA = tiny_data()
CONFIG = tiny_config(
    data={"source": "cifar10", "seed": 3, "num_train": 24, "num_validation": 16, "num_test": 16},
    contrastive__epochs=1,
    adversarial__epochs=1,
    probe={"every_epochs": 0, "num_examples": 4, "steps": 1, "fit_epochs": 1},
    evaluation={"steps": 1, "num_examples": 4},
)


@pytest.fixture(autouse=True)
def _tiny_data(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_data(monkeypatch)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of a whole run."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_data(monkeypatch)
        directory = create_run(tmp_path_factory.mktemp("runs"), "tiny", CONFIG, [])
        play(directory)
    return list_checkpoints(directory.path)[0].path


def ask(checkpoint: Path, **options: Any) -> EvaluationReport:
    return evaluate(EvaluationRequest(checkpoint, **{"steps": 2, "device": "cpu", **options}))


def test_a_report_is_a_json_object_with_stable_keys(checkpoint: Path) -> None:
    record = json.loads(json.dumps(ask(checkpoint).to_record()))
    assert {key: type(value) for key, value in record.items()} == {
        "natural_accuracy": float,
        "robust": list,
        "num_examples": int,
        "split": str,
        "checkpoint": str,
        "run": str,
        "step": int,
        "phase": str,
        "classifier": str,
        "weights_sha256": str,
        "data": str,
        "device": str,
        "seed": int,
        "seconds": float,
        "versions": dict,
    }


def test_a_robust_figure_of_a_report_has_stable_keys(checkpoint: Path) -> None:
    (figure,) = ask(checkpoint, epsilons=(Fraction(8, 255),)).to_record()["robust"]
    assert {key: type(value) for key, value in figure.items()} == {
        "robust_accuracy": float,
        "epsilon": str,
        "attack": str,
        "steps": int,
        "step_size": str,
        "restarts": int,
        "num_examples": int,
        "space": str,
        "precision": str,
        "seed": int,
        "norm": str,
        "defence": str,
        "knowledge": str,
        "largest_distance": float,
        "mean_distance": float,
    }


def test_a_report_says_what_was_evaluated_and_how(checkpoint: Path) -> None:
    record = ask(checkpoint, epsilons=(Fraction(1, 51),), steps=3, restarts=2, seed=5, num_examples=8).to_record()
    assert (record["checkpoint"], record["run"]) == (str(checkpoint), checkpoint.parent.parent.name)
    assert (record["step"], record["data"], record["num_examples"], record["split"]) == (18, "tiny", 8, "test")
    (figure,) = record["robust"]
    assert (figure["epsilon"], figure["steps"], figure["restarts"], figure["seed"]) == ("5/255", 3, 2, 5)


def test_the_weights_of_a_report_are_those_of_the_checkpoint(checkpoint: Path) -> None:
    assert ask(checkpoint).to_record()["weights_sha256"] == load_trained_network(checkpoint)[0].weights_sha256


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_the_figures_are_those_that_are_measured_directly(checkpoint: Path, classifier: str) -> None:
    radii = (Fraction(0), Fraction(2, 255), Fraction(8, 255))
    report = ask(checkpoint, epsilons=radii, restarts=2, seed=7, classifier=classifier)
    network = load_trained_network(checkpoint)[2]
    FP32.place(network)
    suite = AttackSuite(radii, 2, Fraction(2, 255), restarts=2, seed=7)
    _, expected = exhaust(accuracy_steps(network.with_classifier(classifier), DATA.test, suite, FP32))
    assert report.accuracy == expected


def test_a_radius_of_zero_gives_natural_accuracy(checkpoint: Path) -> None:
    accuracy = ask(checkpoint, epsilons=(Fraction(0),)).accuracy
    assert accuracy.robust[0].accuracy == accuracy.natural


def test_unless_told_otherwise_the_classifier_is_the_one_the_checkpoint_was_measured_with(checkpoint: Path) -> None:
    assert ask(checkpoint).classifier == load_trained_network(checkpoint)[0].classifier == "adversarial"


def test_two_evaluations_agree(checkpoint: Path) -> None:
    one, other = ask(checkpoint), ask(checkpoint)
    assert replace(one, seconds=0.0) == replace(other, seconds=0.0)


def test_an_evaluation_leaves_the_global_randomness_and_the_file_as_they_were(checkpoint: Path) -> None:
    before = torch.get_rng_state(), checkpoint.read_bytes()
    ask(checkpoint)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == checkpoint.read_bytes()


@pytest.mark.parametrize(("asked", "taken"), [(None, 16), (5, 5), (100, 16)])
def test_as_many_test_images_are_taken_as_are_asked_for(checkpoint: Path, asked: int | None, taken: int) -> None:
    report = ask(checkpoint, num_examples=asked)
    assert report.num_examples == taken
    assert {figure.num_examples for figure in report.accuracy.robust} == {taken}


def test_the_first_test_images_are_taken(checkpoint: Path) -> None:
    network = load_trained_network(checkpoint)[2]
    FP32.place(network)
    suite = AttackSuite((), 2, Fraction(2, 255))
    _, expected = exhaust(accuracy_steps(network.with_classifier("adversarial"), first(DATA.test, 5), suite, FP32))
    assert ask(checkpoint, num_examples=5).accuracy.natural == expected.natural


def test_the_batch_size_does_not_change_natural_accuracy(checkpoint: Path) -> None:
    assert ask(checkpoint, batch_size=3).accuracy.natural == ask(checkpoint).accuracy.natural


def test_an_evaluation_shows_that_it_is_alive(checkpoint: Path) -> None:
    pulses, _ = exhaust(evaluation_steps(EvaluationRequest(checkpoint, steps=2, device="cpu")))
    assert [pulse.activity for pulse in pulses[:2]] == ["drawing tiny images", "natural accuracy"]


@pytest.mark.parametrize("classifier", ["resnet", "natural "])
def test_a_classifier_that_no_checkpoint_has_is_refused_with_those_it_has(checkpoint: Path, classifier: str) -> None:
    with pytest.raises(CheckpointError, match="no classifier .* has attack, natural, adversarial"):
        ask(checkpoint, classifier=classifier)


def test_images_of_other_classes_are_refused(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(*_: object) -> Generator[Pulse, None, Dataset]:
        yield Pulse("drawing")
        return replace(DATA, name="pets", class_names=("cat", "dog"))

    monkeypatch.setattr("claf_engine.evaluate.dataset_steps", steps)
    with pytest.raises(DataError, match=r"trained on classes class 0, .*, but pets has cat, dog"):
        ask(checkpoint)


def test_the_same_classes_in_another_order_are_other_classes(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(*_: object) -> Generator[Pulse, None, Dataset]:
        yield Pulse("drawing")
        return replace(DATA, class_names=DATA.class_names[::-1])

    monkeypatch.setattr("claf_engine.evaluate.dataset_steps", steps)
    with pytest.raises(DataError, match="choose the data it was trained on"):
        ask(checkpoint)


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[DataConfig]:
    """The data settings that evaluations load."""
    seen: list[DataConfig] = []

    def steps(config: DataConfig, *_: object) -> Generator[Pulse, None, Dataset]:
        seen.append(config)
        yield Pulse("drawing")
        return DATA

    monkeypatch.setattr("claf_engine.evaluate.dataset_steps", steps)
    return seen


def test_unless_told_otherwise_the_data_are_those_of_the_run(checkpoint: Path, asked_for: list[DataConfig]) -> None:
    ask(checkpoint)
    assert asked_for == [CONFIG.data]


def test_other_data_may_be_asked_for(checkpoint: Path, asked_for: list[DataConfig]) -> None:
    ask(checkpoint, data="folder:/pictures")
    assert (asked_for[0].source, asked_for[0].num_test) == ("folder:/pictures", None)


def test_other_data_need_not_have_as_many_training_images_as_the_run_had(
    checkpoint: Path, asked_for: list[DataConfig]
) -> None:
    ask(checkpoint, data="folder:/pictures")
    assert (asked_for[0].num_train, asked_for[0].num_validation) == (1, 1)


def test_data_of_an_unknown_form_are_refused(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="--data nonsense: use shapes, cifar10 or folder:PATH"):
        ask(checkpoint, data="nonsense")


def test_a_device_that_is_not_there_is_refused(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError):
        ask(checkpoint, device="cuda")


def test_a_missing_checkpoint_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        ask(tmp_path / "none.safetensors")


def test_a_damaged_checkpoint_is_told_and_not_evaluated(checkpoint: Path, tmp_path: Path) -> None:
    data = bytearray(checkpoint.read_bytes())
    data[-1] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match="altered or damaged"):
        ask(tmp_path / "damaged.safetensors")
