from pathlib import Path

import pytest

from claf_engine.runs.header import read_info
from claf_engine.runs.verifying import Comparison, Verification
from claf_tui.screens.checkpoints.file_dialogs import export_target, proposed_name, verification_lines
from tests.tui.consoles import screen_text, until
from tests.tui.hostile import EVERYTHING
from tests.tui.screens.browsing import browser
from tests.tui.scripted import write_checkpoint

AGREES, DIFFERS, UNSTATED = Comparison("ab", "ab"), Comparison("ab", "cd"), Comparison("", "cd")


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (Verification(AGREES, AGREES, 2048), "✔ nothing was altered: 2.0 KiB"),
        (Verification(AGREES, DIFFERS, 1), "✘ altered or damaged"),
        (Verification(DIFFERS, AGREES, 1), "✘ altered or damaged"),
        (Verification(AGREES, UNSTATED, 1), "! the file does not state both hashes"),
    ],
)
def test_the_verdict_on_the_hashes(found: Verification, word: str) -> None:
    assert verification_lines(found)[0].plain.startswith(word)


def test_a_hash_that_differs_stands_beside_the_one_of_the_header() -> None:
    lines = [line.plain for line in verification_lines(Verification(AGREES, Comparison(EVERYTHING, "cd"), 1))]
    assert any(line.startswith("✘ whole file cd") for line in lines)
    assert any(line.startswith("  header") for line in lines)
    assert all(line.isprintable() for line in lines)


async def test_h_verifies_the_checkpoint_under_the_cursor(run: Path) -> None:
    async with browser(run, (80, 24)) as (app, pilot):
        await until(lambda: "8 tensors" in screen_text(app))
        await pilot.press("h")
        await until(lambda: "does not state both hashes" in screen_text(app))
        await pilot.press("escape")
        await until(lambda: "does not state both hashes" not in screen_text(app))


async def test_a_damaged_file_can_be_asked_too(run: Path) -> None:
    (run / "checkpoints" / "step-000000400.safetensors").write_bytes(b"half")
    async with browser(run, (80, 24)) as (app, pilot):
        await until(lambda: "cannot be r" in screen_text(app))
        await pilot.press("h")
        await until(lambda: "verify step-000000400" in screen_text(app))
        await until(lambda: "damaged or not" in screen_text(app))


def test_the_proposed_name_tells_run_and_step(tmp_path: Path) -> None:
    assert proposed_name(read_info(write_checkpoint(tmp_path / "run", 300))) == "run-step-300"


def test_the_proposed_name_is_a_plain_one_whatever_the_run_is_called(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "run", 300, extra={"claf.run": f"../../{EVERYTHING}/x"})
    name = proposed_name(read_info(path))
    assert name.isascii()
    assert "/" not in name
    assert not name.startswith(".")


def test_a_new_file_may_be_written(tmp_path: Path) -> None:
    assert export_target(f" {tmp_path}/w.safetensors ") == tmp_path / "w.safetensors"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "ends in .safetensors"),
        ("w.pt", "ends in .safetensors"),
        ("{folder}/there.safetensors", "is there already"),
        ("{folder}/link.safetensors", "is there already"),
        ("{folder}/no/w.safetensors", "there is no folder"),
        ("~nobody-of-this-name/w.safetensors", "no such person"),
    ],
)
def test_where_nothing_may_be_written_the_form_says_why(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "there.safetensors").write_text("mine")
    (tmp_path / "link.safetensors").symlink_to(tmp_path / "nothing")
    with pytest.raises(ValueError, match=sentence):
        export_target(text.format(folder=tmp_path))
