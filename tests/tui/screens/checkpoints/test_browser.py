import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from textual.events import Key
from textual.widgets import DataTable, Input

from claf_engine.events import CheckpointSaved, Event
from claf_engine.events.control import Control
from claf_tui.console.browser_app import BrowserApp
from claf_tui.screens.checkpoints.actions import ResumeRequest
from claf_tui.screens.checkpoints.browser import CheckpointBrowser
from claf_tui.screens.checkpoints.file_dialogs import ExportDialog
from claf_tui.screens.checkpoints.table import CheckpointTable
from claf_tui.screens.checkpoints.tensor_tree import TensorTree
from claf_tui.screens.confirm_dialog import ConfirmScreen
from claf_tui.screens.help import HelpScreen
from tests.tui.consoles import Held, console, screen_lines, screen_text, text_in, until
from tests.tui.goldens import assert_golden
from tests.tui.hostile import HOSTILE
from tests.tui.screens.browsing import FakeEntry, browser, list_entries
from tests.tui.scripted import run_started, write_checkpoint


@pytest.mark.parametrize("size", [(80, 24), (140, 45)])
async def test_checkpoints_tensors_and_statistics_are_shown(run: Path, size: tuple[int, int]) -> None:
    async with browser(run, size) as (app, _):
        await until(lambda: "values" in text_in(app, "#statistics"))
        text = screen_text(app)
        assert "80.0%" in text
        assert "8 tensors" in text
        assert "last" in text
        assert all(len(line) == size[0] for line in screen_lines(app))
        assert "escape back" in screen_lines(app)[-1]


async def test_the_cursor_chooses_a_module_and_a_tensor(run: Path) -> None:
    async with browser(run) as (app, pilot):
        await until(lambda: "classifier" in screen_text(app))
        await pilot.press("tab", "down", "down")
        await until(lambda: "classifier.weight" in text_in(app, "#statistics"))
        assert "10 x 64" in text_in(app, "#statistics")
        await pilot.press("down", "down")
        await until(lambda: "encoder.stage1" in text_in(app, "#statistics"))
        assert "2 tensors 1,152 values 4.5 KiB F32 2" in text_in(app, "#statistics")


async def test_enter_opens_a_module_and_left_leads_out_of_it(run: Path) -> None:
    async with browser(run) as (app, pilot):
        await until(lambda: "stage1" in text_in(app, "#tensors"))
        tree = app.screen.query_one(TensorTree)
        await pilot.press("tab", "down", "down", "down", "down")
        await until(lambda: tree.chosen is not None and tree.chosen.path == "encoder.stage1")
        await pilot.press("enter")
        await until(lambda: "conv1.weight" not in text_in(app, "#tensors") and "conv1" in text_in(app, "#tensors"))
        await pilot.press("down", "right", "right")
        await until(lambda: tree.chosen is not None and tree.chosen.path == "encoder.stage1.conv1.weight")
        await pilot.press("left", "left", "left")
        await until(lambda: tree.chosen is not None and tree.chosen.path == "encoder.stage1")
        await pilot.press("left")
        await until(lambda: "conv1" not in text_in(app, "#tensors"))


async def test_open_modules_stay_open_on_another_checkpoint(run: Path) -> None:
    async with browser(run) as (app, pilot):
        await until(lambda: "stage3" in text_in(app, "#tensors"))
        await pilot.press("tab", "enter")
        await until(lambda: app.screen.query_one(TensorTree).row_count == 5)
        await pilot.press("shift+tab", "down")
        await until(lambda: app.screen.query_one(CheckpointTable).cursor_row == 1)
        assert app.screen.query_one(TensorTree).row_count == 5


async def test_another_width_leaves_the_cursor_where_it_was(run: Path) -> None:
    async with browser(run) as (app, pilot):
        await until(lambda: "classifier" in screen_text(app))
        await pilot.press("tab", "down", "down")
        table = app.screen.query_one("#tensors", DataTable)
        await until(lambda: table.cursor_row == 2)
        before = table.columns.copy()
        await pilot.resize_terminal(110, 45)
        await until(lambda: table.columns != before)
        assert table.cursor_row == 2


async def test_a_filter_leaves_only_names_that_hold_it(run: Path) -> None:
    async with browser(run) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("slash", *"STAGE2")
        await until(lambda: "tensors, 2 of 8" in screen_text(app))
        await pilot.press("escape")
        await until(lambda: "8 tensors" in screen_text(app))
        assert app.is_running


