from pathlib import Path

from claf_engine import events as ev
from claf_engine.runs.journal import Journal
from claf_tui.state import RunState, reduce
from claf_tui.state.full_curves import FullReader, is_gathered
from tests.tui.scripted import run_started

NUM_STEPS = 3000


def steps(first: int, last: int) -> list[ev.StepLogged]:
    return [ev.StepLogged(n, 0, 1, "encoder", "supcon", float(n % 17), 0.1, None, 1.0 * n) for n in range(first, last)]


def test_a_journal_shows_every_step_that_memory_has_gathered(tmp_path: Path) -> None:
    journal, state = Journal(tmp_path), reduce(RunState(), run_started(tmp_path))
    journal.open()
    for event in steps(1, NUM_STEPS):
        journal.append(event)
        state = reduce(state, event)
    journal.close()
    assert is_gathered(state)
    (key, series), full = next(iter(state.losses.items())), FullReader(tmp_path).read()
    assert len(series.arrays) < len(full.losses[key].arrays) == NUM_STEPS - 1
    assert full.losses[key].arrays.mean.tolist() == [float(n % 17) for n in range(1, NUM_STEPS)]
    assert full.losses[key].latest == series.latest
    assert len(full.rates[0].arrays) == NUM_STEPS - 1


def test_a_journal_to_which_nothing_was_added_gives_the_same_curves(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.open()
    journal.append(steps(1, 2)[0])
    reader = FullReader(tmp_path)
    first = reader.read()
    assert reader.read() is first
    journal.append(steps(2, 3)[0])
    assert reader.read() is not first
    journal.close()


def test_a_short_run_has_nothing_to_read_again(tmp_path: Path) -> None:
    state = reduce(RunState(), run_started(tmp_path))
    for event in steps(1, 500):
        state = reduce(state, event)
    assert not is_gathered(state)
