from claf_engine.compute.machine import MachineSample
from claf_engine.runs import Holder
from claf_tui.state.machine import MAX_SAMPLES, MachineState, whereabouts


def test_looks_are_kept_for_a_while_only() -> None:
    state = MachineState()
    for number in range(MAX_SAMPLES + 5):
        state = state.heard(MachineSample(number / 100, 2, 1, 2))
    assert len(state.samples) == MAX_SAMPLES
    assert state.newest is not None
    assert state.newest.load == (MAX_SAMPLES + 4) / 100


def test_a_run_on_this_machine_is_looked_at_by_its_process() -> None:
    found = whereabouts(Holder(41, "here"), is_training=True, host="here")
    assert (found.pid, found.note) == (41, "")
    assert "41" in found.owner


def test_the_machine_of_a_run_that_belongs_to_another_host_is_not_the_one_that_is_shown() -> None:
    found = whereabouts(Holder(41, "there"), is_training=True, host="here")
    assert found.pid is None
    assert "here" in found.note
    assert "the run belongs to there" in found.note


def test_the_process_of_a_run_that_nobody_trains_is_not_looked_at() -> None:
    found = whereabouts(Holder(41, "here"), is_training=False, host="here")
    assert found.pid is None
    assert "no process trains this run" in found.note


def test_a_run_that_does_not_tell_its_process_is_looked_at_from_this_one() -> None:
    found = whereabouts(Holder(None, None), is_training=True, host="here")
    assert (found.pid, found.owner, found.note) == (None, "this console", "")
