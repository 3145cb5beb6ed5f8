"""When the sentinels' outcomes, or those of fast training's own watch, raise an alert. Pure functions.

Noise must not raise one. Two attacks are compared on the same N images: let `b` survive the first alone and `c` the
second alone. Where the first is weaker by no more than an allowance of g, b - c has a mean of at most gN and a variance
of at most b + c, as estimated from the counts (McNemar 1947). An alarm needs b - c - gN > 3.7 sqrt(b + c): 3.7 standard
deviations, one false alarm in about 9,000 looks if the counts were normal, and fewer for small counts, because the
square root grows with the same b. With c = 0 that is 14 images for g = 0, and 22 of 64 for g = 7 points; with N below
14 nothing can raise it.

A collapse is a fall of accuracy p = k/n on n probed images below its best of all probes so far. The difference of two
independent such figures has a standard deviation of at most sqrt(1/(2n)), at p = 1/2; 4.5 of them leave room for the
best of a few hundred. So the fall must exceed 20 points (Wong et al. 2020) and 4.5 sqrt(1/(2n)): 20 points for 256
images, 40 for 64. All together an honest network raises less than one false alarm in 1,000 probes (`test_alarms`
simulates it).

With more than ten classes the best may itself be near 20 points. There half of the best is a collapse, and chance is
that of the two figures themselves, as below.

Robustness is lost where the fall is smaller than a collapse, or FGSM falls along: where it exceeds 4.5 standard
deviations of the difference at the mean p of both, and 3/n, because counts of rare survivors are not normal.

An alert ends when its figure is back where it belongs, not when it dips below the alarm, so that it does not flicker.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from claf_engine.attacks.norms import ROUNDING
from claf_engine.config import RunConfig
from claf_engine.events import OverfittingChecked
from claf_engine.runs.alerting import Finding
from claf_engine.terms.pixels import format_levels
from claf_engine.training.sentinels import Compared, Sentinels

EPSILON_ZERO = "epsilon-zero"
ONE_STEP_ATTACK = "one-step-attack"
SATURATED_GRADIENTS = "saturated-gradients"
CATASTROPHIC_OVERFITTING = "catastrophic-overfitting"
ROBUSTNESS_LOST = "robustness-lost"

DEVIATIONS = 3.7
"""Standard deviations by which one attack must be worse than another on the same images."""
BEST_DEVIATIONS = 4.5
"""Standard deviations by which accuracy must fall below its best of many probes."""
MARGIN_ALLOWANCE = 0.07
"""Honest adversarially trained networks lose 3 to 5 points from cross-entropy to margin attacks; 7 is suspicious."""
COLLAPSE_DROP = 0.2
"""How far accuracy under PGD falls when overfitting is catastrophic (Wong et al. 2020, released code)."""
FEW_CLASSES = 10
"""Up to as many the drop of a collapse is that one, which is of CIFAR-10."""


@dataclass(frozen=True)
class Fall:
    """Accuracy under PGD of a whole probe of n images, and its best so far in this phase."""

    accuracy: float
    best: float
    num_examples: int
    num_classes: int = FEW_CLASSES


def findings(found: Sentinels, fall: Fall | None) -> list[Finding]:
    """What the sentinels of one probe say.

    Args:
        found: their outcomes.
        fall: None in a phase that does not train on attacked images, where losing robustness is no accident.
    """
    judged = [epsilon_zero(found)]
    if found.compared is not None:
        judged += [one_step_attack(found.compared), saturated_gradients(found.compared)]
        judged += [overfitting(found.compared, fall), robustness_lost(found.compared, fall)] if fall is not None else []
    return judged


def epsilon_zero(found: Sentinels) -> Finding:
    """An attack of radius 0 must leave images and answers alone; there is no noise in that."""
    changed = found.num_changed
    begins = changed > 0 or found.largest_distance > ROUNDING
    reason = "the network's forward pass is not repeatable"
    if found.space != "pixel":
        reason = f"{found.space} figures are not accuracy in an ε-ball"
    text = f"an attack of radius 0 moves images by up to {format_levels(found.largest_distance)} and changes {changed} "
    return Finding(EPSILON_ZERO, begins, not begins, f"{text}of {found.num_examples} answers: {reason}")


def one_step_attack(compared: Compared) -> Finding:
    """One large step must not find more than many small ones (Carlini et al. 2019, section 5)."""
    alone, other = alone_counts(compared.multi_step, compared.one_step)
    text = f"gradient masking: at {compared.ball} FGSM alone breaks {alone} of {len(compared.one_step)} images and "
    text += f"PGD alone {other}, though PGD should be the stronger; do not trust robust accuracy"
    return Finding(ONE_STEP_ATTACK, exceeds_noise(compared.multi_step, compared.one_step), alone <= other, text)


def saturated_gradients(compared: Compared) -> Finding:
    """Attacks on the margin must not find much more than those on cross-entropy, whose gradient vanishes in saturation.

    The probe's own figure climbs the log-odds, which do not saturate; other people's figures may not.
    """
    alone, other = alone_counts(compared.cross_entropy, compared.margin)
    count = len(compared.margin)
    text = f"gradient masking: at {compared.ball} attacks on the margin alone break {alone} of {count} images, an "
    text += f"attack on cross-entropy alone {other}: its gradients are saturated, and its accuracy would be too high"
    begins = exceeds_noise(compared.cross_entropy, compared.margin, MARGIN_ALLOWANCE)
    return Finding(SATURATED_GRADIENTS, begins, alone - other <= MARGIN_ALLOWANCE * count, text)


def overfitting(compared: Compared, fall: Fall) -> Finding:
    """PGD breaks what it did not break before, while the one-step attack still finds little (Wong et al. 2020)."""
    fell = fall.best - fall.accuracy
    begins = fell > collapse_margin(fall) and exceeds_noise(compared.one_step, compared.multi_step)
    alone, _ = alone_counts(compared.one_step, compared.multi_step)
    text = f"catastrophic overfitting: PGD accuracy at {compared.ball} fell from {_percent(fall.best)} to "
    text += f"{_percent(fall.accuracy)}, while {alone} of {len(compared.one_step)} images withstand FGSM and not PGD"
    return Finding(CATASTROPHIC_OVERFITTING, begins, fell <= collapse_drop(fall) / 2, text)


def robustness_lost(compared: Compared, fall: Fall) -> Finding:
    """PGD accuracy lies further below its best than chance explains: robust overfitting, or a schedule that harms.

    A catastrophe has an alert of its own, which says more.
    """
    fell, margin = fall.best - fall.accuracy, loss_margin(fall)
    text = f"robust accuracy at {compared.ball} fell from its best, {_percent(fall.best)}, to "
    text += f"{_percent(fall.accuracy)} of {fall.num_examples} images, more than chance explains; "
    text += "the best checkpoint is kept"
    begins = fell > margin and not overfitting(compared, fall).begins
    return Finding(ROBUSTNESS_LOST, begins, fell <= margin / 2, text)


def watched_overfitting(check: OverfittingChecked, config: RunConfig) -> Finding:
    """The verdict of fast training's own watch as a finding; a collapse is over when half the drop is made up for."""
    text = f"catastrophic overfitting in epoch {check.epoch}: PGD accuracy fell from {_percent(check.best)} to "
    text += f"{_percent(check.multi_step)}, one-step attack {_percent(check.single_step)}"
    if config.attack.space != "pixel":
        text += f" ({config.attack.space}: not an ε-ball)"
    recovered = min(check.best, check.single_step) - check.multi_step <= config.fgsm.collapse_drop / 2
    return Finding(CATASTROPHIC_OVERFITTING, check.has_collapsed, recovered, text)


