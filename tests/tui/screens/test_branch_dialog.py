from pathlib import Path

import pytest
from textual.widgets import Input

from claf_engine import events as ev
from claf_tui.screens.branch_dialog import BranchScreen, chosen_file
from claf_tui.screens.checkpoints.actions import ResumeRequest
from tests.tui.consoles import SIZES, Held, console, screen_text, text_in, until
from tests.tui.scripted import run_started, write_checkpoint

LOWER = "supervised.optimizer.learning_rate=0.01"


def diverged(tmp_path: Path, checkpoint: int | None = 10) -> Held:
    """A run with checkpoints of steps 10 and 20 that blew up after the first of them."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.toml").write_text('method = "at"\n')
    for step in (10, 20):
        write_checkpoint(folder, step)
    file = str(folder / "checkpoints" / f"step-{checkpoint:09d}.safetensors") if checkpoint is not None else None
    ended = ev.RunFinished("diverged", 25, 9.0, reason="the loss of step 25 is nan", checkpoint=file, way_back=(LOWER,))
    return Held(run_started(folder), ended)


@pytest.mark.parametrize("size", SIZES)
async def test_a_diverged_run_is_left_for_a_branch_with_r(tmp_path: Path, size: tuple[int, int]) -> None:
    async with console(diverged(tmp_path), size) as (app, pilot):
        await until(lambda: "DIVERGED" in screen_text(app))
        await until(lambda: "the loss of step 25 is nan" in screen_text(app))
        await until(lambda: "r go back" in screen_text(app))
        await until(lambda: "--from 10 --set" in " ".join(screen_text(app).split()))
        await pilot.press("r")
        await until(lambda: isinstance(app.screen, BranchScreen))
        await until(lambda: "step, of 20, 10" in screen_text(app))
        assert app.screen.query_one("#branch-step", Input).value == "10"
        await pilot.press("enter")
        await until(lambda: not app.is_running)
    file = tmp_path / "run" / "checkpoints" / "step-000000010.safetensors"
    assert app.return_value == ResumeRequest(file, (LOWER,))


async def test_step_and_settings_may_be_typed(tmp_path: Path) -> None:
    async with console(diverged(tmp_path)) as (app, pilot):
        await until(lambda: "DIVERGED" in screen_text(app))
        await pilot.press("r")
        await until(lambda: isinstance(app.screen, BranchScreen))
        step, rate = (app.screen.query_one(f"#branch-{name}", Input) for name in ("step", "setting-0"))
        step.value, rate.value = "7", " 0.5 "
        await pilot.click("#apply")
        await until(lambda: "there is no checkpoint of step 7" in screen_text(app))
        step.value = "20"
        step.focus()
        await pilot.press("enter")
        await until(lambda: not app.is_running)
    assert app.return_value == ResumeRequest(
        tmp_path / "run" / "checkpoints" / "step-000000020.safetensors", ("supervised.optimizer.learning_rate=0.5",)
    )


@pytest.mark.parametrize(("typed", "sentence"), [("fast", "learning_rate"), ("-1", "learning_rate")])
async def test_a_setting_that_no_run_could_have_is_told_in_the_form(tmp_path: Path, typed: str, sentence: str) -> None:
    async with console(diverged(tmp_path)) as (app, pilot):
        await until(lambda: "DIVERGED" in screen_text(app))
        await pilot.press("r")
        await until(lambda: isinstance(app.screen, BranchScreen))
        app.screen.query_one("#branch-setting-0", Input).value = typed
        await pilot.click("#apply")
        await until(lambda: sentence in text_in(app, "#form-error"))
        assert app.is_running


async def test_the_form_can_be_left(tmp_path: Path) -> None:
    async with console(diverged(tmp_path)) as (app, pilot):
        await until(lambda: "DIVERGED" in screen_text(app))
        for key in ("escape", "cancel"):
            await pilot.press("r")
            await until(lambda: isinstance(app.screen, BranchScreen))
            await (pilot.press(key) if key == "escape" else pilot.click("#cancel"))
            await until(lambda: not isinstance(app.screen, BranchScreen))
        assert app.is_running


async def test_a_run_that_blew_up_before_its_first_checkpoint_can_only_begin_anew(tmp_path: Path) -> None:
    async with console(diverged(tmp_path, None)) as (app, pilot):
        await until(lambda: "DIVERGED" in screen_text(app))
        assert "r go back" not in screen_text(app)
        await until(lambda: "train --config" in screen_text(app))
        await pilot.press("r")
        await until(lambda: "r goes back where" in screen_text(app))
        assert not isinstance(app.screen, BranchScreen)


async def test_a_watched_run_cannot_be_gone_back_from(tmp_path: Path) -> None:
    async with console(diverged(tmp_path), read_only=True) as (app, pilot):
        await until(lambda: "DIVERGED" in screen_text(app))
        assert "r go back" not in screen_text(app)
        await pilot.press("r")
        assert not isinstance(app.screen, BranchScreen)


@pytest.mark.parametrize("text", ["", "x", "-10", "10.5", "99999999999999999999999"])
def test_a_step_without_a_checkpoint_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="there is no checkpoint of step"):
        chosen_file({10: Path("a")}, text)
    assert chosen_file({1000: Path("a")}, " 1,000 ") == Path("a")
