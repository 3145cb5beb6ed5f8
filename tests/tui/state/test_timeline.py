import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from claf_tui.state.timeline import MAX_POINTS, Timeline, Track
from tests.properties import examples


def track(count: int, every: int = 10, pace: float = 2.0) -> Track:
    found = Track()
    for index in range(count):
        found = found.append(index * every, index * every * pace)
    return found


@examples(30)
@given(st.integers(1, 5000), st.floats(0.01, 100))
def test_a_track_stays_bounded_and_exact_on_a_steady_run(count: int, pace: float) -> None:
    found = track(count, pace=pace)
    assert len(found.points) < MAX_POINTS
    steps = np.array([0.0, 10.0 * (count - 1), 5.0 * (count - 1)])
    assert np.allclose(found.values(steps), steps * pace)
    assert found.points[-1][0] == 10 * (count - 1)


def test_steps_and_values_are_each_other_s_inverse() -> None:
    found = track(50)
    assert np.allclose(found.steps(found.values(np.array([3.0, 77.0, 480.0]))), [3.0, 77.0, 480.0])


def test_beyond_what_is_known_a_track_goes_on_as_it_did() -> None:
    assert track(11).values(np.array([200.0])).tolist() == [400.0]


def test_what_a_resumed_run_takes_again_is_forgotten() -> None:
    timeline = Timeline(clock=track(11), epochs=track(3)).until(40)
    assert timeline.clock.points[-1] == (40, 80.0)
    assert timeline.epochs.points[-1] == (20, 40.0)


def test_nothing_known_is_no_error() -> None:
    assert Track().values(np.array([5.0])).tolist() == [0.0]