def alone_counts(survives: Tensor, others: Tensor) -> tuple[int, int]:
    """How many examples (N,) survive the first attack alone, and how many the second alone."""
    return int((survives & ~others).sum()), int((others & ~survives).sum())


def exceeds_noise(survives: Tensor, others: Tensor, allowance: float = 0.0) -> bool:
    """Whether an attack is weaker than another by more than an allowance and chance; (N,) survive each."""
    alone, other = alone_counts(survives, others)
    return alone - other - allowance * len(survives) > DEVIATIONS * math.sqrt(alone + other)


def fall_margin(num_examples: int) -> float:
    """How far accuracy on so many images must fall below its best, in [0, ...), to be a collapse and not noise."""
    return max(COLLAPSE_DROP, BEST_DEVIATIONS * math.sqrt(0.5 / num_examples))


def collapse_drop(fall: Fall) -> float:
    """The fall in accuracy that is a collapse; half of the best with many classes, where that may itself be low."""
    return COLLAPSE_DROP if fall.num_classes <= FEW_CLASSES else min(COLLAPSE_DROP, fall.best / 2)


def collapse_margin(fall: Fall) -> float:
    """How far accuracy must fall below its best to be a collapse and not noise."""
    if fall.num_classes <= FEW_CLASSES:
        return fall_margin(fall.num_examples)
    return max(collapse_drop(fall), loss_margin(fall))


def loss_margin(fall: Fall) -> float:
    """How far accuracy must lie below its best, in [0, ...), to be lost and not noise."""
    share = (fall.best + fall.accuracy) / 2
    deviation = math.sqrt(2 * share * (1 - share) / fall.num_examples)
    return max(BEST_DEVIATIONS * deviation, 3 / fall.num_examples)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
