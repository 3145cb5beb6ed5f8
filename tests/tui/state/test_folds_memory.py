from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_tui.state import RunState, reduce
from tests.tui.scripted_long import FLAT, MANY, SETTLED, growth_of


class Folder:
    """Folds events, and may keep each of them."""

    def __init__(self, *, leaks: bool) -> None:
        self.state = RunState()
        self._leaks = leaks
        self._leaked: list[ev.Event] = []

    def __call__(self, event: ev.Event) -> None:
        self.state = reduce(self.state, event)
        if self._leaks:
            self._leaked.append(event)


@pytest.mark.slow
def test_the_state_of_a_long_run_stays_as_large_as_it_is_after_a_while(tmp_path: Path) -> None:
    folder = Folder(leaks=False)
    assert growth_of(folder, tmp_path) < FLAT
    assert folder.state.step > MANY - 10


def test_a_state_that_kept_events_would_be_seen_to_grow(tmp_path: Path) -> None:
    assert growth_of(Folder(leaks=True), tmp_path, num_events=4 * SETTLED) > 3 * FLAT
