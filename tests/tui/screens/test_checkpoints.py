import json
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable

from claf_engine.control import Control
from claf_engine.errors import CheckpointError
from claf_engine.events import CheckpointSaved, Event
from claf_engine.inspect import CheckpointInfo, TensorInfo, TensorStatistics, read_info
from claf_tui.browser import BrowserApp
from claf_tui.screens.checkpoint_actions import (
    ResumeRequest,
    figure_lines,
    last_sentence,
    refusal_to_delete,
    tensor_cells,
    tensor_columns,
    typed_command,
)
from claf_tui.screens.confirm import ConfirmScreen
from claf_tui.widgets.tensor_view import histogram_rows, statistics_lines
from tests.tui.consoles import Held, console, screen_lines, screen_text, until
from tests.tui.hostile import EVERYTHING, HOSTILE
from tests.tui.scripted import run_started, write_checkpoint


@dataclass(frozen=True)
class FakeEntry:
    path: Path
    info: CheckpointInfo | None
    error: str = ""
    kept_as: tuple[str, ...] = ()


def list_entries(directory: Path) -> Sequence[FakeEntry]:
    found = []
    for path in sorted((directory / "checkpoints").glob("*.safetensors"), reverse=True):
        try:
            found.append(FakeEntry(path, read_info(path), kept_as=() if found else ("last",)))
        except CheckpointError as error:
            found.append(FakeEntry(path, None, str(error)))
    return found


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "20261124-run"
    for step in (100, 200, 300):
        write_checkpoint(directory, step, natural=0.5 + step / 1000)
    return directory


@asynccontextmanager
async def browser(
    directory: Path, size: tuple[int, int] = (140, 45), *, is_live: bool = False, program: str = ""
) -> AsyncIterator[tuple[BrowserApp, Pilot[object]]]:
    def command(path: Path) -> list[str]:
        return [sys.executable, "-c", program, str(path)]

    app = BrowserApp(directory, is_live=lambda: is_live, entries=list_entries, command=command)
    async with app.run_test(size=size, notifications=True) as pilot:
        yield app, pilot  # type: ignore[misc]


@pytest.mark.parametrize("size", [(80, 24), (140, 45)])
async def test_checkpoints_tensors_and_statistics_are_shown(run: Path, size: tuple[int, int]) -> None:
    async with browser(run, size) as (app, _):
        await until(lambda: "all finite" in screen_text(app))
        text = screen_text(app)
        assert "80.0%" in text
        assert "8 tensors" in text
        assert "last" in text
        assert all(len(line) == size[0] for line in screen_lines(app))
        assert "escape back" in screen_lines(app)[-1]


async def test_the_cursor_chooses_checkpoint_and_tensor(run: Path) -> None:
    async with browser(run) as (app, pilot):
        await until(lambda: "classifier.bias" in screen_text(app))
        await pilot.press("tab", "down", "down")
        await until(lambda: "8 x 8 x 3 x 3" in screen_text(app))
        await until(lambda: "encoder.stage1.conv1.weight" in screen_lines(app)[19])


async def test_a_filter_leaves_only_names_that_hold_it(run: Path) -> None:
    async with browser(run) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("slash", *"STAGE2")
        await until(lambda: "tensors, 2 of 8" in screen_text(app))
        await pilot.press("escape")
        await until(lambda: "8 tensors" in screen_text(app))
        assert app.is_running


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


async def test_a_live_run_is_neither_resumed_nor_robbed_of_its_newest_checkpoint(run: Path) -> None:
    async with browser(run, is_live=True) as (app, pilot):
        await until(lambda: "this run is live" in screen_text(app))
        await pilot.press("r", "d")
        assert app.is_running
        assert not isinstance(app.screen, ConfirmScreen)
        assert [note.message[:11] for note in app._notifications] == ["this run is", "not deleted"]


FIGURES = {
    "natural_accuracy": 0.934,
    "robust": [{"epsilon": "8/255", "robust_accuracy": 0.618, "attack": "pgd", "steps": 10}],
}


async def test_evaluation_shows_its_figures(run: Path) -> None:
    async with browser(run, (80, 24), program=f"print({json.dumps(json.dumps(FIGURES))})") as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("v")
        await until(lambda: "61.8%" in screen_text(app))
        assert "93.4%" in screen_text(app)
        assert "pgd-10" in screen_text(app)
        await pilot.press("escape")
        assert app.is_running


