"""A report on a run as one HTML file: nothing outside of it is needed, nothing in it is run. Pure."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from claf_engine.runs.settings import Settings
from claf_tui.reports import report_sections as sections
from claf_tui.reports.html import Markup, joined, tag
from claf_tui.reports.pictures import example_grid
from claf_tui.reports.report_curves import charts, own_plans, shared_plans
from claf_tui.reports.report_style import style_sheet
from claf_tui.state.album import NoPage, Page
from claf_tui.state.comparison import Comparison
from claf_tui.state.comparison_tables import (
    cards_table,
    cost_table,
    diagnostics_table,
    differences_table,
    figures_table,
    settings_table,
)
from claf_tui.state.history import History

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""What a browser may do for this page: draw its own styles and pictures, and nothing else."""


@dataclass(frozen=True)
class Report:
    """What a report tells.

    Attributes:
        comparison: its first run is the one that the report is about; the others are compared with it.
        history: what happened to it.
        examples: images of its newest probe, or why there are none.
        settings: beside those of a preset; None where they cannot be read.
        made: when, in seconds since the epoch.
        version: of claf-tui.
    """

    comparison: Comparison
    history: History
    examples: Page | NoPage
    settings: Settings | None
    made: float
    version: str


def report_html(report: Report) -> str:
    """Write the page."""
    run = report.comparison.runs[0]
    meta = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{run.name}: claf-tui report"),
        tag("style", Markup(style_sheet())),
    )
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(report.made))
    foot = tag("footer", f"made by claf-tui {report.version} on {made}; 95 % intervals")
    body = tag("body", sections.head(run), tag("main", *_sections(report)), foot)
    return f"<!DOCTYPE html>\n{tag('html', tag('head', *meta), body, lang='en')}\n"


def _sections(report: Report) -> Iterator[Markup]:
    comparison = sections.without_places(report.comparison)
    run = comparison.runs[0]
    is_alone = len(comparison.runs) == 1
    yield joined(sections.tiles(run, comparison.columns), sections.warnings(comparison, run))
    if not is_alone:
        parts = (figures_table, differences_table, cost_table, settings_table)
        tables = (joined(tag("h3", (made := part(comparison)).title), sections.table(made)) for part in parts)
        yield sections.section(f"Compared with {len(comparison.runs) - 1} other runs", *tables)
        yield sections.section("Curves of all runs", charts(comparison.runs, shared_plans(comparison.runs)))
    curves = charts(comparison.runs[:1], own_plans(run.state), report.history.happenings)
    yield sections.section("Curves" if is_alone else f"Curves of {run.label}", curves)
    if is_alone:
        yield sections.section("Final figures", sections.table(figures_table(comparison)))
    has_cards = any(each.card is not None for each in comparison.runs)
    cards = sections.table(cards_table(comparison)) if has_cards else None
    more = None if is_alone else sections.table(diagnostics_table(comparison))
    yield sections.section("Robustness card", cards, more, sections.diagnostics(run))
    yield sections.section("Examples", _examples(report.examples))
    yield sections.section("Settings", sections.settings(report.settings))
    yield sections.section("What happened", sections.story(report.history))


def _examples(examples: Page | NoPage) -> Markup:
    if isinstance(examples, NoPage):
        return tag("p", examples.reason, class_="note")
    about = examples.probed.about
    told = f"validation images at step {about.step:,}, {about.classifier} classifier, {examples.probed.attack}"
    surviving = f"{examples.num_surviving} of {len(examples.fates)} watched images withstand it"
    return joined(tag("p", f"{told}; {surviving}", class_="note"), example_grid(examples))
