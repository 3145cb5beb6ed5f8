"""What the tests of the checkpoint browser share: entries without torch, and a browser around a folder."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from claf_engine.runs.header import CheckpointInfo, read_info
from claf_engine.terms.errors import CheckpointError
from claf_tui.console.browser_app import BrowserApp
from claf_tui.screens.checkpoints.measuring import Commands

FIGURES = {
    "natural_accuracy": 0.934,
    "robust": [{"epsilon": "8/255", "robust_accuracy": 0.618, "attack": "pgd", "steps": 10}],
}
"""What an evaluation prints, as far as the browser reads it."""


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


@asynccontextmanager
async def browser(
    directory: Path, size: tuple[int, int] = (140, 45), *, is_live: bool = False, program: str = ""
) -> AsyncIterator[tuple[BrowserApp, Pilot[object]]]:
    def command(path: Path, classifier: str | None) -> list[str]:
        return [sys.executable, "-c", program, str(path), str(classifier)]

    app = BrowserApp(
        directory, is_live=lambda: is_live, entries=list_entries, commands=Commands(evaluate=command, audit=command)
    )
    async with app.run_test(size=size, notifications=True) as pilot:
        yield app, pilot  # type: ignore[misc]


def trained(probed: Sequence[str], optimizers: Sequence[str] = ()) -> dict[str, object]:
    """What a checkpoint says of the classifiers that were probed and of the optimisers that are at work."""
    return {
        "claf.ledger": {"validation": {name: {"robust": 0.5} for name in probed}},
        "claf.optimizers": {name: [] for name in optimizers},
    }