async def test_what_is_typed_right_after_the_filter_key_goes_into_the_filter(run: Path) -> None:
    async with browser(run) as (app, _):
        await until(lambda: "8 tensors" in screen_text(app))
        for key, character in (("slash", "/"), ("d", "d"), ("x", "x"), ("slash", "/"), ("e", "e")):
            app.post_message(Key(key, character))
        await until(lambda: app.screen.query_one("#tensor-filter", Input).value == "dx/e")


async def test_what_is_typed_right_after_the_end_of_a_filter_goes_to_the_list(run: Path) -> None:
    async with browser(run) as (app, _):
        await until(lambda: "8 tensors" in screen_text(app))
        for key, character in (("slash", "/"), ("s", "s"), ("enter", "\r"), ("question_mark", "?")):
            app.post_message(Key(key, character))
        field = app.screen.query_one("#tensor-filter", Input)
        await until(lambda: isinstance(app.screen, HelpScreen))
        assert (field.value, field.display) == ("s", True)


async def test_a_damaged_file_says_what_is_wrong_and_can_be_deleted(run: Path) -> None:
    damaged = run / "checkpoints" / "step-000000400.safetensors"
    damaged.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{not json")
    async with browser(run) as (app, pilot):
        await until(lambda: "cannot be read" in screen_text(app))
        await until(lambda: "truncated" in screen_text(app))
        await pilot.press("d", "y")
        await until(lambda: not damaged.exists())


async def test_deleting_asks_first(run: Path) -> None:
    newest = run / "checkpoints" / "step-000000300.safetensors"
    async with browser(run) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("d")
        await until(lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n")
        assert newest.exists()
        await pilot.press("d", "y")
        await until(lambda: not newest.exists())
        await until(lambda: "2 files" in screen_text(app))


async def test_resuming_ends_the_browser_with_the_request(run: Path) -> None:
    async with browser(run) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("down", "r")
        await until(lambda: not app.is_running)
    assert app.return_value == ResumeRequest(run / "checkpoints" / "step-000000200.safetensors")


async def test_a_finished_run_is_not_left_for_its_newest_checkpoint(run: Path) -> None:
    (run / "status.json").write_text('{"status": "finished"}')
    async with browser(run) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("r")
        await until(lambda: app._notifications)
        assert "is finished" in next(iter(app._notifications)).message
        assert "r on an older checkpoint begins a new run" in next(iter(app._notifications)).message
        await pilot.press("down", "r")
        await until(lambda: not app.is_running)
    assert app.return_value == ResumeRequest(run / "checkpoints" / "step-000000200.safetensors")


async def test_a_run_whose_settings_are_damaged_is_not_left(run: Path) -> None:
    (run / "config.toml").write_text("nonsense = 1")
    async with browser(run) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("r")
        await until(lambda: app._notifications)
        assert "unknown key nonsense" in next(iter(app._notifications)).message
        assert app.is_running


async def test_a_live_run_is_neither_resumed_nor_robbed_of_its_newest_checkpoint(run: Path) -> None:
    async with browser(run, is_live=True) as (app, pilot):
        await until(lambda: "this run is live" in screen_text(app))
        await pilot.press("r", "d")
        assert app.is_running
        assert not isinstance(app.screen, ConfirmScreen)
        assert [note.message[:11] for note in app._notifications] == ["this run is", "not deleted"]


async def test_a_run_without_checkpoints_says_so(tmp_path: Path) -> None:
    async with browser(tmp_path / "empty") as (app, pilot):
        await until(lambda: "no checkpoints yet" in screen_text(app))
        await pilot.press("d", "e", "a", "v", "r")
        assert app.is_running


async def test_a_folder_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    def refuse(_: Path) -> Sequence[FakeEntry]:
        raise PermissionError(13, "Permission denied [/b]")

    app = BrowserApp(tmp_path, entries=refuse)
    async with app.run_test(size=(80, 24)):
        await until(lambda: "Permission denied [/b]" in text_in(app, "#statistics"))


async def test_the_console_opens_the_browser_of_its_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "claf_engine.runs", SimpleNamespace(list_checkpoints=list_entries))
    async with console(Held(run_started(run))) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("b")
        await until(lambda: "this run is live" in screen_text(app))
        await pilot.press("escape")
        await until(lambda: "RUNNING" in screen_text(app))


async def test_a_checkpoint_saved_meanwhile_appears_and_the_cursor_stays(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def saving(_: Control) -> Iterator[Event]:
        yield run_started(run)
        is_open.wait(5)
        yield CheckpointSaved(400, 1, str(write_checkpoint(run, 400)), 1, ("last",), 0.1)
        yield from Held()(_)

    is_open = threading.Event()
    monkeypatch.setitem(sys.modules, "claf_engine.runs", SimpleNamespace(list_checkpoints=list_entries))
    async with console(saving) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("b")
        await until(lambda: "3 files" in screen_text(app))
        await pilot.press("down")
        is_open.set()
        await until(lambda: "4 files" in screen_text(app))
        assert app.screen.query_one("#checkpoints", DataTable).cursor_row == 2


async def test_foreign_metadata_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    for step, text in enumerate(HOSTILE, 1):
        write_checkpoint(directory, step, phase=text)
    async with browser(directory, (140, 45)) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("down", "down")
        assert all(line.isprintable() for line in screen_lines(app))


SIZES = ((80, 24), (100, 28), (140, 45), (200, 60))
GOLDEN = Path(__file__).parent / "golden"
PROBE = {"claf.config": {"method": "claf", "probe": {"epsilons": ["8/255"]}}}


@pytest.fixture
def long_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A run of 30 checkpoints, all saved at one moment, as the clock of UTC shows it."""
    directory = tmp_path / "20261124-150400-claf"
    directory.mkdir()
    (directory / "config.toml").write_text("seed = 7\n")
    for index in range(30):
        step, natural = 391 * (index + 1), 0.4 + 0.015 * index
        path = write_checkpoint(directory, step, "2 · adversarial features", index + 1, natural, PROBE)
        os.utime(path, (1.7e9, 1.7e9))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield directory
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("size", SIZES)
async def test_the_browser_looks_as_it_should_at_every_size(long_run: Path, size: tuple[int, int]) -> None:
    async with browser(long_run, size) as (app, pilot):
        await until(lambda: "30 files" in screen_text(app))
        await pilot.press("down", "space", "up", "tab", "down", "down")
        await until(lambda: "1%" in text_in(app, "#statistics"))
        await until(lambda: "● " in text_in(app, "#checkpoints"))
        assert_golden(app, GOLDEN / f"browser_{size[0]}x{size[1]}.txt")


async def test_a_mark_is_taken_away_by_the_same_key(run: Path) -> None:
    async with browser(run) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("space")
        await until(lambda: "● 300" in text_in(app, "#checkpoints"))
        await pilot.press("down", "space")
        await until(lambda: "● 200" in text_in(app, "#checkpoints"))
        assert "● 300" not in text_in(app, "#checkpoints")
        await pilot.press("space")
        await until(lambda: "●" not in text_in(app, "#checkpoints"))


async def test_the_network_is_exported_to_the_file_that_was_typed(run: Path, tmp_path: Path) -> None:
    save_file(
        {"network.w": np.ones(3, np.float32)}, *exported_header(run / "checkpoints" / "step-000000300.safetensors")
    )
    async with browser(run) as (app, pilot):
        await until(lambda: "1 tensors" in screen_text(app))
        await pilot.press("x")
        await until(lambda: isinstance(app.screen, ExportDialog))
        app.screen.query_one("#export-file", Input).value = str(tmp_path / "w.safetensors")
        await pilot.press("enter")
        await until(lambda: any("exported" in note.message for note in app._notifications))
    assert list(load_file(tmp_path / "w.safetensors")) == ["w"]


def exported_header(path: Path) -> tuple[Path, dict[str, str]]:
    """A checkpoint's file, and its metadata to write it anew with."""
    with safe_open(path, framework="numpy") as file:
        return path, file.metadata()


async def test_an_export_that_fails_says_why(run: Path, tmp_path: Path) -> None:
    async with browser(run) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("x")
        await until(lambda: isinstance(app.screen, ExportDialog))
        app.screen.query_one("#export-file", Input).value = str(tmp_path / "w.safetensors")
        await pilot.press("enter")
        await until(lambda: any("holds no network" in note.message for note in app._notifications))
    assert not (tmp_path / "w.safetensors").exists()


@pytest.mark.parametrize("key", ["D", "i", "h", "x", "space"])
async def test_without_a_checkpoint_no_key_does_anything(tmp_path: Path, key: str) -> None:
    async with browser(tmp_path / "empty") as (app, pilot):
        await until(lambda: "no checkpoints yet" in screen_text(app))
        await pilot.press(key)
        assert isinstance(app.screen, CheckpointBrowser)
