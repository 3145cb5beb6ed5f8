"""Who attacks a row, on a network that anybody breaks and a defence that hides that from who does not know it."""

import dataclasses
from collections.abc import Generator
from pathlib import Path

import pytest
import torch

from claf_engine.accuracy.measure import Accuracy, accuracy_steps
from claf_engine.data import Split
from claf_engine.evaluation.defences import open_defence, parse_defence
from claf_engine.evaluation.subject import Wanted, open_steps
from claf_engine.events.ticks import Pulse
from claf_engine.reproduce.auditing import audited_steps, is_audited
from claf_engine.reproduce.choosing import candidates_of
from claf_engine.reproduce.measuring import Measurement, Measurer, worst_case
from claf_engine.reproduce.related import ADAPTIVE, OBLIVIOUS, WORST
from claf_engine.reproduce.rows import Column, Row
from claf_engine.reproduce.stored import packed
from claf_engine.reproduce.systems import SYSTEMS, Faced, System, suite_for, why_not_tried
from claf_engine.runs import list_runs
from claf_engine.terms.errors import ConfigError, DataError
from tests.engine.reproduce.conftest import Reproduced
from tests.engine.tiny import exhaust

QUICK = dataclasses.replace(ADAPTIVE, steps=5, restarts=2)
pytestmark = pytest.mark.usefixtures("tiny_scale")


@pytest.fixture
def trained(tmp_path: Path, reproduced: Reproduced) -> Path:
    return list_runs(reproduced.copy(tmp_path))[0].directory


def measured(trained: Path, column: Column, system: str = "") -> Measurement:
    row = Row("row", "claf", classifier="natural", system=system)
    subject = candidates_of(trained, row)[0]
    found: Measurement = exhaust(Measurer(trained.parent).measure_steps(subject, column))[1]
    return found


def test_a_network_alone_has_no_attacker_who_does_not_know_it(trained: Path) -> None:
    assert measured(trained, OBLIVIOUS).robust.knowledge == "white-box"


def test_both_attackers_of_a_defence_agree_with_an_evaluation(trained: Path) -> None:
    from claf_engine.evaluation.evaluate import evaluate
    from claf_engine.evaluation.request import EvaluationRequest

    found = measured(trained, OBLIVIOUS, "bit-depth:2")
    report = evaluate(
        EvaluationRequest(
            found.subject.checkpoint,
            classifier="natural",
            epsilons=(OBLIVIOUS.epsilon,),
            defence=parse_defence("bit-depth:2"),
        )
    )
    assert found.robust == report.accuracy.robust[0]
    assert found.natural == report.accuracy.natural


def test_a_defence_is_measured_apart_from_its_network(trained: Path) -> None:
    alone, guarded = measured(trained, QUICK), measured(trained, QUICK, "median:2")
    assert (alone.robust.defence, guarded.robust.defence) == ("none", "median:2")
    assert alone.subject.weights_sha256 == guarded.subject.weights_sha256


def test_an_unknown_system_is_a_sentence(trained: Path) -> None:
    with pytest.raises(ConfigError, match="unknown defence 'wish:3'"):
        measured(trained, QUICK, "wish:3")


def test_the_attack_of_a_column_is_the_one_that_it_names() -> None:
    suite = suite_for(ADAPTIVE)
    assert (suite.restarts, suite.decides, suite.steps) == (5, "any", 100)
    assert suite.attack(ADAPTIVE.epsilon).step_size * 100 >= 2 * ADAPTIVE.epsilon
    assert suite.crossing() is None
    assert suite_for(OBLIVIOUS).attack(OBLIVIOUS.epsilon).step_size == OBLIVIOUS.step_size


