from pathlib import Path

import pytest

from claf_engine.runs.header import read_info
from claf_tui.screens.checkpoints.questions import list_title, robust_caveat
from tests.tui.screens.browsing import FakeEntry
from tests.tui.scripted import write_checkpoint


def entries(directory: Path, config: object) -> list[FakeEntry]:
    path = write_checkpoint(directory, 1, extra={"claf.config": config})
    return [FakeEntry(Path("damaged"), None, "cannot be read"), FakeEntry(path, read_info(path))]


@pytest.mark.parametrize("config", [{}, {"probe": {"space": "pixel"}}, {"probe": "odd"}, "odd"])
def test_ordinary_accuracies_need_no_warning(tmp_path: Path, config: object) -> None:
    assert robust_caveat(entries(tmp_path, config)) == ""
    assert list_title(entries(tmp_path, config)).plain == "checkpoints, newest first"


def test_the_list_warns_of_accuracies_without_a_ball_at_80_columns(tmp_path: Path) -> None:
    title = list_title(entries(tmp_path, {"probe": {"space": "released-code"}}))
    assert title.plain == "checkpoints, newest first · robust is released-code: not an ε-ball"
    assert title.cell_length <= 76
