"""Write `docs/related-work.md` and its chart from `results/related/`: `python -m results.related [--check]`.

The file is what `claf-tui reproduce related --scale tiny` wrote, as `python -m results.collect RUNS` copies it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from claf_engine.reproduce.bars_svg import Bar, Group, bar_chart
from claf_engine.reproduce.markdown import UNKNOWN
from claf_engine.reproduce.related import LEGEND, RELATED
from claf_engine.reproduce.rows import Row
from claf_engine.reproduce.scales import resolve_recipe
from claf_engine.terms.method_pages import METHOD_PAGES, MethodPage
from results.evidence import NATURAL, Figure, Record, figure_of, measured_rows, read_json
from results.markdown import listed, pending, plain, prose, table
from results.writing import run

FILE = Path("related", "related-tiny-pixel", "reproduction.json")
PAGE, CHART = "related-work.md", "related-work.svg"
COMMAND = "claf-tui reproduce related --scale tiny"
OBLIVIOUS, ADAPTIVE, WORST, AUTOATTACK = range(4)
"""Places of the columns of `RELATED`, and of the one that is added to them."""
NOTHING = 0.05
"""Share of images up to which nothing is left."""
LOST = 0.1
"""A system that loses more than this share between the oblivious attacker and the worst case has not held."""
TITLES = {
    "held": ("## What held", "", "At most ten points, or no more than noise, lie between oblivious and what is left."),
    "fell": ("## What fell", "", "More than ten points, and more than noise, lie between oblivious and what is left."),
    "broken": ("## What is broken", "", "At most one image in twenty is left."),
}
SYSTEM_PAGES = {
    "bit-depth": "related/feature-squeezing.md#as-a-defence",
    "median": "related/feature-squeezing.md#as-a-defence",
    "detector": "related/feature-squeezing.md#as-a-detector",
    "union": "related/union.md#the-worst-case-over-several-norms",
}
"""Where `docs/` tells of what stands before a network trained without it, by what a row's system begins with."""
SQUEEZED = (
    "Squeezing hides the gradient; an attacker who passes it as the identity meets the bare network (Athalye et al. "
    "2018, arXiv 1802.00420)."
)
SYSTEMS_KNOWN = {
    "bit-depth": SQUEEZED,
    "median": f"{SQUEEZED} A median has a gradient of its own too, and that one leads further.",
    "detector": "An attacker who keeps the score low while the loss climbs is not seen (He et al. 2017, arXiv "
    "1706.04701).",
}
"""What the literature knows of each under a strong attack."""
ROWS_KNOWN = {
    "AT, several norms": "Training in one ball promises nothing in the others (Tramèr and Boneh 2019, arXiv "
    "1904.13000): in Linf it keeps 50.7 % there and 16.0 % in L1 (Maini et al. 2020, arXiv 1909.04068).",
    "AT + rotation": "The auxiliary loss changes no attack: it holds as adversarial training does. Its authors report "
    "that it adds robustness (Hendrycks et al. 2019, arXiv 1906.12340), a later study that beyond the radius of "
    "training it costs some (arXiv 2112.04367).",
}
"""The same of rows whose method tells of something else, by label."""


def rendered(found: Record | None) -> dict[str, str]:
    """The page, and its chart where there are figures, by file name."""
    rows = {str(row["label"]): row for row in measured_rows(found)} if found else {}
    lines = [*_opening(), *_figures(found, rows), *_verdicts(rows), *_known(rows), *_repeat(found)]
    charts = {CHART: _chart(found, rows)} if found and rows else {}
    return {PAGE: "\n".join(lines).strip() + "\n", **charts}


def outcome_of(row: Record) -> str:
    """What became of a system between the oblivious attacker and what is left: broken, fell or held.

    Broken: at most one image in twenty stands. Fell: more than ten points are lost, and the intervals do not meet.
    """
    oblivious, left = figure_of(row, OBLIVIOUS), left_of(row)
    if oblivious is None or left is None:
        return "unknown"
    if left.share <= NOTHING:
        return "broken"
    return "fell" if oblivious.share - left.share > LOST and left.high < oblivious.low else "held"


def left_of(row: Record) -> Figure | None:
    """What is left of a row: its worst case; or AutoAttack's figure where that lies below for all its few images."""
    worst, autoattack = figure_of(row, WORST), figure_of(row, AUTOATTACK)
    if worst is not None and autoattack is not None and autoattack.high < worst.low:
        return autoattack
    return worst


def _opening() -> list[str]:
    told = (
        "The paper's section 2 names the defences that it builds on or sets itself against. This page says what is "
        "left of each under the attacker who knows it, measured by one command on drawn shapes: small networks, so the "
        "figures compare with each other and not with published ones. What is left of a system is its worst case, or "
        "AutoAttack's figure where even the upper end of its interval lies below that of the worst case: the other "
        "attackers then missed what it found on the few images that it was tried on."
    )
    return ["# What the paper stands on, and what of it holds", "", *prose(told), ""]


