import json
from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from claf_engine.accuracy.autoattack import AutoAttackSuite
from claf_engine.accuracy.measure import Accuracy, accuracy_steps
from claf_engine.accuracy.squeezing import Squeezing
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import space_of
from claf_engine.compute.world import World
from claf_engine.config import DataConfig
from claf_engine.data import Dataset, Split
from claf_engine.evaluation.defences import parse_defence
from claf_engine.evaluation.detectors import parse_detector
from claf_engine.evaluation.evaluate import (
    EvaluationReport,
    EvaluationRequest,
    autoattack_folder,
    evaluate,
    evaluation_steps,
    figure_record,
)
from claf_engine.evaluation.request import Ball
from claf_engine.events import RobustFigure
from claf_engine.events.ticks import Pulse
from claf_engine.models.network import CLASSIFIERS, Pipeline
from claf_engine.runs import list_checkpoints
from claf_engine.terms.errors import CheckpointError, ConfigError, DataError, DeviceError
from claf_engine.terms.names import EvaluationAttack, Norm, SpaceName
from claf_engine.terms.pixels import parse_radii
from claf_engine.training.checkpoint import load_trained_network
from tests.engine.tiny import FP32, exhaust, finished_run, tiny_config, tiny_data, use_tiny_data

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
    return list_checkpoints(finished_run(tmp_path_factory.mktemp("runs"), CONFIG).path)[0].path


def ask(checkpoint: Path, **options: Any) -> EvaluationReport:
    return evaluate(EvaluationRequest(checkpoint, **{"steps": 2, "device": "cpu", **options}))


def pipeline(checkpoint: Path) -> Pipeline:
    """The classifier that the checkpoint was measured with, ready to be measured directly."""
    info, _, network = load_trained_network(checkpoint)
    FP32.place(network)
    return network.with_classifier(info.classifier)


@pytest.mark.parametrize("epsilon", [8 / 255, "8/255", Fraction(8, 255)])
def test_a_request_takes_its_distances_in_any_form(epsilon: Any) -> None:
    request = EvaluationRequest(Path("x"), epsilons=(epsilon,), step_size=epsilon)
    assert (request.epsilons, request.step_size) == ((Fraction(8, 255),), Fraction(8, 255))


def test_a_request_refuses_what_is_no_distance_of_its_norm() -> None:
    assert EvaluationRequest(Path("x"), epsilons=(2.0,), norm="l2").epsilons == (2,)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="is above 1, and images lie in"):
        EvaluationRequest(Path("x"), epsilons=(2.0,))  # type: ignore[arg-type]


def test_a_report_tells_classes_apart_and_what_moves_its_figures(checkpoint: Path) -> None:
    report = ask(checkpoint, batch_size=5)
    record = report.to_record()
    assert (record["batch_size"], record["image_size"]) == (5, [8, 8])
    natural = sum(item["natural_accuracy"] * item["num_examples"] for item in record["classes"])
    assert natural / record["num_examples"] == pytest.approx(record["natural_accuracy"])
    for number, figure in enumerate(record["robust"]):
        share = sum(item["robust_accuracy"][number] * item["num_examples"] for item in record["classes"])
        assert share / record["num_examples"] == pytest.approx(figure["robust_accuracy"])


def test_figures_of_another_size_of_batches_have_a_card_of_their_own(checkpoint: Path) -> None:
    cards = [ask(checkpoint, batch_size=size).card for size in (250, 7, 250)]
    assert cards[0] == cards[2] != cards[1]
    assert json.loads((cards[1] / "card.json").read_text())["batch_size"] == 7


def test_behind_a_defence_every_class_has_a_figure_for_each_attacker(checkpoint: Path) -> None:
    record = ask(checkpoint, defence=parse_defence("bit-depth:4")).to_record()
    assert {len(item["robust_accuracy"]) for item in record["classes"]} == {len(record["robust"])}
    for number, figure in enumerate(record["robust"]):
        share = sum(item["robust_accuracy"][number] * item["num_examples"] for item in record["classes"])
        assert share / record["num_examples"] == pytest.approx(figure["robust_accuracy"])


