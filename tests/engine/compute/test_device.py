import ast
import mmap
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import claf_engine.compute.device
from claf_engine.compute.device import (
    Compute,
    choose_compute,
    exact_fp32,
    is_out_of_memory,
    keep_freed_memory,
    make_generator,
    own_process,
    settings_restored,
)
from claf_engine.compute.tuning import FORMATS, LAYOUTS, PRECISIONS
from claf_engine.compute.world import World
from claf_engine.config import RuntimeConfig
from claf_engine.terms.errors import DeviceError

CPU = torch.device("cpu")
SECONDS = {candidate: 1.0 if candidate[0] == "bf16" else 2.0 for candidate in product(PRECISIONS, LAYOUTS)}
FAULTS = """
import resource, torch
from claf_engine.compute.device import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(5 * 2**23, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults())
assert keep_freed_memory()
faults()
print(faults())
"""
"""Page faults of allocating and freeing 40 MiB twenty times, before and after.

Up to seven of the first blocks are fresh ones: glibc keeps as many pieces of a few bytes, which aligning a block leaves
over, in its cache of the thread (`tcache`), and beside such a piece a freed block is too short for the next.
"""
ROOT = Path(claf_engine.compute.device.__file__).parents[2]

pytestmark = pytest.mark.usefixtures("threads_put_back")


@pytest.fixture
def no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def two_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_the_cpu_can_always_be_chosen() -> None:
    assert choose_compute(RuntimeConfig(device="cpu")).device == CPU


@pytest.mark.usefixtures("no_accelerator")
def test_without_an_accelerator_auto_is_the_cpu() -> None:
    assert choose_compute(RuntimeConfig(device="auto")).device == CPU


@pytest.mark.usefixtures("two_accelerators")
def test_the_cpu_is_chosen_where_it_is_asked_for_beside_an_accelerator() -> None:
    assert choose_compute(RuntimeConfig(device="cpu")).device == CPU


@pytest.mark.usefixtures("no_accelerator")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:1"])
def test_an_accelerator_that_is_not_here_is_an_error_that_names_the_way_out(device: str) -> None:
    with pytest.raises(DeviceError, match=f"{device} was asked for.*use --device cpu or auto"):
        choose_compute(RuntimeConfig(device=device))


@pytest.mark.usefixtures("two_accelerators")
def test_an_accelerator_with_too_high_an_index_is_an_error_that_names_it() -> None:
    with pytest.raises(DeviceError, match="device cuda:2 was asked for"):
        choose_compute(RuntimeConfig(device="cuda:2"))


@pytest.mark.usefixtures("two_accelerators")
def test_an_accelerator_with_too_high_an_index_is_an_error_that_names_the_way_out() -> None:
    with pytest.raises(DeviceError, match=r"use .*(cuda:1|cpu|auto)"):
        choose_compute(RuntimeConfig(device="cuda:2"))


@pytest.mark.parametrize("threads", [1, 2])
def test_the_asked_for_threads_are_used(threads: int) -> None:
    assert choose_compute(RuntimeConfig(device="cpu", threads=threads)).threads == threads
    assert torch.get_num_threads() == threads


