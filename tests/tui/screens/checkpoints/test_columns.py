import os
from pathlib import Path

import pytest

from claf_engine.runs.header import TensorInfo, read_info
from claf_tui.screens.checkpoints.columns import (
    BASE,
    MORE,
    PADDING,
    entry_cells,
    entry_columns,
    robust_heading,
    tree_cells,
    tree_columns,
)
from claf_tui.screens.checkpoints.modules import tree_rows
from tests.tui.hostile import EVERYTHING, HOSTILE
from tests.tui.screens.browsing import FakeEntry
from tests.tui.scripted import write_checkpoint


def entry(directory: Path, step: int = 1, config: object = None, **changes: object) -> FakeEntry:
    extra = {} if config is None else {"claf.config": config}
    path = write_checkpoint(directory, step, extra=extra, **changes)  # type: ignore[arg-type]
    return FakeEntry(path, read_info(path), kept_as=("last", "best"))


@pytest.mark.parametrize("room", range(76, 240))
def test_columns_fill_the_width_and_never_more(room: int) -> None:
    columns = entry_columns(room)
    taken = sum(column.width + PADDING for column in columns)
    assert taken <= room
    assert {column.name for column in BASE} <= {column.name for column in columns}
    phase = next(column for column in columns if column.name == "phase")
    assert taken == room or phase.width == 30


def test_a_wide_screen_has_every_column() -> None:
    assert [column.name for column in entry_columns(200)][-len(MORE) :] == [column.name for column in MORE]


@pytest.mark.parametrize(
    ("probe", "heading"),
    [
        ({"epsilons": ["8/255", "16/255"]}, "robust 8/255"),
        ({"epsilons": ["0.5"], "norm": "l2"}, "rob. L2 0.5"),
        ({"epsilons": []}, "robust"),
        ({"epsilons": 7}, "robust"),
        ("odd", "robust"),
    ],
)
def test_the_heading_names_the_radius_of_the_probe(tmp_path: Path, probe: object, heading: str) -> None:
    assert robust_heading([entry(tmp_path, config={"probe": probe})]) == heading


def test_checkpoints_of_several_radii_have_a_heading_without_one(tmp_path: Path) -> None:
    entries = [
        entry(tmp_path, step, {"probe": {"epsilons": [radius]}}) for step, radius in ((1, "4/255"), (2, "8/255"))
    ]
    assert robust_heading(entries) == "robust"
    assert robust_heading([]) == "robust"


def test_the_cells_of_a_checkpoint(tmp_path: Path) -> None:
    found = entry(tmp_path, 1234, natural=0.8)
    os.utime(found.path, (0, 0))
    columns = entry_columns(200)
    cells = dict(zip((column.name for column in columns), entry_cells(found, columns, "audit warns"), strict=True))
    assert (cells["step"], cells["natural"], cells["robust"]) == ("1,234", "80.0%", "50.0%")
    assert (cells["audit"], cells["kept as"], cells["classifier"]) == ("! warns", "last, best", "attack")


def test_a_marked_checkpoint_is_marked(tmp_path: Path) -> None:
    columns = entry_columns(78)
    assert entry_cells(entry(tmp_path), columns, is_marked=True)[0] == "● 1"


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    damaged = FakeEntry(tmp_path / "step-000000007.safetensors", None, "damaged")
    cells = entry_cells(damaged, entry_columns(100))
    assert cells[0] == "7"
    assert "cannot be read" in cells


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_is_wider_than_its_column(tmp_path: Path, text: str) -> None:
    columns = entry_columns(120, "robust 8/255")
    cells = entry_cells(entry(tmp_path, 10**12, phase=text), columns, text)
    for cell, column in zip(cells, columns, strict=True):
        assert len(cell) <= column.width
        assert cell.isprintable()


@pytest.mark.parametrize("room", range(30, 140))
def test_the_tree_fills_its_width(room: int) -> None:
    assert sum(column.width + PADDING for column in tree_columns(room)) == max(room, 36)


def test_a_long_tensor_name_keeps_its_end() -> None:
    columns = tree_columns(40)
    (row,) = tree_rows([TensorInfo("a_very_long_name_of_a_convolution_weight", (512, 512, 3, 3), "F32")], ())
    assert tree_cells(row, columns) == ["  …tion_weight", "512x512x3x3", "9.0 MiB"]


def test_a_module_shows_its_totals_and_whether_it_is_open() -> None:
    tensors = [TensorInfo("m.a", (2,), "F32"), TensorInfo("m.b", (), "I64")]
    columns = tree_columns(90)
    module, leaf, scalar = tree_rows(tensors, {"m"})
    assert tree_cells(module, columns) == ["▾ m", "2 tensors", "…", "3", "16 B"]
    assert tree_cells(leaf, columns) == ["    a", "2", "F32", "2", "8 B"]
    assert tree_cells(scalar, columns)[1] == "scalar"
    assert tree_cells(tree_rows(tensors, ())[0], columns)[0] == "▸ m"


def test_foreign_names_are_cleaned() -> None:
    (row,) = tree_rows([TensorInfo(EVERYTHING.replace(".", ""), (1,), EVERYTHING)], ())
    assert all(cell.isprintable() for cell in tree_cells(row, tree_columns(90)))
