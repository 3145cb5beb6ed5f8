import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from claf_engine.accuracy.universal import UniversalSuite, suite_steps
from claf_engine.evaluation.evaluate import evaluate
from claf_engine.evaluation.request import EvaluationRequest
from claf_engine.runs import list_checkpoints
from claf_engine.terms.errors import ConfigError
from claf_engine.training.checkpoint import load_trained_network
from tests.engine.tiny import FP32, exhaust, finished_run, tiny_config, tiny_data, use_tiny_data

RADII = (Fraction(10, 255),)


@pytest.fixture(autouse=True)
def _tiny_data(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_data(monkeypatch)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = tiny_config(method="natural", supervised__epochs=1, evaluation={"steps": 1})
    return list_checkpoints(finished_run(tmp_path_factory.mktemp("runs"), config).path)[0].path


def asked(checkpoint: Path, **options: Any) -> EvaluationRequest:
    return EvaluationRequest(checkpoint, RADII, **{"attack": "universal", "device": "cpu", **options})


def test_it_is_crafted_on_training_images_of_the_run_and_measured_on_test_images(checkpoint: Path) -> None:
    report = evaluate(asked(checkpoint, steps=2, crafted_on=10))
    _, _, network = load_trained_network(checkpoint)
    FP32.place(network)
    data, model = tiny_data(), network.with_classifier("natural")
    suite = UniversalSuite(RADII, data.train.first(10), passes=2)
    assert report.accuracy == exhaust(suite_steps(model, data.test, suite, FP32))[1]


def test_record_and_card_name_what_it_was_crafted_on(checkpoint: Path) -> None:
    report = evaluate(asked(checkpoint, steps=2))
    (figure,) = report.to_record()["robust"]
    assert (figure["attack"], figure["num_crafted"]) == ("universal", 24)
    assert report.card is not None
    card = json.loads((report.card / "card.json").read_text())
    assert card["attacks"][0]["label"] == "universal-2 at 10/255, one for all, crafted on 24 training images"


def test_another_number_of_crafting_images_has_a_card_of_its_own(checkpoint: Path) -> None:
    cards = [evaluate(asked(checkpoint, steps=1, crafted_on=count)).card for count in (8, 9, 8)]
    assert cards[0] == cards[2] != cards[1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"decides": "any"}, "universal is one perturbation for all images, .*; leave out --decides"),
        (
            {"attack": "universal-deepfool", "step_size": Fraction(1, 255)},
            "universal-deepfool .* leave out --step-size",
        ),
        ({"space": "released-code"}, "universal searches an epsilon-ball, and --space released-code has none"),
        ({"attack": "pgd", "crafted_on": 5}, "--crafted-on says what a universal perturbation is crafted on, and pgd"),
    ],
)
def test_what_contradicts_it_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        asked(Path("any"), **options)


def test_more_crafting_images_than_there_are_is_a_sentence(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="--crafted-on 25: there are 24 training images; give fewer"):
        evaluate(asked(checkpoint, crafted_on=25))
