"""A comparison as tables of text, which a terminal, a console, Markdown and HTML show alike. Pure, no Textual."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from claf_engine.events import RobustFigure
from claf_tui.state.compared_run import Accuracy, ComparedRun
from claf_tui.state.comparison import NATURAL, Comparison, Difference, accuracy_at, figure_at
from claf_tui.words import attack_words, figures
from claf_tui.words.safe_text import safe

MINUS = "−"
ALL_PAIRS = 4
"""Up to so many runs every two are compared in words; of more each with the first. `--json` has every pair."""
VERDICTS = {"passes": ("✔", "good"), "warns": ("!", "doubt"), "fails": ("✘", "bad"), "not-run": ("○", "dim")}
STATUS_TONES = {"finished": "good", "running": "live", "failed": "bad", "diverged": "bad", "interrupted": "doubt"}
STANDING_TONES = {"audit passes": "good", "audit warns": "doubt", "audit fails": "bad"}
MAX_VALUE = 200


@dataclass(frozen=True)
class Cell:
    """A text and its tone: empty, "strong", "dim", "good", "doubt", "bad", "live", or "run0" to "run7" for a run."""

    text: str
    tone: str = ""


@dataclass(frozen=True)
class TextTable:
    """Rows of clean text under headings.

    Attributes:
        title: what it shows.
        optional: headings of columns that may go where there is no room, the first to go first.
        notes: sentences below it.
        empty: what to say where it has no rows.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    optional: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    empty: str = ""


def comparison_tables(comparison: Comparison) -> tuple[TextTable, ...]:
    """All tables of a comparison, in the order in which a reader wants them."""
    return (
        figures_table(comparison),
        cost_table(comparison),
        differences_table(comparison),
        settings_table(comparison),
        cards_table(comparison),
        diagnostics_table(comparison),
    )


def figures_table(comparison: Comparison) -> TextTable:
    """Accuracies with their intervals: of test images where a run has ended, else of its latest probe."""
    rows = tuple(
        (
            *_named(number, run),
            Cell(run.status, STATUS_TONES.get(run.status, "")),
            *(accuracy_cell(run, column) for column in comparison.columns),
            Cell(_measured_on(run)),
            Cell(run.standing if run.measured is not None else "", STANDING_TONES.get(run.standing, "dim")),
        )
        for number, run in enumerate(comparison.runs)
    )
    headings = ("", "run", "state", *comparison.columns, "measured on", "rests on")
    notes = ["brackets hold the 95 % interval (Wilson) of each figure alone"]
    if {run.measured.split for run in comparison.runs if run.measured is not None} == {"test", "validation"}:
        notes.append("test and validation images are not compared with each other")
    return TextTable(
        "Final figures", headings, rows, ("state", "rests on", "measured on"), (*notes, *_doubts(comparison))
    )


def cost_table(comparison: Comparison, now: float | None = None) -> TextTable:
    """What each run took, and where its best checkpoint lies."""
    now = time.time() if now is None else now
    rows = tuple(
        (
            *_named(number, run),
            Cell(run.method),
            Cell(run.data),
            Cell(_best_text(run)),
            Cell(figures.count(run.steps)),
            Cell(_epochs_text(run)),
            Cell(figures.duration(run.seconds)),
            Cell(figures.units(run.units)),
            Cell(figures.age(run.begun, now)),
        )
        for number, run in enumerate(comparison.runs)
    )
    headings = ("", "run", "method", "data", "best checkpoint", "steps", "epochs", "time", "units", "begun")
    notes = ("units: forward passes of the encoder that training has spent on each image (a full backward pass is 2)",)
    return TextTable("Runs", headings, rows, ("begun", "data", "method", "units", "epochs"), notes)


def differences_table(comparison: Comparison) -> TextTable:
    """By how much runs differ, and whether that is more than noise."""
    shown = [item for item in comparison.differences if _is_shown(item, comparison)]
    rows = tuple(
        (
            Cell(f"{item.first} {MINUS} {item.second}", "strong"),
            Cell(f"{item.column}{f' ({item.measured})' if item.measured else ''}"),
            Cell(points(item.difference), _tone(item)),
            Cell(f"{points(item.low)} to {points(item.high)}"),
            Cell("within noise" if item.is_noise else "beyond noise", _tone(item)),
            Cell(_how(item), "dim"),
            Cell(", ".join(item.doubts), "doubt"),
        )
        for item in shown
    )
    headings = ("pair", "at", "points", "95 % interval", "", "how", "but")
    notes = [
        "independent (Newcombe): as if the images had been drawn anew for each run; too wide where they are the same"
    ]
    if any(item.how == "paired" for item in shown):
        notes.append("paired: image by image on the same images, with the p-value of McNemar's exact test")
    if len(shown) > 1:
        notes.append("each interval has 95 % for itself, not all of them together")
    if len(shown) < len(comparison.differences):
        notes.append(f"each with {comparison.runs[0].key}; --json has every pair")
    empty = "no two runs have a figure in common yet"
    return TextTable("Differences", headings, rows, ("how",), tuple(notes) if rows else (), empty)


