import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from textual.pilot import Pilot

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.terms.errors import DeviceError
from claf_tui.console.audit_app import AuditApp
from claf_tui.console.bridge import Engine
from claf_tui.screens.card import CardScreen
from claf_tui.screens.confirm_dialog import ConfirmScreen
from claf_tui.screens.help import AuditHelp
from claf_tui.words import exit_codes
from tests.tui.consoles import SIZES, screen_lines, screen_text, until
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted_audit import Audit, card, diagnostics


@asynccontextmanager
async def console(engine: Engine, size: tuple[int, int] = (140, 45)) -> AsyncIterator[tuple[AuditApp, Pilot[object]]]:
    app = AuditApp(engine, Control())
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            yield app, pilot  # type: ignore[misc]
    finally:
        app.control.stop()
        await asyncio.to_thread(app.thread.join, 5)


@pytest.mark.parametrize("size", SIZES)
async def test_a_finished_audit_shows_verdicts_figures_and_the_gravest_diagnostic(size: tuple[int, int]) -> None:
    async with console(Audit(), size) as (app, _):
        await until(lambda: "AUDIT FAILS" in screen_lines(app)[0])
        await until(lambda: "FAILS  " in screen_text(app).replace("AUDIT FAILS", ""))
        text = screen_text(app)
        assert "93.1%" in text
        assert "27.3%" in text
        assert "19.4 –  36.7" in text
        assert "✔ 13 passes" in text
        assert "✘ 1 fails" in text
        assert "○ 2 not run" in text
        assert "above 1 warns, above 5 fails" in text
        assert all(len(line) == size[0] for line in screen_lines(app))


async def test_diagnostics_appear_one_by_one_and_the_mark_follows_the_running_one() -> None:
    async with console(Audit(is_held=True)) as (app, _):
        await until(lambda: len(app.scene.found) == 5)
        await until(lambda: "5 of 18" in screen_text(app))
        await until(lambda: any("▌" in line and "Scaling the logits" in line for line in screen_lines(app)))
        await until(lambda: any("▌" in line and "33%" in line for line in screen_lines(app)))
        assert "PGD-40 at 8/255" in screen_text(app)
        assert "RUNNING" in screen_lines(app)[0]


async def test_a_person_moves_the_mark_and_lets_it_follow_again() -> None:
    async with console(Audit(is_held=True)) as (app, pilot):
        await until(lambda: len(app.scene.found) == 5)
        await until(lambda: "5 of 18" in screen_text(app))
        await pilot.press("home")
        await until(lambda: any("▌" in line and "radius 0" in line for line in screen_lines(app)))
        await pilot.press("n")
        await until(lambda: any("▌" in line and "No gradient vanishes" in line for line in screen_lines(app)))
        await pilot.press("f")
        await until(lambda: any("▌" in line and "Scaling the logits" in line for line in screen_lines(app)))


async def test_a_paused_audit_waits_and_goes_on() -> None:
    audit = Audit(is_held=True)
    async with console(audit) as (app, pilot):
        await until(lambda: len(app.scene.found) == 5)
        await pilot.press("space")
        await until(lambda: "PAUSED" in screen_lines(app)[0])
        audit.is_held = False
        await asyncio.sleep(0.3)
        assert len(app.scene.found) == 5
        await pilot.press("space")
        await until(lambda: len(app.scene.found) > 5)


async def test_leaving_a_live_audit_asks_and_stops_at_the_next_pulse() -> None:
    async with console(Audit(is_held=True)) as (app, pilot):
        await until(lambda: len(app.scene.found) == 5)
        await pilot.press("q")
        await until(lambda: isinstance(app.screen, ConfirmScreen))
        assert "the same command goes on from there" in screen_text(app)
        await pilot.press("y")
        await until(lambda: not app.is_running)
    assert app.return_code == 0
    assert app.word == "STOPPED"
    assert app.scene.card is None


async def test_a_failed_audit_shows_its_sentence_and_keeps_its_verdicts() -> None:
    async with console(Audit(error=DeviceError("out of memory; lower it [/b]")), (80, 24)) as (app, pilot):
        await until(lambda: "FAILED" in screen_lines(app)[0])
        assert "out of memory; lower it [/b]" in screen_text(app)
        assert "5 of 18" in screen_text(app)
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert app.return_code == DeviceError.exit_code


@pytest.mark.parametrize(("verdict", "code"), [("passes", exit_codes.OK), ("fails", exit_codes.AUDIT_FAILED)])
async def test_the_verdict_of_the_card_decides_the_exit_code(verdict: str, code: int) -> None:
    async with console(Audit(card=card(verdict=verdict))) as (app, pilot):
        await until(lambda: app.has_ended and app.scene.card is not None)
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert app.return_code == code


async def test_the_card_opens_at_the_end_and_escape_leads_back() -> None:
    async with console(Audit()) as (app, pilot):
        await until(lambda: app.scene.card is not None and "c card" in screen_lines(app)[-1])
        await pilot.press("c")
        await until(lambda: isinstance(app.screen, CardScreen))
        await until(lambda: "robustness card" in screen_text(app))
        await pilot.press("escape")
        await until(lambda: "what it means" in screen_text(app))


async def test_before_the_end_there_is_no_card() -> None:
    async with console(Audit(is_held=True)) as (app, pilot):
        await until(lambda: app.scene.found)
        await pilot.press("c")
        await until(lambda: app._notifications)
        assert not isinstance(app.screen, CardScreen)


async def test_help_explains_the_verdicts() -> None:
    async with console(Audit()) as (app, pilot):
        await until(lambda: app.scene.card is not None)
        await pilot.press("question_mark")
        await until(lambda: isinstance(app.screen, AuditHelp))
        await until(lambda: "never passes" in screen_text(app))


async def test_an_audit_whose_checks_are_not_known_lists_what_it_found() -> None:
    app = AuditApp(Audit(lists_checks=False), Control())
    async with app.run_test(size=(140, 45)):
        await until(lambda: "AUDIT FAILS" in screen_lines(app)[0])
        assert "18 of 18" in screen_text(app)


async def test_figures_outside_a_ball_are_marked_from_the_first_line_on() -> None:
    async with console(Audit(card=card(space="released-code")), (80, 24)) as (app, _):
        await until(lambda: "AUDIT FAILS" in screen_lines(app)[0])
        assert "released-code: not an ε-ball" in screen_lines(app)[0]


async def test_foreign_text_is_shown_and_never_obeyed() -> None:
    odd = [replace(item, title=EVERYTHING, figure=EVERYTHING, meaning=EVERYTHING) for item in diagnostics()]
    record = card(run=EVERYTHING, data=EVERYTHING, classifier=EVERYTHING)
    async with console(lambda _: iter([*odd, ev.AuditFinished(record)])) as (app, pilot):
        await until(lambda: app.scene.card is not None)
        await until(lambda: "AUDIT FAILS" in screen_lines(app)[0])
        assert all(line.isprintable() for line in screen_lines(app))
        await pilot.press("c")
        await until(lambda: isinstance(app.screen, CardScreen))
        assert all(line.isprintable() for line in screen_lines(app))


def test_the_console_of_an_audit_needs_no_torch() -> None:
    program = "import sys, claf_tui.console.audit_app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