def test_the_reported_threads_are_those_that_compute() -> None:
    assert choose_compute(RuntimeConfig(device="cpu")).threads == torch.get_num_threads()


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_the_asked_for_precision_is_kept(precision: str) -> None:
    config = RuntimeConfig.model_validate({"device": "cpu", "precision": precision})
    assert choose_compute(config).precision == precision


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [({}, "fp32"), ({"avx512": True}, "fp32"), ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16")],
)
def test_auto_precision_is_bf16_where_the_processor_has_it_and_is_faster_with_it(
    capabilities: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr("claf_engine.compute.device.measure", lambda *_: SECONDS)
    assert choose_compute(RuntimeConfig(device="cpu")).precision == precision


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_autocast_computes_in_the_training_precision(precision: str, dtype: torch.dtype) -> None:
    with Compute(CPU, precision, 1).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_a_measurement_in_fp32_leaves_a_surrounding_autocast() -> None:
    training = Compute(CPU, "bf16", 1)
    with training.autocast(), exact_fp32(training).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_exact_fp32_changes_the_precision_alone() -> None:
    assert exact_fp32(Compute(CPU, "bf16", 3)) == Compute(CPU, "fp32", 3)


def test_placing_a_module_keeps_its_weights() -> None:
    module = nn.Conv2d(3, 4, 3)
    before = module.weight.detach().clone()
    Compute(CPU, "fp32", 1).place(module)
    assert torch.equal(module.weight, before)


@pytest.mark.parametrize(("layout", "memory_format"), FORMATS.items())
def test_images_and_weights_take_the_layout_of_the_run(layout: str, memory_format: torch.memory_format) -> None:
    compute, module, images = Compute(CPU, "fp32", 1, layout), nn.Conv2d(3, 4, 3), torch.rand(2, 3, 4, 5)
    compute.place(module)
    assert module.weight.is_contiguous(memory_format=memory_format)
    assert compute.arrange(images).is_contiguous(memory_format=memory_format)
    assert torch.equal(compute.arrange(images), images)


def test_memory_in_use_grows_with_what_is_held() -> None:
    compute = Compute(CPU, "fp32", 1)
    before = compute.memory_bytes()
    # Mapped, because an allocator may hand out memory that the process holds already.
    with mmap.mmap(-1, 64 * 2**20) as held:
        held.write(bytes(64 * 2**20))
        assert compute.memory_bytes() - before > 32 * 2**20


def test_a_cpu_is_described_with_its_threads() -> None:
    assert Compute(CPU, "fp32", 2).describe() == "cpu"


def test_generators_of_one_seed_draw_the_same() -> None:
    one, other = (torch.rand(9, generator=make_generator(CPU, 7)) for _ in range(2))
    assert torch.equal(one, other)


def test_making_a_generator_leaves_the_global_randomness_as_it_was() -> None:
    before = torch.get_rng_state()
    make_generator(CPU, 7)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
)
def test_an_allocation_that_failed_is_out_of_memory(error: Exception) -> None:
    assert is_out_of_memory(error)


def test_what_torch_raises_when_the_memory_of_the_host_runs_out_is_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as failure:
        torch.empty(2**50, dtype=torch.uint8)
    assert is_out_of_memory(failure.value)


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("memory"), KeyboardInterrupt()]
)
def test_another_failure_is_not_out_of_memory(error: BaseException) -> None:
    assert not is_out_of_memory(error)


def accelerator_names(source: str) -> list[str]:
    """Where code asks for an accelerator: an attribute `cuda`, or a string that names a device."""
    return [
        f"line {node.lineno}"
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Attribute) and node.attr == "cuda")
        or (isinstance(node, ast.Constant) and re.fullmatch(r"cuda(:.*)?", str(node.value)))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch.cuda"))
    ]


