"""The finished table as Markdown: the paper's figures beside ours, what is noise, and where each figure is from."""

from collections.abc import Iterable, Sequence

from claf_engine.accuracy.pairs import Pair
from claf_engine.reproduce.board import Board
from claf_engine.reproduce.lines import NATURAL, Line, SeedResult, without_folders
from claf_engine.reproduce.measuring import Measurement
from claf_engine.reproduce.rows import Column
from claf_engine.runs import versions

UNKNOWN, TIED = "–", "≈"
NO_BALL = (
    "Attacked in the released code's space: normalised values clamped to [0, 1]. The figures are **not** accuracy in "
    "an epsilon-ball; how far images really moved is in the provenance below. Columns in pixels are of the ball: they "
    "say what remains there of the same networks."
)
LEGEND = """\
Accuracy in percent on test images, ± half of its 95 % interval by the number of images; difference in points. The
best figure of a column is bold, and ≈ marks one that it is ahead of by no more than noise. Units are forward passes of
the encoder that training spends on each image (a backward pass to the images counts 1, a full one 2). The audit is the
quick one of each row's network."""
PAIRED = """\
Every two rows on the same images, the first minus the second, in points, with its 95 % interval, which counts the
choice of images and, from two seeds on, that of seeds. ≈ marks what is noise: the interval holds 0, or McNemar's exact
test of a single seed says so."""


def as_markdown(board: Board, machine: str) -> str:
    """The whole report."""
    request = board.request
    parts = [f"# {board.table.name}: {board.table.title}", ""]
    about = [f"Scale {request.scale}", f"attack space {request.space}", f"compute {request.compute}"]
    parts += [f"{', '.join([*about, f'{request.seeds} run(s) of each row', *request.settings])}.", ""]
    parts += [] if request.space == "pixel" else [NO_BALL, ""]
    legend = [LEGEND, *([board.table.legend] if board.table.legend else [])]
    parts += [*_figures(board), "", *legend, "", "![bars](reproduction.svg)", ""]
    parts += _differences(board)
    notes = [f"- {plain(line.row.label)}: {line.row.note}" for line in board.lines if line.row.note]
    title = "What the paper's figures are" if board.table.has_paper else "What must be known of the rows"
    parts += [f"## {title}", "", *notes] if notes else []
    doubts = dict.fromkeys(notice for line in board.lines for notice in line.notices())
    parts += ["", "## What the figures cannot say", "", *(f"- {plain(text)}" for text in doubts)] if doubts else []
    parts += _audits(board.lines)
    parts += ["", "## Provenance", "", *_provenance(board.lines)]
    failed = [f"- {plain(line.row.label)}: {plain(line.reason)}" for line in board.lines if line.status == "failed"]
    parts += ["", "## Rows that failed", "", *failed] if failed else []
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    parts += ["", f"Machine: {machine}. Versions: {made}.", ""]
    return "\n".join(parts)


def percent(fraction: float | None) -> str:
    """A fraction in percent with one digit; unknown is a dash."""
    return UNKNOWN if fraction is None else f"{100 * fraction:.1f}"


def plain(text: str) -> str:
    """Foreign text as one cell: no pipes, no markup, no line breaks."""
    kept = "".join(char if char.isprintable() and char not in "|<>`" else "\ufffd" for char in text)
    return kept[:300]


def _figures(board: Board) -> list[str]:
    """The table itself: of what the paper has figures of, these and the difference too."""
    titles = ["natural", *map(_head, board.request.columns)]
    own = 1 + len(board.table.columns) if board.table.has_paper else 0
    heads = [f"{title}: {what}" for title in titles[:own] for what in ("paper", "ours", "difference")]
    near, columns = board.ties(), list(zip(*(line.accuracies() for line in board.lines), strict=True))
    best = [max((value for value in column if value is not None), default=None) for column in columns]
    rows = []
    for index, line in enumerate(board.lines):
        cells = [plain(line.row.label)]
        for place, (paper, ours) in enumerate(zip(line.paper(), line.accuracies(), strict=True)):
            shown = _figure(line, place, ours, is_best=ours == best[place], is_tied=near[place][index])
            gap = UNKNOWN if ours is None or paper is None else f"{100 * (ours - paper):+.1f}"
            cells += [percent(paper), shown, gap] if place < own else [shown]
        rows.append(
            [*cells, percent(line.spread()), f"{line.units:.4g}", line.verdict() or UNKNOWN, _status(board, line)]
        )
    return _table(["row", *heads, *titles[own:], "spread of seeds", "units", "audit", "status"], rows)


def _head(column: Column) -> str:
    """The title of a column, with the number of images where it is not measured on all of them."""
    return column.title if column.num_examples is None else f"{column.title}, first {column.num_examples} images"


