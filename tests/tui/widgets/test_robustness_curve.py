import pytest

from claf_engine.accuracy.curve import Curve
from claf_tui.widgets.robustness_curve import curve_of
from tests.tui.scripted_audit import attack, card


def record() -> dict[str, object]:
    """The curve of two classes of ten images at three radii."""
    rows = ([[9, 1], [2, 8]], [[8, 2], [4, 6]], [[5, 5], [6, 4]], [[1, 9], [8, 2]])
    natural, *robust = rows
    points = [
        {"epsilon": epsilon, "num_attacked": 17, "confusion": confusion}
        for epsilon, confusion in zip(("2/255", "4/255", "8/255"), robust, strict=True)
    ]
    minimal = {"unattacked": 3, "broken": [3, 5, 6], "survivors": 3}
    plain = {"attack": "pgd", "norm": "linf", "space": "pixel", "class_names": ["disc", "ring"], "points": points}
    curve = Curve.from_record({**plain, "natural": {"confusion": natural}, "minimal_perturbation": minimal})
    return {"natural_accuracy": 0.85, "robust": [], "curve": curve.to_record()}


def test_a_measured_curve_begins_with_natural_accuracy_and_has_the_worst_class() -> None:
    curve = curve_of(record())
    assert curve is not None
    assert [point.mean for point in curve.lines[0].curve.points] == [0.85, 0.7, 0.45, 0.15]
    assert [point.mean for point in curve.lines[1].curve.points] == [0.6, 0.4, 0.1]
    assert curve.marks == ((0.0, "0"), (2.0, "2/255"), (4.0, "4/255"), (8.0, "8/255"))


def test_a_card_draws_the_lowest_accuracy_at_each_radius() -> None:
    curve = curve_of(card())
    assert curve is not None
    assert [(point.x, point.mean) for point in curve.lines[0].curve.points] == [
        (0.0, 0.931),
        (4.0, 0.644),
        (8.0, 0.278),
        (16.0, 0.151),
    ]


@pytest.mark.parametrize(
    "made",
    [
        {},
        {"curve": {}},
        card(attacks=[attack("PGD", "8/255", 0.4)]),
        card(attacks=[attack("PGD", "x", 0.4)]),
        card(attacks=3),
    ],
)
def test_too_little_or_odd_data_is_no_curve(made: dict[str, object]) -> None:
    assert curve_of(made) is None
