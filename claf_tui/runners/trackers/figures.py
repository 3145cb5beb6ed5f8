"""What trackers are told of an event: numbers by name. Pure.

Names hold letters, digits, dashes, underscores, dots and slashes alone, which every tracker takes.
"""

import math
import re
from dataclasses import dataclass, field

from claf_engine import events as ev


@dataclass(frozen=True)
class Figures:
    """Numbers of one optimiser step, by name, such as {"loss/supcon": 4.2}; accuracies are fractions in [0, 1]."""

    step: int
    values: dict[str, float] = field(default_factory=dict)


def figures_of(event: ev.Event) -> Figures | None:
    """What an event measured; None where it measured nothing that is plotted.

    What is not finite is left out: servers refuse it, or fail to show the whole run.
    """
    found = {name: value for name, value in _values(event).items() if value is not None and math.isfinite(value)}
    if not found:
        return None
    return Figures(event.step, {_plain(name): float(value) for name, value in found.items()})  # type: ignore[union-attr]


def _values(event: ev.Event) -> dict[str, float | None]:
    match event:
        case ev.StepLogged():
            return {
                f"loss/{event.loss_name}": event.loss,
                "learning_rate": event.learning_rate,
                "images_per_second": event.images_per_second,
            }
        case ev.EpochFinished():
            return {"epoch/mean_loss": event.mean_loss, "epoch/seconds": event.seconds}
        case ev.ProbeFinished():
            robust = {f"probe/{event.classifier}/robust-{_radius(each)}": each.accuracy for each in event.robust}
            natural = {f"probe/{event.classifier}/natural": event.natural}
            return {**natural, **robust, f"probe/{event.classifier}/selection": event.selection}
        case ev.ClassifierRetrained():
            return {"retraining/before": event.before, "retraining/after": event.after}
        case ev.DissociationMeasured():
            return {"dissociation": event.dissociation}
        case ev.OverfittingChecked():
            return {"overfitting/single_step": event.single_step, "overfitting/multi_step": event.multi_step}
        case ev.RunFinished():
            return _results(event)
    return {}


def _results(event: ev.RunFinished) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for result in event.results:
        found[f"test/{result.classifier}/natural"] = result.natural
        found |= {f"test/{result.classifier}/robust-{_radius(each)}": each.accuracy for each in result.robust}
    return found


def _radius(figure: ev.RobustFigure) -> str:
    """The radius as part of a name; a figure of another norm or of no ball says so."""
    words = [figure.epsilon.replace("/", "-")]
    words += [figure.norm] if figure.norm != "linf" else []
    words += [figure.space] if not figure.is_in_a_ball else []
    return "-".join(words)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_./-]+", "-", name)
