import pytest
from hypothesis import given
from hypothesis import strategies as st

from claf_engine.runs.header import TensorInfo
from claf_tui.screens.checkpoints.modules import MAX_DEPTH, TreeRow, first_opened, tree_rows
from tests.properties import examples


def tensors(*names: str) -> list[TensorInfo]:
    return [TensorInfo(name, (2, 3), "F32") for name in names]


def paths(rows: list[TreeRow]) -> list[str]:
    return [row.path for row in rows]


def test_a_closed_module_hides_what_is_in_it_and_tells_its_totals() -> None:
    (row,) = tree_rows(tensors("a.b", "a.c.d"), ())
    assert (row.path, row.is_module, row.is_open) == ("a", True, False)
    assert (len(row.tensors), row.num_values, row.num_bytes) == (2, 12, 48)


def test_an_open_module_is_followed_by_what_is_in_it() -> None:
    rows = tree_rows(tensors("a.b", "a.c.d"), {"a"})
    assert [(row.name, row.depth, row.is_module) for row in rows] == [("a", 0, True), ("b", 1, False), ("c", 1, True)]


def test_numbered_modules_are_in_the_order_of_their_numbers() -> None:
    rows = tree_rows(tensors("m.10.w", "m.9.w", "m.2.w", "m.norm10.w", "m.norm9.w"), {"m"})
    assert [row.name for row in rows] == ["m", "2", "9", "10", "norm9", "norm10"]


def test_the_network_comes_first() -> None:
    assert paths(tree_rows(tensors("generator.x", "network.w", "order"), ())) == ["network", "generator", "order"]


def test_a_filter_opens_every_module_that_holds_what_is_wanted() -> None:
    rows = tree_rows(tensors("a.b.Weight", "a.c.bias", "weight"), (), "WEIGHT")
    assert paths(rows) == ["a", "a.b", "a.b.Weight", "weight"]


def test_a_tensor_may_have_the_name_of_a_module() -> None:
    rows = tree_rows(tensors("a", "a.b"), {"a"})
    assert [(row.path, row.is_module) for row in rows] == [("a", False), ("a", True), ("a.b", False)]


def test_what_lies_deeper_than_a_tree_goes_keeps_its_dots() -> None:
    name = ".".join("x" * 50_000)
    opened = {".".join("x" * depth) for depth in range(1, MAX_DEPTH + 1)}
    rows = tree_rows(tensors(name), opened)
    assert len(rows) == MAX_DEPTH + 1
    assert rows[-1].path == name


NAMES = st.lists(st.text("ab.1", max_size=8), unique=True, max_size=12)


@examples(200)
@given(names=NAMES)
def test_every_tensor_is_in_the_tree_once_whatever_it_is_called(names: list[str]) -> None:
    rows = tree_rows(tensors(*names), (), ".")
    leaves = [row.path for row in rows if not row.is_module]
    assert sorted(leaves) == sorted(name for name in names if "." in name)
    modules = [row.path for row in rows if row.is_module]
    assert len(modules) == len(set(modules))


NETWORK = tensors("network.a.b.w", "network.a.c.w", "network.d.w", "order.x")


@pytest.mark.parametrize(
    ("room", "opened"),
    [
        (3, {"network"}),
        (7, {"network", "network.a", "network.d"}),
        (40, {"network", "network.a", "network.d", "network.a.b", "network.a.c"}),
    ],
)
def test_as_many_modules_of_the_network_are_open_as_there_is_room_for(room: int, opened: set[str]) -> None:
    assert first_opened(NETWORK, room) == opened


def test_without_a_network_the_outermost_modules_are_open() -> None:
    assert first_opened(tensors("a.b", "c.d", "e"), 3) == {"a", "c"}
