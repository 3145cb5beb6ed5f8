import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.evaluation.cards import write_card
from claf_engine.events import records
from claf_tui.screens.card import CardScreen
from claf_tui.screens.checkpoints import audit_dialog
from claf_tui.screens.checkpoints.audit_dialog import AuditDialog
from tests.tui.consoles import Held, console, screen_lines, screen_text, text_in, until
from tests.tui.goldens import assert_golden
from tests.tui.scripted import robust_figure, run_started, write_checkpoint
from tests.tui.scripted_audit import card, checks
from tests.tui.state.test_outcome import run_folder

SIZES = ((80, 24), (100, 28), (140, 45), (200, 60))
PROBE = {"claf.config": {"probe": {"epsilons": ["8/255"]}}}
ROBUST = (robust_figure("8/255", 0.618), robust_figure("16/255", 0.41))
RESULTS = (
    ev.TestResult("last", "natural", 0.925, ROBUST, selected=False),
    ev.TestResult("best", "attack", 0.931, ROBUST, selected=True),
)


@pytest.fixture
def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Held:
    """A run that has finished after another, seen from the folder above their own."""
    monkeypatch.chdir(tmp_path)
    before = replace(RESULTS[1], robust=(robust_figure("8/255", 0.41),))
    run_folder(tmp_path / "runs", "20261123-090000-claf", 1, before, "[attack]\nsteps = 5\n")
    folder = run_folder(tmp_path / "runs", "20261124-150400-claf", 2, RESULTS[1])
    for step, natural in ((200, 0.9), (300, 0.7)):
        write_checkpoint(folder, step, "2 · adversarial features", step // 10, natural, PROBE)
    finished = ev.RunFinished("finished", 300, 9.0, RESULTS, "validation robust accuracy at 8/255")
    return Held(run_started(folder), finished)


@pytest.mark.parametrize("size", SIZES)
async def test_the_end_of_a_run_looks_as_it_should_at_every_size(ended: Held, size: tuple[int, int]) -> None:
    async with console(ended, size) as (app, _):
        await until(lambda: "step-000000200.safetensors" in screen_text(app))
        await until(lambda: "u audit" in screen_lines(app)[-1])
        panel = app.screen.query_one("#outcome")
        assert app.screen.region.contains_region(panel.region)
        lines = screen_lines(app)[panel.region.y : panel.region.bottom]
        golden = Path(__file__).parent / "golden" / f"end_{size[0]}x{size[1]}.txt"
        assert_golden(app, golden, lines)


def audits(monkeypatch: pytest.MonkeyPatch, program: str) -> list[tuple[object, ...]]:
    """Run a program in place of every audit; gives what was asked for."""
    asked: list[tuple[object, ...]] = []

    def command(*arguments: object) -> list[str]:
        asked.append(arguments)
        return [sys.executable, "-c", program]

    monkeypatch.setattr(audit_dialog, "audit_command", command)
    return asked


def printing(*events: ev.Event, then: str) -> str:
    lines = "\n".join(json.dumps(records.to_record(event)) for event in events)
    return f"import sys, time; print({lines!r}, flush=True); {then}"


async def test_a_audits_the_result_right_there_and_the_verdict_appears(
    ended: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "runs" / "20261124-150400-claf"
    asked = audits(monkeypatch, printing(ev.AuditFinished(card()), then="sys.exit(8)"))
    async with console(ended, (80, 24)) as (app, pilot):
        await until(lambda: "step-000000200.safetensors" in screen_text(app))
        assert "unaudited: u audits it" in screen_text(app)
        write_card(card(), folder / "audit" / "step-000000200-attack-8-255-pixel-quick")
        await pilot.press("u")
        await until(lambda: "audit fails: V shows its card" in screen_text(app))
        await pilot.press("V")
        await until(lambda: isinstance(app.screen, CardScreen))
    assert asked == [(folder / "checkpoints" / "step-000000200.safetensors", "attack", "8/255")]


async def test_an_audit_that_goes_on_shows_its_progress_and_can_be_left(
    ended: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = ev.Progressed.of_activity("PGD-40 at 8/255", 0.5)
    audits(monkeypatch, printing(ev.AuditStarted(checks()), progress, then="time.sleep(60)"))
    async with console(ended, (80, 24)) as (app, pilot):
        await until(lambda: "step-000000200.safetensors" in screen_text(app))
        await pilot.press("u")
        await until(lambda: isinstance(app.screen, AuditDialog) and "0 of 18" in text_in(app, "#figures-shown"))
        await pilot.press("escape")
        await until(lambda: "unaudited: u audits it" in screen_text(app))


@pytest.mark.parametrize("key", ["u", "V"])
async def test_while_a_run_goes_on_there_is_no_result_to_audit(tmp_path: Path, key: str) -> None:
    async with console(Held(run_started(tmp_path / "run")), (80, 24)) as (app, pilot):
        await until(lambda: app.state.run)
        await pilot.press(key)
        await until(lambda: any("of a run that has finished" in note.message for note in app._notifications))
        assert "u audit" not in screen_lines(app)[-1]


async def test_a_result_whose_checkpoint_is_gone_says_so(ended: Held, tmp_path: Path) -> None:
    for path in (tmp_path / "runs" / "20261124-150400-claf" / "checkpoints").iterdir():
        path.unlink()
    async with console(ended, (80, 24)) as (app, pilot):
        await until(lambda: "unaudited: u audits it" in screen_text(app))
        await pilot.press("u")
        await until(lambda: any("is not there any more" in note.message for note in app._notifications))


async def test_an_unaudited_result_has_no_card_to_view(ended: Held) -> None:
    async with console(ended, (80, 24)) as (app, pilot):
        await until(lambda: "step-000000200.safetensors" in screen_text(app))
        await pilot.press("V")
        await until(lambda: any("u audits them" in note.message for note in app._notifications))


async def test_a_stopped_run_names_its_best_epoch(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for step, natural in ((200, 0.9), (300, 0.7)):
        write_checkpoint(folder, step, "2 · adversarial features", step // 10, natural, PROBE)
    async with console(Held(run_started(folder), ev.RunFinished("stopped", 300, 9.0)), (80, 24)) as (app, _):
        await until(lambda: "epoch 20 of 2 · adversarial features" in screen_text(app))
