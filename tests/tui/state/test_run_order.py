import pytest

from claf_tui.state.run_order import COLUMNS, Column, Order, ordered
from tests.engine.runs.listed import HOUR, NOW, listed

RUNS = [
    listed("20270101-000000-b", begun=NOW - 3 * HOUR, robust=0.4, method="scl"),
    listed("20270101-000000-a", begun=NOW - 2 * HOUR, robust=0.5, method="at", natural=0.7),
    listed("20270101-000000-d", "running", begun=NOW - 9 * HOUR, robust=None, fraction=0.5, data="shapes"),
    listed("20270101-000000-c", "interrupted", begun=NOW - 1 * HOUR, robust=0.1, fraction=0.9),
]


def names(order: Order) -> str:
    return "".join(run.name[-1] for run in ordered(RUNS, order))


@pytest.mark.parametrize(
    ("column", "expected", "turned"),
    [
        ("age", "dcab", "dbac"),
        ("state", "dcab", "abcd"),
        ("name", "abcd", "dcba"),
        ("method", "acdb", "bcda"),
        ("data", "cabd", "dcab"),
        ("progress", "cdab", "dcab"),
        ("natural", "cbda", "acbd"),
        ("robust", "abcd", "cbad"),
    ],
)
def test_runs_are_sorted_by_each_column_and_the_other_way_round(column: Column, expected: str, turned: str) -> None:
    assert (names(Order(column)), names(Order(column, is_reversed=True))) == (expected, turned)


def test_every_column_is_tried() -> None:
    assert COLUMNS == ("age", "state", "name", "method", "data", "progress", "natural", "robust")


def test_a_state_that_is_not_known_comes_last() -> None:
    assert ordered([listed(status="\x1b[2J"), *RUNS], Order("state"))[-1].status == "\x1b[2J"
