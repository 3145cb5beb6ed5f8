import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from claf_engine import events as ev
from claf_engine.events.control import Control, Later
from claf_engine.terms.errors import NonFiniteLoss
from claf_tui.screens.abandon_dialog import AbandonScreen
from claf_tui.screens.confirm_dialog import ConfirmScreen
from claf_tui.screens.help import HelpScreen
from tests.tui.consoles import HANG, SIZES, Held, console, finished_run, screen_lines, screen_text, until
from tests.tui.hostile import HOSTILE
from tests.tui.scripted import Script, robust_figure, run_started


def held(directory: Path, *events: ev.Event, saves: bool = True) -> Held:
    return Held(run_started(directory / "run"), ev.PhaseStarted(0, "contrastive", 0), *events, saves=saves)


async def test_before_the_first_event_the_screen_says_what_it_waits_for(tmp_path: Path) -> None:
    may_begin = threading.Event()

    def engine(control: Control) -> Iterator[ev.Event]:
        may_begin.wait(HANG)
        yield from finished_run(tmp_path)(control)

    async with console(engine, (80, 24)) as (app, _):
        await until(lambda: "STARTING" in screen_text(app))
        assert "loading torch and building the data" in screen_text(app)
        may_begin.set()
        await until(lambda: "STARTING" not in screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (140, 45)])
async def test_a_finished_run_shows_its_results_and_the_next_command(tmp_path: Path, size: tuple[int, int]) -> None:
    async with console(finished_run(tmp_path), size) as (app, _):
        await until(lambda: "claf-tui eval latest --eps 16/255" in screen_text(app))
        text = screen_text(app)
        assert "FINISHED" in text
        assert "93.1%" in text
        assert "★" in text


async def test_everything_fits_at_every_size(tmp_path: Path) -> None:
    async with console(Script(tmp_path / "run", holds_at=600)) as (app, pilot):
        await until(lambda: app.state.step >= 600 - 7)
        app.control.pause()
        await until(lambda: "PAUSED" in screen_text(app))
        for size in SIZES:
            await pilot.resize_terminal(*size)
            await until(lambda size=size: (len(screen_lines(app)[0]), len(screen_lines(app))) == size)
            await until(lambda: "? help" in screen_lines(app)[-1])
            lines = screen_lines(app)
            assert all(len(line) == size[0] for line in lines)
            assert "PAUSED" in lines[0]
            assert "robust 8/255" in screen_text(app)
            for widget in app.screen.walk_children():
                region = widget.region
                assert not widget.display or region.height == 0 or app.screen.region.contains_region(region)


async def test_odd_sizes_do_not_break_it(tmp_path: Path) -> None:
    async with console(Script(tmp_path / "run", holds_at=100), (140, 45)) as (app, pilot):
        await until(lambda: app.state.step >= 95)
        for size in ((40, 12), (20, 6), (5, 2), (300, 80), (80, 24)):
            await pilot.resize_terminal(*size)
        await until(lambda: len(screen_lines(app)) == 24)


async def test_a_narrow_screen_shows_one_panel_and_numbers_choose_it(tmp_path: Path) -> None:
    async with console(held(tmp_path), (80, 24)) as (app, pilot):
        await until(lambda: app.state.run)
        for key, title in (("3", "attack classifier"), ("2", "SupCon loss"), ("4", "log"), ("1", "probe")):
            await pilot.press(key)
            await until(lambda title=title, key=key: f"{key} {title}" in screen_text(app))
            assert sum(f"─ {number} " in screen_text(app) for number in "1234") == 1


async def test_a_wide_screen_shows_all_panels_and_a_number_pressed_again_shows_one(tmp_path: Path) -> None:
    def num_panels() -> int:
        return sum(f"─ {number} " in screen_text(app) for number in "1234")

    async with console(held(tmp_path)) as (app, pilot):
        await until(lambda: num_panels() == 4)
        await pilot.press("3")
        assert num_panels() == 4
        await pilot.press("3")
        await until(lambda: num_panels() == 1)
        await pilot.press("3")
        await until(lambda: num_panels() == 4)


async def test_the_word_changes_with_the_key_not_with_the_next_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_tui.console.base.POLLS_PER_SECOND", 1 / (2 * HANG))
    async with console(held(tmp_path)) as (app, pilot):
        await until(lambda: app.poll() or "RUNNING" in screen_text(app))
        await pilot.press("space")
        await until(lambda: "PAUS" in screen_text(app))
        await until(lambda: app.poll() or "PAUSED" in screen_text(app))
        await pilot.press("space")
        await until(lambda: "RUNNING" in screen_text(app))


