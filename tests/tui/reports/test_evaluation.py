import io
from typing import Any

import pytest
from rich.console import Console

from claf_tui.reports.evaluation import evaluation_tables, no_ball_sentences
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted_audit import DETECTOR

FIGURE = {
    "epsilon": "8/255",
    "robust_accuracy": 0.61,
    "attack": "pgd",
    "steps": 20,
    "step_size": "2/255",
    "restarts": 1,
    "space": "pixel",
    "precision": "fp32",
    "seed": 0,
    "norm": "linf",
    "defence": "none",
    "knowledge": "white-box",
    "largest_distance": 0.031373,
    "mean_distance": 0.03,
}
REPORT = {
    "natural_accuracy": 0.93,
    "robust": [FIGURE, {**FIGURE, "epsilon": "16/255", "robust_accuracy": 0.3, "largest_distance": 0.062745}],
    "defence": "none",
    "num_examples": 10000,
    "checkpoint": "runs/demo/checkpoints/step-000000090.safetensors",
    "classifier": "natural",
    "weights_sha256": "ab12",
    "data": "cifar10",
    "device": "cpu",
}


def shown(*, width: int = 80, **changes: Any) -> list[str]:
    """The lines of the report, with every figure changed alike."""
    robust = [{**figure, **changes} for figure in REPORT["robust"]]  # type: ignore[attr-defined]
    record = {**REPORT, "robust": robust, "defence": changes.get("defence", "none")}
    return lines_of(record, width)


def lines_of(record: dict[str, Any], width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, markup=False)
    console.print(*evaluation_tables(record), sep="\n")
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_report_names_its_settings_once_and_tables_the_figures() -> None:
    assert shown() == [
        "checkpoint      runs/demo/checkpoints/step-000000090.safetensors",
        "classifier      natural",
        "weights_sha256  ab12",
        "measured on     cifar10, 10,000 test images, fp32, cpu",
        "attack          PGD, steps 20, step size 2/255, restarts 1, seed 0",
        "decides         the last point of the attack",
        "space           pixel, linf",
        "standing        unaudited",
        "",
        " epsilon   accuracy    moved",
        " ───────────────────────────",
        " natural      93.0%",
        " 8/255        61.0%    8/255",
        " 16/255       30.0%   16/255",
        "",
    ]


def test_a_figure_that_cannot_be_right_is_marked() -> None:
    lines = shown(notice="from 8/255 on the attack may be too weak")
    assert [line.split("  ")[0] for line in lines if "61.0%" in line or "30.0%" in line] == [" 8/255 !", " 16/255 !"]


def test_the_worst_class_of_every_accuracy_is_told() -> None:
    cat = {"name": "cat", "num_examples": 5, "natural_accuracy": 0.8, "robust_accuracy": [0.6, 0.2]}
    dog = {"name": "dog", "num_examples": 5, "natural_accuracy": 1.0, "robust_accuracy": [0.4, 0.4]}
    fox = {"name": "fox", "num_examples": 0, "natural_accuracy": None, "robust_accuracy": [None, None]}
    told = "worst class: natural 80.0% (cat), 8/255 40.0% (dog), 16/255 20.0% (cat); --json has all of them"
    assert told in lines_of({**REPORT, "classes": [cat, dog, fox]}, width=120)
    assert not [line for line in lines_of(REPORT) if "worst class" in line]


def test_figures_of_no_ball_are_marked_measured_and_explained() -> None:
    lines = shown(space="released-code", largest_distance=0.451, mean_distance=0.3843)
    assert lines[6] == "space           released-code, linf"
    assert lines[9:] == [
        " epsilon            accuracy   moved up to     mean",
        " ──────────────────────────────────────────────────",
        " natural               93.0%",
        " 8/255 (no ball)       61.0%       115/255   98/255",
        " 16/255 (no ball)      30.0%       115/255   98/255",
        "",
        "(no ball): not accuracy in an epsilon-ball; released-code space clamps images",
        "and moved them up to 115/255, 98/255 on average",
    ]


def test_behind_a_defence_every_figure_names_its_attacker() -> None:
    robust = [
        {**FIGURE, "defence": "median:2", "knowledge": knowledge, "robust_accuracy": accuracy}
        for knowledge, accuracy in (("oblivious", 0.7), ("adaptive", 0.4))
    ]
    lines = lines_of({**REPORT, "robust": robust, "defence": "median:2"})
    assert lines[7:] == [
        "defence         median:2",
        "standing        unaudited",
        "",
        " epsilon   accuracy   attacker    moved",
        " ──────────────────────────────────────",
        " natural      93.0%",
        " 8/255        70.0%   oblivious   8/255",
        " 8/255        40.0%   adaptive    8/255",
        "",
        "natural accuracy is with the defence; an oblivious attack does not know of it,",
        "an adaptive one climbs through it as far as it can; the lower figure counts",
    ]


def test_autoattack_behind_a_defence_says_that_it_is_adaptive() -> None:
    text = "\n".join(shown(width=140, attack="autoattack", defence="median:2", knowledge="adaptive"))
    assert "defence         median:2, adaptive\n" in text
    assert "AutoAttack crafts and judges with one model, so it is adaptive" in text


