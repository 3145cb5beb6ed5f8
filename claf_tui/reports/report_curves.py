"""The curves of a report: one run's own, and those of several on each axis that they share. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from claf_tui.reports.html import Markup, joined, tag
from claf_tui.reports.svg_chart import SvgChart, SvgCurve, SvgMark, chart_svg, legend
from claf_tui.state.compared_run import ComparedRun
from claf_tui.state.comparison_curves import (
    AXES,
    AXIS_TITLES,
    CompareAxis,
    loss_series,
    losses_of,
    placed_series,
    places_of,
    probe_series,
    radii_of,
)
from claf_tui.state.history import Happening
from claf_tui.state.run_state import RunState
from claf_tui.state.series import Series
from claf_tui.words.safe_text import safe

AXIS_NAMES = {"step": "steps", "epoch": "epochs", "clock": "time", "units": "forward passes an image"}
MAX_RADII = 6
MAX_MARKS = 60
Pick = Callable[[RunState], list[Series]]


@dataclass(frozen=True)
class Plan:
    """One chart: its title, and which curves of a run it shows, each with a name."""

    title: str
    picks: tuple[tuple[str, Pick], ...]
    is_percent: bool = False


def own_plans(state: RunState) -> list[Plan]:
    """The charts of a single run."""
    radii = radii_of_state(state)
    probes: list[tuple[str, Pick]] = [("natural", lambda each: probe_series(each, ""))]
    probes += [(f"robust {safe(radius, 20)}", _robust(radius)) for radius in radii]
    plans = [Plan("Accuracy on validation images", tuple(probes), is_percent=True)]
    plans += [Plan(f"{safe(name, 24)} loss", ((f"{safe(name, 24)} loss", _loss(name)),)) for name in _losses(state)]
    method: tuple[tuple[str, Pick], ...] = (
        ("before retraining", lambda each: [each.before]),
        ("after retraining", lambda each: [each.after]),
        ("dissociation", lambda each: [each.dissociation]),
        ("one-step attack", lambda each: [each.one_step]),
        ("PGD", lambda each: [each.multi_step]),
    )
    plans.append(Plan("Accuracy under the attack of training", method, is_percent=True))
    plans.append(Plan("Learning rate", (("learning rate", lambda each: list(each.rates.values())),)))
    return plans


def shared_plans(runs: Sequence[ComparedRun]) -> list[Plan]:
    """The charts of several runs: robust accuracy at the first radius, natural accuracy, and each loss they share."""
    radii = radii_of(runs)
    plans = [
        Plan(f"Robust accuracy at {safe(radius, 20)} on validation images", (("", _robust(radius)),), is_percent=True)
        for radius in radii[:1]
    ]
    plans.append(Plan("Natural accuracy on validation images", (("", lambda each: probe_series(each, "")),), True))
    return plans + [Plan(f"{safe(name, 24)} loss", (("", _loss(name)),)) for name in losses_of(runs)[:3]]


def charts(runs: Sequence[ComparedRun], plans: Sequence[Plan], happenings: Sequence[Happening] = ()) -> Markup:
    """Draw charts, each on every axis of which something is known; buttons without a script choose the axis.

    Args:
        runs: whose curves they are; of one alone each curve has a colour, of several each run.
        plans: of the charts.
        happenings: of a single run, which are marked.
    """
    axes = [axis for axis in AXES if any(_curves(runs, plan, axis) for plan in plans)]
    inputs = []
    for number, axis in enumerate(axes):
        name = f"axis-{len(runs)}-{axis}"
        inputs.append(tag("input", type="radio", name=f"axis-{len(runs)}", id=name, checked=number == 0))
        inputs.append(tag("label", AXIS_NAMES[axis], for_=name))
    views = (tag("section", *_figures(runs, plans, axis, happenings), class_="view") for axis in axes)
    return tag("div", *inputs, *views, class_="axes") if axes else tag("p", "nothing was logged yet", class_="note")


def _figures(
    runs: Sequence[ComparedRun], plans: Sequence[Plan], axis: CompareAxis, happenings: Sequence[Happening]
) -> list[Markup]:
    found = []
    for plan in plans:
        curves = _curves(runs, plan, axis)
        if not curves:
            continue
        chart = SvgChart(
            plan.title,
            tuple(curves),
            AXIS_TITLES[axis],
            is_clock=axis == "clock",
            is_percent=plan.is_percent,
            marks=_marks(runs[0], axis, happenings),
        )
        body = joined(tag("h3", plan.title), chart_svg(chart), legend(curves, is_percent=plan.is_percent))
        found.append(tag("div", body, class_="figure"))
    return found


def _curves(runs: Sequence[ComparedRun], plan: Plan, axis: CompareAxis) -> list[SvgCurve]:
    is_alone = len(runs) == 1
    found = []
    for number, run in enumerate(runs):
        for place, (name, pick) in enumerate(plan.picks):
            title = name if is_alone else f"{run.key} {run.label}"
            curves = placed_series(run, pick(run.state), axis)
            tags = ["" if is_alone or curve is not curves[-1] else run.key for curve in curves]
            found += [
                SvgCurve(title, place % 8 if is_alone else number, curve.arrays, tag)
                for curve, tag in zip(curves, tags, strict=True)
            ]
    return found


def _marks(run: ComparedRun, axis: CompareAxis, happenings: Sequence[Happening]) -> tuple[SvgMark, ...]:
    """Where something happened that charts of the console mark as well; of the best checkpoints the last one."""
    shown = [each for each in happenings if each.kind in ("phase", "edit", "alert") and each.step > 0]
    shown += [each for each in happenings if each.kind == "best"][-1:]
    found = []
    for each in shown[-MAX_MARKS:]:
        places = places_of(run, axis, np.array([float(each.step)]))
        if places is not None:
            found.append(SvgMark(float(places[0]), each.kind, f"step {each.step:,}: {each.text}"))
    return tuple(found)


def radii_of_state(state: RunState) -> list[str]:
    """The radii that a run was probed at."""
    return list(dict.fromkeys(key.radius for key in state.probes if key.radius))[:MAX_RADII]


def _losses(state: RunState) -> list[str]:
    return list(dict.fromkeys(key.loss_name for key in state.losses))


def _robust(radius: str) -> Pick:
    return lambda state: probe_series(state, radius)


def _loss(name: str) -> Pick:
    return lambda state: loss_series(state, name)