async def test_keys_become_requests(tmp_path: Path) -> None:
    engine = held(tmp_path)
    async with console(engine) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("p")
        await until(lambda: any(getattr(taken, "probe", False) for taken in engine.taken))
        await pilot.press("c")
        await until(lambda: any(getattr(taken, "checkpoint", False) for taken in engine.taken))


async def test_the_form_sends_only_what_was_changed_and_refuses_nonsense(tmp_path: Path) -> None:
    engine = held(tmp_path)
    async with console(engine, (80, 24)) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("e")
        await pilot.press(*"fast", "enter")
        await until(lambda: "(learning rate of this phase) must be a number" in screen_text(app))
        assert "now 5" in screen_text(app)
        await pilot.press(*["backspace"] * 4, *"0.02", "enter")
        await until(lambda: engine.taken)
        edits = engine.taken[0].edits  # type: ignore[attr-defined]
        assert [(edit.name, edit.value) for edit in edits] == [("learning_rate", 0.02)]


@pytest.mark.parametrize(("typed", "steps"), [("", 100), ("30", 30)])
async def test_a_pause_to_come_begins_at_a_hundred_steps_which_typing_replaces(
    tmp_path: Path, typed: str, steps: int
) -> None:
    async with console(held(tmp_path), (80, 24)) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("n", *typed, "enter")
        await until(lambda: app.control.later)
        assert app.control.later == Later("steps", steps)


async def test_stop_asks_first_and_keeps_the_console_open(tmp_path: Path) -> None:
    async with console(held(tmp_path)) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("s", "n")
        assert app.word == "RUNNING"
        await pilot.press("s", "y")
        await until(lambda: "STOPPED" in screen_text(app))
        assert app.is_running


