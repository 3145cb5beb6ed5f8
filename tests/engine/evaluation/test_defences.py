from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from claf_engine.accuracy.defense_gan import DefenseGan
from claf_engine.accuracy.squeezing import Squeezing
from claf_engine.evaluation.defences import open_defence, parse_defence
from claf_engine.evaluation.evaluate import evaluate
from claf_engine.evaluation.model_source import ModelSource
from claf_engine.evaluation.request import EvaluationRequest
from claf_engine.runs import list_checkpoints
from claf_engine.terms.errors import CheckpointError, ConfigError
from tests.engine.accuracy.test_squeezing import every_defence
from tests.engine.tiny import finished_run, tiny_config, use_tiny_data


@every_defence
def test_a_defence_is_read_as_it_is_written(defence: Squeezing) -> None:
    choice = parse_defence(str(defence))
    assert str(choice) == str(defence)
    assert open_defence(choice, Path("no checkpoint")) == defence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("blur:2", "unknown defence 'blur:2'; use bit-depth:N .N from 1 to 7., median:N"),
        ("", "unknown defence ''"),
        ("median", "unknown defence 'median'"),
        ("median:two", "unknown defence 'median:two'"),
        ("median:2.5", "unknown defence"),
        (" median:2", "unknown defence"),
        ("defense-gan:", "unknown defence 'defense-gan:'"),
        ("defense-gan:0,5", "defense-gan of 0,5 is out of range; use defense-gan:R,L .R restarts of L steps."),
        ("defense-gan:5", "defense-gan of 5 is out of range"),
        ("median:1", "median of 1 is out of range; use median:N .N from 2 to 5."),
        ("median:6", "median of 6 is out of range"),
        ("bit-depth:0", "bit-depth of 0 is out of range; use bit-depth:N .N from 1 to 7."),
        ("bit-depth:8", "bit-depth of 8 is out of range"),
        ("bit-depth:-1", "unknown defence"),
        ("bit-depth:٤", "unknown defence"),
        (f"bit-depth:{'9' * 5000}", "unknown defence"),
    ],
)
def test_a_defence_that_does_not_exist_is_refused_with_those_that_do(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        parse_defence(text)


@pytest.fixture(autouse=True)
def _tiny_data(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_data(monkeypatch)


def ask(checkpoint: Path, defence: str) -> dict[str, Any]:
    request = EvaluationRequest(
        checkpoint,
        epsilons=(Fraction(8, 255),),
        steps=2,
        device="cpu",
        num_examples=6,
        defence=parse_defence(defence),
    )
    return evaluate(request).to_record()


@pytest.fixture(scope="module")
def with_generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of a run that trained a generator."""
    config = tiny_config(
        method="defense-gan",
        data={"num_train": 24, "num_validation": 16, "num_test": 16},
        defense_gan={"epochs": 1, "latent": 4, "width": 2},
        supervised__epochs=1,
        evaluation={"steps": 1, "num_examples": 4},
    )
    return list_checkpoints(finished_run(tmp_path_factory.mktemp("runs"), config).path)[0].path


def test_a_generator_that_the_run_trained_stands_before_its_classifier(with_generator: Path) -> None:
    record = ask(with_generator, "defense-gan:2,3")
    assert [(item["defence"], item["knowledge"]) for item in record["robust"]] == [
        ("defense-gan:2,3", "oblivious"),
        ("defense-gan:2,3", "adaptive"),
    ]
    assert "adaptive at 8/255 is the worst case over attacks" in " ".join(record["notices"])
    again = ask(with_generator, "defense-gan:2,3")
    assert again["robust"] == record["robust"]
    assert again["natural_accuracy"] == record["natural_accuracy"]


def test_every_checkpoint_of_its_classifier_holds_the_generator(with_generator: Path) -> None:
    measurable = [
        entry for entry in list_checkpoints(with_generator.parent.parent) if entry.info and entry.info.metrics
    ]
    assert measurable
    assert all(isinstance(open_defence(parse_defence("defense-gan"), entry.path), DefenseGan) for entry in measurable)


def test_a_run_without_a_generator_is_refused_behind_one(tmp_path: Path) -> None:
    config = tiny_config(method="natural", supervised__epochs=1, evaluation={"steps": 1, "num_examples": 4})
    checkpoint = list_checkpoints(finished_run(tmp_path, config).path)[0].path
    with pytest.raises(CheckpointError, match="holds no generator: its run .method natural. trained none"):
        ask(checkpoint, "defense-gan")


def test_a_model_of_elsewhere_has_no_generator() -> None:
    source = ModelSource("torchvision:resnet18")
    with pytest.raises(ConfigError, match="--defence defense-gan is trained beside a network of ours"):
        EvaluationRequest(Path("x"), source=source, defence=parse_defence("defense-gan"))


def test_alone_it_has_the_papers_restarts_and_steps() -> None:
    assert str(parse_defence("defense-gan")) == "defense-gan:10,200"
