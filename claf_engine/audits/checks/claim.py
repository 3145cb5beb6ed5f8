"""Whether what was attacked is what the claim speaks of: its ball, its images, its reach."""

from collections.abc import Generator
from fractions import Fraction

from claf_engine.attacks.norms import ROUNDING
from claf_engine.audits.bench import Bench, Outcome
from claf_engine.audits.crafted import attackable_steps, percent
from claf_engine.audits.diagnostic import Check, Finding, graded
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import ClafError
from claf_engine.terms.pixels import format_distance, format_levels

ROUNDED_SHARE = 0.001
"""Of predictions that rounding may turn where a batch holds other examples than before."""
DIAMETERS = 2
"""How many radii an attack must be able to walk: from one side of the ball to the other."""


def claimed_steps(bench: Bench) -> Generator[Pulse, None, Outcome]:
    """The attack that the claim rests on: PGD of its radius, step size and space, with one random start.

    Raises:
        NotRun: no image is classified correctly without it.
        ClafError: see `require_ball`.
    """
    yield from attackable_steps(bench)
    return (yield from bench.attack(steps=bench.budget.steps[0], step_size=bench.subject.step_size))


def epsilon_zero(bench: Bench) -> Generator[Pulse, None, Finding]:
    """An attack without room must change no prediction; what it changes, something else than the attack changed."""
    natural = yield from bench.natural()
    yield from attackable_steps(bench)
    attacked = yield from bench.attack(steps=1, epsilon=Fraction(0))
    changed = float((natural.survives != attacked.survives).double().mean())
    return Finding(
        graded(changed, 0, ROUNDED_SHARE),
        f"{percent(natural.accuracy)} -> {percent(attacked.accuracy)}",
        {"natural": natural.accuracy, "attacked": attacked.accuracy, "changed_share": changed},
    )


def distance(bench: Bench) -> Generator[Pulse, None, Finding]:
    """How far the claim's attack moved an image, in pixel space, whatever the space of the claim."""
    claim = format_distance(bench.subject.epsilon)
    try:
        attacked = yield from claimed_steps(bench)
    except ClafError as error:
        # The guard of our own attacks raises the base class itself: an image is outside the ball or not finite.
        if type(error) is not ClafError:
            raise
        return Finding("fails", str(error), {"epsilon": float(bench.subject.epsilon)})
    largest = attacked.largest_distance
    return Finding(
        "passes" if largest <= bench.subject.epsilon + ROUNDING else "fails",
        f"{format_levels(largest)} against {claim}",
        {"largest": largest, "mean": attacked.mean_distance, "epsilon": float(bench.subject.epsilon)},
    )


def reach(bench: Bench) -> Generator[Pulse, None, Finding]:
    """Whether the claim's attack can walk from any point of the ball to any other."""
    yield Pulse("reach of the claim's attack", abandonable=True)
    steps, subject = bench.budget.steps[0], bench.subject
    walked, needed = steps * subject.step_size, DIAMETERS * subject.epsilon
    return Finding(
        graded(float(needed - walked), 0, float(subject.epsilon)),
        f"{format_distance(walked)} against {format_distance(needed)}",
        {"reach": float(walked), "needed": float(needed), "steps": steps, "step_size": float(subject.step_size)},
    )


CHECKS: tuple[Check, ...] = (
    Check(
        "epsilon-zero",
        "An attack of epsilon 0 changes nothing",
        "no prediction changes; more than 0.1 % of them fails",
        "Something other than a perturbation within epsilon changes the predictions: a clamp of normalised images, "
        "another preprocessing, or a forward pass that is not repeatable. The robust accuracy is not one in an "
        "epsilon-ball; attack the images in [0, 1] and normalise inside the model.",
        "torchattacks issue 124; it finds the released code of CLAF out",
        epsilon_zero,
        comparisons=0,
    ),
    Check(
        "distance",
        "What was attacked lies within epsilon of the images, in pixel space",
        "largest Linf distance <= epsilon + 1e-6, in [0, 1] and finite; otherwise fails",
        "The attacked images are not what the claim says, so its figure is about another threat model, or about none.",
        "AutoAttack's last check (Croce and Hein 2020, arXiv 2003.01690)",
        distance,
        comparisons=0,
    ),
    Check(
        "reach",
        "The attack can cross the ball",
        "steps x step size >= 2 epsilon, else warns; below epsilon fails",
        "From a random start parts of the ball are out of reach, so the attack is weak by construction; use more or "
        "longer steps.",
        "Carlini et al. 2019, arXiv 1902.06705",
        reach,
        comparisons=0,
    ),
)
