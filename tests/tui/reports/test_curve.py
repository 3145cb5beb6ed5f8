import io
import json
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console

from claf_engine.accuracy.curve import Curve, CurveError, CurvePoint, MinimalPerturbations
from claf_tui.charts.plot import Row
from claf_tui.reports.curve import (
    ALL_COLOR,
    WORST_COLOR,
    claim_number,
    confusion_sentence,
    curve_chart,
    curve_tables,
    quartile_sentence,
)
from claf_tui.reports.evaluation import evaluation_tables
from claf_tui.words.attack_words import NO_BALL
from tests.tui.hostile import EVERYTHING
from tests.tui.reports.test_evaluation import FIGURE, REPORT

NAMES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RADII = ("0/255", "2/255", "4/255", "6/255", "8/255", "10/255", "12/255", "14/255", "16/255")
LOST = (0, 4, 8, 16, 30, 44, 60, 72, 80)
"""Of a hundred examples of each class, those that are taken for the next one; of cats four more at every radius."""


def confusion(lost: int, extra: int, size: int = 10) -> tuple[tuple[int, ...], ...]:
    rows = []
    for true in range(size):
        wrong = lost + (extra if true == 3 else 0)
        rows.append(tuple({true: 100 - wrong, (true + 1) % size: wrong}.get(column, 0) for column in range(size)))
    return tuple(rows)


def curve_of(**changes: Any) -> Curve:
    """A curve in which 20 cats are misclassified unattacked, and which falls to 20 %, of cats to nothing."""
    matrices = [confusion(lost, min(20, 100 - lost)) for lost in LOST]
    wrong = [sum(sum(row) for row in matrix) - sum(row[i] for i, row in enumerate(matrix)) for matrix in matrices]
    broken = tuple(after - before for before, after in zip([20, *wrong], wrong, strict=False))
    points = tuple(
        CurvePoint(radius, 1000 - before, matrix)
        for radius, before, matrix in zip(RADII, [20, *wrong], matrices, strict=False)
    )
    values: dict[str, Any] = {"attack": "pgd", "norm": "linf", "space": "pixel", "class_names": NAMES}
    minimal = MinimalPerturbations(RADII, 20, broken, 1000 - wrong[-1])
    return Curve(**{**values, "natural": matrices[0], "points": points, "minimal": minimal, **changes})


def record_of(curve: Curve) -> dict[str, Any]:
    robust = [
        {**FIGURE, "epsilon": point.epsilon, "space": curve.space, "norm": curve.norm, "largest_distance": 0.031373}
        for point in curve.points
    ]
    return {**REPORT, "robust": robust, "curve": json.loads(json.dumps(curve.to_record()))}


def lines_of(*renderables: Any, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, markup=False)
    console.print(*renderables, sep="\n")
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def shown(curve: Curve, width: int = 80) -> list[str]:
    return lines_of(*curve_tables(record_of(curve)), width=width)


def test_every_radius_has_its_accuracy_its_worst_class_and_what_breaks_there() -> None:
    lines = shown(curve_of())
    assert lines[:13] == [
        "",
        " epsilon  accuracy  worst class  broken here  share  attacked  moved",
        " ───────────────────────────────────────────────────────────────────",
        " natural  98.0%     cat 80.0%    20           2.0%",
        " 0/255    98.0%     cat 80.0%    0            0.0%   980       8/255",
        " 2/255    94.0%     cat 76.0%    40           4.0%   980       8/255",
        " 4/255    90.0%     cat 72.0%    40           4.0%   940       8/255",
        " 6/255    82.0%     cat 64.0%    80           8.0%   900       8/255",
        " 8/255    68.0%     cat 50.0%    140          14.0%  820       8/255",
        " 10/255   54.0%     cat 36.0%    140          14.0%  680       8/255",
        " 12/255   38.0%     cat 20.0%    160          16.0%  540       8/255",
        " 14/255   26.0%     cat 8.0%     120          12.0%  380       8/255",
        " 16/255   18.0%     cat 0.0%     80           8.0%   260       8/255",
    ]
    assert lines[13] == " survive                         180          18.0%"


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("space", ["pixel", "released-code"])
def test_the_report_fits_the_terminal(width: int, space: str) -> None:
    lines = shown(curve_of(space=space), width)
    assert max(map(len, lines)) <= width
    assert any(line.startswith(" cat ") and line.endswith("worst at 8/255") for line in lines)