def test_a_setting_that_differs_from_radius_to_radius_is_a_column() -> None:
    robust = [{**FIGURE, "step_size": "0.8/255"}, {**FIGURE, "epsilon": "16/255", "step_size": "1.6/255"}]
    lines = lines_of({**REPORT, "robust": robust})
    assert "attack          PGD, steps 20, restarts 1, seed 0" in lines
    assert " epsilon   accuracy   step size   moved" in lines


def test_a_single_step_of_epsilon_needs_no_column() -> None:
    robust = [{**FIGURE, "attack": "fgsm", "step_size": epsilon, "epsilon": epsilon} for epsilon in ("8/255", "16/255")]
    assert "step size" not in "\n".join(lines_of({**REPORT, "robust": robust}))


def test_figures_that_any_point_decides_are_marked_and_explained() -> None:
    lines = shown(decides="any")
    assert "decides         any point of the attack, from its start on" in lines
    assert lines[9:] == [
        " epsilon              accuracy    moved",
        " ──────────────────────────────────────",
        " natural                 93.0%",
        " 8/255 (any point)       61.0%    8/255",
        " 16/255 (any point)      30.0%   16/255",
        "",
        "(any point): broken by the first misclassified point; most papers judge the last",
        "alone, which is weaker",
    ]


def test_a_radius_in_l2_names_its_norm() -> None:
    lines = shown(norm="l2")
    assert "space           pixel, l2" in lines
    assert any(line.startswith(" L2 8/255 ") for line in lines)


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("space", ["pixel", "released-code"])
def test_the_widest_report_fits_the_terminal_with_whole_words(width: int, space: str) -> None:
    robust = [
        {
            **FIGURE,
            "space": space,
            "defence": "bit-depth:4",
            "knowledge": knowledge,
            "epsilon": epsilon,
            "step_size": size,
        }
        for epsilon, size in (("8/255", "4/1275"), ("16/255", "8/1275"))
        for knowledge in ("oblivious", "adaptive")
    ]
    lines = lines_of({**REPORT, "robust": robust, "defence": "bit-depth:4"}, width)
    assert max(map(len, lines)) <= width
    assert sum("61.0%" in line and ("oblivious" in line or "adaptive" in line) for line in lines) == 4


def test_a_record_that_says_little_is_shown_as_far_as_it_goes() -> None:
    robust = [{"epsilon": "8/255", "robust_accuracy": 0.61, "attack": "pgd", "steps": 10, "space": "released-code"}]
    text = "\n".join(lines_of({"natural_accuracy": 0.93, "robust": robust}))
    assert all(
        word in text for word in ("natural", "93.0%", "61.0%", "8/255 (no ball)", "PGD, steps 10", "released-code")
    )
    assert "moved up to" not in text


def test_without_a_radius_only_natural_accuracy_is_shown() -> None:
    lines = lines_of({**REPORT, "robust": []})
    assert "attack          NONE" not in lines
    assert lines[-2] == " natural      93.0%"


def test_foreign_text_in_a_report_is_cleaned() -> None:
    foreign = dict.fromkeys(("classifier", "checkpoint", "data", "device", "weights_sha256", "defence"), EVERYTHING)
    keys = ("epsilon", "attack", "steps", "step_size", "space", "norm", "defence", "knowledge", "largest_distance")
    robust = [{**dict.fromkeys(keys, EVERYTHING), "robust_accuracy": 0.5, "seed": seed} for seed in (0, EVERYTHING)]
    lines = lines_of({**foreign, "natural_accuracy": 0.9, "robust": robust})
    assert all(character.isprintable() for line in lines for character in line)


def test_the_sentence_takes_the_largest_of_all_distances_and_the_mean_of_the_means() -> None:
    robust = [
        {"space": "released-code", "largest_distance": 0.4, "mean_distance": 0.2},
        {"space": "released-code", "largest_distance": 0.2, "mean_distance": 0.4},
        {"space": "pixel", "largest_distance": 0.9, "mean_distance": 0.9},
    ]
    (sentence,) = no_ball_sentences(robust)
    assert sentence.endswith("moved them up to 102/255, 76.5/255 on average")


def test_a_detector_is_told_with_what_counts_as_robust() -> None:
    robust = [
        {**FIGURE, "defence": "detector squeezing:median:2 at 5 %", "knowledge": knowledge}
        for knowledge in ("oblivious", "adaptive")
    ]
    text = "\n".join(lines_of({**REPORT, "robust": robust, "detector": DETECTOR}, width=200))
    assert "detector: squeezing:median:2 rejects scores above 1.14" in text
    assert "found no image that fools the classifier and is not rejected" in text
    assert "climbs through it" not in text


def test_over_several_norms_the_worst_case_stands_below_with_its_interval() -> None:
    union = {"robust_accuracy": 0.25, "interval": [0.24, 0.26], "balls": []}
    lines = lines_of({**REPORT, "union": union})
    assert " all of these      25.0%" in [line[:24] for line in lines]
    assert "all of these: worst case per example, 25.0% with a 95 % interval from 24.0% to" in lines