async def test_help_names_keys_and_explains_figures(tmp_path: Path) -> None:
    async with console(held(tmp_path)) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("question_mark")
        await until(lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("end")
        await until(lambda: "catastrophic overfitting" in screen_text(app))
        await pilot.press("escape")
        await until(lambda: not isinstance(app.screen, HelpScreen))


async def test_the_loss_chart_switches_to_a_logarithmic_axis(tmp_path: Path) -> None:
    loss = ev.StepLogged(4, 0, 1, "encoder", "supcon", 2.5, 0.1, 800.0, 3.0)
    async with console(held(tmp_path, loss)) as (app, pilot):
        await until(lambda: app.state.losses)
        await pilot.press("2", "l")
        await until(lambda: "log scale ─" in screen_text(app))


async def test_leaving_a_live_run_stops_and_saves_it_first(tmp_path: Path) -> None:
    async with console(Script(tmp_path / "run", holds_at=30)) as (app, pilot):
        await until(lambda: app.state.step > 20)
        await pilot.press("q")
        await until(lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n")
        assert app.word == "RUNNING"
        await pilot.press("q", "y")
        await until(lambda: not app.is_running)
    assert app.return_code == 0
    assert list((tmp_path / "run" / "checkpoints").iterdir())


async def test_a_live_run_may_be_left_running_which_saves_it_too(tmp_path: Path) -> None:
    async with console(Script(tmp_path / "run", holds_at=30)) as (app, pilot):
        await until(lambda: app.state.step > 20)
        await pilot.press("q")
        await until(lambda: "l leave it running" in screen_text(app))
        await pilot.press("l")
        await until(lambda: not app.is_running)
    assert (app.goes_on, app.return_code) == (True, 0)
    assert list((tmp_path / "run" / "checkpoints").iterdir())


async def test_a_run_that_the_disk_has_no_room_for_is_not_ended_to_be_left_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(Script(tmp_path / "run", holds_at=300)) as (app, pilot):
        await until(lambda: app.state.checkpoints)
        free = app.state.checkpoints[-1].num_bytes - 1
        monkeypatch.setattr(
            "claf_tui.console.train_app.shutil.disk_usage", lambda _: SimpleNamespace(free=free, total=free)
        )
        await pilot.press("q")
        await until(lambda: "l leave it running" in screen_text(app))
        await pilot.press("l")
        await until(lambda: "no room on the disk" in screen_text(app))
        assert not app.control.stop_requested
        monkeypatch.setattr(
            "claf_tui.console.train_app.shutil.disk_usage", lambda _: SimpleNamespace(free=free + 2, total=free + 2)
        )
        await pilot.press("q", "l")
        await until(lambda: not app.is_running)
    assert app.goes_on


async def test_a_run_that_has_not_begun_is_not_offered_to_be_left_running(tmp_path: Path) -> None:
    async with console(Held()) as (app, pilot):
        await pilot.press("q", "l")
        assert "leave it running" not in screen_text(app)
        assert not app.goes_on


async def test_a_container_that_ends_with_the_console_offers_no_run_to_be_left_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(Script(tmp_path / "run", holds_at=30)) as (app, pilot):
        await until(lambda: app.state.step > 20)
        monkeypatch.setattr("claf_tui.console.train_app.os.getpid", lambda: 1)
        await pilot.press("q")
        await until(lambda: "stop and save" in screen_text(app))
        assert "leave it running" not in screen_text(app)


async def test_leaving_wakes_a_paused_run(tmp_path: Path) -> None:
    async with console(Script(tmp_path / "run", holds_at=30)) as (app, pilot):
        await until(lambda: app.state.step > 20)
        await pilot.press("space")
        await until(lambda: app.word == "PAUSED")
        await pilot.press("q", "y")
        await until(lambda: not app.is_running)
    assert app.return_code == 0


async def test_a_finished_run_is_left_without_a_question(tmp_path: Path) -> None:
    async with console(finished_run(tmp_path)) as (app, pilot):
        await until(lambda: app.state.finished and not app.thread.is_alive)
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert app.return_code == 0


async def test_the_second_ctrl_c_offers_to_leave_without_saving_and_the_third_leaves(tmp_path: Path) -> None:
    engine = held(tmp_path, saves=False)
    async with console(engine) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("ctrl+c")
        await until(lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("ctrl+c")
        await until(lambda: isinstance(app.screen, AbandonScreen))
        await pilot.press("ctrl+c")
        await until(lambda: not app.is_running)
        assert app.was_abandoned
        engine.saves = True
    assert app.return_code == 130


async def test_an_engine_that_does_not_save_can_be_abandoned_after_a_stop(tmp_path: Path) -> None:
    engine = held(tmp_path, saves=False)
    async with console(engine) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press("q", "y")
        await until(lambda: "STOPPING" in screen_text(app))
        await pilot.press("q")
        await until(lambda: isinstance(app.screen, AbandonScreen))
        await pilot.press("w")
        assert app.is_running
        await pilot.press("q", "x")
        await until(lambda: not app.is_running)
        engine.saves = True
    assert app.return_code == 130


async def test_a_signal_saves_and_leaves_with_its_code(tmp_path: Path) -> None:
    async with console(Script(tmp_path / "run", holds_at=30)) as (app, _):
        await until(lambda: app.state.step > 20)
        app.on_signal(signal.SIGTERM)
        await until(lambda: not app.is_running)
    assert app.return_code == 143
    assert not app.was_abandoned


@pytest.mark.parametrize("has_begun", [False, True])
async def test_only_an_engine_that_has_begun_is_waited_for(tmp_path: Path, has_begun: bool) -> None:
    loading = ev.Progressed.of_activity("drawing training shapes", 0.5)
    engine = held(tmp_path, saves=False) if has_begun else Held(loading, saves=False)
    async with console(engine) as (app, pilot):
        await until(lambda: app.state.run if has_begun else app.state.progress)
        await pilot.press("q", "y")
        await (until(lambda: "STOPPING" in screen_text(app)) if has_begun else until(lambda: not app.is_running))
        assert (app.is_running, app.was_abandoned) == (has_begun, not has_begun)
        engine.saves = True


async def test_after_a_hang_up_the_screen_waits_for_nothing(tmp_path: Path) -> None:
    engine = held(tmp_path, saves=False)
    async with console(engine) as (app, _):
        await until(lambda: app.state.run)
        app.on_signal(signal.SIGHUP)
        await until(lambda: not app.is_running)
        assert app.is_hung_up
        assert not app.was_abandoned
        engine.saves = True
    assert app.return_code == 129


@pytest.mark.parametrize("size", [(80, 24), (140, 45)])
async def test_a_failed_run_says_why_and_stays_open(tmp_path: Path, size: tuple[int, int]) -> None:
    async with console(Script(tmp_path / "run", fail_at=40), size) as (app, pilot):
        await until(lambda: "the loss of step 1 is [/b]" in screen_text(app))
        assert "FAILED" in screen_text(app)
        assert app.is_running
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert app.return_code == 1


async def test_a_failure_of_our_own_leaves_with_its_own_code() -> None:
    def engine(_: object):
        raise NonFiniteLoss("the loss is NaN at step 3; lower the learning rate")
        yield

    async with console(engine, (80, 24)) as (app, pilot):
        await until(lambda: "lower the learning rate" in screen_text(app))
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert app.return_code == NonFiniteLoss.exit_code


async def test_a_watched_run_cannot_be_steered_and_is_left_without_a_question(tmp_path: Path) -> None:
    engine = held(tmp_path)
    async with console(engine, (100, 30), read_only=True) as (app, pilot):
        await until(lambda: "watching" in screen_text(app))
        await pilot.press("space", "p", "s")
        assert app.control.status == "running"
        assert engine.taken == []
        await pilot.press("q")
        await until(lambda: not app.is_running)


def hostile_events(directory: Path, text: str) -> list[ev.Event]:
    plans = tuple(replace(plan, name=text, title=text) for plan in run_started(directory).phases)
    figure = replace(robust_figure("8/255", 0.4), epsilon=text, attack=text, step_size=text, precision=text, space=text)
    result = ev.TestResult(text, text, 0.9, (figure,), True)
    progress = ev.Progressed(0, 1, 2, text, 0.5, 0.5, 0.5, 1.0, 1.0, None, None, 5.0, 5, 1)
    return [
        run_started(directory, run=text, method=text, data=text, device=text, precision=text, phases=plans),
        ev.PhaseStarted(0, text, 0),
        progress,
        ev.StepLogged(1, 0, 1, text, "supcon", 1.0, 0.1, None, 1.0),
        ev.ProbeFinished(1, 0, 1, text, 0.5, (figure,), 1.0, requested=True),
        ev.CheckpointSaved(1, 0, text, 10, (text, "requested"), 0.1),
        ev.ValueEdited(1, text, 0.1, 0.2),
        ev.Notice("error", text),
        ev.Notice("warning", text),
        ev.RunFinished("failed", 1, 1.0, (result,), text, reason=text),
    ]


@pytest.mark.parametrize("text", [" ".join(HOSTILE[start::3]) for start in range(3)])
async def test_foreign_text_is_shown_and_never_obeyed(tmp_path: Path, text: str) -> None:
    events = hostile_events(tmp_path, text)
    async with console(lambda _: iter(events), (140, 45)) as (app, pilot):
        await until(lambda: "FAILED" in screen_text(app))
        await pilot.pause(0.15)
        assert all(line.isprintable() for line in screen_lines(app))
        await pilot.resize_terminal(80, 24)
        for key in ("3", "3", "4"):
            await pilot.press(key)
            assert all(line.isprintable() for line in screen_lines(app))
        assert app.is_running


async def test_warnings_are_told_as_they_come(tmp_path: Path) -> None:
    async with console(held(tmp_path, ev.Notice("warning", "the batch was halved: memory ran out"))) as (app, _):
        await until(lambda: [note.message for note in app._notifications] == ["the batch was halved: memory ran out"])


async def test_the_history_of_a_watched_run_does_not_flood_the_screen(tmp_path: Path) -> None:
    notices = [ev.Notice("warning", f"warning {number}") for number in range(50)]
    async with console(held(tmp_path, *notices), read_only=True) as (app, _):
        await until(lambda: app.state.num_log_lines >= 50)
        assert len(app._notifications) <= 6


async def test_what_other_code_prints_stays_off_the_screen(tmp_path: Path) -> None:
    async with console(held(tmp_path)) as (app, pilot):
        await until(lambda: app.state.run)
        sys.stdout.write("a stray line")
        await pilot.pause(0.1)
        assert "a stray line" not in screen_text(app)


def test_importing_the_console_is_fast_and_leaves_torch_alone() -> None:
    code = "import sys, time; t = time.process_time(); import claf_tui.console.train_app, claf_tui.console.launch; "
    code += "assert 'torch' not in sys.modules; assert time.process_time() - t < 3"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG)


async def test_starting_and_leaving_over_and_over_leaves_nothing_behind(tmp_path: Path) -> None:
    for number in range(4):
        async with console(Script(tmp_path / str(number), delay=0.001), (80, 24)) as (app, _):
            await asyncio.sleep(0.03 * number)
            app.on_signal(signal.SIGHUP)
            await until(lambda: not app.is_running)
        assert app.return_code == 129
