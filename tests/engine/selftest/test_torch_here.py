import sys
from pathlib import Path

import pytest
import torch

from claf_engine.selftest import torch_here
from claf_engine.terms.installation import install_line


def test_an_old_torch_fails_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.8.1+cpu")
    row = torch_here.torch_row()
    assert (row.verdict, row.advice) == ("fails", install_line())


def test_no_accelerator_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_here, "accelerators", list)
    monkeypatch.setattr(torch_here, "has_driver", lambda: False)
    row = torch_here.accelerator_row()
    assert (row.verdict, row.figure, row.advice) == ("passes", "none", "")


def test_a_driver_whose_accelerator_torch_does_not_see_is_worth_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch_here, "has_driver", lambda: True)
    row = torch_here.accelerator_row()
    assert row.verdict == "warns"
    assert "torch sees no CUDA device" in row.advice


def test_accelerators_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_here, "accelerators", lambda: ["one", "two"])
    assert torch_here.accelerator_row().figure == "one, two"


def test_a_torchvision_of_another_build_is_told_and_does_not_end_the_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    row = torch_here.torchvision_row()
    assert (row.verdict, row.figure) == ("warns", "operator torchvision::nms does not exist")
    assert "install both by the one line" in row.advice


def test_the_oldest_torch_is_the_one_that_the_project_asks_for() -> None:
    project = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    assert f'"torch>={".".join(map(str, torch_here.LEAST_TORCH))},' in project
