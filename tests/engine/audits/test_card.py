import hashlib
import json
from dataclasses import asdict
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from claf_engine.accuracy.intervals import wilson
from claf_engine.audits.bench import NATURAL, Outcome, Recipe
from claf_engine.audits.card import audit_card, overall
from claf_engine.audits.examine import Examination
from claf_engine.evaluation.evaluate import figure_record
from claf_engine.evaluation.measured_card import (
    MEASURED,
    command_line,
    config_sha256,
    evaluation_card,
    keep_evaluation_card,
    standing_of_figures,
)
from claf_engine.events import RobustFigure
from claf_engine.events.audit import DiagnosticFound
from claf_engine.terms.names import Verdict
from tests.engine.tiny import tiny_config

CLAIM = {"epsilon": "8/255", "norm": "linf", "space": "pixel"}
ABOUT = {"weights_sha256": "0" * 64, "classifier": "natural", "data": "tiny"}


def outcome(label: str, survives: list[bool], *, is_in_ball: bool = True, recipe: Recipe | None = None) -> Outcome:
    return Outcome(label, torch.tensor(survives), is_in_ball, 0.03, 0.02, recipe)


def diagnostic(name: str, verdict: Verdict) -> DiagnosticFound:
    return DiagnosticFound(name, "title", verdict, "1 point", "0", "meaning", "source", {}, 0.1)


def examination(*outcomes: Outcome, verdicts: tuple[Verdict, ...] = ()) -> Examination:
    worst = torch.stack([item.survives for item in outcomes if item.is_in_ball]).all(0)
    return Examination(tuple(diagnostic(str(n), v) for n, v in enumerate(verdicts)), outcomes, worst)


def figure(accuracy: float, **changes: Any) -> dict[str, Any]:
    return figure_record(
        RobustFigure(**{**asdict(RobustFigure("8/255", accuracy, "pgd", 10, "2/255", 1, 100)), **changes})
    )


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "not-run"),
        (["not-run"], "not-run"),
        (["passes", "not-run"], "passes"),
        (["passes", "warns", "not-run"], "warns"),
        (["warns", "fails", "passes"], "fails"),
    ],
)
def test_the_overall_verdict_is_the_worst_one_and_never_counts_what_was_not_run(
    verdicts: list[Verdict], expected: Verdict
) -> None:
    assert overall(verdicts) == expected


def test_the_worst_case_of_an_audit_is_taken_per_example_and_has_its_interval() -> None:
    natural = outcome(NATURAL, [True, True, True, False])
    card = audit_card(
        examination(natural, outcome("a", [True, False, True, False]), outcome("b", [False, True, True, False])),
        CLAIM,
        ABOUT,
    )
    worst = card["worst_case"]
    assert (worst["accuracy"], tuple(worst["interval"])) == (0.25, wilson(1, 4))
    assert (worst["num_attacks"], worst["is_per_example"], worst["is_epsilon_ball"]) == (2, True, True)
    assert (card["natural"]["accuracy"], card["num_examples"]) == (0.75, 4)


@given(st.lists(st.tuples(st.lists(st.booleans(), min_size=5, max_size=5), st.booleans()), max_size=5))
def test_no_attack_that_counts_is_below_the_worst_case(attacks: list[tuple[list[bool], bool]]) -> None:
    outcomes = [outcome(str(number), bits, is_in_ball=inside) for number, (bits, inside) in enumerate(attacks)]
    card = audit_card(examination(outcome(NATURAL, [True] * 5), *outcomes), CLAIM, ABOUT)
    counting = [item["robust_accuracy"] for item in card["attacks"] if item["counts"]]
    assert card["worst_case"]["accuracy"] <= min([card["natural"]["accuracy"], *counting])


def test_every_attack_is_listed_with_its_recipe_and_whether_it_counts() -> None:
    recipe = Recipe("square", "16/255", steps=300)
    card = audit_card(
        examination(outcome(NATURAL, [True]), outcome("square", [False], is_in_ball=False, recipe=recipe)), CLAIM, ABOUT
    )
    (attack,) = card["attacks"]
    assert (attack["label"], attack["attack"], attack["epsilon"], attack["steps"]) == (
        "square",
        "square",
        "16/255",
        300,
    )
    assert (attack["robust_accuracy"], attack["largest_distance"], attack["counts"]) == (0.0, 0.03, False)