def _figures(found: Record | None, rows: Mapping[str, Record]) -> list[str]:
    lines = ["## Natural, oblivious, adaptive, worst case", ""]
    if found is None or not rows:
        return [*lines, *pending("no row of the table is finished", COMMAND), ""]
    titles = found["columns"]
    shown = [
        [
            row["label"],
            *(_cell(row, place) for place in range(NATURAL, len(titles))),
            row["audit"] or UNKNOWN,
            f"{row['units_per_image']:.4g}",
        ]
        for row in rows.values()
    ]
    missing = [row.label for row in RELATED.rows if row.label not in rows]
    notes = [line for row in RELATED.rows if row.label in rows and row.note for line in _noted(row)]
    return [
        f"![natural, oblivious, adaptive and worst case]({CHART})",
        "",
        *table(["system", "natural", *titles, "audit", "units"], shown),
        "",
        *prose(LEGEND.replace("\n", " ")),
        "",
        *prose(
            "Accuracy in percent on test images, ± half of its 95 % interval. Units are forward passes that training "
            "spends on each image."
        ),
        "",
        *([*notes, ""] if notes else []),
        *([*prose(f"Not run yet: {listed(missing)}."), ""] if missing else []),
    ]


def _noted(row: Row) -> list[str]:
    return prose(f"{plain(row.label)}: {row.note}.", "- ")


def _cell(row: Record, place: int) -> str:
    figure = figure_of(row, place)
    return UNKNOWN if figure is None else str(figure)


def _verdicts(rows: Mapping[str, Record]) -> list[str]:
    """What held and what did not, from the figures alone."""
    lines = []
    for outcome, title in TITLES.items():
        told = [row for row in rows.values() if outcome_of(row) == outcome]
        if told:
            lines += [*title, "", *(line for row in told for line in _told(row)), ""]
    return lines


def _told(row: Record) -> list[str]:
    natural, oblivious, adaptive, worst = (figure_of(row, place) for place in range(NATURAL, WORST + 1))
    audit = f"; the audit {row['audit']}" if row["audit"] not in {None, "not-run"} else "; not audited"
    return prose(
        f"**{plain(row['label'])}**: {_percent(natural)} naturally, {_percent(oblivious)} for who does not know it, "
        f"{_percent(adaptive)} for who does, {_percent(worst)} in the worst case{_told_by_autoattack(row)}{audit}.",
        "- ",
    )


def _told_by_autoattack(row: Record) -> str:
    figure = figure_of(row, AUTOATTACK)
    return (
        ""
        if figure is None
        else f", {_percent(figure)} of {row['robust'][AUTOATTACK]['num_examples']} images under AutoAttack"
    )


def _percent(figure: Figure | None) -> str:
    return UNKNOWN if figure is None else f"{100 * figure.share:.1f} %"


def _known(rows: Mapping[str, Record]) -> Iterator[str]:
    """What the literature knows of each system, and where it is described."""
    yield from ["## What is known of each", ""]
    for row in RELATED.rows:
        name = row.system.partition(":")[0]
        page = METHOD_PAGES[resolve_recipe("tiny", row.recipe).method]
        link = f"[{row.system or row.recipe}]({SYSTEM_PAGES.get(name, page.section)})"
        state = "" if row.label in rows else " Not measured yet."
        yield from prose(f"**{plain(row.label)}** ({link}). {_known_of(row, name, page)}{state}", "- ")
    yield ""


def _known_of(row: Row, system: str, page: MethodPage) -> str:
    return ROWS_KNOWN.get(row.label) or SYSTEMS_KNOWN.get(system) or page.known


def _repeat(found: Record | None) -> list[str]:
    made = "" if found is None else f" The figures were made on {plain(found['machine'])}."
    return [
        "## Run it",
        "",
        f"    {COMMAND} --dry-run   # which runs it needs, and how long they and their measurements take",
        f"    {COMMAND}",
        "    claf-tui audit RUN --defence bit-depth:4   # a network behind what stands before it",
        "    claf-tui config methods alp                # what a method is, costs, and is known to do",
        "",
        *prose(
            f"`python -m results.collect RUNS` takes the finished table, and `python -m results.related` writes this "
            f"page from it.{made} A row is a line in `claf_engine/reproduce/related.py`."
        ),
    ]


def _chart(found: Record, rows: Mapping[str, Record]) -> str:
    titles = ["natural", *found["columns"][: WORST + 1]]
    groups = [
        Group(row["label"], tuple(Bar(title, _share(row, place - 1), None) for place, title in enumerate(titles)))
        for row in rows.values()
    ]
    return bar_chart("What is left of each system, drawn shapes", groups)


def _share(row: Record, place: int) -> float | None:
    figure = figure_of(row, place)
    return None if figure is None else figure.share


def read(results: Path) -> Record | None:
    """The table below a folder of evidence; None where it was not collected yet.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged.
    """
    path = results / FILE
    found: Record | None = read_json(path) if path.exists() else None
    return found


def main() -> None:
    """Write the page and its chart, or check them."""
    run(__doc__, "results.related", CHART, lambda results: rendered(read(results)))


if __name__ == "__main__":
    main()
