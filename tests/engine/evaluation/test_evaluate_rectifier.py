from pathlib import Path
from typing import Any

import pytest
import torch

from claf_engine.accuracy.rectifying import RectifierDetector, Rectifying
from claf_engine.data import to_pixels
from claf_engine.evaluation.defences import open_defence, parse_defence
from claf_engine.evaluation.detectors import open_detector, parse_detector
from claf_engine.evaluation.evaluate import EvaluationReport, evaluate
from claf_engine.evaluation.request import EvaluationRequest
from claf_engine.runs import list_checkpoints
from claf_engine.terms.errors import CheckpointError
from claf_engine.training.checkpoint import load_companion, load_trained_network
from tests.engine.tiny import finished_run, tiny_config, tiny_data, use_tiny_data


@pytest.fixture(autouse=True)
def _tiny_data(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_data(monkeypatch)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of a whole run of the method, the last one first."""
    config = tiny_config(method="rectifier", supervised__epochs=1, checkpoint__keep_last=20, evaluation={"steps": 1})
    return [entry.path for entry in list_checkpoints(finished_run(tmp_path_factory.mktemp("runs"), config).path)]


def measured(checkpoint: Path, **options: Any) -> EvaluationReport:
    defence = parse_defence("rectifier")
    return evaluate(EvaluationRequest(checkpoint, ("10/255",), steps=2, device="cpu", defence=defence, **options))


@pytest.mark.parametrize("attack", ["pgd", "universal"])
def test_a_checkpoint_is_measured_behind_its_own_rectifier_by_both_attackers(
    checkpoints: list[Path], attack: str
) -> None:
    report = measured(checkpoints[0], attack=attack)
    assert [(figure.defence, figure.knowledge) for figure in report.accuracy.robust] == [
        ("rectifier", "oblivious"),
        ("rectifier", "adaptive"),
    ]


def test_natural_accuracy_is_that_of_rectified_images(checkpoints: list[Path]) -> None:
    network = load_trained_network(checkpoints[0]).network.eval()
    test = tiny_data().test
    with torch.no_grad():
        rectified = load_companion(checkpoints[0], "rectifier")(to_pixels(test.images))
        answers = network.with_classifier("natural")(rectified).argmax(1)
    expected = float((answers == test.labels).float().mean())
    assert measured(checkpoints[0]).accuracy.natural == pytest.approx(expected)


def test_defence_and_detector_hold_what_the_run_trained(checkpoints: list[Path]) -> None:
    defence = open_defence(parse_defence("rectifier"), checkpoints[0])
    model = load_trained_network(checkpoints[0]).network.with_classifier("natural").eval()
    detector = open_detector(parse_detector("rectifier"), model, checkpoints[0])
    assert isinstance(defence, Rectifying)
    assert isinstance(detector, RectifierDetector)
    scores = detector.scores(to_pixels(tiny_data().test.images))
    assert scores.shape == (16,)
    assert scores.isfinite().all()
    assert not any(
        weight.requires_grad for weight in (*detector.rectifier.parameters(), *detector.detector.parameters())
    )


def test_a_checkpoint_from_before_the_rectifier_says_so(checkpoints: list[Path]) -> None:
    with pytest.raises(CheckpointError, match="holds no rectifier"):
        measured(checkpoints[-1])
