"""The methods of training as pages: what each is, what it costs, and what is known of it under a strong attack.

Costs are computed from the settings of packaged presets; torch is not loaded.
"""

import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from claf_engine.config.presets import preset_names, preset_summary, resolve_config
from claf_engine.config.registry import METHODS, Entry
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.method_pages import METHOD_PAGES
from claf_engine.training.costs import LOOPS, units_of_epoch
from claf_tui.reports.reproduction import UNITS
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

NOTHING_SAID = "a plugin's method, which says nothing of itself: give its function a docstring"
NOTHING_KNOWN = "What a plugin's method does under a strong attack nobody here knows; `claf-tui audit RUN` asks."
PAPER = "paper"
"""The preset of the paper's own recipe, whose figures those of CLAF's other presets are beside."""
NAME_ROOM = 9
"""Cells of the word before each paragraph of a page."""
MOST_TOLD = 600
"""Characters that a plugin may say of its method."""


@dataclass(frozen=True)
class PresetCost:
    """What a packaged preset spends on a method.

    Attributes:
        preset: its name.
        summary: its first line.
        units: forward-units an image, of all its epochs.
        phases: of each phase its epochs and the units of one.
    """

    preset: str
    summary: str
    units: float
    phases: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class MethodSheet:
    """A method as a person meets it; see `MethodPage` for what its texts are.

    Attributes:
        costs: of every packaged preset that trains it, its own first.
        plugin: the file that registered it; empty of our own.
        section: page and heading below `docs/`; empty of a plugin's.
    """

    name: str
    title: str
    source: str
    what: str
    known: str
    section: str
    costs: tuple[PresetCost, ...] = ()
    plugin: str = ""

    @property
    def command(self) -> str:
        """What to type to see what a run of it would do."""
        if self.costs:
            return f"claf-tui train --preset {self.costs[0].preset} --dry-run"
        plugin = f" --plugin {self.plugin}" if self.plugin else ""
        return f"claf-tui train --method {self.name}{plugin} --dry-run"

    def to_record(self) -> dict[str, Any]:
        """As a JSON object; its keys are stable."""
        costs = [
            {
                "preset": cost.preset,
                "units_per_image": round(cost.units, 2),
                "phases": [{"epochs": epochs, "units_per_epoch": round(units, 2)} for epochs, units in cost.phases],
            }
            for cost in self.costs
        ]
        return {**asdict(self), "costs": costs, "command": self.command}


def method_sheets() -> tuple[MethodSheet, ...]:
    """All methods, our own first, then those that plugins registered."""
    costs = _costs()
    own = [MethodSheet(name, **asdict(page), costs=tuple(costs.get(name, ()))) for name, page in METHOD_PAGES.items()]
    return (*own, *(_of_plugin(name, entry) for name, entry in METHODS.entries.items()))


def method_sheet(name: str) -> MethodSheet:
    """One method.

    Raises:
        ConfigError: there is none of this name.
    """
    for sheet in method_sheets():
        if sheet.name == name:
            return sheet
    raise ConfigError(METHODS.complaint(name))


def list_lines(sheets: tuple[MethodSheet, ...], width: int) -> list[str]:
    """Two lines of at most `width` cells for each method: name, cost and title, then what is known of it."""
    room = max(len(sheet.name) for sheet in sheets)
    lines = []
    for sheet in sheets:
        units = f"{figures.units(sheet.costs[0].units):>6} units" if sheet.costs else f"{figures.UNKNOWN:>6}      "
        head = f"{safe(sheet.name, 32):{room}}  {units}  {safe(sheet.title, 200)}"
        known = f"{'':{room}}  {'':12}  {safe(sheet.known, MOST_TOLD)}"
        lines += [_cut(head, width), _cut(known, width)]
    about = f"{UNITS}; of the first preset that `claf-tui config methods NAME` lists"
    return [*lines, "", *textwrap.wrap(about, width)]


def page_lines(sheet: MethodSheet, width: int) -> Iterator[str]:
    """The page of a method in lines of at most `width` cells."""
    yield _cut(f"{safe(sheet.name, 32)} · {safe(sheet.title, 200)}", width)
    yield from textwrap.wrap(safe(sheet.source, 300), width)
    yield ""
    yield from _paragraph("what", sheet.what, width)
    yield from _paragraph("known", sheet.known, width)
    yield from _cost_lines(sheet.costs, width)
    if sheet.section:
        yield from _paragraph("docs", f"docs/{sheet.section}", width)
    yield from _paragraph("next", sheet.command, width)


def _cost_lines(costs: Sequence[PresetCost], width: int) -> Iterator[str]:
    """A line for each preset: what it costs, its name, and of each phase its epochs and what one costs."""
    if not costs:
        return
    yield from _paragraph("costs", "forward passes an image, by preset: epochs x cost of one, phase by phase", width)
    room = max(len(cost.preset) for cost in costs)
    for cost in costs:
        phases = " + ".join(f"{epochs} x {figures.units(units)}" for epochs, units in cost.phases if epochs)
        yield _cut(f"{'':{NAME_ROOM}}{figures.units(cost.units):>6}  {cost.preset:{room}}  {phases}", width)


def _paragraph(word: str, text: str, width: int) -> list[str]:
    lead = f"{word:{NAME_ROOM}}"
    return textwrap.wrap(
        safe(text, 2000), max(NAME_ROOM + 20, width), initial_indent=lead, subsequent_indent=" " * NAME_ROOM
    )


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: max(1, width - 1)].rstrip()}…"


def _costs() -> dict[str, list[PresetCost]]:
    """Of every method, what each packaged preset of it costs, that of its own name first."""
    found: dict[str, list[PresetCost]] = {}
    for name in preset_names():
        config = resolve_config(name)
        loops = [(each.epochs, units_of_epoch(each.parts)) for each in LOOPS[config.method](config)]
        units = sum(epochs * of_epoch for epochs, of_epoch in loops)
        cost = PresetCost(name, preset_summary(name), units, tuple(loops))
        found.setdefault(config.method, []).append(cost)
    for method, costs in found.items():
        costs.sort(key=lambda cost: (cost.preset not in {method, PAPER}, not cost.preset.startswith(method)))
    return found


def _of_plugin(name: str, entry: Entry[Callable[..., Any]]) -> MethodSheet:
    told = safe(" ".join((inspect.getdoc(entry.value) or NOTHING_SAID).split()), MOST_TOLD)
    title = told.partition(". ")[0].rstrip(".")
    return MethodSheet(
        name, title, entry.origin, told, NOTHING_KNOWN, "", plugin=str(entry.plugin.path) if entry.plugin else ""
    )
