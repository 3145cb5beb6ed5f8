"""All diagnostics, in the order in which they are run.

The cheap ones, on which the others rest, come first, and last those that ask about the worst case over all of them.
"""

from claf_engine.audits.checks import (
    anchors,
    blackbox,
    claim,
    claimed,
    classifiers,
    convergence,
    decisions,
    features,
    forward,
    gradients,
    planted,
    sweep,
    targeted,
    transfer,
)
from claf_engine.audits.diagnostic import Check

CHECKS: tuple[Check, ...] = (
    *claim.CHECKS,
    *forward.CHECKS,
    *gradients.CHECKS,
    *decisions.CHECKS,
    *convergence.CHECKS,
    *targeted.CHECKS,
    *sweep.CHECKS,
    *transfer.CHECKS,
    *blackbox.CHECKS,
    # Those that know the encoder come after those that ask what own gradients left.
    *planted.CHECKS,
    *features.CHECKS,
    *classifiers.CHECKS,
    *claimed.CHECKS,
    *anchors.CHECKS,
)
