import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from claf_engine.runs.header import read_info
from claf_engine.runs.tensor_differences import Squares, TensorDifference
from claf_tui.console.browser_app import BrowserApp
from claf_tui.screens.checkpoints.difference import (
    BAR_WIDTH,
    DifferenceScreen,
    bar_text,
    difference_cells,
    difference_columns,
    norm_text,
    sorted_differences,
    summary_line,
)
from tests.tui.consoles import screen_lines, screen_text, text_in, until
from tests.tui.goldens import assert_golden
from tests.tui.hostile import EVERYTHING
from tests.tui.screens.browsing import browser
from tests.tui.screens.checkpoints.test_browser import GOLDEN, SIZES, exported_header

TURNED = TensorDifference("network.turned", "changed", (2,), (2,), Squares(1.0, 1.0, 2.0, 0.0))
GROWN = TensorDifference("network.grown", "changed", (2,), (2,), Squares(1.0, 9.0, 4.0, 3.0))
SAME = TensorDifference("network.a", "same", (2,), (2,), Squares(1.0, 1.0, 0.0, 1.0))
GONE = TensorDifference("network.gone", "only before", (3, 4), None)
MOMENTUM = TensorDifference("optimizer.m", "changed", (2,), (2,), Squares(1.0, 1.0, 4.0, -1.0))
FOUND = (SAME, TURNED, MOMENTUM, GROWN, GONE)


def names(order: str, *, network_only: bool = True) -> list[str]:
    found = sorted_differences(FOUND, order, network_only=network_only)  # type: ignore[arg-type]
    return [item.name.removeprefix("network.") for item in found]


def test_the_largest_change_comes_first_after_what_cannot_be_compared() -> None:
    assert names("norm") == ["gone", "grown", "turned", "a"]


def test_by_cosine_what_turned_most_comes_first() -> None:
    assert names("cosine") == ["gone", "turned", "a", "grown"]


def test_by_name_everything_is_in_its_place() -> None:
    assert names("name") == ["a", "gone", "grown", "turned"]


def test_optimisers_are_shown_where_they_are_asked_for() -> None:
    assert "optimizer.m" in names("norm", network_only=False)
    assert "optimizer.m" not in names("norm")


def test_without_a_network_everything_is_shown() -> None:
    assert sorted_differences([MOMENTUM], "norm", network_only=True) == [MOMENTUM]


def test_the_summary_takes_all_tensors_together() -> None:
    text = summary_line([SAME, TURNED, GROWN, GONE]).plain
    assert "together 141.4%" in text
    assert "2 changed" in text
    assert "1 only before" in text


@pytest.mark.parametrize(
    ("relative", "text"), [(0.0, "0"), (0.00123, "0.123%"), (1.5, "150.0%"), (math.inf, "from zero")]
)
def test_a_relative_norm_is_a_percentage(relative: float, text: str) -> None:
    assert norm_text(relative) == text


@pytest.mark.parametrize(("relative", "filled"), [(0.0, 0), (0.5, BAR_WIDTH // 2), (1.0, BAR_WIDTH), (9.0, BAR_WIDTH)])
def test_a_bar_is_full_at_the_whole_norm(relative: float, filled: int) -> None:
    assert bar_text(relative) == "█" * filled


def test_the_smallest_change_is_not_a_full_cell() -> None:
    assert bar_text(1 / (8 * BAR_WIDTH)) == "▏"


def test_a_tensor_that_is_missing_says_where() -> None:
    columns = difference_columns(120)
    cells = dict(zip((column.name for column in columns), difference_cells(GONE, columns), strict=True))
    assert cells["relative norm"] == "only before"
    assert cells["shape"] == "3x4 → none"


@pytest.mark.parametrize("room", [40, 78, 98, 138, 198])
def test_cells_fit_their_columns(room: int) -> None:
    columns = difference_columns(room)
    item = TensorDifference(f"network.{EVERYTHING}", "reshaped", (10**9,) * 9, (1,))
    for cell, column in zip(difference_cells(item, columns), columns, strict=True):
        assert len(cell) <= column.width
        assert cell.isprintable()


def changed(run: Path) -> None:
    """Give the newest two checkpoints a network whose tensors have moved in several ways."""
    base = np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6)
    before = {"a.weight": base, "b.weight": base, "b.bias": np.zeros(4, np.float32), "c.weight": base, "d.weight": base}
    after = {"a.weight": 1.1 * base, "b.weight": -base, "b.bias": np.ones(4, np.float32), "c.weight": base[:2]}
    after["d.weight"] = np.where(base > 0.9, np.nan, base).astype(np.float32)
    after["e.weight"] = base
    for step, tensors in ((200, before), (300, after)):
        path, metadata = exported_header(run / "checkpoints" / f"step-{step:09d}.safetensors")
        named = {f"network.encoder.{name}": np.ascontiguousarray(values) for name, values in tensors.items()}
        save_file({**named, "order": np.arange(step)}, path, metadata)


@pytest.mark.parametrize("size", SIZES)
async def test_the_difference_looks_as_it_should_at_every_size(run: Path, size: tuple[int, int]) -> None:
    changed(run)
    async with browser(run, size) as (app, pilot):
        await until(lambda: "7 tensors" in screen_text(app) or "6 tensors" in screen_text(app))
        await pilot.press("D")
        await until(lambda: "together" in screen_text(app))
        await until(lambda: "encoder.e.weight" in screen_text(app))
        assert_golden(app, GOLDEN / f"difference_{size[0]}x{size[1]}.txt")


async def test_keys_sort_and_show_the_optimisers(run: Path) -> None:
    changed(run)
    async with browser(run) as (app, pilot):
        await until(lambda: "files" in screen_text(app))
        await pilot.press("D")
        await until(lambda: "relative norm ▾" in screen_text(app))
        await pilot.press("c")
        await until(lambda: "cosine ▾" in screen_text(app))
        assert "order" not in text_in(app, "#differences")
        await pilot.press("o", "t")
        await until(lambda: "order" in text_in(app, "#differences"))
        await pilot.press("escape")
        await until(lambda: "3 files" in screen_text(app))


async def test_the_marked_checkpoint_is_what_another_is_compared_with(run: Path) -> None:
    async with browser(run) as (app, pilot):
        await until(lambda: "3 files" in screen_text(app))
        await pilot.press("space", "down", "down", "D")
        await until(lambda: "step 300 → 100" in screen_text(app))


async def test_the_oldest_checkpoint_has_none_before_it(run: Path) -> None:
    async with browser(run) as (app, pilot):
        await until(lambda: "3 files" in screen_text(app))
        await pilot.press("down", "down", "D")
        await until(lambda: app._notifications)
        assert "mark another with space" in next(iter(app._notifications)).message


async def test_a_file_that_is_gone_is_told(run: Path) -> None:
    paths = [run / "checkpoints" / f"step-{step:09d}.safetensors" for step in (200, 300)]
    infos = [read_info(path) for path in paths]
    app = BrowserApp(run)
    async with app.run_test(size=(140, 45)):
        await until(lambda: "3 files" in screen_text(app))
        paths[0].unlink()
        app.push_screen(DifferenceScreen(*infos))
        await until(lambda: "no checkpoint at" in screen_text(app))
        assert all(line.isprintable() for line in screen_lines(app))
