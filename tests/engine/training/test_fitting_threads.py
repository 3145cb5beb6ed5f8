from dataclasses import replace
from pathlib import Path

import pytest
import torch

from claf_engine import events as ev
from claf_engine.compute.core_share import PATIENCE_TO_SHRINK, Reading
from claf_engine.compute.world import World
from claf_engine.config import RuntimeConfig
from claf_engine.runs import create_run, list_checkpoints
from claf_engine.training import fitting_threads
from claf_engine.training.fitting_threads import FittingThreads
from tests.engine.tiny import FP32, play, tiny_config, use_tiny_data

TWO = replace(FP32, threads=2)
ASIDE = RuntimeConfig(device="cpu")

pytestmark = pytest.mark.usefixtures("threads_put_back")


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of two cores on which this process has one and a quarter, and nobody leaves any."""
    moments = iter(range(10_000))
    monkeypatch.setattr(fitting_threads, "read", lambda: Reading(2.0 * (at := next(moments)), 2.5 * at, 7.0))
    for module in ("claf_engine.compute.device", "claf_engine.training.fitting_threads"):
        monkeypatch.setattr(f"{module}.usable_cores", lambda: 2)
    monkeypatch.setattr("claf_engine.training.conductor.FIT_SECONDS", 0.0)


@pytest.mark.usefixtures("busy")
def test_on_a_busy_machine_threads_become_fewer() -> None:
    torch.set_num_threads(2)
    threads = FittingThreads(TWO, ASIDE)
    looks = [threads.look() for _ in range(PATIENCE_TO_SHRINK + 2)]
    assert [look is None for look in looks] == [True, False, True, True]
    assert looks[1] is not None
    assert looks[1].threads == torch.get_num_threads() == 1


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    ("compute", "runtime"),
    [
        (TWO, ASIDE.model_copy(update={"threads": 2})),
        (replace(TWO, device=torch.device("meta")), ASIDE),
        (replace(TWO, world=World(0, 2, 0, 2)), ASIDE),
    ],
    ids=["asked for", "accelerator", "several processes"],
)
def test_threads_that_are_not_ours_to_choose_stay(compute: object, runtime: RuntimeConfig) -> None:
    torch.set_num_threads(2)
    threads = FittingThreads(compute, runtime)  # type: ignore[arg-type]
    assert [threads.look() for _ in range(5)] == [None] * 5
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("busy")
def test_a_run_tells_that_it_goes_on_with_fewer_threads_and_its_checkpoint_says_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changes(threads: int | None) -> tuple[list[tuple[int, int]], int]:
        """Threads before and after each change, and those that the newest checkpoint tells of."""
        config = tiny_config(method="at", runtime__threads=threads)
        directory = create_run(tmp_path, f"with-{threads}", config, [])
        found = [(each.old, each.new) for each in play(directory) if isinstance(each, ev.ThreadsChanged)]
        newest = list_checkpoints(directory.path)[0].info
        assert newest is not None
        return found, newest.metadata["claf.compute"]["threads"]

    use_tiny_data(monkeypatch)
    assert changes(None) == ([(2, 1)], 1)
    assert changes(2) == ([], 2), "the control: as many as were asked for"
