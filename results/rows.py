"""Tables of methods as sections of the page: figures, pairs of rows, and the effects of Tables 2 to 6."""

from collections.abc import Sequence

from claf_engine.reproduce.markdown import TIED, UNKNOWN
from results.evidence import NATURAL, Evidence, Record, decisive, difference_of, figure_of, measured_rows, paper_of
from results.markdown import plain, prose, table

ABLATIONS = tuple(f"table{number}-small-pixel" for number in range(2, 7))
SINGLE = "table3-small-pixel"
"""One network under more and more steps; its effect is within a row."""


def method_table(found: Record) -> list[str]:
    """Every row of a table with all of its figures, what they cost and what the audit says."""
    titles, rows = found["columns"], found["rows"]
    columns = range(NATURAL, len(titles))
    best = {column: _best(rows, column) for column in columns}
    shown = []
    for row in rows:
        figures = [_cell(found, row, column, best[column]) for column in columns]
        spread = UNKNOWN if row["spread"] is None else f"{100 * row['spread']:.1f}"
        seeds = sum(seed["natural_accuracy"] is not None for seed in row["runs"])
        shown.append(
            [row["label"], *figures, row["audit"] or UNKNOWN, f"{row['units_per_image']:.4g}", str(seeds), spread]
        )
    heads = ["row", "natural", *titles, "audit", "units an image", "seeds", "spread of seeds"]
    return [*table(heads, shown), "", *prose(f"{_images(found)} {_scope(found)}"), *_not_filled(rows)]


def pair_table(found: Record) -> list[str]:
    """Every two rows on the same images, in natural accuracy and under the decisive attack."""
    column = decisive(found)
    chosen = [NATURAL] if column is None else [NATURAL, column]
    titles = ["natural", *(found["columns"][each] for each in chosen if each != NATURAL)]
    names = dict.fromkeys((pair["first"], pair["second"]) for pair in found["pairs"])
    rows = [
        [f"{first} − {second}", *(str(difference_of(found, first, second, each) or UNKNOWN) for each in chosen)]
        for first, second in names
    ]
    return table(["rows", *titles], rows)


def tally_of_pairs(found: Record) -> str:
    """How many differences are more than noise under the decisive attack."""
    column = decisive(found)
    title = "natural" if column is None else found["columns"][column]
    pairs = [pair for pair in found["pairs"] if pair["column"] == title]
    certain = sum(not pair["is_noise"] for pair in pairs)
    return (
        f"Of {len(pairs)} differences under {title}, {certain} are more than noise and {len(pairs) - certain} are not."
    )


def effect_table(evidence: Evidence) -> list[str]:
    """Tables 2 to 6: the paper's effect beside ours, and whether the sign is the same."""
    rows: list[list[str]] = []
    for name in ABLATIONS:
        if name in evidence.tables and measured_rows(evidence.tables[name]):
            found = evidence.tables[name]
            rows += _within(found) if name == SINGLE else [_effect_row(*each) for each in effects(found)]
        else:
            rows.append([name.partition("-")[0], "not run yet", *[UNKNOWN] * 4])
    return table(["table", "effect", "attack", "paper, points", "ours, points [95 %]", "sign"], rows)


def effects(found: Record) -> list[tuple[Record, int, str]]:
    """Columns of a table of two rows in which the paper has an effect, each with its verdict."""
    first, second = found["rows"]
    columns = [
        column for column in range(NATURAL, len(found["columns"])) if _printed(first, second, column) is not None
    ]
    return [(found, column, sign_of(found, column)) for column in columns]


def sign_of(found: Record, column: int) -> str:
    """Whether the difference of the first two rows has the paper's sign: a word for the page."""
    first, second = found["rows"]
    printed, ours = _printed(first, second, column), difference_of(found, first["label"], second["label"], column)
    if ours is None or printed is None:
        return "not run yet"
    if ours.is_noise:
        return "within noise"
    if abs(printed) < 5e-4:
        return "paper has none"
    return "same" if (ours.share > 0) == (printed > 0) else "opposite"


def _effect_row(found: Record, column: int, sign: str) -> list[str]:
    first, second = found["rows"]
    printed, ours = _printed(first, second, column), difference_of(found, first["label"], second["label"], column)
    title = "natural" if column == NATURAL else found["columns"][column]
    paper = UNKNOWN if printed is None else f"{100 * printed:+.1f}"
    return [found["table"], f"{first['label']} − {second['label']}", title, paper, str(ours or UNKNOWN), sign]


def _within(found: Record) -> list[list[str]]:
    """The single row of Table 3: what is left with more steps, less what is with the fewest."""
    (row,) = found["rows"]
    columns = [column for column in range(len(found["columns"])) if paper_of(row, column) is not None]
    start, *others = columns
    shown = []
    for column in others:
        ours, begun, printed, few = (figure_of(row, column), figure_of(row, start), *_papers(row, column, start))
        if ours is None or begun is None or printed is None or few is None:
            continue
        effect, paper = ours.share - begun.share, printed - few
        title = f"{found['columns'][column]} − {found['columns'][start]}"
        sign = "same" if effect < 0 else "none" if effect == 0 else "opposite"
        interval = f"{100 * effect:+.1f} (from {begun} to {ours})"
        shown.append([found["table"], row["label"], title, f"{100 * paper:+.2f}", interval, sign])
    return shown


def _papers(row: Record, column: int, other: int) -> tuple[float | None, float | None]:
    return paper_of(row, column), paper_of(row, other)


def _printed(first: Record, second: Record, column: int) -> float | None:
    ours, theirs = paper_of(first, column), paper_of(second, column)
    return None if ours is None or theirs is None else ours - theirs


def _best(rows: Sequence[Record], column: int) -> str | None:
    found = {row["label"]: figure.share for row in rows if (figure := figure_of(row, column)) is not None}
    return max(found, key=lambda label: found[label], default=None)


def _cell(found: Record, row: Record, column: int, best: str | None) -> str:
    """A figure, bold where it is the best, after ≈ where the best is ahead of it by no more than noise."""
    figure = figure_of(row, column)
    if figure is None or best is None:
        return UNKNOWN
    if row["label"] == best:
        return f"**{100 * figure.share:.1f}** ± {50 * (figure.high - figure.low):.1f}"
    ahead = difference_of(found, best, row["label"], column)
    return f"{TIED} {figure}" if ahead is not None and ahead.is_noise else str(figure)


def _images(found: Record) -> str:
    """On how many test images each attack was tried."""
    counts: dict[int, list[str]] = {}
    for column, title in enumerate(found["columns"]):
        tried = {row["robust"][column].get("num_examples") for row in found["rows"] if column < len(row["robust"])}
        for count in tried - {None}:
            counts.setdefault(count, []).append(title)
    return " ".join(f"On {count} test images: {', '.join(titles)}." for count, titles in sorted(counts.items()))


def _scope(found: Record) -> str:
    data = sorted({seed["data"] for row in found["rows"] for seed in row["runs"] if seed["data"]})
    about = f"Data {', '.join(data)}; " if data else ""
    return f"{about}compute {found['compute']}, {100 * found['confidence']:g} % intervals."


def _not_filled(rows: Sequence[Record]) -> list[str]:
    """The rows without figures, each with why."""
    lacking = [row for row in rows if row["natural_accuracy"] is None]
    told = [plain(f"{row['label']} ({row['reason'] or row['status']})") for row in lacking]
    return ["", *prose(f"Without figures yet: {', '.join(told)}.")] if told else []
