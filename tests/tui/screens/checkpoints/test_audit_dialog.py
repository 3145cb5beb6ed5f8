import json
from pathlib import Path

from claf_engine.evaluation.cards import write_card
from claf_tui.screens.card import CardScreen
from claf_tui.screens.checkpoints.actions import audit_command, typed_audit
from claf_tui.screens.checkpoints.audit_dialog import AuditDialog
from tests.tui.consoles import screen_lines, screen_text, until
from tests.tui.screens.browsing import browser
from tests.tui.scripted_audit import card

PRINTS_CARD = f"import sys; print({json.dumps(json.dumps(card()))}); sys.exit(8)"


def test_the_command_is_a_quick_audit_as_json() -> None:
    assert audit_command(Path("a.safetensors"), "natural")[3:] == [
        *("audit", "a.safetensors", "--classifier", "natural", "--budget", "quick", "--json")
    ]
    assert typed_audit(Path("/a b.safetensors")) == "claf-tui audit '/a b.safetensors' --budget quick"


async def test_an_audit_from_the_browser_ends_with_its_card_whatever_the_verdict(run: Path) -> None:
    async with browser(run, program=PRINTS_CARD) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("a")
        await until(lambda: isinstance(app.screen, CardScreen))
        await until(lambda: "AUDIT FAILS" in screen_text(app))
        await pilot.press("escape")
        await until(lambda: "8 tensors" in screen_text(app))


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
