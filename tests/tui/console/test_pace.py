import pytest

from claf_tui.console.pace import SLOWEST, Drawn, is_due

SHARE = 0.02


def num_drawn(cost: float, seconds: float = 60.0, polls_per_second: float = 6.0) -> int:
    """How often it is drawn while each drawing takes so many seconds of a core."""
    drawn, last, cpu = 0, None, 0.0
    for number in range(int(seconds * polls_per_second)):
        now = Drawn(number / polls_per_second, cpu)
        if is_due(last, now, SHARE):
            drawn, last = drawn + 1, now
            cpu += cost
    return drawn


def test_what_is_cheap_is_drawn_at_every_poll() -> None:
    assert num_drawn(0.001) == 360


@pytest.mark.parametrize("cost", [0.004, 0.01, 0.015])
def test_what_is_dear_is_drawn_as_often_as_the_share_affords(cost: float) -> None:
    assert 0.6 * SHARE <= num_drawn(cost) * cost / 60.0 <= SHARE * 1.1


def test_it_is_drawn_every_second_whatever_it_costs() -> None:
    assert num_drawn(0.5) == pytest.approx(60.0 / SLOWEST, abs=1)


def test_the_first_time_is_due_at_once() -> None:
    assert is_due(None, Drawn(0.0, 99.0), SHARE)