def test_the_chart_has_the_radii_under_it_and_both_curves_fall() -> None:
    rows = ["".join(text for text, _ in row) for row in curve_chart(curve_of(), 80, 16)]
    assert len(rows) == 16
    assert max(map(len, rows)) <= 80
    assert rows[0] == "● all classes 18.0%  ● worst class, below 0.0%"
    assert rows[-1].split() == ["ε", *RADII]
    columns = {style: drawn_rows(curve_chart(curve_of(), 80, 16), style) for style in (ALL_COLOR, WORST_COLOR)}
    for heights in columns.values():
        assert len(heights) > 60, "a curve goes across the whole chart"
        assert heights[min(heights)] < heights[max(heights)], "and falls"


def drawn_rows(rows: list[Row], style: str) -> dict[int, int]:
    """The row of the uppermost cell of a curve in each column that it covers."""
    found: dict[int, int] = {}
    for number, row in enumerate(rows[1:]):
        column = 0
        for text, name in row:
            if name == style:
                found |= {place: number for place in range(column, column + len(text)) if place not in found}
            column += len(text)
    return found


def test_where_radius_0_was_not_attacked_the_chart_begins_with_natural_accuracy() -> None:
    whole = curve_of()
    minimal = MinimalPerturbations(RADII[4:], 20, (300, *whole.minimal.broken[5:]), 180)
    for space, first in (("pixel", "0"), ("released-code", "8/255")):
        curve = curve_of(points=whole.points[4:], minimal=minimal, space=space)
        foot = "".join(text for text, _ in curve_chart(curve, 80, 16)[-1])
        assert foot.split()[:2] == ["ε", first]


def test_the_chart_fits_wherever_it_is_drawn() -> None:
    for width in range(1, 150, 7):
        for row in curve_chart(curve_of(), width, 12):
            assert sum(len(text) for text, _ in row) <= width


def test_classes_are_shown_at_a_few_radii_that_hold_the_claims_and_the_last() -> None:
    heading = next(line for line in shown(curve_of()) if line.startswith(" class"))
    radii = heading.split()[3:]
    assert {"8/255", "16/255"} <= set(radii)
    assert "4 of 9 radii; --json has all" in shown(curve_of())


@pytest.mark.parametrize(("norm", "radii", "number"), [("linf", RADII, 4), ("linf", RADII[:4], 3), ("l2", RADII, 8)])
def test_classes_are_shown_at_the_usual_claim_or_else_at_the_largest_radius(
    norm: str, radii: tuple[str, ...], number: int
) -> None:
    assert claim_number(curve_of(norm=norm, points=curve_of().points[: len(radii)])) == number


def test_the_confusion_matrix_names_its_rows_and_its_columns_where_there_is_room() -> None:
    narrow, wide = shown(curve_of(), 60), shown(curve_of(), 80)
    assert "confusion at 8/255: rows are true classes, columns predicted ones" in wide
    assert any(line.split() == [*map(str, range(10))] for line in narrow)
    assert any(line.split() == ["3", "cat", "·", "·", "·", "50", "50", *"·····"] for line in narrow)
    assert any(line.split() == [*NAMES] for line in wide)
    assert any(line.split() == ["cat", "·", "·", "·", "50", "50", *"·····"] for line in wide)


def test_classes_of_one_name_are_told_apart_by_their_numbers() -> None:
    lines = shown(curve_of(class_names=("same",) * 10), 140)
    assert any(line.split() == [*map(str, range(10))] for line in lines)


