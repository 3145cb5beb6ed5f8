"""Processes that train together are edited and paused at one step, and go on from there to the same bits."""

from typing import Any

import pytest

from tests.engine.together import together
from tests.engine.training.edited import EDITED_AT, PAUSED_AT, RATE

pytestmark = pytest.mark.slow

Found = dict[int, list[Any]]


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return together("tests.engine.training.edited:edit", (1, 2), tmp_path_factory.mktemp("edited"))


def test_two_processes_take_an_edit_and_a_pause_at_the_steps_that_one_does(edited: Found) -> None:
    (alone,), both = edited[1], edited[2]
    for each in (alone, *both):
        assert each["whole"]["edited"] == [EDITED_AT]
        assert each["whole"]["paused"] == [PAUSED_AT]
        assert each["whole"]["ended"] == ["finished"]


def test_two_processes_that_are_edited_have_losses_and_rates_of_one(edited: Found) -> None:
    (alone,), both = edited[1], edited[2]
    rates = [rate for _, _, rate in alone["whole"]["losses"]]
    assert rates[EDITED_AT] <= RATE < rates[EDITED_AT - 1], "the control: the edit changed the learning rate"
    for each in both:
        assert [step[::2] for step in each["whole"]["losses"]] == [step[::2] for step in alone["whole"]["losses"]]
        expected = [loss for _, loss, _ in alone["whole"]["losses"]]
        assert [loss for _, loss, _ in each["whole"]["losses"]] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_two_processes_that_are_edited_stopped_and_resumed_come_to_the_same_bits(edited: Found) -> None:
    first, second = edited[2]
    assert first["stopped"]["ended"] == second["stopped"]["ended"] == ["stopped", "finished"]
    assert first["stopped"]["losses"] == first["whole"]["losses"]
    assert first["stopped"]["outcome"] == first["whole"]["outcome"] != ""
