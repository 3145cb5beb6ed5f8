"""The charts of the page: bars like Figure 1, robustness curves, dissociation, the released-code effect, cost."""

from fractions import Fraction

from claf_engine.reproduce.bars_svg import Bar, Group, bar_chart
from results.charts import Mark, Series, line_chart, scatter_chart
from results.evidence import (
    NATURAL,
    RECIPE,
    RELEASED,
    TABLE1,
    Evidence,
    Record,
    decisive,
    figure_of,
    is_autoattack,
    labels_of_runs,
    longest_pgd,
    measured_rows,
    paper_of,
)

FIGURE1, CURVES, DISSOCIATION, CLAIM, COST = "figure1", "curves", "dissociation", "released-code", "cost"


def pictures(evidence: Evidence) -> dict[str, str]:
    """Every chart for which there are numbers, by name."""
    table1, released = evidence.tables.get(TABLE1), evidence.tables.get(RELEASED)
    drawn = {
        FIGURE1: _figure1(table1) if table1 and measured_rows(table1) else "",
        CURVES: _curves(evidence) if evidence.curves else "",
        DISSOCIATION: _dissociation(evidence) if evidence.dissociation else "",
        CLAIM: _claim(released) if released and measured_rows(released) else "",
        COST: _cost(evidence),
    }
    return {name: text for name, text in drawn.items() if text}


def costs(evidence: Evidence) -> list[Mark]:
    """What each row of the tables in pixel space spends on an image, and what it keeps under the decisive attack."""
    marks: dict[str, Mark] = {}
    for name in (TABLE1, RECIPE):
        if (found := evidence.tables.get(name)) is None or (column := decisive(found)) is None:
            continue
        for row in measured_rows(found):
            if (kept := figure_of(row, column)) is not None:
                mark = Mark(row["label"], row["units_per_image"], kept.share, kept.low, kept.high)
                marks.setdefault(row["label"], mark)
    return list(marks.values())


def _figure1(found: Record) -> str:
    columns = [column for column in range(NATURAL, 2) if column < len(found["columns"])]
    return bar_chart(
        "Figure 1 again, small, in the epsilon-ball", [_group(found, row, columns) for row in found["rows"]]
    )


def _group(found: Record, row: Record, columns: list[int]) -> Group:
    titles = ["natural" if column == NATURAL else found["columns"][column] for column in columns]
    bars = (
        Bar(title, figure.share if (figure := figure_of(row, column)) else None, paper_of(row, column))
        for title, column in zip(titles, columns, strict=True)
    )
    return Group(row["label"], tuple(bars))


def _claim(found: Record) -> str:
    """What rows show in the released code's space beside what the same networks keep in the ball, at 8/255."""
    auto = next((column for column in range(len(found["columns"])) if is_autoattack(found, column)), None)
    titles, columns = ["in its own space", "PGD in the ball", "AutoAttack"], [0, longest_pgd(found), auto]
    groups = [
        Group(
            row["label"],
            tuple(
                Bar(title, _share(row, each), paper_of(row, 0) if each == 0 else None)
                for title, each in zip(titles, columns, strict=True)
            ),
        )
        for row in found["rows"]
    ]
    return bar_chart("Claimed at 8/255, and kept in the ball", groups)


def _share(row: Record, column: int | None) -> float | None:
    figure = None if column is None else figure_of(row, column)
    return None if figure is None else figure.share


def _curves(evidence: Evidence) -> str:
    labels = labels_of_runs(evidence)
    series = [Series(labels.get(run, run), curve_points(record)) for run, record in evidence.curves.items()]
    return line_chart("Accuracy over the radius of the attack", "epsilon, in 255ths", "accuracy", series)


def curve_points(record: Record) -> tuple[tuple[float, float], ...]:
    """The points of a robustness curve: radii in 255ths, and shares; natural accuracy at 0."""
    curve = record["curve"]
    points = [(255 * float(Fraction(point["epsilon"])), point["robust_accuracy"]) for point in curve["points"]]
    attacked = [point for point in points if point[0] > 0]
    return ((0.0, curve["natural"]["accuracy"]), *attacked)


def _dissociation(evidence: Evidence) -> str:
    labels, series = labels_of_runs(evidence), []
    for run, record in evidence.dissociation.items():
        name = labels.get(run, run) if len(evidence.dissociation) > 1 else ""
        told = record["dissociation"]
        series.append(Series(f"{name} retrained".strip(), tuple((item["epoch"], item["fitted"]) for item in told)))
        series.append(Series(f"{name} not retrained".strip(), tuple((item["epoch"], item["moved"]) for item in told)))
    title = "The attack classifier before and after the encoder moves on"
    return line_chart(title, "epoch of the encoder", "accuracy on attacked validation images", series)


def _cost(evidence: Evidence) -> str:
    marks = costs(evidence)
    attack = _attack_of_costs(evidence)
    upward = f"accuracy, {attack}; dashed: the frontier, of rows that none as cheap reaches"
    return scatter_chart("Cost against robustness", "forward-units an image", upward, marks) if marks else ""


def _attack_of_costs(evidence: Evidence) -> str:
    found = evidence.tables.get(TABLE1) or evidence.tables.get(RECIPE)
    column = None if found is None else decisive(found)
    return "" if found is None or column is None else str(found["columns"][column])
