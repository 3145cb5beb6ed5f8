from pathlib import Path

import pytest
import torch

from claf_engine.selftest import environment
from claf_engine.selftest.findings import Row


def rows_here(root: Path) -> dict[str, Row]:
    return {row.name: row for row in environment.look_around(root)}


def test_everything_that_training_depends_on_is_looked_at(tmp_path: Path) -> None:
    rows = rows_here(tmp_path)
    assert rows.keys() >= {"python", "torch", "processor", "accelerator", "bf16", "memory", "runs", "torchvision"}
    assert rows["torch"].figure == torch.__version__
    assert all(row.advice for row in rows.values() if row.verdict != "passes")


def test_an_old_torch_fails_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.8.1+cpu")
    row = environment.torch_row()
    assert (row.verdict, row.advice) == ("fails", "pip install --upgrade torch torchvision")


def test_no_accelerator_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "accelerators", list)
    monkeypatch.setattr(environment, "has_driver", lambda: False)
    row = environment.accelerator_row()
    assert (row.verdict, row.figure, row.advice) == ("passes", "none", "")


def test_a_driver_whose_accelerator_torch_does_not_see_is_worth_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(environment, "has_driver", lambda: True)
    row = environment.accelerator_row()
    assert row.verdict == "warns"
    assert "torch sees no CUDA device" in row.advice


def test_accelerators_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "accelerators", lambda: ["one", "two"])
    assert environment.accelerator_row().figure == "one, two"


def test_a_library_that_is_missing_is_told_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(environment.OPTIONAL, "no-such-library", ("nothing", "pip install no-such-library"))
    row = environment.library_row("no-such-library")
    assert (row.verdict, row.figure, row.advice) == ("warns", "not installed", "pip install no-such-library")


@pytest.mark.parametrize(("gibibytes", "verdict"), [(0.5, "fails"), (2, "warns"), (16, "passes")])
def test_little_memory_is_told(gibibytes: float, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = type("Memory", (), {"available": int(gibibytes * 2**30), "total": 32 * 2**30})
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    assert environment.memory_row().verdict == verdict


def test_a_folder_of_runs_that_does_not_exist_yet_is_judged_by_the_one_above_it(tmp_path: Path) -> None:
    row = environment.disk_row(tmp_path / "runs" / "deep")
    assert row.verdict in {"passes", "warns"}
    assert row.result == str(tmp_path / "runs" / "deep")


def test_a_folder_that_cannot_be_written_to_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    assert environment.disk_row(tmp_path).verdict == "fails"


def test_a_full_disk_is_worth_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2**20}))
    assert environment.disk_row(tmp_path).verdict == "warns"
