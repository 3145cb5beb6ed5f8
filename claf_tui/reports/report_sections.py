"""The sections of a report on a run. Pure; every text that a run brings is escaped by `html`."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from claf_engine.config.sources import published_source
from claf_engine.runs.settings import Settings
from claf_tui.reports.html import Markup, joined, tag
from claf_tui.state.compared_run import ComparedRun
from claf_tui.state.comparison import NATURAL, Comparison, accuracy_at, figure_at
from claf_tui.state.comparison_tables import TextTable, accuracy_text, attack_text, value_text
from claf_tui.state.history import History
from claf_tui.words import attack_words, figures
from claf_tui.words.safe_text import safe

ON_DISK: dict[str, Callable[[str], str]] = {
    "data.source": published_source,
    "model.weights": lambda value: Path(value).name,
}
"""Settings that name a place on the disk of whoever trained; a page for others tells what lies there, not where."""
TONES = {"audit passes": "good", "audit warns": "doubt", "audit fails": "bad"}
LEVELS = {"alert": "bad", "warning": "doubt", "edit": "strong", "end": "strong"}
DIAGNOSTIC_TONES = {"passes": ("✔", "good"), "warns": ("!", "doubt"), "fails": ("✘", "bad")}
UPPER_BOUND = "An attack gives an upper bound: a stronger one can only lower it."


def without_places(comparison: Comparison) -> Comparison:
    """The same runs without where on a disk their images and weights lie."""
    rows = tuple(
        replace(row, values=tuple(told_value(row.name, value) for value in row.values)) if row.name in ON_DISK else row
        for row in comparison.settings
    )
    runs = tuple(replace(run, data=published(run.data)) for run in comparison.runs)
    return replace(comparison, runs=runs, settings=rows)


def section(title: str, *content: object) -> Markup:
    """A part of the page under a heading."""
    return tag("section", tag("h2", title), *content)


def table(shown: TextTable) -> Markup:
    """A table with its notes."""
    if not shown.rows:
        return tag("p", shown.empty, class_="note")
    head = tag("tr", *(tag("th", heading) for heading in shown.headings))
    rows = (tag("tr", *(tag("td", cell.text, class_=cell.tone or None) for cell in row)) for row in shown.rows)
    notes = (tag("p", note, class_="note") for note in shown.notes)
    whole = tag("table", tag("thead", head), tag("tbody", *rows))
    return joined(tag("div", whole, class_="scroll"), *notes)


def facts(pairs: Mapping[str, object]) -> Markup:
    """Names and values; what is empty is left out."""
    rows = (
        tag("tr", tag("th", name, scope="row"), tag("td", value))
        for name, value in pairs.items()
        if value not in ("", None)
    )
    return tag("div", tag("table", tag("tbody", *rows), class_="facts"), class_="scroll")


def head(run: ComparedRun) -> Markup:
    """What was trained, when, on which machine, and with which command."""
    started = run.state.run
    versions = run.begun_with.get("versions")
    command = run.begun_with.get("command")
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.begun)) if run.begun else ""
    machine = (
        "" if started is None else f"{started.device}, {started.precision}, {figures.count(started.threads)} threads"
    )
    about = {
        "begun": begun,
        "status": tag("span", run.status, class_=TONES.get(run.status, "strong")),
        "took": f"{figures.duration(run.seconds)}, {figures.count(run.steps)} steps, {run.epochs} epochs"
        + (f", {figures.units(run.units)} forward passes an image" if run.units is not None else ""),
        "images": "" if started is None else _images(started.num_train, started.num_validation, started.num_test),
        "classes": "" if started is None else safe(", ".join(started.class_names), 300),
        "parameters": "" if started is None else figures.count(started.num_parameters),
        "seed": "" if started is None else started.seed,
        "machine": machine,
        "with": _versions(versions),
        "command": tag("code", _command(command)) if isinstance(command, list) and command else "",
    }
    method = f"{safe(run.method, 40)} on {published(run.data)}"
    return tag("header", tag("h1", run.name), tag("p", method), facts(about))


def tiles(run: ComparedRun, columns: Sequence[str]) -> Markup:
    """The figures that the run stands for, and what they rest on."""
    shown = []
    for column in columns:
        found = accuracy_at(run, column)
        if found is None:
            continue
        figure = None if column == NATURAL else figure_at(run, column)
        share, _, interval = accuracy_text(found).partition(" ")
        name = "natural" if figure is None else f"robust at {attack_words.radius(figure)}"
        under = "" if figure is None else attack_text(figure)
        tone = "doubt" if figure is not None and figure.notice else None
        lines = (tag("span", line) for line in (interval and f"95 %: {interval}", under) if line)
        shown.append(tag("div", tag("span", name), tag("b", share, class_=tone), *lines, class_="tile"))
    if not shown:
        return tag("p", "no figure was measured yet", class_="note")
    standing = tag("b", run.standing, class_=TONES.get(run.standing, "dim"))
    return tag("div", *shown, tag("div", tag("span", "rests on"), standing, class_="tile"), class_="tiles")


def warnings(comparison: Comparison, run: ComparedRun) -> Markup:
    """What a reader of the figures must know."""
    robust = run.measured.robust if run.measured is not None else ()
    told = [text for text in (*attack_words.notices(robust), attack_words.caveat(robust)) if text]
    parts = [tag("p", f"! {text}", class_="warning") for text in (*told, *comparison.notices)]
    if run.measured is not None:
        which = f"{run.measured.classifier} classifier"
        chosen = f" of the {run.measured.checkpoint} checkpoint" if run.measured.checkpoint else ""
        parts.append(
            tag("p", f"Measured on {run.measured.split} images: {which}{chosen}. {UPPER_BOUND}", class_="note")
        )
    return joined(*parts)


def diagnostics(run: ComparedRun) -> Markup:
    """Every diagnostic of the card with its figure; below those that do not pass stands what they mean."""
    listed = (run.card or {}).get("diagnostics")
    items = [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []
    rows = [_diagnostic(item) for item in items]
    if not rows:
        return tag("p", f"No diagnostics were run: claf-tui audit {safe(run.name, 80)} runs them.", class_="note")
    heads = tag("tr", *(tag("th", name) for name in ("", "diagnostic", "figure", "threshold")))
    return tag("div", tag("table", tag("thead", heads), tag("tbody", *rows)), class_="scroll")


def settings(shown: Settings | None) -> Markup:
    """The settings: those that differ from the preset first, all of them folded away."""
    if shown is None:
        return tag("p", "the settings cannot be read", class_="note")
    which = f"preset {shown.preset}{'' if shown.is_named else ', the nearest one'}"
    heads = tag("tr", *(tag("th", name) for name in ("setting", "this run", which)))
    told = tag("p", f"{len(shown.different)} of {len(shown.all)} settings differ from the {which}", class_="note")

    def rows(of: Sequence[Any]) -> Markup:
        body = (
            tag(
                "tr",
                tag("td", setting.name),
                tag("td", told_value(setting.name, setting.value), class_="strong" if setting.differs else None),
                tag("td", told_value(setting.name, setting.preset_value), class_="dim"),
            )
            for setting in of
        )
        return tag("div", tag("table", tag("thead", heads), tag("tbody", *body)), class_="scroll")

    whole = tag("details", tag("summary", f"all {len(shown.all)} settings"), rows(shown.all))
    return joined(told, rows(shown.different) if shown.different else None, whole)


def story(history: History) -> Markup:
    """What happened, in order."""
    rows = (
        tag(
            "tr",
            tag("td", figures.count(each.step), class_="when"),
            tag("td", figures.exact_duration(each.elapsed), class_="when"),
            tag("td", each.kind, class_="dim"),
            tag("td", each.text, class_=LEVELS.get(each.kind)),
        )
        for each in history.happenings
    )
    heads = tag("tr", *(tag("th", name) for name in ("step", "time", "", "what happened")))
    left = f"{history.num_left_out} earlier ones are left out" if history.num_left_out else ""
    note = tag("p", left, class_="note") if left else None
    return joined(note, tag("div", tag("table", tag("thead", heads), tag("tbody", *rows)), class_="scroll"))


def published(source: str) -> str:
    """A data source without where on a disk it lies."""
    return safe(published_source(source), 80)


def told_value(name: str, value: Any) -> str:
    """A setting as a page for others tells it."""
    if isinstance(value, str) and name in ON_DISK:
        return safe(ON_DISK[name](value), 200)
    return value_text(value)


def _diagnostic(item: Mapping[str, Any]) -> Markup:
    glyph, tone = DIAGNOSTIC_TONES.get(str(item.get("verdict")), ("○", "dim"))
    meaning = None
    if tone in ("doubt", "bad"):
        meaning = tag("p", safe(item.get("meaning", ""), 600), class_="note")
    title = joined(safe(item.get("title", ""), 200), meaning)
    cells = (tag("td", safe(item.get(name, ""), 400)) for name in ("figure", "threshold"))
    return tag("tr", tag("td", glyph, class_=tone), tag("td", title), *cells)


def _images(train: int, validation: int, test: int) -> str:
    return f"{train:,} for training, {validation:,} for validation, {test:,} for the test"


def _versions(versions: object) -> str:
    if not isinstance(versions, Mapping):
        return ""
    return ", ".join(f"{safe(name, 30)} {safe(value, 60)}" for name, value in versions.items())


def _command(command: Sequence[object]) -> str:
    """The command line without where the program and the images lie."""
    words = [published_source(str(word)) for word in command]
    return safe(" ".join(["claf-tui", *words[1:]]), 1000)