def test_images_of_another_size_than_trained_on_are_told(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [text for text in ask(checkpoint).to_record()["notices"] if "pixels" in text]

    def steps(*_: object) -> Generator[Pulse, None, Dataset]:
        yield Pulse("drawing")
        return replace(tiny_data(side=12), notices=("Skipped 1 file.",))

    monkeypatch.setattr("claf_engine.evaluation.subject.dataset_steps", steps)
    notices = ask(checkpoint, accepts_changed_data=True).to_record()["notices"]
    assert "Skipped 1 file." in notices
    assert any("trained on images of 8x8 pixels and measured on 12x12" in text for text in notices)


def test_a_class_without_test_images_is_told(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = DATA.test.labels != 2

    def steps(*_: object) -> Generator[Pulse, None, Dataset]:
        yield Pulse("drawing")
        return replace(DATA, test=Split(DATA.test.images[kept], DATA.test.labels[kept]))

    monkeypatch.setattr("claf_engine.evaluation.subject.dataset_steps", steps)
    record = ask(checkpoint, accepts_changed_data=True).to_record()
    assert "there is no test image of class class 2" in record["notices"]
    assert record["classes"][2]["natural_accuracy"] is None


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
        "images_sha256": str,
        "device": str,
        "seed": int,
        "batch_size": int,
        "image_size": list,
        "classes": list,
        "seconds": float,
        "versions": dict,
        "defence": str,
        "notices": list,
        "card": str,
        "audit": str,
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
        "decides": str,
        "notice": str,
        "num_crafted": type(None),
        "is_epsilon_ball": bool,
        "largest_distance_text": str,
        "mean_distance_text": str,
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


def test_figures_of_averaged_weights_say_so_in_report_and_card(tmp_path: Path) -> None:
    config = tiny_config(method="natural", averaging__decay=0.5, supervised__epochs=1, evaluation={"steps": 1})
    report = ask(list_checkpoints(finished_run(tmp_path, config).path)[0].path)
    assert report.card is not None
    told = [report.to_record(), json.loads((report.card / "card.json").read_text())]
    assert [record["weights"] for record in told] == ["average, decay 0.5"] * 2
    assert "- weights are: average, decay 0.5\n" in (report.card / "card.md").read_text()


def test_figures_of_weights_as_they_were_trained_say_nothing_of_an_average(checkpoint: Path) -> None:
    assert "weights" not in ask(checkpoint).to_record()


def test_a_radius_of_zero_gives_natural_accuracy(checkpoint: Path) -> None:
    accuracy = ask(checkpoint, epsilons=(Fraction(0),)).accuracy
    assert accuracy.robust[0].accuracy == accuracy.natural


def test_by_default_the_classifier_is_the_one_the_checkpoint_was_measured_with(checkpoint: Path) -> None:
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
    _, expected = exhaust(accuracy_steps(network.with_classifier("adversarial"), DATA.test.first(5), suite, FP32))
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

    monkeypatch.setattr("claf_engine.evaluation.subject.dataset_steps", steps)
    with pytest.raises(DataError, match=r"trained on classes class 0, .*, but pets has cat, dog"):
        ask(checkpoint, data="cifar10")


def test_the_same_classes_in_another_order_are_other_classes(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(*_: object) -> Generator[Pulse, None, Dataset]:
        yield Pulse("drawing")
        return replace(DATA, class_names=DATA.class_names[::-1])

    monkeypatch.setattr("claf_engine.evaluation.subject.dataset_steps", steps)
    with pytest.raises(DataError, match="choose the data it was trained on"):
        ask(checkpoint, data="cifar10")


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[DataConfig]:
    """The data settings that evaluations load."""
    seen: list[DataConfig] = []

    def steps(config: DataConfig, *_: object) -> Generator[Pulse, None, Dataset]:
        seen.append(config)
        yield Pulse("drawing")
        return DATA

    monkeypatch.setattr("claf_engine.evaluation.subject.dataset_steps", steps)
    return seen


def test_unless_told_otherwise_the_data_are_those_of_the_run(checkpoint: Path, asked_for: list[DataConfig]) -> None:
    ask(checkpoint)
    assert asked_for == [CONFIG.images]


def test_other_data_may_be_asked_for(checkpoint: Path, asked_for: list[DataConfig]) -> None:
    ask(checkpoint, data="folder:/pictures")
    assert (asked_for[0].source, asked_for[0].num_test) == ("folder:/pictures", None)


def test_other_data_need_not_have_as_many_training_images_as_the_run_had(
    checkpoint: Path, asked_for: list[DataConfig]
) -> None:
    ask(checkpoint, data="folder:/pictures")
    assert (asked_for[0].num_train, asked_for[0].num_validation) == (1, 1)


def test_data_of_an_unknown_form_are_refused(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="--data: unknown data source 'nonsense'; use shapes, cifar10, folder:PATH, "):
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


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("attack", ["pgd", "fgsm", "mi-fgsm"])
def test_the_attack_and_its_norm_are_those_that_are_asked_for(
    checkpoint: Path, attack: EvaluationAttack, norm: Norm
) -> None:
    radii = (Fraction(8, 255), Fraction(16, 255))
    report = evaluate(EvaluationRequest(checkpoint, radii, attack, norm=norm, device="cpu"))
    assert attack != "autoattack"
    suite = AttackSuite(radii, None, None, name=attack, norm=norm)
    _, expected = exhaust(accuracy_steps(pipeline(checkpoint), DATA.test, suite, FP32))
    assert report.accuracy == expected
    assert {(item.attack, item.norm) for item in report.accuracy.robust} == {(attack, norm)}


def test_the_released_codes_space_is_that_of_the_network(checkpoint: Path) -> None:
    radii = (Fraction(0), Fraction(8, 255))
    report = ask(checkpoint, epsilons=radii, space="released-code")
    suite = AttackSuite(radii, 2, None, space=space_of("released-code", CONFIG.model))
    _, expected = exhaust(accuracy_steps(pipeline(checkpoint), DATA.test, suite, FP32))
    assert report.accuracy == expected


def test_released_code_figures_say_that_they_are_of_no_ball_and_how_far_images_moved(checkpoint: Path) -> None:
    (figure,) = ask(checkpoint, epsilons=(Fraction(8, 255),), space="released-code").to_record()["robust"]
    assert (figure["space"], figure["is_epsilon_ball"]) == ("released-code", False)
    assert figure["largest_distance"] > figure["mean_distance"] > 16 / 255


@pytest.mark.parametrize(("asked", "told"), [(None, "last"), ("last", "last"), ("any", "any")])
def test_the_point_that_decides_is_the_one_that_is_asked_for(checkpoint: Path, asked: Any, told: str) -> None:
    report = ask(checkpoint, decides=asked, steps=5)
    suite = AttackSuite(report.request.epsilons, 5, None, decides=told)  # type: ignore[arg-type]
    _, expected = exhaust(accuracy_steps(pipeline(checkpoint), DATA.test, suite, FP32))
    assert report.accuracy == expected
    assert {figure["decides"] for figure in report.to_record()["robust"]} == {told}


def test_figures_that_differ_in_what_decides_have_cards_of_their_own(checkpoint: Path) -> None:
    cards = [ask(checkpoint, decides=decides).card for decides in ("last", None, "any")]
    assert cards[0] == cards[1] != cards[2]


def test_figures_of_pixel_space_prove_that_no_image_left_the_ball(checkpoint: Path) -> None:
    (figure,) = ask(checkpoint, epsilons=(Fraction(8, 255),), restarts=2).to_record()["robust"]
    assert (figure["space"], figure["is_epsilon_ball"]) == ("pixel", True)
    assert 0 < figure["largest_distance"] <= 8 / 255 + 1e-6
    assert figure["largest_distance_text"] == "8/255"


def test_a_distance_that_was_not_measured_has_no_text() -> None:
    record = figure_record(RobustFigure("8/255", 0.5, "pgd", 10, "2/255", 1, 100))
    assert (record["largest_distance_text"], record["mean_distance_text"]) == (None, None)


def test_behind_a_defence_every_radius_is_attacked_without_and_with_knowledge_of_it(checkpoint: Path) -> None:
    record = ask(checkpoint, defence=parse_defence("bit-depth:2")).to_record()
    assert record["defence"] == "bit-depth:2"
    assert [(item["epsilon"], item["defence"], item["knowledge"]) for item in record["robust"]] == [
        ("8/255", "bit-depth:2", "oblivious"),
        ("8/255", "bit-depth:2", "adaptive"),
        ("16/255", "bit-depth:2", "oblivious"),
        ("16/255", "bit-depth:2", "adaptive"),
    ]


def test_without_a_defence_the_record_names_none(checkpoint: Path) -> None:
    record = ask(checkpoint).to_record()
    assert record["defence"] == "none"
    assert {(item["defence"], item["knowledge"]) for item in record["robust"]} == {("none", "white-box")}


@pytest.mark.parametrize("space", ["pixel", "released-code"])
def test_a_curve_stands_beside_the_figures_that_it_gives(checkpoint: Path, space: SpaceName) -> None:
    radii = parse_radii("0:8/255:4/255")
    record = ask(checkpoint, epsilons=radii, space=space, is_curve=True).to_record()
    points = record["curve"]["points"]
    assert [point["epsilon"] for point in points] == ["0/255", "4/255", "8/255"]
    assert [point["robust_accuracy"] for point in points] == [item["robust_accuracy"] for item in record["robust"]]
    assert record["curve"]["class_names"] == list(DATA.class_names)
    assert record["curve"]["natural"]["accuracy"] == record["natural_accuracy"]
    assert record["curve"]["is_epsilon_ball"] == (space == "pixel")


def test_a_curve_begins_with_the_figure_that_is_measured_alone(checkpoint: Path) -> None:
    radii = parse_radii("4/255:8/255:4/255")
    curve = ask(checkpoint, epsilons=radii, is_curve=True).accuracy.robust
    alone = ask(checkpoint, epsilons=radii).accuracy.robust
    assert curve[0] == alone[0]
    assert curve[1].accuracy <= curve[0].accuracy


def test_without_a_curve_the_record_has_none(checkpoint: Path) -> None:
    assert "curve" not in ask(checkpoint).to_record()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"is_curve": True, "attack": "autoattack"}, "a range of --eps is measured with"),
        ({"is_curve": True, "defence": parse_defence("median:2")}, "a range of --eps is measured without a defence"),
        ({"attack": "fgsm", "steps": 1}, "fgsm takes one step of epsilon .*; leave out --steps"),
        ({"attack": "fgsm", "step_size": Fraction(1, 255)}, "fgsm .*; leave out --step-size"),
        ({"attack": "fgsm", "restarts": 1}, "fgsm .*; leave out --restarts"),
        ({"attack": "fgsm", "decides": "any"}, "fgsm .*; leave out --decides"),
        ({"attack": "autoattack", "decides": "any"}, "autoattack .*; leave out --decides"),
        ({"attack": "mi-fgsm", "restarts": 2}, "mi-fgsm starts from the image itself, .*; leave out --restarts"),
        ({"attack": "autoattack", "steps": 100}, "autoattack sets its own .*; leave out --steps"),
        ({"attack": "autoattack", "step_size": Fraction(1, 255)}, "autoattack .*; leave out --step-size"),
        ({"attack": "autoattack", "restarts": 1}, "autoattack .*; leave out --restarts"),
        (
            {"attack": "autoattack", "space": "released-code"},
            "autoattack searches an epsilon-ball, and --space released",
        ),
    ],
)
def test_what_an_attack_would_ignore_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        EvaluationRequest(Path("any"), **options)


