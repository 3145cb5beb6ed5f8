from hypothesis import given
from hypothesis import strategies as st

from claf_tui.charts.view import (
    LEAST_SPAN,
    Extent,
    View,
    followed,
    moved_cursor,
    next_x_axis,
    panned,
    reset,
    smoothed,
    window,
    with_cursor,
    zoomed,
)
from tests.properties import examples

RUN = Extent(0.0, 1000.0)
ACTIONS = ("in", "out", "left", "right", "cursor left", "cursor right", "follow", "point")


def test_a_new_view_shows_everything() -> None:
    assert window(View(), RUN) == RUN


def test_zooming_while_following_keeps_the_newest_step_at_the_edge() -> None:
    view = zoomed(View(), RUN, 2.0)
    assert window(view, RUN) == Extent(500.0, 1000.0)
    assert window(view, Extent(0.0, 1200.0)) == Extent(700.0, 1200.0)


def test_zooming_keeps_the_step_under_the_cursor_in_its_place() -> None:
    view = zoomed(with_cursor(View(), RUN, 250.0), RUN, 4.0)
    assert window(view, RUN) == Extent(187.5, 437.5)


def test_a_view_that_was_moved_to_earlier_steps_stays_there_while_the_run_goes_on() -> None:
    view = panned(zoomed(View(), RUN, 4.0), RUN, -1.0)
    assert window(view, RUN) == window(view, Extent(0.0, 5000.0)) == Extent(500.0, 750.0)
    assert followed(view).follows


def test_moving_to_the_right_edge_follows_again() -> None:
    assert panned(panned(zoomed(View(), RUN, 4.0), RUN, -1.0), RUN, 5.0).follows


def test_zooming_out_far_enough_shows_everything_again() -> None:
    assert zoomed(zoomed(View(), RUN, 8.0), RUN, 1 / 8).is_whole


def test_the_cursor_begins_at_the_newest_step_and_moves_by_columns() -> None:
    begun = moved_cursor(View(), RUN, -1, 100)
    assert begun.cursor == 1000.0
    assert moved_cursor(begun, RUN, -3, 100).cursor == 970.0


def test_what_is_shown_moves_along_with_the_cursor() -> None:
    view = with_cursor(zoomed(View(), RUN, 4.0), RUN, 100.0)
    assert window(view, RUN) == Extent(100.0, 350.0)


def test_reset_takes_back_zoom_and_cursor_and_keeps_the_axis() -> None:
    view = next_x_axis(zoomed(with_cursor(View(), RUN, 10.0), RUN, 4.0))
    assert reset(view) == View(x_axis="epoch")


def test_the_axis_goes_round() -> None:
    assert next_x_axis(next_x_axis(next_x_axis(View()))) == View()


def test_smoothing_ends_at_none_and_at_most() -> None:
    view = View()
    for _ in range(20):
        view = smoothed(view, -1)
    assert view.smoothing == 0
    for _ in range(20):
        view = smoothed(view, 1)
    assert view.smoothing == 5


@examples(100)
@given(
    st.lists(st.tuples(st.sampled_from(ACTIONS), st.floats(-2e4, 2e4)), max_size=25),
    st.floats(1, 1e7),
)
def test_no_sequence_of_keys_leaves_what_there_is(actions: list[tuple[str, float]], last: float) -> None:
    extent, view = Extent(0.0, last), View()
    for name, amount in actions:
        match name:
            case "in":
                view = zoomed(view, extent, 2.0)
            case "out":
                view = zoomed(view, extent, 0.5)
            case "left" | "right":
                view = panned(view, extent, amount)
            case "cursor left" | "cursor right":
                view = moved_cursor(view, extent, int(amount), 80)
            case "follow":
                view = followed(view)
            case "point":
                view = with_cursor(view, extent, amount)
        shown = window(view, extent)
        slack = 1e-6 * extent.span
        assert extent.first - slack <= shown.first < shown.last <= extent.last + slack
        assert view.is_whole or shown.span >= min(LEAST_SPAN, extent.span) - slack
        assert view.cursor is None or extent.first <= view.cursor <= extent.last
    assert window(reset(view), extent) == extent
