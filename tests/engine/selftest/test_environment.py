import os
import subprocess
import sys
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


def test_a_python_that_nobody_tried_is_worth_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.python_row().verdict == "passes"
    monkeypatch.setattr("sys.version_info", (3, 15, 0))
    row = environment.python_row()
    assert (row.verdict, row.advice) == ("warns", "claf-tui was tried on Python 3.11 to 3.14; use one of these")


def test_linux_is_where_it_was_tried_and_elsewhere_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert environment.system_row().verdict == "passes"
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    row = environment.system_row()
    assert (row.verdict, row.figure) == ("warns", "never tried")


@pytest.mark.parametrize("broken", ["raise OSError('libcudart.so.13: cannot open')", "import no_such_module"])
def test_a_torch_that_cannot_be_imported_is_a_row_and_not_the_end(tmp_path: Path, broken: str) -> None:
    (tmp_path / "torch.py").write_text(f"{broken}\n")
    code = (
        "from claf_engine.selftest.environment import look_around\n"
        "rows = [row for row in look_around() if row.name == 'torch']\n"
        "print(*(f'{row.verdict} {row.figure}' for row in rows), sep='; ')"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("fails "), done.stderr
    assert ";" not in done.stdout  # told once