@pytest.mark.parametrize("attack", ["pgd", "mi-fgsm"])
def test_steps_of_an_attack_that_has_them_are_taken(attack: EvaluationAttack) -> None:
    assert EvaluationRequest(Path("any"), attack=attack, steps=3, step_size=Fraction(1, 255)).steps == 3


class Library:
    """Stands in for AutoAttack; keeps what it was called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[dict[str, Any]] = []
        monkeypatch.setattr("claf_engine.accuracy.autoattack.autoattack_steps", self.steps)

    def steps(self, *arguments: Any) -> Generator[Pulse, None, Accuracy]:
        names = ("model", "split", "suite", "compute", "batch_size", "state_folder")
        self.calls.append(dict(zip(names, arguments, strict=True)))
        yield Pulse("AutoAttack")
        figure = RobustFigure("8/255", 0.25, "autoattack", 100, "adaptive", 1, 16)
        return Accuracy(0.5, (figure,), ("told",))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    return Library(monkeypatch)


def test_autoattack_gets_the_request_and_a_folder_beside_the_checkpoint(checkpoint: Path, library: Library) -> None:
    request = EvaluationRequest(
        checkpoint, (Fraction(1, 2),), "autoattack", norm="l2", seed=4, num_examples=5, batch_size=3, device="cpu"
    )
    report = evaluate(request)
    (call,) = library.calls
    assert call["suite"] == AutoAttackSuite((Fraction(1, 2),), "l2", 4)
    assert (len(call["split"]), call["batch_size"]) == (5, 3)
    assert call["state_folder"] == checkpoint.with_name(f"{checkpoint.name}.autoattack")
    assert (report.accuracy.natural, report.to_record()["notices"]) == (0.5, ["told"])


def test_autoattack_keeps_nothing_where_nothing_can_be_written(
    checkpoint: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    evaluate(EvaluationRequest(checkpoint, attack="autoattack", device="cpu"))
    assert library.calls[0]["state_folder"] is None
    assert autoattack_folder(checkpoint) is None


def test_behind_a_defence_autoattack_is_adaptive_and_attacks_the_defended_classifier(
    checkpoint: Path, library: Library
) -> None:
    defence = parse_defence("median:3")
    report = evaluate(EvaluationRequest(checkpoint, attack="autoattack", defence=defence, device="cpu"))
    assert library.calls[0]["model"].defence == Squeezing("median", 3)
    (figure,) = report.accuracy.robust
    assert (figure.defence, figure.knowledge) == ("median:3", "adaptive")


@pytest.mark.slow
def test_autoattack_of_the_library_is_no_kinder_than_pgd(checkpoint: Path, tmp_path: Path) -> None:
    copy = tmp_path / checkpoint.name
    copy.write_bytes(checkpoint.read_bytes())
    radii = (Fraction(8, 255),)
    report = evaluate(EvaluationRequest(copy, radii, "autoattack", num_examples=8, device="cpu"))
    assert report.accuracy.robust[0].accuracy <= ask(copy, epsilons=radii, num_examples=8).accuracy.robust[0].accuracy
    assert list(tmp_path.glob("*.autoattack/*.json"))


def test_an_evaluation_leaves_a_card_without_diagnostics(checkpoint: Path) -> None:
    request = EvaluationRequest(checkpoint, steps=3, device="cpu", seed=9, command=("/x/claf-tui", "eval", "tiny"))
    report = evaluate(request)
    assert report.card is not None
    assert report.audit == "evaluated"
    card = json.loads((report.card / "card.json").read_bytes())
    assert (card["kind"], card["diagnostics"], card["command"]) == ("evaluation", [], "claf-tui eval tiny")
    assert card["worst_case"]["accuracy"] == report.accuracy.robust[0].accuracy
    assert [item["robust_accuracy"] for item in card["attacks"]] == [item.accuracy for item in report.accuracy.robust]
    assert "None were run." in (report.card / "card.md").read_text()


def test_a_card_that_cannot_be_written_costs_no_figure_and_is_told(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("claf_engine.evaluation.evaluate.keep_report_card", refuse)
    report = ask(checkpoint, steps=16)
    assert (report.card, report.audit) == (None, "unaudited")
    assert report.accuracy.notices == (f"no card was kept beside {checkpoint.name}: Read-only file system",)


def test_with_a_detector_the_record_the_card_and_the_figures_say_what_it_did(checkpoint: Path) -> None:
    report = ask(checkpoint, detector=parse_detector("squeezing:bit-depth:4"), fpr=0.1, epsilons=("8/255",))
    record = report.to_record()
    assert [(item["knowledge"], item["defence"]) for item in record["robust"]] == [
        (knowledge, "detector squeezing:bit-depth:4 at 10 %") for knowledge in ("oblivious", "adaptive")
    ]
    assert record["detector"]["validation_false_positives"]["of"] == 16
    assert record["detector"]["false_positives"]["of"] == record["num_examples"] == 16
    assert all(item["robust_accuracy"] <= record["natural_accuracy"] for item in record["robust"])
    assert report.card is not None
    assert "## Detector" in (report.card / "card.md").read_text()
    assert json.loads((report.card / "card.json").read_text())["detector"] == record["detector"]


def test_a_detector_stands_behind_a_defence_too(checkpoint: Path) -> None:
    detector, defence = parse_detector("squeezing:bit-depth:4"), parse_defence("median:2")
    record = ask(checkpoint, detector=detector, defence=defence, fpr=0.1, epsilons=("8/255",)).to_record()
    assert record["robust"][1]["defence"] == "median:2 and detector squeezing:bit-depth:4 at 10 %"


def test_a_threshold_that_too_few_validation_images_can_tell_is_refused(checkpoint: Path) -> None:
    with pytest.raises(DataError, match="at least 20 validation images, and there are 16"):
        ask(checkpoint, detector=parse_detector("squeezing:median:2"))


def test_several_processes_measure_no_detector(checkpoint: Path) -> None:
    request = EvaluationRequest(checkpoint, detector=parse_detector("squeezing"))
    with pytest.raises(ConfigError, match="a detector is measured by one process; start it without torchrun"):
        next(evaluation_steps(request, World(0, 2)))


def test_over_several_norms_an_example_counts_that_survives_in_all(checkpoint: Path) -> None:
    further = (Ball("l2", Fraction(1, 2)), Ball("l1", Fraction(4)))
    report = ask(checkpoint, epsilons=(Fraction(8, 255),), further=further)
    alone = [
        ask(checkpoint, epsilons=(ball.epsilon,), norm=ball.norm).accuracy
        for ball in (Ball("linf", Fraction(8, 255)), *further)
    ]
    assert report.accuracy.robust == tuple(figure for accuracy in alone for figure in accuracy.robust)
    survivors = torch.stack([accuracy.outcomes[0] for accuracy in alone]).all(0)
    union = report.to_record()["union"]
    assert union["robust_accuracy"] == report.accuracy.union == int(survivors.sum()) / 16
    assert [(ball["norm"], ball["epsilon"]) for ball in union["balls"]] == [
        ("linf", "8/255"),
        ("l2", "0.5"),
        ("l1", "4"),
    ]
    assert union["interval"][0] <= union["robust_accuracy"] <= union["interval"][1]
    assert report.card is not None
    assert "over all of linf 8/255, l2 0.5, l1 4" in (report.card / "card.md").read_text(encoding="utf-8")


def test_one_norm_alone_has_no_worst_case_over_norms(checkpoint: Path) -> None:
    report = ask(checkpoint, epsilons=(Fraction(8, 255),))
    assert "union" not in report.to_record()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"step_size": Fraction(1, 10)}, "--step-size belongs to one norm; leave it out"),
        ({"as_paper": True}, "--as-paper belongs to one norm"),
        ({"space": "released-code"}, "--space belongs to one norm"),
        ({"is_curve": True}, "a range of --eps belongs to one norm"),
        ({"norm": "l2"}, "each --norm is given once"),
        ({"epsilons": (Fraction(1, 255), Fraction(2, 255))}, "with one --eps"),
        ({"detector": parse_detector("squeezing")}, "a detector is not measured with several --norm"),
        ({"attack": "universal", "further": (Ball("l1", Fraction(4)),)}, "universal moves all pixels"),
    ],
)
def test_what_belongs_to_one_norm_is_refused_with_several(options: dict[str, Any], sentence: str) -> None:
    asked = {"epsilons": (Fraction(8, 255),), "further": (Ball("l2", Fraction(1, 2)),), **options}
    with pytest.raises(ConfigError, match=sentence):
        EvaluationRequest(Path("x"), **asked)