def settings_table(comparison: Comparison) -> TextTable:
    """The settings that are not the same in all runs, those that change nothing of the training last."""
    rows = tuple(
        (Cell(row.name, "dim" if row.is_silent else ""), *(Cell(value_text(value)) for value in row.values))
        for row in comparison.settings
    )
    headings = ("setting", *(f"{run.key} {run.label}" for run in comparison.runs))
    notes = (f"{comparison.num_equal} settings are the same in all runs",)
    return TextTable("Settings that differ", headings, rows, notes=notes, empty="no setting differs")


def cards_table(comparison: Comparison) -> TextTable:
    """The robustness card of each run: its verdict, and the worst case that it found."""
    rows = tuple(_card_row(number, run) for number, run in enumerate(comparison.runs))
    headings = ("", "run", "audit", "budget", "natural", "worst case", "at", "attacks", "images")
    notes = ["a card is about the classifier whose figures stand above; claf-tui audit RUN makes one"]
    notes += list(dict.fromkeys(_worst_notice(run) for run in comparison.runs if _worst_notice(run)))
    return TextTable("Robustness cards", headings, rows, ("images", "attacks", "budget"), tuple(notes))


def diagnostics_table(comparison: Comparison) -> TextTable:
    """What each diagnostic says of each run."""
    verdicts = [_verdicts(run) for run in comparison.runs]
    titles = {name: title for found in verdicts for name, (title, _) in found.items()}
    rows = tuple(
        (
            Cell(title),
            *(Cell(*VERDICTS.get(found[name][1], ("○", "dim"))) if name in found else Cell("") for found in verdicts),
        )
        for name, title in titles.items()
    )
    headings = ("diagnostic", *(run.key for run in comparison.runs))
    notes = ("✔ passes  ! warns  ✘ fails  ○ was not run",) if rows else ()
    return TextTable("Diagnostics of the audits", headings, rows, notes=notes, empty="none of these runs was audited")


def accuracy_cell(run: ComparedRun, column: str) -> Cell:
    """An accuracy with its interval, and with a mark where it cannot be right: "25.3 % [22.7, 28.1]"."""
    found = accuracy_at(run, column)
    if found is None:
        return Cell(figures.UNKNOWN, "dim")
    figure = None if column == NATURAL else figure_at(run, column)
    is_doubted = figure is not None and bool(figure.notice)
    return Cell(f"{accuracy_text(found)}{' !' if is_doubted else ''}", "doubt" if is_doubted else "strong")


