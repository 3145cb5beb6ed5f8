"""Which curves each chart shows, as pure functions of the state."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from claf_tui.charts.plot import ChartLine, Curve
from claf_tui.charts.trend import LEVELS
from claf_tui.charts.view import Extent, View, window
from claf_tui.state import RunState
from claf_tui.state.full_curves import FullCurves
from claf_tui.state.other_run import OtherRun
from claf_tui.state.series import Series
from claf_tui.widgets.chart import PALETTE, robust_color
from claf_tui.words import attack_words, figures
from claf_tui.words.safe_text import safe

LOSS_TITLES = {
    "wgan_gp": "critic loss",
    "supcon": "SupCon loss",
    "nt_xent": "NT-Xent loss",
    "trades": "TRADES loss",
    "alp": "ALP loss",
    "clp": "CLP loss",
    "two_encoders": "two-encoder loss",
    "rotation": "rotation loss",
    "jigsaw": "jigsaw loss",
    "selfie": "selfie loss",
    "cross_entropy": "cross-entropy loss",
    "classifier": "classifier loss",
    "log_odds": "universal log-odds",
    "rectified": "rectifier loss",
    "hinge": "detector loss",
}
"""What each loss is called; those that a method has of its own come first."""
METHOD_LOSSES = {
    "rocl": "nt_xent",
    "acl": "nt_xent",
    "trades": "trades",
    "alp": "alp",
    "clp": "clp",
    "two-encoders": "two_encoders",
    "claf": "supcon",
    "scl": "supcon",
    "defense-gan": "wgan_gp",
}
"""The loss that a method begins with; the others begin with cross-entropy."""

SHORT_TITLE = 18
"""Cells that the title of a phase may take in a legend of several."""


def loss_title(name: str) -> str:
    """Name a loss for a person."""
    return LOSS_TITLES.get(name) or f"{safe(name, 24)} loss".lstrip()


def logged_losses(state: RunState) -> list[str]:
    """The losses that the run has logged, those that train the features first."""
    found = dict.fromkeys(key.loss_name for key in state.losses)
    return [name for name in LOSS_TITLES if name in found] + [name for name in found if name not in LOSS_TITLES]


def shown_loss_name(state: RunState) -> str:
    """Name the loss to draw: the one that trains the features where the active phase has one, else what it logs."""
    active = {index for index, phase in enumerate(state.phases) if phase.status == "active"}
    in_phase = {key.loss_name for key in state.losses if key.phase in active}
    logged = logged_losses(state)
    return next((name for name in logged if name in in_phase), None) or next(iter(logged), first_loss(state))


def first_loss(state: RunState) -> str:
    """The loss that the run begins with, before it has logged any; empty before the run is known."""
    if state.run is None:
        return ""
    if state.run.method == "pretext":
        return str((state.run.config.get("pretext") or {}).get("task", "rotation"))
    name = METHOD_LOSSES.get(state.run.method, "cross_entropy")
    positives = (state.run.config.get("contrastive") or {}).get("positives")
    return "nt_xent" if name == "supcon" and positives == "views" else name


def loss_panel_title(state: RunState, name: str, *, is_log: bool) -> str:
    """Name the loss that is drawn, its axis, and the one that the key o shows next."""
    names = logged_losses(state)
    following = names[(names.index(name) + 1) % len(names)] if name in names else name
    other = f" · o: {loss_title(following)}" if following != name else ""
    return f"{loss_title(name)}{', log scale' if is_log else ''}{other}"


def loss_lines(state: RunState, loss_name: str, full: FullCurves | None = None) -> list[ChartLine]:
    """One curve of this loss for each phase that logged it, with every logged value where they were re-read."""
    losses = full.losses if full is not None else {}
    curves: dict[int, Curve] = {
        key.phase: losses.get(key, series) for key, series in state.losses.items() if key.loss_name == loss_name
    }
    return _by_phase(state, curves)


def rate_lines(state: RunState, full: FullCurves | None = None) -> list[ChartLine]:
    """The learning rate, one curve for each phase, with every logged value where they were re-read."""
    rates = full.rates if full is not None else {}
    return _by_phase(state, {phase: rates.get(phase, series) for phase, series in state.rates.items()})


def of_others(lines_by_run: Sequence[tuple[OtherRun, Sequence[ChartLine]]]) -> list[ChartLine]:
    """The curves of other runs, to lay over those of the one that is shown: one kind of dashes for each run.

    Colours say which curve it is; where a run has one only, its name alone stands in the legend. Each keeps its own
    clock and its own epochs.
    """
    found = []
    for number, (run, lines) in enumerate(lines_by_run, 1):
        is_only = len({line.name for line in lines}) == 1
        found += [
            replace(
                line,
                name=run.name if is_only else f"{run.name}: {line.name}",
                dash=number,
                timeline=run.state.timeline,
            )
            for line in lines
        ]
    return found


def first_radius(lines: Sequence[ChartLine]) -> list[ChartLine]:
    """Of the curves of probes those at the first radius, which is what runs are compared by."""
    return [line for line in lines if lines and line.name == lines[0].name]


def classifier_lines(state: RunState) -> list[ChartLine]:
    """Adversarial accuracy of the attack classifier before and after retraining, and the dissociation."""
    curves: tuple[tuple[str, str, Series], ...] = (
        ("before", PALETTE[1], state.before),
        ("after", PALETTE[0], state.after),
        ("dissociation", PALETTE[2], state.dissociation),
    )
    return [ChartLine(*curve) for curve in curves]


def overfitting_lines(state: RunState) -> list[ChartLine]:
    """Accuracy under the one-step attack of fast training and under PGD: where they part, it overfits."""
    return [ChartLine("one step", PALETTE[1], state.one_step), ChartLine("PGD", PALETTE[0], state.multi_step)]


def probe_lines(state: RunState) -> list[ChartLine]:
    """Natural accuracy, and robust accuracy at each radius: a line for each classifier, which share name and colour.

    Robust accuracy comes first; it is what a run is judged by.
    """
    radii = list(dict.fromkeys(key.radius for key in state.probes if key.radius))
    colors = {radius: robust_color(index) for index, radius in enumerate(radii)} | {"": PALETTE[0]}
    latest = state.probe.robust if state.probe is not None else ()
    doubted = {attack_words.ball_radius(item): f" {attack_words.DOUBTED}" for item in latest if item.notice}
    return [
        ChartLine(f"{radius}{doubted.get(radius, '')}" or "natural", colors[radius], series)
        for radius in (*radii, "")
        for key, series in state.probes.items()
        if key.radius == radius
    ]


def probe_bands(state: RunState) -> tuple[tuple[float, str], ...]:
    """Where each classifier was first probed, and its name: lines of two classifiers are not one story."""
    begun = {key.classifier: series.points[0].x for key, series in state.probes.items() if not key.radius}
    return tuple(
        (step, f"{name} classifier" if len(begun) == 1 else name)
        for name, step in sorted(begun.items(), key=lambda item: item[1])
    )


def view_text(state: RunState, view: View, extent: Extent, width: int) -> str:
    """Say what charts show where that is not the whole run, as far as it fits: the cursor, and the stretch of steps."""
    places = place_parts(state, view.cursor, in_all=view.x_axis == "epoch") if view.cursor is not None else []
    stretch = []
    if not view.is_whole:
        shown = window(view, extent)
        stretch.append(f"{figures.count(shown.first)} to {figures.count(shown.last)}")
        stretch += ["following"] if view.follows and state.finished is None else []
    if view.smoothing is not None:
        stretch.append(f"smoothing {figures.percent(LEVELS[view.smoothing])}" if view.smoothing else "no smoothing")
    options = [[*places[:count], *stretch] for count in range(len(places), 2, -1)]
    options += [places[:count] or stretch for count in range(len(places), -1, -1)]
    texts = [" · ".join(parts) for parts in options]
    return next((text for text in texts if len(text) <= width), "")


def place_parts(state: RunState, step: float, *, in_all: bool = False) -> list[str]:
    """Name a step by its number, its epoch, the run's clock and the phase that it belongs to.

    Args:
        state: of the run.
        step: maybe between two that were taken.
        in_all: say as well which epoch of all phases together it is, which is what an axis of epochs counts.
    """
    at = np.array([step])
    parts = [f"step {figures.count(round(step))}"]
    clock = figures.exact_duration(float(state.timeline.clock.values(at)[0]))
    epochs = total = float(state.timeline.epochs.values(at)[0])
    for phase in state.phases:
        if epochs < phase.plan.epochs or phase is state.phases[-1]:
            among = f" ({int(total) + 1} in all)" if in_all and epochs != total else ""
            parts += [f"epoch {int(epochs) + 1}{among}"] if phase.plan.epochs else []
            return [*parts, clock, safe(phase.plan.title, 40).rpartition("· ")[2]]
        epochs -= phase.plan.epochs
    return [*parts, clock]


def _by_phase(state: RunState, curves: dict[int, Curve]) -> list[ChartLine]:
    colors = (PALETTE[index % len(PALETTE)] for index in range(len(curves)))
    is_only = len(curves) == 1
    return [
        ChartLine(_phase_name(state, phase, is_only=is_only), color, series)
        for color, (phase, series) in zip(colors, curves.items(), strict=True)
    ]


def _phase_name(state: RunState, phase: int, *, is_only: bool) -> str:
    """A phase in a legend: by its title where it stands alone, else by as few words as tell it apart."""
    if not 0 <= phase < len(state.phases):
        return f"phase {phase + 1}"
    plan = state.phases[phase].plan
    title = safe(plan.title, 40).rpartition("· ")[2]
    name = title if is_only or len(title) <= SHORT_TITLE else safe(plan.name, 40).replace("_", " ")
    return name if is_only else name.removesuffix(" evaluation")
