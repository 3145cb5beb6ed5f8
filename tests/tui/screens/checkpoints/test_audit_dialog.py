import json
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.evaluation.cards import write_card
from claf_engine.events import records
from claf_tui.screens.card import CardScreen
from claf_tui.screens.checkpoints.actions import audit_command, typed_audit
from claf_tui.screens.checkpoints.audit_dialog import AuditDialog, audit_lines
from claf_tui.state.audit import AuditScene, reduce
from tests.tui.consoles import screen_lines, screen_text, text_in, until
from tests.tui.screens.browsing import browser
from tests.tui.scripted_audit import card, checks, diagnostics


def printing(*events: ev.Event, code: int = 0, then: str = "pass") -> str:
    """A program that prints events as lines of JSON."""
    lines = "\n".join(json.dumps(records.to_record(event)) for event in events)
    return f"import sys, time; print({lines!r}, flush=True); {then}; sys.exit({code})"


PRINTS_CARD = printing(ev.AuditFinished(card()), code=8)
STARTED = ev.AuditStarted(checks())


def test_the_command_is_a_quick_audit_as_events() -> None:
    assert audit_command(Path("a.safetensors"), "natural")[3:] == [
        *("audit", "a.safetensors", "--classifier", "natural", "--budget", "quick", "--ui", "jsonl")
    ]
    assert audit_command(Path("a.safetensors"), None, "4/255")[3:7] == ["audit", "a.safetensors", "--eps", "4/255"]
    assert typed_audit(Path("/a b.safetensors")) == "claf-tui audit '/a b.safetensors' --budget quick"


async def test_an_audit_from_the_browser_ends_with_its_card_whatever_the_verdict(run: Path) -> None:
    async with browser(run, program=PRINTS_CARD) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("a")
        await until(lambda: isinstance(app.screen, CardScreen))
        await until(lambda: "AUDIT FAILS" in screen_text(app))
        await pilot.press("escape")
        await until(lambda: "8 tensors" in screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (100, 28), (140, 45), (200, 60)])
async def test_verdicts_and_progress_appear_while_the_audit_goes_on(run: Path, size: tuple[int, int]) -> None:
    progress = ev.Progressed.of_activity("PGD-40 at 8/255", 0.5)
    program = printing(STARTED, *diagnostics()[:7], progress, then="time.sleep(60)")
    async with browser(run, size, program=program) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("a")
        await until(lambda: "7 of 18" in screen_text(app))
        await until(lambda: "PGD-40 at 8/255" in screen_text(app))
        assert " 50% " in screen_text(app)
        assert "✔ 6 passes" in screen_text(app)
        await until(lambda: diagnostics()[7].title[:12] in text_in(app, "#figures-shown"))
        assert "escape stops and keeps its results" in screen_text(app)
        dialog = app.screen.query_one(".dialog")
        assert app.screen.region.contains_region(dialog.region)
        assert all(dialog.region.contains_region(child.region) for child in dialog.walk_children())
        await pilot.press("escape")
        await until(lambda: "7 of 18" not in screen_text(app))


async def test_lines_that_are_no_events_are_passed_over(run: Path) -> None:
    program = f"print('a library says hello'); print('[1]'); print('{{}}'); {PRINTS_CARD}"
    async with browser(run, program=program) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("a")
        await until(lambda: isinstance(app.screen, CardScreen))


@pytest.mark.parametrize("num_rows", [-3, 0, 1, 5, 18, 40])
@pytest.mark.parametrize("width", [20, 58])
def test_lines_of_an_audit_fit(num_rows: int, width: int) -> None:
    scene = reduce(AuditScene(), STARTED)
    for event in (ev.Progressed.of_activity("PGD", 0.1), *diagnostics()):
        lines = audit_lines(scene, width, num_rows)
        assert len(lines) <= 3 + max(0, min(18, num_rows))
        assert all(line.cell_length <= width for line in lines)
        scene = reduce(scene, event)


def test_the_running_diagnostic_is_among_those_that_are_shown() -> None:
    scene = reduce(reduce(AuditScene(), STARTED), ev.Progressed.of_activity("PGD", 0.1))
    for event in diagnostics():
        assert any(event.title[:12] in line.plain for line in audit_lines(scene, 58, 5)[3:])
        scene = reduce(scene, event)


async def test_an_audit_that_fails_shows_its_sentence(run: Path) -> None:
    async with browser(run, program="import sys; sys.exit('error: no such data\\x1b]0;x\\x07 [/b]')") as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("a")
        await until(lambda: "error: no such data" in screen_text(app))
        assert isinstance(app.screen, AuditDialog)
        assert all(line.isprintable() for line in screen_lines(app))


async def test_an_audit_that_prints_no_card_is_an_error(run: Path) -> None:
    async with browser(run, (80, 24), program="print('{}')") as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("a")
        await until(lambda: "the audit printed no card" in screen_text(app))


async def test_without_a_card_a_checkpoint_is_unaudited(run: Path) -> None:
    async with browser(run, (80, 24)) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        assert sum("unaudited" in line for line in screen_lines(app)) == 3
        await pilot.press("v")
        await until(lambda: app._notifications)
        assert "a audits them" in next(iter(app._notifications)).message


async def test_a_card_is_found_by_the_weights_and_opens(run: Path) -> None:
    write_card(card(), run / "audit" / "step-000000300-attack-8-255-pixel-quick")
    async with browser(run, (80, 24)) as (app, pilot):
        await until(lambda: "✘ fails" in screen_text(app))
        await pilot.press("v")
        await until(lambda: isinstance(app.screen, CardScreen))
        await until(lambda: "AUDIT FAILS" in screen_text(app))
