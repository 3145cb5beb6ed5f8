"""Whether the steps of an attack can cross the ball that they search, and the sentence that says so. Pure."""

from fractions import Fraction

from claf_engine.terms.pixels import LONGEST, format_distance, parse_distance

RADII_TO_WALK = {"pgd": 2, "mi-fgsm": 1}
"""Of the attacks that take steps: from a random start across the ball, from the image itself out of its middle."""


def reach_sentence(epsilon: Fraction, steps: int, step_size: Fraction, radii: int = 2) -> str:
    """Say that steps do not span what they must; empty where they do.

    Args:
        epsilon: radius of the ball.
        steps: how many.
        step_size: length of one, in the units of the radius.
        radii: how many of them the steps must be able to walk (see `RADII_TO_WALK`).
    """
    if steps * step_size >= radii * epsilon:
        return ""
    where = f"from {format_distance(epsilon)} on"
    if not steps * step_size:
        return f"{where} nothing is attacked: the attack has no steps, or steps of length 0; take a --step-size above 0"
    return (
        f"{where} the attack may be too weak: {steps} steps of {format_distance(step_size)} do not span the ball; take "
        "more --steps or a larger --step-size"
    )


def written_reach(attack: object, epsilon: object, steps: object, step_size: object) -> str:
    """The same of an attack as a record writes it, which others may have written; empty where it cannot be told."""
    radii = RADII_TO_WALK.get(str(attack))
    if radii is None or not isinstance(steps, int):
        return ""
    try:
        return reach_sentence(parse_distance(epsilon, LONGEST), steps, parse_distance(step_size, LONGEST), radii)
    except ValueError:
        return ""
