"""Why a figure under an attack cannot be right: steps that do not cross the ball, a radius in units of another norm.

The one place that decides it, for every figure that is measured, shown or kept.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

from claf_engine.attacks.spec import Attack
from claf_engine.terms.names import Norm
from claf_engine.terms.pixels import format_distance
from claf_engine.terms.reach import reach_sentence

SMALLEST: dict[Norm, Fraction] = {"linf": Fraction(0), "l2": Fraction(1, 10), "l1": Fraction(1, 2)}
"""A Linf radius such as 8/255 is 0.03; taken for a length in L2 or L1, it is a change that no network notices."""
LENGTHS: dict[Norm, str] = {"l2": "a Euclidean length, such as 0.5", "l1": "the sum of all changes, such as 12"}


def weaknesses(
    attacks: Sequence[Attack], num_values: int | None = None, largest: Fraction | None = None
) -> tuple[str, ...]:
    """What is to be said of attacks, one sentence for each kind of weakness; nothing where all is well.

    Args:
        attacks: one attack, once for each radius.
        num_values: C * H * W of an image, where it is known.
        largest: radius that is measured together with these, where it is larger.
    """
    if not attacks:
        return ()
    radii = [attack.epsilon for attack in attacks]
    units = unit_notices(radii, attacks[0].norm, num_values, largest) if attacks[0].space.is_pixel else ()
    return (*reach_notices(attacks), *units)


def unit_notices(
    radii: Sequence[Fraction], norm: Norm, num_values: int | None = None, largest: Fraction | None = None
) -> tuple[str, ...]:
    """Say that radii in pixel space look like those of another norm.

    An L2 ball below 0.1, or an L1 ball below 0.5, is as good as no attack. From the other end: in a ball that holds a
    gray image for every image, no network can be more accurate than one that does not look.

    Args:
        radii: of one attack.
        norm: of their balls.
        num_values: C * H * W of an image, where it is known.
        largest: see `weaknesses`.
    """
    widest = max(*radii, largest or Fraction(0), Fraction(0))
    if 0 < widest < SMALLEST[norm]:
        shown = format_distance(widest)
        return (
            f"an {norm.upper()} radius of {shown} hardly changes an image: it is {LENGTHS[norm]}, and no distance in "
            "levels",
        )
    gray = None if num_values is None and norm != "linf" else 0.5 * longest(norm, num_values or 1)
    reaching = [radius for radius in radii if gray is not None and radius >= gray]
    if not reaching:
        return ()
    fix = "; an L2 radius needs --norm l2, one in L1 --norm l1" if norm == "linf" else ""
    return (
        f"from {format_distance(min(reaching))} on the ball of every image holds the same gray one, so that no network "
        f"is better than chance there{fix}",
    )


def longest(norm: Norm, num_values: int) -> float:
    """The length of a change by 1 in each of so many values."""
    return {"linf": 1, "l2": math.sqrt(num_values), "l1": num_values}[norm]


def reach_notices(attacks: Sequence[Attack]) -> tuple[str, ...]:
    """Say from which radius on the attack's steps do not span what they must."""
    for attack in sorted(attacks, key=lambda attack: attack.epsilon):
        radii = 2 if attack.start == "uniform" else 1
        sentence = reach_sentence(attack.epsilon, attack.steps, attack.step_size, radii)
        if sentence and not attack.is_registered:
            return (sentence,)
    return ()
