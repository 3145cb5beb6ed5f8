"""What several processes come to together: the loss, the gradients and the figures of a single one."""

from typing import Any

import numpy as np
import pytest

from claf_engine.compute.world import World
from claf_engine.events.control import Control
from claf_engine.training.agreement import Agreement
from tests.engine.together import together
from tests.engine.training.shared import METHODS, NUM_TRAIN

pytestmark = pytest.mark.slow

CASES = (*METHODS, "rocl", "acl")
Found = dict[int, list[Any]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return together("tests.engine.training.shared:train", (1, 2), tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return together("tests.engine.training.shared:measure", (1, 4), tmp_path_factory.mktemp("measured"))


@pytest.mark.parametrize("case", CASES)
def test_two_processes_have_the_loss_of_one_at_every_step(trained: Found, case: str) -> None:
    alone, first, second = trained[1][0][case], trained[2][0][case], trained[2][1][case]
    assert first["losses"] == second["losses"]
    assert [step[::2] for step in first["losses"]] == [step[::2] for step in alone["losses"]]
    expected = [step[1] for step in alone["losses"]]
    assert [step[1] for step in first["losses"]] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_last_batch_has_an_image_for_one_process_alone(trained: Found) -> None:
    sizes = [step[2] for step in trained[2][1]["at"]["losses"]]
    assert sizes == [8, 8, 8, NUM_TRAIN % 8] == [8, 8, 8, 1]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_have_the_gradients_of_one(trained: Found, case: str) -> None:
    alone, first = trained[1][0][case]["gradients"], trained[2][0][case]["gradients"]
    assert first.keys() == alone.keys()
    for part, gradient in alone.items():
        difference = np.linalg.norm(np.subtract(first[part], gradient))
        assert 0 < difference <= 1e-5 * np.linalg.norm(gradient), part


@pytest.mark.parametrize("case", CASES)
def test_processes_that_trained_together_hold_the_same_state(trained: Found, case: str) -> None:
    assert trained[2][0][case]["state"] == trained[2][1][case]["state"]


def test_four_processes_ask_the_network_about_every_test_image_once(measured: Found) -> None:
    alone = measured[1][0]["seen"]
    assert sorted(set(alone)) == list(range(43)), "the control: one process asks about all of them"
    together_seen = [image for process in measured[4] for image in process["seen"]]
    assert sorted(together_seen) == sorted(alone)
    assert all(process["seen"] for process in measured[4])


@pytest.mark.parametrize("what", ["natural", "robust", "outcomes", "features"])
def test_four_processes_measure_what_one_measures_bit_by_bit(measured: Found, what: str) -> None:
    assert [process[what] for process in measured[4]] == [measured[1][0][what]] * 4


def test_the_gradient_of_gathered_rows_is_exact(measured: Found) -> None:
    (alone,) = measured[1]
    parts = [process["gradient"] for process in measured[4]]
    for rank, part in enumerate(parts):
        np.testing.assert_allclose(part, alone["gradient"][rank::4], rtol=0, atol=1e-12)
    assert len(parts[3]) == 1, "the control: uneven"


def test_bytes_of_the_first_process_reach_all(measured: Found) -> None:
    assert [process["sent"] for process in measured[4]] == [bytes(range(200)).hex()] * 4


def test_all_processes_refuse_when_one_has_other_images(measured: Found) -> None:
    assert measured[1][0]["refused"] == ""
    sentence = "the images of process 3 are not those of process 0; all machines need the same files"
    assert [process["refused"] for process in measured[4]] == [sentence] * 4


def test_all_processes_do_what_the_first_was_asked_and_stop_when_any_is_to(measured: Found) -> None:
    nothing = [False, False, []]
    assert [process["agreed"] for process in measured[4]] == [
        [
            ["running", False, *nothing],
            ["pausing", False, *nothing],
            True,
            ["running", False, True, False, [["learning_rate", 0.5]]],
            ["stopping", True, *nothing],
        ]
    ] * 4


def test_a_process_that_is_not_paused_does_not_wait_for_the_others() -> None:
    assert Agreement(Control(), World()).wait_while_paused(5) == 0
