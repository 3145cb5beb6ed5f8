"""Which curves each chart shows, as pure functions of the state."""

from claf_tui.safe_text import safe
from claf_tui.series import Series
from claf_tui.state import RunState
from claf_tui.widgets.chart import PALETTE, robust_color
from claf_tui.widgets.plot import ChartLine

LOSS_NAMES = ("supcon", "cross_entropy", "classifier")
LOSS_TITLES = {"supcon": "SupCon loss", "cross_entropy": "cross-entropy loss", "classifier": "classifier loss"}


def shown_loss_name(state: RunState) -> str:
    """Name the loss to draw: SupCon where the active phase has one, else what that phase logs."""
    active = [index for index, phase in enumerate(state.phases) if phase.status == "active"]
    names = {key.loss_name for key in state.losses if key.phase in active} or {key.loss_name for key in state.losses}
    return next((name for name in LOSS_NAMES if name in names), "supcon")


def loss_lines(state: RunState, loss_name: str) -> list[ChartLine]:
    """One curve of this loss for each phase that logged it."""
    lines: list[ChartLine] = []
    for key, series in state.losses.items():
        if key.loss_name == loss_name:
            known = key.phase < len(state.phases)
            name = safe(state.phases[key.phase].plan.name, 24).replace("_", " ") if known else f"phase {key.phase + 1}"
            lines.append(ChartLine(name, PALETTE[len(lines) % len(PALETTE)], series))
    return lines


def classifier_lines(state: RunState) -> list[ChartLine]:
    """Adversarial accuracy of the attack classifier before and after retraining, and the dissociation."""
    curves: tuple[tuple[str, str, Series], ...] = (
        ("before", PALETTE[1], state.before),
        ("after", PALETTE[0], state.after),
        ("dissociation", PALETTE[2], state.dissociation),
    )
    return [ChartLine(*curve) for curve in curves]


def probe_lines(state: RunState) -> list[ChartLine]:
    """Natural accuracy, and robust accuracy at each epsilon."""
    lines = [ChartLine("natural", PALETTE[0], state.natural)]
    lines += [
        ChartLine(safe(name, 12), robust_color(i), series) for i, (name, series) in enumerate(state.robust.items())
    ]
    return lines