def test_a_system_may_have_attackers_of_its_own_and_none_of_a_library(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = []

    def attacked(faced: Faced, column: Column) -> Generator[Pulse, None, Accuracy]:
        met.append((faced.system, column.knowledge))
        return (yield from SYSTEMS[""].attacked(faced, column))

    monkeypatch.setitem(SYSTEMS, "detector", System(attacked, "it has no logits to climb"))
    measured(trained, OBLIVIOUS, "detector:squeezing")
    assert met == [("detector:squeezing", "oblivious")]
    column = Column(0, OBLIVIOUS.epsilon, attack="autoattack", num_examples=2)
    assert why_not_tried("detector:squeezing", column) == "it has no logits to climb"
    assert why_not_tried("detector:squeezing", OBLIVIOUS) == why_not_tried("bit-depth:4", column) == ""


def test_the_worst_case_counts_what_stands_against_every_attack_that_was_tried(trained: Path) -> None:
    whole = measured(trained, OBLIVIOUS)
    count = whole.robust.num_examples

    def made(outcomes: list[bool]) -> Measurement:
        robust = dataclasses.replace(whole.robust, num_examples=len(outcomes))
        return dataclasses.replace(
            whole, robust=robust, right=packed(torch.ones(len(outcomes)) > 0), survivors=packed(torch.tensor(outcomes))
        )

    all_but_first = [False, *([True] * (count - 1))]
    found = worst_case(WORST, [made(all_but_first), made([True, False])])
    assert found.outcomes().tolist() == [False, False, *([True] * (count - 2))]
    assert found.robust.accuracy == pytest.approx((count - 2) / count)
    assert (found.robust.num_examples, found.robust.restarts) == (count, 2)


def test_a_system_that_cannot_be_audited_says_why_in_the_place_of_a_verdict(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "a detector answers with more than classes"
    monkeypatch.setitem(SYSTEMS, "detector", System(SYSTEMS[""].attacked, without_audit=reason))
    subject = candidates_of(trained, Row("row", "claf", classifier="natural", system="detector:squeezing"))[0]
    pulses, found = exhaust(audited_steps(trained.parent, subject, "pixel", ()))
    assert (pulses, found.verdict, found.warned, found.worst_case) == ([], "not-run", (reason,), None)
    assert is_audited(trained.parent, subject, "pixel")


def test_a_detector_is_measured_by_the_attacker_that_a_column_names(trained: Path) -> None:
    subject = candidates_of(trained, Row("row", "claf", classifier="natural"))[0]
    wanted = Wanted(splits=SYSTEMS["detector"].splits)
    opened = exhaust(open_steps(subject.checkpoint, classifier="natural", wanted=wanted, device="cpu"))[1]
    validation = opened.data.validation
    twice = Split(torch.cat([validation.images[:]] * 2), validation.labels.repeat(2))
    opened = dataclasses.replace(opened, data=dataclasses.replace(opened.data, validation=twice))
    faced = Faced(opened, subject.checkpoint, "detector:squeezing:bit-depth:5", opened.data.test)
    for column, attacker in ((OBLIVIOUS, "oblivious"), (QUICK, "adaptive")):
        (figure,) = exhaust(SYSTEMS["detector"].attacked(faced, column))[1].robust
        assert (figure.knowledge, figure.defence) == (attacker, "detector squeezing:bit-depth:5 at 5 %")


def test_a_detector_of_too_few_validation_images_is_a_sentence(trained: Path) -> None:
    with pytest.raises(DataError, match="at least 20 validation images, and there are 16"):
        measured(trained, OBLIVIOUS, "detector:squeezing:bit-depth:5")


def test_over_several_balls_an_image_stands_only_if_it_does_in_each(trained: Path) -> None:
    found = measured(trained, QUICK, "union")
    opened = exhaust(open_steps(found.subject.checkpoint, classifier="natural", device="cpu"))[1]
    singles = [
        exhaust(accuracy_steps(opened.model, opened.data.test, suite_for(QUICK, norm), opened.compute))[1]
        for norm in ("linf", "l2", "l1")
    ]
    assert torch.equal(found.outcomes(), torch.stack([each.outcomes[0] for each in singles]).all(dim=0))
    assert found.robust.norm == "linf l2 l1"
    assert (found.robust.epsilon, found.robust.restarts) == ("8/255 0.5 12", 6)


def test_who_knows_of_one_ball_alone_attacks_a_union_as_any_network(trained: Path) -> None:
    assert measured(trained, OBLIVIOUS, "union").robust == measured(trained, OBLIVIOUS).robust


def test_who_does_not_know_the_rectifier_crafts_one_perturbation_for_all_images(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defence = open_defence(parse_defence("bit-depth:2"), trained)
    monkeypatch.setattr("claf_engine.reproduce.systems.open_defence", lambda *_: defence)
    oblivious, adaptive = (measured(trained, column, "rectifier").robust for column in (OBLIVIOUS, QUICK))
    assert (oblivious.attack, oblivious.knowledge, oblivious.largest_distance) == (
        "universal",
        "oblivious",
        pytest.approx(8 / 255, abs=1e-6),
    )
    assert oblivious.num_crafted
    assert (adaptive.attack, adaptive.knowledge) == ("pgd", "adaptive")
