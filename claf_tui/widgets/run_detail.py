"""What stands below the list of runs about the chosen one. Pure."""

from textual.content import Content

from claf_engine.runs.overview import TEST, Overview, seconds_silent
from claf_engine.runs.probe_history import ListedFigure
from claf_tui.widgets.chart import PALETTE
from claf_tui.widgets.run_rows import DIM, one_line, robust_cell, state_cell
from claf_tui.words import figures
from claf_tui.words.attack_words import DOUBTED
from claf_tui.words.pauses import coming_pause
from claf_tui.words.safe_text import safe


def detail_lines(run: Overview | None, width: int, now: float, *, is_silent: bool = False) -> list[Content]:
    """Four lines about one run: its folder and state, its figures, where it is, and what was written about it.

    Args:
        run: None where there is none.
        width: of the lines.
        now: seconds since the epoch.
        is_silent: it should have given a sign of life long ago.
    """
    if run is None:
        return [Content("")] * 4
    digest = run.digest
    is_running = run.status == "running" and not is_silent
    sign = Content.styled("running", "$accent") if is_running else state_cell(run, 0, is_silent=is_silent)
    heard = f"no sign of life for {figures.duration(seconds_silent(digest, now))} " if is_silent else ""
    head = Content.assemble((f" {safe(run.name, 100)}", "bold"), "  ", sign, (f" {heard}{_ending(run)}", DIM))
    phase = f"{safe(digest.method, 30)} on {safe(digest.data, 60)}" if digest.method else ""
    parts = [phase, safe(digest.phase, 60) if run.is_live else "", _clock(run, now)]
    written = _written(run)
    lines = [head, _figures_line(run), Content.styled(" " + " · ".join(filter(None, parts)), DIM), written]
    return [line.truncate(width, ellipsis=True) for line in lines]


def _written(run: Overview) -> Content:
    labels = run.digest.labels
    if not labels.note and not labels.tags:
        return Content.styled(" n writes a note, t tags it", DIM)
    tags = " ".join(f"#{tag}" for tag in labels.tags)
    note = Content.styled(safe(one_line(labels.note), 400), "$foreground")
    return Content.assemble(" ", (safe(tags, 200), "$secondary"), "  " if tags and labels.note else "", note)


def _ending(run: Overview) -> str:
    if run.status == "interrupted":
        step = f"at step {figures.count(run.digest.step)}"
        if run.newest is None:
            return f"{step} (no checkpoint)"
        return f"{step} (newest checkpoint {figures.count(run.newest)}) · r resumes it"
    if run.digest.notice:
        return safe(run.digest.notice, 300)
    return safe(run.digest.reason, 300) if run.digest.reason else ""


def _figures_line(run: Overview) -> Content:
    measured = run.measured
    if measured.robust is None:
        text = (
            f" natural {figures.percent(measured.natural)}, nothing attacked yet"
            if measured.images
            else " not measured"
        )
        return Content.styled(text, DIM)
    parts = [
        Content.styled(" natural ", DIM),
        Content.styled(figures.percent(measured.natural), PALETTE[0]),
        Content.styled("  robust ", DIM),
        robust_cell(run, 40),
        Content.styled(f"  {_source(run, measured.robust)}", DIM),
    ]
    if measured.robust.notice:
        parts.append(Content.styled(f"  {DOUBTED} {safe(measured.robust.notice, 300)}", "$warning"))
    return Content.assemble(*parts)


def _source(run: Overview, figure: ListedFigure) -> str:
    """Which images a figure is of, how many, and of how many probes it is the best."""
    number = figures.count(figure.num_examples) if figure.num_examples else ""
    if run.measured.images == TEST:
        return " ".join(filter(None, ("of", number, "test images")))
    latest = run.digest.probes.latest
    if latest is None:
        return " ".join(filter(None, ("of", number, "validation images")))
    probes = f"best of {latest.num_values} probes" if latest.num_values > 1 else "a probe"
    best = f"{probes} of {safe(latest.classifier, 20)}, step {figures.count(latest.step)}"
    return f"{best}, {number} images" if number else best


def _clock(run: Overview, now: float) -> str:
    digest = run.digest
    begun = f"begun {figures.age(digest.begun, now)}" if digest.begun else ""
    left = figures.time_left(digest.remaining, now) if run.is_live and digest.remaining is not None else ""
    step = f"step {figures.count(digest.step)}" if digest.step else ""
    pause = coming_pause(digest.pause_unit, digest.pause_count) if run.is_live else ""
    return " · ".join(filter(None, (step, pause, begun, left)))
