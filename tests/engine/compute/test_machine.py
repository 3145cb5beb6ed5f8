import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from claf_engine.compute.machine import GpuSample, Machine

MILLISECOND = 0.001


def test_a_look_tells_cores_memory_and_the_disk_of_a_folder(tmp_path: Path) -> None:
    sample = Machine().sample(tmp_path)
    assert 0.0 <= sample.load <= 1.0
    assert sample.num_cores >= 1
    assert 0 < sample.memory_used < sample.memory_total
    assert sample.disk_free is not None
    assert sample.disk_total is not None
    assert 0 <= sample.disk_free <= sample.disk_total


def test_without_a_folder_no_disk_is_told(tmp_path: Path) -> None:
    assert Machine().sample().disk_free is None
    assert Machine().sample(tmp_path / "gone").disk_free is None


def test_a_process_that_works_keeps_a_core_busy() -> None:
    machine = Machine()
    machine.sample()
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    process = machine.sample().process
    assert process is not None
    assert process.cores > 0.05
    assert process.memory_bytes > 2**20
    assert process.num_threads >= 1


def test_another_process_can_be_looked_at_until_it_ends() -> None:
    machine = Machine()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        machine.watch(other.pid)
        assert machine.sample().process is not None
        other.communicate(b"\n")
    assert machine.sample().process is None
    machine.watch(None)
    assert machine.sample().process is not None


@pytest.mark.parametrize("pid", [2**22 + 1, 2**70, -5])
def test_a_process_that_a_file_names_and_that_is_none_is_not_to_be_seen(pid: int) -> None:
    machine = Machine(pid)
    assert machine.sample().process is None


def test_a_look_costs_less_than_a_millisecond(tmp_path: Path) -> None:
    machine = Machine()
    assert min(machine.sample(tmp_path).seconds for _ in range(50)) < MILLISECOND


class NoAnswer(Exception):
    pass


def library(*, fails: str = "") -> SimpleNamespace:
    """NVML with two accelerators, one of which may not answer to a call."""

    def answering(name: str, answer: object) -> object:
        def call(*arguments: object) -> object:
            if name == fails and arguments in ((), (1,)):
                raise NoAnswer
            return answer(*arguments) if callable(answer) else answer

        return call

    return SimpleNamespace(
        NVMLError=NoAnswer,
        nvmlInit=answering("nvmlInit", None),
        nvmlDeviceGetCount=answering("nvmlDeviceGetCount", 2),
        nvmlDeviceGetHandleByIndex=answering("nvmlDeviceGetHandleByIndex", lambda number: number),
        nvmlDeviceGetName=answering("nvmlDeviceGetName", lambda number: (b"NVIDIA H200", "NVIDIA L4")[number]),
        nvmlDeviceGetUtilizationRates=answering("nvmlDeviceGetUtilizationRates", SimpleNamespace(gpu=91)),
        nvmlDeviceGetMemoryInfo=answering("nvmlDeviceGetMemoryInfo", SimpleNamespace(used=3, total=4)),
    )


def gpus_with(monkeypatch: pytest.MonkeyPatch, nvml: object) -> tuple[GpuSample, ...]:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return Machine().sample().gpus


def test_accelerators_are_told_with_load_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpus_with(monkeypatch, library()) == (GpuSample("H200", 0.91, 3, 4), GpuSample("L4", 0.91, 3, 4))


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"])
def test_a_driver_that_does_not_answer_means_no_accelerator(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    assert gpus_with(monkeypatch, library(fails=call)) == ()


def test_an_accelerator_that_does_not_answer_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = library(fails="nvmlDeviceGetMemoryInfo")
    assert [gpu.name for gpu in gpus_with(monkeypatch, nvml)] == ["H200"]


def test_without_the_library_there_is_no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpus_with(monkeypatch, None) == ()


def test_to_look_needs_no_torch() -> None:
    code = (
        "import sys; from claf_engine.compute.machine import Machine; Machine().sample(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "False"
