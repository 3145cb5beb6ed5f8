import pytest

from claf_tui.screens.space import PANELS, Space, space_of

BUDGET = {
    (80, 24): (Space("probe"), (19, 0)),
    (100, 28): (Space("probe", ("loss", "method")), (11, 12)),
    (140, 45): (Space("probe", ("loss", "method", "log")), (20, 20)),
    (200, 60): (Space("probe", ("loss", "method", "log"), has_table=True), (27, 28)),
}


@pytest.mark.parametrize(("size", "budget"), BUDGET.items())
def test_each_size_has_its_panels_and_rows(size: tuple[int, int], budget: tuple[Space, tuple[int, int]]) -> None:
    space = space_of(*size, "probe")
    assert space == budget[0]
    assert space.rows(size[1]) == budget[1]


@pytest.mark.parametrize("panel", PANELS)
def test_where_there_is_room_for_one_panel_it_is_the_chosen_one(panel: str) -> None:
    assert space_of(80, 24, panel).panels == (panel,)
    assert space_of(200, 60, panel, is_maximised=True).panels == (panel,)


def test_a_summary_at_the_end_leaves_one_panel_on_a_low_screen() -> None:
    assert space_of(140, 30, "probe", has_ended=True).panels == ("probe",)
    assert len(space_of(140, 45, "probe", has_ended=True).panels) == 4