def test_the_most_frequent_confusions_are_named() -> None:
    assert confusion_sentence(curve_of(), 4) == (
        "most often mistaken: cat for deer 50 (50%), plane for car 30 (30%), car for bird 30 (30%)"
    )


def test_quartiles_say_how_large_a_perturbation_is_needed() -> None:
    assert quartile_sentence(curve_of()) == (
        "examples are misclassified: a quarter at 8/255, half at 12/255, three quarters at 16/255"
    )
    strong = curve_of(minimal=MinimalPerturbations(RADII, 300, (0,) * 9, 700))
    assert quartile_sentence(strong) == (
        "examples are misclassified: a quarter at 0/255, half beyond 16/255, three quarters beyond 16/255"
    )


def test_the_report_says_why_a_curve_in_a_ball_never_rises() -> None:
    text = " ".join(shown(curve_of()))
    assert "counts as broken at all larger ones" in text
    assert "upper bounds" in text
    assert NO_BALL not in text


def test_without_a_ball_every_figure_is_marked_and_nothing_is_said_to_carry_over() -> None:
    lines = shown(curve_of(space="released-code"))
    text = " ".join(lines)
    assert "without a ball nothing carries over" in text
    assert "counts as broken at all larger ones" not in text
    assert all(any(line.startswith(f" {radius} {NO_BALL}") for line in lines) for radius in RADII)
    assert any(line.startswith(f"● all classes {NO_BALL} 18.0%") for line in lines)
    assert f"accuracy of every class, natural and at each radius {NO_BALL}" in lines


def test_a_step_size_that_differs_from_radius_to_radius_is_a_column() -> None:
    record = record_of(curve_of())
    for number, figure in enumerate(record["robust"]):
        figure["step_size"] = f"{number}/255"
    heading = lines_of(*curve_tables(record), width=140)[1]
    assert "step size" in heading
    assert "step size" not in shown(curve_of(), 140)[1]


def test_a_single_step_of_epsilon_needs_no_column() -> None:
    record = record_of(curve_of())
    for figure in record["robust"]:
        figure["step_size"] = figure["epsilon"]
    assert "step size" not in lines_of(*curve_tables(record), width=140)[1]


def test_of_many_classes_the_worst_are_shown_and_the_rest_is_told() -> None:
    size, names = 30, tuple(f"class {number}" for number in range(30))
    matrix = confusion(5, 20, size)
    minimal = MinimalPerturbations(("8/255",), 170, (0,), 2830)
    curve = Curve("pgd", "linf", "pixel", names, matrix, (CurvePoint("8/255", 2830, matrix),), minimal)
    lines = shown(curve)
    assert sum(line.startswith(" class ") and "100" in line for line in lines) == 20
    assert any(line.startswith(" class 3 ") and line.endswith("worst at 8/255") for line in lines)
    assert "the 20 worst of 30 classes; --json has all" in lines
    assert "  30 classes have no room here; --json has all" in lines


def test_foreign_class_names_are_cleaned() -> None:
    lines = shown(curve_of(class_names=(EVERYTHING, *NAMES[1:])), 140)
    assert all(character.isprintable() for line in lines for character in line)


def test_an_evaluation_with_a_curve_shows_it_in_place_of_the_table_of_figures() -> None:
    lines = lines_of(*evaluation_tables(record_of(curve_of(space="released-code"))), width=80)
    assert lines[0].startswith("checkpoint ")
    assert sum("98.0%" in line and " natural " in line for line in lines) == 1
    assert any(line.startswith(f"{NO_BALL}: not accuracy in an epsilon-ball") for line in lines)


def test_a_record_that_is_no_curve_is_refused() -> None:
    with pytest.raises(CurveError, match="not a robustness curve"):
        curve_tables({**REPORT, "curve": {}})


def test_a_curve_is_drawn_without_torch_and_without_textual() -> None:
    code = "import sys, claf_tui.reports.curve; sys.exit(bool({'torch', 'textual'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