def _status(board: Board, line: Line) -> str:
    """How a row stands, and over how many seeds its means are where some are missing."""
    measured = sum(bool(seed.measurements) for seed in line.seeds)
    is_partial = 0 < measured < board.request.seeds
    return f"{line.status}, {measured} of {board.request.seeds} seeds" if is_partial else line.status


def _figure(line: Line, place: int, ours: float | None, *, is_best: bool, is_tied: bool) -> str:
    """One of our figures: "52.0 ± 2.2", bold where it is the best, after ≈ where the best is ahead by noise."""
    if ours is None or (interval := line.interval(place - 1)) is None:
        return UNKNOWN
    low, high = interval
    figure = f"**{percent(ours)}**" if is_best else percent(ours)
    return f"{f'{TIED} ' if is_tied and not is_best else ''}{figure} ± {50 * (high - low):.1f}"


def _differences(board: Board) -> list[str]:
    """Every two rows under every attack."""
    found = board.comparisons()
    titles = ["natural", *(column.title for column in board.request.columns)]
    rows: dict[tuple[int, int], dict[int, Pair]] = {}
    for item in found:
        rows.setdefault((item.first, item.second), {})[item.column] = item.pair
    if not rows:
        return []
    labels = [plain(line.row.label) for line in board.lines]
    shown = [
        [
            f"{labels[first]} − {labels[second]}",
            *(_pair(pairs.get(column)) for column in range(NATURAL, len(titles) - 1)),
        ]
        for (first, second), pairs in sorted(rows.items())
    ]
    return ["## Differences between rows", "", PAIRED, "", *_table(["rows", *titles], shown), ""]


def _pair(pair: Pair | None) -> str:
    if pair is None:
        return UNKNOWN
    noise = f"{TIED} " if pair.is_noise else ""
    return f"{noise}{100 * pair.difference:+.1f} [{100 * pair.low:.1f}, {100 * pair.high:.1f}]"


def _audits(lines: Sequence[Line]) -> list[str]:
    rows = [
        [
            plain(line.row.label),
            str(seed.seed),
            seed.audited.verdict,
            plain("; ".join(seed.audited.failed)) or UNKNOWN,
            plain("; ".join(seed.audited.warned)) or UNKNOWN,
            f"{percent(seed.audited.worst_case)} of {seed.audited.num_examples}, {seed.audited.space}",
        ]
        for line in lines
        for seed in line.seeds
        if seed.audited is not None
    ]
    heads = ["row", "seed", "verdict", "failed", "warned", "worst case of the audit"]
    return ["", "## Audits", "", *_table(heads, rows)] if rows else []


def _provenance(lines: Sequence[Line]) -> list[str]:
    heads = ["row", "seed", "run", "checkpoint", "classifier", "attack", "step", "starts", "images", "moved (Linf)"]
    rows = [row for line in lines for seed in line.seeds for row in _origins(line, seed)]
    return _table([*heads, "precision", "accuracy", "weights"], rows)


def _origins(line: Line, seed: SeedResult) -> list[list[str]]:
    return [
        [
            plain(line.row.label),
            str(seed.seed),
            plain(seed.run.name) + (" (learning rate edited)" if seed.was_edited else ""),
            plain(item.subject.checkpoint.name),
            f"{item.subject.classifier} ({item.subject.chosen})",
            _attack(item),
            item.robust.step_size,
            f"{item.robust.restarts} (seed {item.robust.seed})",
            f"{item.robust.num_examples} of {plain(without_folders(item.data))}",
            _moved(item),
            f"{item.robust.precision}, {plain(item.device)}",
            percent(item.robust.accuracy),
            item.subject.weights_sha256[:12],
        ]
        for _, item in sorted(seed.measurements.items())
    ]


def _attack(item: Measurement) -> str:
    """What a figure stands under: "pgd-10 at 8/255, pixel", and what its attacker knew of what stands before it."""
    figure = item.robust
    name = f"{figure.attack}-{figure.steps}" if figure.steps else figure.attack
    guarded = "" if figure.defence == "none" else f", {plain(figure.defence)} ({figure.knowledge})"
    return f"{name} at {figure.epsilon}, {figure.space}{guarded}"


def _moved(item: Measurement) -> str:
    """How far attacked images lie from their originals, in levels of 255."""
    largest, average = item.robust.largest_distance, item.robust.mean_distance
    if largest is None:
        return UNKNOWN
    if average is None:
        return f"at most {255 * largest:.1f}/255"
    return f"mean {255 * average:.1f}/255, at most {255 * largest:.1f}/255"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    shown = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(cells)} |" for cells in shown]
