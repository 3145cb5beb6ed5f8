import pytest

from claf_tui.screens.checkpoints.space import AROUND, browser_space
from tests.tui.consoles import SIZES


@pytest.mark.parametrize(("size", "rows"), [((80, 24), 8), ((100, 28), 10), ((140, 45), 17), ((200, 60), 23)])
def test_a_long_list_has_its_share_of_the_rows(size: tuple[int, int], rows: int) -> None:
    assert browser_space(*size, 500).list_rows == rows


@pytest.mark.parametrize("size", SIZES)
def test_a_short_list_takes_no_row_that_it_does_not_need(size: tuple[int, int]) -> None:
    assert browser_space(*size, 4).list_rows == 7


@pytest.mark.parametrize("height", range(12, 80))
def test_the_tensors_have_the_larger_part(height: int) -> None:
    for num_checkpoints in (0, 1, 3, 10, 200):
        rows = browser_space(140, height, num_checkpoints).list_rows
        assert rows <= max(6, (height - AROUND) / 2)


def test_on_a_narrow_screen_names_have_more_room_than_statistics() -> None:
    assert browser_space(80, 24, 3).tree_share == 0.6
    assert browser_space(140, 45, 3).tree_share == 0.5