async def test_a_failed_evaluation_shows_its_sentence(run: Path) -> None:
    program = "import sys; sys.exit('error: no such data\\x1b]0;x\\x07 [/b]')"
    async with browser(run, program=program) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("v")
        await until(lambda: "error: no such data" in screen_text(app))
        assert all(line.isprintable() for line in screen_lines(app))


async def test_leaving_an_evaluation_ends_its_process(run: Path, tmp_path: Path) -> None:
    program = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    async with browser(run, program=program) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("v")
        await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        process = Path("/proc") / (tmp_path / "pid").read_text()
        await pilot.press("escape")
        await until(lambda: not process.exists())


async def test_a_run_without_checkpoints_says_so(tmp_path: Path) -> None:
    async with browser(tmp_path / "empty") as (app, pilot):
        await until(lambda: "no checkpoints yet" in screen_text(app))
        await pilot.press("d", "v", "r")
        assert app.is_running


async def test_a_folder_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    def refuse(_: Path) -> Sequence[FakeEntry]:
        raise PermissionError(13, "Permission denied [/b]")

    app = BrowserApp(tmp_path, entries=refuse)
    async with app.run_test(size=(80, 24)):
        await until(lambda: "Permission denied [/b]" in screen_text(app))


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


def entry(path: Path) -> FakeEntry:
    return FakeEntry(path, read_info(path) if path.exists() else None)


def test_what_may_not_be_deleted(run: Path) -> None:
    entries = list_entries(run)
    newest, _, oldest = entries
    assert refusal_to_delete(oldest, entries, run, is_live=True) == ""
    assert "newest" in refusal_to_delete(newest, entries, run, is_live=True)
    assert refusal_to_delete(newest, entries, run, is_live=False) == ""
    assert "only" in refusal_to_delete(newest, [newest], run, is_live=False)


@pytest.mark.parametrize("name", ["../step-1.safetensors", "../../x.safetensors", "checkpoints/../../y.safetensors"])
def test_nothing_outside_the_checkpoints_folder_is_deleted(run: Path, name: str) -> None:
    outside = FakeEntry(run / "checkpoints" / name, None)
    assert "does not lie in" in refusal_to_delete(outside, list_entries(run), run, is_live=False)


def test_a_linked_folder_does_not_lead_outside(run: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (run / "checkpoints" / "link").symlink_to(tmp_path / "elsewhere")
    outside = FakeEntry(run / "checkpoints" / "link" / "step-1.safetensors", None)
    assert "does not lie in" in refusal_to_delete(outside, list_entries(run), run, is_live=False)


@pytest.mark.parametrize("output", ["", "no json", "[]", "{}", '{"natural_accuracy": "x", "robust": []}'])
def test_an_evaluation_that_prints_no_figures_is_an_error(output: str) -> None:
    with pytest.raises(ValueError, match="."):
        figure_lines(output, 60)


def test_the_typed_command_quotes_its_path() -> None:
    assert typed_command(Path("/a b/$(x).safetensors")) == "claf-tui eval '/a b/$(x).safetensors'"


def test_the_last_sentence_is_clean() -> None:
    assert last_sentence(f"Traceback\n\n{EVERYTHING}\n\n").isprintable()
    assert last_sentence("") == "the command failed without saying why"


def test_a_long_tensor_name_keeps_its_end() -> None:
    tensor = TensorInfo("encoder.layers.3.blocks.1.convolution.weight", (512, 512, 3, 3), "F32")
    name, shape = tensor_cells(tensor, tensor_columns(40))
    assert name == "…ks.1.convolution.weight"
    assert shape == "512x512x3x3"


def test_a_histogram_fills_its_height_and_hides_no_count() -> None:
    assert histogram_rows([1, 0, 800, 400], 4, 2) == ["  █ ", "▁ ██"]


def test_statistics_fit_and_name_what_is_not_finite() -> None:
    statistics = TensorStatistics(8, 3, -1.0, 1.0, 0.0, 0.5, 0.25, {"1%": -1.0, "50%": 0.0}, (1, 2, 3))
    lines = statistics_lines(TensorInfo("w", (8,), "F32"), statistics, 38, 12)
    assert len(lines) <= 12
    assert all(line.cell_length <= 38 for line in lines)
    assert any("3 not finite" in line.plain for line in lines)