def accuracy_text(found: Accuracy) -> str:
    """An accuracy with its interval, in percent."""
    share = figures.percent(found.share)
    if found.low is None or found.high is None:
        return share
    return f"{share} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def points(difference: float) -> str:
    """A difference of two accuracies in percentage points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-", MINUS)


def value_text(value: Any) -> str:
    """A setting as a person reads it."""
    if value is None:
        return figures.UNKNOWN
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return safe(f"[{', '.join(map(value_text, value))}]", MAX_VALUE)
    return safe(value, MAX_VALUE)


def _named(number: int, run: ComparedRun) -> tuple[Cell, Cell]:
    return Cell(run.key, f"run{number}"), Cell(run.label)


def _measured_on(run: ComparedRun) -> str:
    if run.measured is None:
        return ""
    count = run.measured.natural.num_examples
    return f"{figures.count(count)} {run.measured.split}" if count else run.measured.split


def _best_text(run: ComparedRun) -> str:
    if run.best is None:
        return figures.UNKNOWN
    at = f" at {run.best.radius}" if run.best.radius else ""
    stronger = " under the stronger attack" if run.best.is_stronger else ""
    return f"step {figures.count(run.best.step)}: {figures.percent(run.best.robust)}{at}{stronger}"


def _epochs_text(run: ComparedRun) -> str:
    planned = sum(phase.plan.epochs for phase in run.state.phases)
    return f"{run.epochs} of {planned}" if planned > run.epochs else str(run.epochs)


def _doubts(comparison: Comparison) -> list[str]:
    """Why figures cannot be right or are of no ball, each sentence once, and where attacks differ."""
    shown: dict[str, list[RobustFigure]] = {}
    for run in comparison.runs:
        for column in comparison.columns:
            if column != NATURAL and (figure := figure_at(run, column)) is not None:
                shown.setdefault(column, []).append(figure)
    everything = [figure for found in shown.values() for figure in found]
    notes = [f"{attack_words.DOUBTED} {text}" for text in attack_words.notices(everything)]
    outside = attack_words.caveat(everything)
    notes += [f"{attack_words.NO_BALL} {outside}"] if outside else []
    return [*notes, *_attack_notes(shown)]


def _attack_notes(shown: Mapping[str, Sequence[RobustFigure]]) -> list[str]:
    """What robust figures were measured under: once where that is the same for all radii."""
    attacks = {column: list(dict.fromkeys(map(attack_text, found))) for column, found in shown.items()}
    different = {tuple(found) for found in attacks.values()}
    if len(different) == 1 and len(only := different.pop()) == 1:
        return [f"attacked with {only[0]}"]
    return [
        f"{column}: attacked with {found[0]}"
        if len(found) == 1
        else f"{column}: not the same attack: {'; '.join(found)}"
        for column, found in attacks.items()
    ]


def attack_text(figure: RobustFigure) -> str:
    """What an accuracy was measured under, as far as it is needed to repeat it."""
    steps = f"-{figure.steps}" if figure.steps else ""
    restarts = f", {figure.restarts} restarts" if figure.restarts > 1 else ""
    defence = "" if figure.defence == "none" else f", behind {safe(figure.defence, 60)} ({safe(figure.knowledge, 12)})"
    size = f", steps of {safe(figure.step_size, 12)}" if figure.steps else ""
    return f"{safe(figure.attack, 20)}{steps}{size}{restarts}{defence}, {safe(figure.precision, 8)}"


def _is_shown(item: Difference, comparison: Comparison) -> bool:
    return len(comparison.runs) <= ALL_PAIRS or item.first == comparison.runs[0].key


def _tone(item: Difference) -> str:
    return "dim" if item.is_noise else "good" if item.difference > 0 else "bad"


def _how(item: Difference) -> str:
    if item.how == "independent" or item.p_value is None:
        return item.how
    return f"paired, p = {item.p_value:.3f}" if item.p_value >= 0.001 else "paired, p < 0.001"


def _card_row(number: int, run: ComparedRun) -> tuple[Cell, ...]:
    card = run.card
    if card is None:
        return (*_named(number, run), Cell(run.standing, "dim"), *(Cell(figures.UNKNOWN, "dim"),) * 6)
    worst = _part(card, "worst_case")
    radius = attack_words.radius_text(
        worst.get("epsilon", ""), worst.get("norm", "linf"), worst.get("space", "pixel"), notice=_worst_notice(run)
    )
    return (
        *_named(number, run),
        Cell(run.standing, STANDING_TONES.get(run.standing, "dim")),
        Cell(safe(card.get("budget") or figures.UNKNOWN, 12)),
        Cell(_share_text(_part(card, "natural"))),
        Cell(_share_text(worst), "strong"),
        Cell(radius),
        Cell(safe(worst.get("num_attacks", figures.UNKNOWN), 6)),
        Cell(safe(card.get("num_examples", figures.UNKNOWN), 10)),
    )


def _worst_notice(run: ComparedRun) -> str:
    return safe(_part(run.card or {}, "worst_case").get("notice") or "", attack_words.MAX_NOTICE)


def _share_text(figure: Mapping[str, Any]) -> str:
    """A figure of a card, which others may have written."""
    share, interval = figure.get("accuracy"), figure.get("interval")
    if not isinstance(share, int | float):
        return figures.UNKNOWN
    is_pair = (
        isinstance(interval, list) and len(interval) == 2 and all(isinstance(end, int | float) for end in interval)
    )
    low, high = interval if isinstance(interval, list) and is_pair else (None, None)
    return accuracy_text(Accuracy(float(share), 0, low, high))


def _verdicts(run: ComparedRun) -> dict[str, tuple[str, str]]:
    """Title and verdict of each diagnostic, by its name."""
    listed = (run.card or {}).get("diagnostics")
    items: Sequence[Any] = listed if isinstance(listed, list) else ()
    return {
        safe(item.get("name", ""), 60): (safe(item.get("title", ""), 100), str(item.get("verdict")))
        for item in items
        if isinstance(item, Mapping)
    }


def _part(card: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = card.get(name)
    return value if isinstance(value, Mapping) else {}
