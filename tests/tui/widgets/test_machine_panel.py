from dataclasses import replace

import pytest

from claf_engine.compute.machine import GpuSample, MachineSample, ProcessSample
from claf_tui.state.machine import MachineState
from claf_tui.widgets.machine_panel import SPARKS, machine_lines, spark
from tests.tui.hostile import EVERYTHING
from tests.tui.widgets.folded import plain

GIB = 2**30
SAMPLE = MachineSample(
    load=0.83,
    num_cores=16,
    memory_used=10 * GIB,
    memory_total=16 * GIB,
    disk_free=12 * GIB,
    disk_total=48 * GIB,
    process=ProcessSample(3 * GIB // 2, 14, 1.8),
    gpus=(GpuSample("H200", 0.91, 4 * GIB, 140 * GIB),),
)


def shown(width: int = 80, sample: MachineSample = SAMPLE, **changes: object) -> list[str]:
    looks = (replace(sample, load=0.1), replace(sample, load=0.5), sample)
    return plain(machine_lines(replace(MachineState(looks), **changes), width))  # type: ignore[arg-type]


def test_everything_that_is_known_is_told() -> None:
    text = " ".join(" ".join(shown()).split())
    for part in (
        "83% of 16 cores",
        "62% 10.0 GiB of 16.0 GiB",
        "91% H200",
        "3% 4.0 GiB of 140.0 GiB",
        "75% 12.0 GiB free",
        "1.5 GiB · 1.8 cores busy · 14 threads · this one trains",
    ):
        assert part in text


@pytest.mark.parametrize("width", [30, 54, 78, 198])
def test_no_line_is_wider_than_its_room(width: int) -> None:
    assert all(len(line) <= width for line in shown(width))


def test_a_machine_without_an_accelerator_shows_none() -> None:
    assert not any("GPU" in line for line in shown(sample=replace(SAMPLE, gpus=())))


def test_a_process_that_is_gone_is_told_to_be() -> None:
    assert "process 41 trains is not to be seen" not in shown()[-1]
    assert "not to be seen" in shown(sample=replace(SAMPLE, process=None), owner="process 41")[-1]


def test_whose_machine_it_is_comes_first() -> None:
    assert shown(note="these are loads of here")[0].strip() == "these are loads of here"


def test_before_the_first_look_it_says_so() -> None:
    assert plain(machine_lines(MachineState(), 40)) == [" looking at the machine"]


def test_foreign_names_are_cleaned() -> None:
    sample = replace(SAMPLE, gpus=(GpuSample(EVERYTHING, 0.5, 1, 2),))
    assert all(line.isprintable() for line in shown(sample=sample, note=EVERYTHING, owner=EVERYTHING))


def test_the_past_ends_at_the_right_with_the_newest() -> None:
    assert spark([0.0, 0.5, 1.0], 5) == f"  {SPARKS[0]}{SPARKS[4]}{SPARKS[7]}"
    assert spark([1.0, 0.0, 0.0], 2) == SPARKS[0] * 2
    assert spark([-1.0, 7.0], 2) == SPARKS[0] + SPARKS[7]
    assert spark([0.5], 0) == ""
