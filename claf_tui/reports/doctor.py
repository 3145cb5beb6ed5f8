"""What `claf-tui doctor` shows: a row for each check, and what to do about those that do not pass. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from claf_engine.selftest.findings import Row
from claf_tui.reports.evaluation import new_table
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

if TYPE_CHECKING:  # it loads torch, which the first look at a machine must do without
    from claf_engine.compute.device import Compute

STYLES = {"passes": "green", "warns": "yellow", "fails": "bold red"}
WORDS = {"not-run": "not run"}
ROOM, LONG_ROOM = 200, 600
"""The longest text of a cell, and of an advice."""


def doctor_tables(title: str, rows: Sequence[Row]) -> list[RenderableType]:
    """One table, and what to do about its rows; what helps several is said once."""
    table = new_table("check", "result", "verdict", "figure")
    table.title, table.title_justify = safe(title, ROOM), "left"
    for row in rows:
        verdict = Text(WORDS.get(row.verdict, row.verdict), style=STYLES.get(row.verdict, "dim"))
        table.add_row(safe(row.title, ROOM), safe(row.result, ROOM), verdict, safe(row.figure, ROOM))
    advised: dict[str, list[str]] = {}
    for row in rows:
        if row.advice:
            advised.setdefault(row.advice, []).append(safe(row.title, ROOM))
    return [table, *(Text(f"{', '.join(titles)}: {safe(advice, LONG_ROOM)}") for advice, titles in advised.items())]


def speed_title(preset: str, compute: "Compute") -> str:
    """What was measured, and with what."""
    how = f"{compute.precision}, {compute.layout}"
    how += f", {figures.threads(compute.threads)}" if compute.device.type == "cpu" else ""
    return f"speed of preset {preset} on {compute.describe()}, {how}"


def doctor_record(
    environment: Sequence[Row], device: str | None, checks: Sequence[Row], speeds: Sequence[Row] = ()
) -> dict[str, Any]:
    """All of it as a JSON object; `device` is what was checked, None where nothing was."""
    return {
        "verdict": overall((*environment, *checks, *speeds)),
        "environment": [row.to_record() for row in environment],
        "device": device,
        "checks": [plain(row.to_record()) for row in checks],
        "speed": [plain(row.to_record()) for row in speeds],
    }


def overall(rows: Iterable[Row]) -> str:
    """The worst verdict; what was not run counts as nothing."""
    counts = Counter(row.verdict for row in rows)
    return "fails" if counts["fails"] else "warns" if counts["warns"] else "passes"


def plain(value: Any) -> Any:
    """A value that JSON can hold: a figure that is no finite number is a text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    return value
