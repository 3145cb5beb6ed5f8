"""What the checks beside every probe say, and the alert that follows when one of them fails."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class SentinelsChecked:
    """Accuracies in [0, 1] on the first images of a probe, which must agree where its figures deserve trust.

    Attributes:
        epsilon: radius of the attacks that are compared, such as "8/255", in the units of the probe's space; empty
            where the probe has none above 0, and then the four last accuracies are None.
        natural: without an attack.
        radius_zero: under an attack of radius 0; must be `natural`.
        largest_distance: largest Linf distance in pixel space that the attack of radius 0 moved an image; must be 0.
        one_step: under FGSM; must not lie below `multi_step`.
        multi_step: under the probe's own PGD, which climbs the log-odds.
        cross_entropy: under the same PGD on plain cross-entropy.
        margin: worst case of the probe's PGD and one on the logit margin; must not lie far below `cross_entropy`.
        norm: of the radius; `space` is what it is a distance in, and not every space has a ball.
        notice: why `multi_step` and what is compared with it cannot be right, as in the probe's own figure.
    """

    step: int
    epoch: int
    classifier: str
    epsilon: str
    natural: float
    radius_zero: float
    largest_distance: float
    one_step: float | None
    multi_step: float | None
    cross_entropy: float | None
    margin: float | None
    num_examples: int
    norm: str = "linf"
    space: str = "pixel"
    notice: str = ""


@dataclass(frozen=True)
class Alert:
    """A figure stopped deserving trust, training collapsed, or a rule of the user's holds; sent when it begins.

    A resumed run sends those that still stand once more, unchanged. `AlertEnded` says when one is over.

    Attributes:
        step: when it began.
        name: for programs: "epsilon-zero", "one-step-attack", "saturated-gradients", "catastrophic-overfitting" or
            "robustness-lost", or one of `claf_engine.runs.alerting`.
        text: the reason, for a person.
    """

    step: int
    name: str
    text: str
    level: Level = "error"


@dataclass(frozen=True)
class AlertEnded:
    """What an alert told of is over; `name` is that of the alert."""

    step: int
    name: str
    text: str