def pickle_users(source: str) -> list[str]:
    """Where code could write or read a pickle: the module itself, and torch's own files."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name in {"pickle", "dill", "joblib", "shelve"}]
        elif isinstance(node, ast.ImportFrom):
            names = {name.name for name in node.names}
            found += (
                [node.module]
                if node.module == "pickle" or (node.module == "torch" and names & {"load", "save"})
                else []
            )
        elif isinstance(node, ast.Attribute) and node.attr in {"load", "save"}:
            found += [ast.unparse(node)] if ast.unparse(node.value) == "torch" else []
    return [str(name) for name in found]


def sources(package: str) -> dict[str, str]:
    return {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / package).rglob("*.py"))}


@pytest.mark.parametrize(
    "source",
    ["x.cuda()", "torch.cuda.synchronize()", "x.to('cuda')", "device = 'cuda:1'", "from torch.cuda import amp"],
)
def test_code_that_asks_for_an_accelerator_is_found(source: str) -> None:
    assert accelerator_names(source)


def test_only_the_device_module_asks_for_an_accelerator() -> None:
    found = {path: accelerator_names(source) for path, source in sources("claf_engine").items()}
    assert [path for path, lines in found.items() if lines] == ["claf_engine/compute/device.py"]


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from pickle import loads", "torch.load(path)", "torch.save(x, path)", "from torch import load"],
)
def test_code_that_uses_pickle_is_found(source: str) -> None:
    assert pickle_users(source)


def test_only_the_import_of_foreign_weights_opens_a_pickle() -> None:
    found = {path: users for path, source in sources("claf_engine").items() if (users := pickle_users(source))}
    assert found == {"claf_engine/training/weights_file.py": ["torch.load"]}


def test_no_module_of_the_console_reads_or_writes_a_pickle() -> None:
    assert {path: users for path, source in sources("claf_tui").items() if (users := pickle_users(source))} == {}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_with_freed_memory_kept_a_large_block_comes_back_without_page_faults() -> None:
    """In a process of its own: the setting holds for good."""
    completed = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    mapped, kept = map(int, completed.stdout.split())
    assert mapped > 20 * 10_000
    assert kept < mapped / 4


def test_a_c_library_without_the_setting_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert not keep_freed_memory()


@pytest.mark.parametrize(("settings", "is_kept"), [({}, True), ({"keep_freed_memory": False}, False)])
def test_a_process_of_our_own_keeps_freed_memory_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, bool], is_kept: bool
) -> None:
    kept: list[bool] = []
    monkeypatch.setattr("claf_engine.compute.device.keep_freed_memory", lambda: kept.append(True))
    own_process(RuntimeConfig(device="cpu", **settings))
    assert bool(kept) is is_kept


def test_choosing_where_to_compute_leaves_the_memory_of_a_caller_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claf_engine.compute.device.keep_freed_memory", lambda: pytest.fail("it was kept"))
    choose_compute(RuntimeConfig(device="cpu", precision="fp32", layout="channels_last"))


def test_what_choosing_sets_is_put_back() -> None:
    torch.set_num_threads(2)
    with settings_restored():
        choose_compute(RuntimeConfig(device="cpu", precision="fp32", layout="channels_last", threads=1))
        torch.backends.cudnn.benchmark = True
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    assert not torch.backends.cudnn.benchmark


def test_what_was_asked_for_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claf_engine.compute.device.measure", lambda *_: pytest.fail("it was measured"))
    choose_compute(RuntimeConfig(device="cpu", precision="bf16", layout="contiguous"))


class Several(World):
    """Processes that say nothing to each other."""

    def tell(self, plain: Any = None) -> Any:
        return plain


def test_processes_of_a_machine_share_out_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claf_engine.compute.device.usable_cores", lambda: 8)
    config = RuntimeConfig(device="cpu", precision="fp32", layout="contiguous")
    assert choose_compute(config, Several(0, 6, 0, 3)).threads == 2
    assert choose_compute(config, Several(0, 40, 0, 20)).threads == 1


@pytest.mark.usefixtures("two_accelerators")
def test_every_process_of_a_machine_has_an_accelerator_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    config = RuntimeConfig(device="auto", precision="fp32", layout="contiguous")
    assert choose_compute(config, Several(0, 4, 1, 2)).device == torch.device("cuda", 1)
    assert chosen == [torch.device("cuda", 1)]


@pytest.mark.usefixtures("two_accelerators")
@pytest.mark.parametrize(
    ("device", "local_size", "sentence"),
    [
        ("cuda:1", 2, "device cuda:1 cannot serve 2 processes; use --device cuda"),
        ("auto", 3, "3 processes of this machine need an accelerator each, and torch sees 2; start 2"),
    ],
)
def test_processes_that_would_share_an_accelerator_are_refused(device: str, local_size: int, sentence: str) -> None:
    with pytest.raises(DeviceError, match=sentence):
        choose_compute(RuntimeConfig(device=device), Several(0, local_size, 0, local_size))
