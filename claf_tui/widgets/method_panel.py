"""The second panel: what only the method of this run has to show. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from claf_engine.events import RunStarted
from claf_tui.charts.plot import ChartLine
from claf_tui.state import RunState
from claf_tui.state.full_curves import FullCurves
from claf_tui.widgets.curves import classifier_lines, overfitting_lines, rate_lines
from claf_tui.words.attack_words import training_caveat


@dataclass(frozen=True)
class MethodPanel:
    """Title, curves, what to say while there are none, and whether values are fractions."""

    title: str
    lines: Sequence[ChartLine]
    empty: str
    is_percent: bool = True


def method_panel(state: RunState, full: FullCurves | None = None) -> MethodPanel:
    """Choose what the run's method is judged by: its attack classifier, its overfitting, or else its learning rate."""
    if state.run is None:
        return MethodPanel("method", (), "")
    warning = training_caveat(state.run.config)
    suffix = f" · {warning}" if warning else ""
    if any(phase.plan.name == "adversarial" for phase in state.phases):
        empty = "the first retraining comes with stage 2"
        return MethodPanel(f"attack classifier, adversarial accuracy{suffix}", classifier_lines(state), empty)
    if state.run.method == "fgsm":
        has_collapsed = state.overfitting is not None and state.overfitting.has_collapsed
        title = "COLLAPSED: one-step attack against PGD" if has_collapsed else "one-step attack against PGD"
        return MethodPanel(
            f"{title}{suffix}", overfitting_lines(state), "the first check comes with the end of an epoch"
        )
    title = f"learning rate{_measured_statistics(state.run)}"
    return MethodPanel(title, rate_lines(state, full), "no step logged yet", is_percent=False)


def _measured_statistics(run: RunStarted) -> str:
    """Which BatchNorm measures, in a run that trains two."""
    settings = run.config.get("acl")
    if run.method != "acl" or not isinstance(settings, Mapping) or settings.get("streams", "dual") != "dual":
        return ""
    seen = "natural" if settings.get("measured_statistics") == "natural" else "attacked"
    return f" · BatchNorm: {seen}"
