import asyncio
import json
from pathlib import Path

from textual.widgets import Static

from claf_tui.screens.checkpoints.evaluate_dialog import EvaluateScreen
from tests.tui.consoles import screen_lines, screen_text, text_in, until
from tests.tui.screens.browsing import FIGURES, browser, trained
from tests.tui.scripted import write_checkpoint
from tests.tui.widgets.test_robustness_curve import record


async def test_evaluation_shows_its_figures(run: Path) -> None:
    async with browser(run, (80, 24), program=f"print({json.dumps(json.dumps(FIGURES))})") as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("e")
        await until(lambda: "61.8%" in screen_text(app))
        assert "93.4%" in screen_text(app)
        assert "pgd-10" in screen_text(app)
        await pilot.press("escape")
        assert app.is_running


async def test_where_a_method_trained_several_classifiers_one_is_chosen(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    write_checkpoint(directory, 100, extra=trained(["natural", "attack"], ["adversarial", "features"]))
    program = "import json, sys; print(json.dumps({'natural_accuracy': 0.777, 'robust': []})); "
    program += f"open({str(tmp_path / 'asked')!r}, 'w').write(sys.argv[2])"
    async with browser(directory, (80, 24), program=program) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("e")
        await until(lambda: "evaluate which classifier?" in screen_text(app))
        text = screen_text(app)
        assert all(word in text for word in ("1 attack", "2 natural", "3 adversarial"))
        await pilot.press("3")
        await until(lambda: isinstance(app.screen, EvaluateScreen))
        await until(lambda: text_in(app, "#command-shown").endswith("--classifier adversarial"))
        await until(lambda: "77.7%" in screen_text(app))
    assert (tmp_path / "asked").read_text() == "adversarial"


async def test_while_only_the_encoder_is_trained_there_is_nothing_to_evaluate(tmp_path: Path) -> None:
    extra = {**trained([], ["features"]), "claf.begun_classifiers": []}
    write_checkpoint(tmp_path / "run", 100, phase="1 · robust contrastive", extra=extra)
    async with browser(tmp_path / "run", (80, 24)) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("e")
        await until(lambda: app._notifications)
        assert "no classifier is trained yet" in next(iter(app._notifications)).message
        assert not isinstance(app.screen, EvaluateScreen)


async def test_a_checkpoint_of_an_epoch_without_a_probe_is_evaluated(tmp_path: Path) -> None:
    extra = {**trained([], ["features"]), "claf.begun_classifiers": ["attack"]}
    write_checkpoint(tmp_path / "run", 100, phase="2 · adversarial features", extra=extra)
    async with browser(tmp_path / "run", (80, 24), program=f"print({json.dumps(json.dumps(FIGURES))})") as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("e")
        await until(lambda: "61.8%" in screen_text(app))


async def test_a_failed_evaluation_shows_its_sentence(run: Path) -> None:
    program = "import sys; sys.exit('error: no such data\\x1b]0;x\\x07 [/b]')"
    async with browser(run, program=program) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("e")
        await until(lambda: "error: no such data" in screen_text(app))
        assert all(line.isprintable() for line in screen_lines(app))


async def test_leaving_an_evaluation_ends_its_process(run: Path, tmp_path: Path) -> None:
    program = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    async with browser(run, program=program) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("e")
        await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        process = Path("/proc") / (tmp_path / "pid").read_text()
        await pilot.press("escape")
        await until(lambda: not process.exists())


class SlowToLeave(Static):
    """Stays in the dialog, whose other widgets are gone, until it may go."""

    def __init__(self) -> None:
        super().__init__()
        self.is_leaving, self.may_leave = asyncio.Event(), asyncio.Event()

    async def on_unmount(self) -> None:
        self.is_leaving.set()
        await self.may_leave.wait()


async def test_an_evaluation_that_ends_while_its_dialog_is_taken_down_is_no_error(run: Path, tmp_path: Path) -> None:
    program = f"import pathlib, time\nwhile not pathlib.Path({str(tmp_path / 'end')!r}).exists(): time.sleep(0.01)\n"
    async with browser(run, program=f"{program}print({json.dumps(json.dumps(FIGURES))})") as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("e")
        await until(lambda: "attacking test images" in screen_text(app))
        screen, slow = app.screen, SlowToLeave()
        await screen.mount(slow)
        screen.dismiss()
        await slow.is_leaving.wait()
        assert not screen.query("RobustnessCurve"), "the fault: the rest of the dialog is gone"
        (tmp_path / "end").touch()
        await until(lambda: not any(worker.is_running for worker in app.workers))
        slow.may_leave.set()
        await until(lambda: "8 tensors" in screen_text(app))


async def test_a_curve_is_drawn_where_one_was_measured(run: Path) -> None:
    curve, figures = json.dumps(json.dumps(record())), json.dumps(json.dumps(FIGURES))
    program = f"import sys; print({curve} if '--eps' in sys.argv else {figures})"
    async with browser(run, (80, 24), program=program) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("e")
        await until(lambda: "61.8%" in screen_text(app))
        await pilot.press("c")
        await until(lambda: "worst class" in screen_text(app))
        await until(lambda: "at 4/255, three quarters" in screen_text(app))
        await until(lambda: "escape closes" in screen_text(app))


async def test_other_options_are_typed_and_the_command_shows_them(run: Path) -> None:
    program = "import sys, json; union = {'robust_accuracy': 0.31}; "
    program += f"print(json.dumps({{**{FIGURES!r}, **({{'union': union}} if 'l1' in sys.argv else {{}})}}))"
    async with browser(run, (80, 24), program=program) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("e")
        await until(lambda: "61.8%" in screen_text(app))
        assert "all of these" not in screen_text(app), "the control"
        await pilot.press("o")
        await until(lambda: app.focused is not None and app.focused.id == "evaluation-options")
        await pilot.press(*"--norm l2 --norm l1", "enter")
        await until(lambda: "31.0%" in screen_text(app))
        assert text_in(app, "#command-shown").endswith("--norm l2 --norm l1")
        await pilot.press("c")
        await until(lambda: text_in(app, "#command-shown").endswith("--eps 0:16/255:2/255"))


async def test_a_quotation_that_is_not_closed_is_told_and_can_be_mended(run: Path) -> None:
    async with browser(run, (80, 24), program=f"print({json.dumps(json.dumps(FIGURES))})") as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("e")
        await until(lambda: "61.8%" in screen_text(app))
        await pilot.press("o", *"--data 'x", "enter")
        await until(lambda: any("quotation" in each.message for each in app._notifications))
        assert app.focused is not None
        assert app.focused.id == "evaluation-options"