def test_a_card_of_the_released_codes_space_says_that_there_is_no_ball() -> None:
    card = audit_card(examination(outcome(NATURAL, [True])), {**CLAIM, "space": "released-code"}, ABOUT)
    assert (card["space"], card["worst_case"]["is_epsilon_ball"]) == ("released-code", False)


def test_evaluating_by_one_attack_is_a_worst_case_per_example_without_diagnostics() -> None:
    card = evaluation_card(0.9, [figure(0.6), figure(0.3, epsilon="16/255")], 100, ABOUT)
    assert (card["kind"], card["verdict"], card["diagnostics"]) == ("evaluation", "not-run", [])
    assert (card["worst_case"]["accuracy"], card["worst_case"]["is_per_example"]) == (0.6, True)
    assert (card["epsilon"], card["epsilons"]) == ("8/255", ["8/255", "16/255"])


def test_of_attacks_at_one_radius_the_lowest_counts_and_is_no_worst_case_per_example() -> None:
    card = evaluation_card(0.9, [figure(0.6), figure(0.5, steps=100)], 100, ABOUT)
    worst = card["worst_case"]
    assert (worst["accuracy"], worst["num_attacks"], worst["is_per_example"]) == (0.5, 2, False)


def test_a_figure_at_radius_0_is_not_what_an_evaluation_claims() -> None:
    assert evaluation_card(0.9, [figure(0.9, epsilon="0/255"), figure(0.6)], 100, ABOUT)["epsilon"] == "8/255"


def test_the_same_evaluation_again_replaces_its_card_and_another_does_not(tmp_path: Any) -> None:
    checkpoint = tmp_path / "checkpoints" / "step-1.safetensors"

    def keep(accuracy: float, about: dict[str, Any] | None = None, **changes: Any) -> Any:
        texts = dict.fromkeys(("run", "method", "checkpoint", "seed", "device", "config_sha256"), "x")
        about = {**ABOUT, **texts, **(about or {})}
        return keep_evaluation_card(0.9, [figure(accuracy, **changes)], 100, about, checkpoint)

    assert keep(0.6) == keep(0.5)
    assert keep(0.6) != keep(0.6, steps=20)
    assert len(list((tmp_path / "audit" / "cards").iterdir())) == 2
    assert keep(0.6) != keep(0.6, about={"batch_size": 7}) != keep(0.6, about={"batch_size": 8})
    assert keep(0.6) == keep(0.6, about={"batch_size": 250})
    assert len(list((tmp_path / "audit" / "cards").iterdir())) == 4
    assert standing_of_figures(checkpoint, "0" * 64, "natural", [figure(0.6)]) == "evaluated"


def test_a_card_replaces_one_from_before_figures_said_which_point_decides(tmp_path: Any) -> None:
    checkpoint = tmp_path / "checkpoints" / "step-1.safetensors"
    about = {**ABOUT, **dict.fromkeys(("run", "method", "checkpoint", "seed", "device", "config_sha256"), "x")}
    asked = {key: value for key, value in figure(0.6).items() if key not in ("decides", "num_crafted", *MEASURED)}
    digest = hashlib.sha256(json.dumps([[asked], 100, "tiny"], sort_keys=True).encode()).hexdigest()[:12]
    folders = [
        keep_evaluation_card(0.9, [figure(0.6, decides=decides)], 100, about, checkpoint) for decides in ("last", "any")
    ]
    assert folders[0].name == f"step-1-natural-evaluation-{digest}" != folders[1].name


@pytest.mark.parametrize(("decides", "label"), [("last", ""), ("any", ", any point decides"), ("own", "")])
def test_a_card_of_an_evaluation_says_which_point_decided(decides: str, label: str) -> None:
    card = evaluation_card(0.9, [figure(0.6, decides=decides)], 100, ABOUT)
    assert (card["worst_case"]["decides"], card["attacks"][0]["decides"]) == (decides, decides)
    assert card["attacks"][0]["label"] == f"pgd-10 at 8/255{label}"


def test_the_command_line_can_be_pasted_and_names_no_folder() -> None:
    assert command_line(["/opt/bin/claf-tui", "audit", "my run"]) == "claf-tui audit 'my run'"
    assert command_line([]) == ""


def test_the_hash_of_settings_changes_with_any_of_them() -> None:
    assert config_sha256(tiny_config()) == config_sha256(tiny_config())
    assert config_sha256(tiny_config()) != config_sha256(tiny_config(seed=1))
