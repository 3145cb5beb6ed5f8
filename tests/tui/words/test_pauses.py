import pytest

from claf_tui.words.pauses import coming_pause


@pytest.mark.parametrize(
    ("unit", "count", "text"),
    [
        ("steps", 1200, "pauses in 1,200 steps"),
        ("steps", 1, "pauses in 1 step"),
        ("epoch", 1, "pauses after this epoch"),
        ("phase", 1, "pauses after this phase"),
        ("", 0, ""),
        ("steps", -3, ""),
        ("\x1b[2J", 5, ""),
    ],
)
def test_a_pause_that_is_to_come_reads_as_it_is_and_a_foreign_one_as_none(unit: str, count: int, text: str) -> None:
    assert coming_pause(unit, count) == text
