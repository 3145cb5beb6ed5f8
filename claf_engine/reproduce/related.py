"""The table of the systems that the paper builds on or sets itself against, each under the attacker who knows it.

A row that is added here needs its recipe in `scales/` and, where its attackers are none of those of `--defence`, a
line in `systems.SYSTEMS`.
"""

from fractions import Fraction
from typing import Any

from claf_engine.models.network import NATURAL
from claf_engine.reproduce.rows import Column, Row, Table
from claf_engine.terms.names import RecipeName

RADIUS = Fraction(8, 255)
OBLIVIOUS = Column(10, RADIUS, knowledge="oblivious")
ADAPTIVE = Column(100, RADIUS, None, restarts=5, decides="any", knowledge="adaptive")
WORST = Column(0, RADIUS, attack="worst")
LEGEND = """\
Oblivious: PGD-10 of 2/255, its last point, as papers reported it; it climbs the network alone and does not know what
stands before it. Adaptive: PGD-100 with steps that cross the ball, 5 random starts, any point decides; it climbs all
that decides, or is the attack that a row names. Worst case: an image counts only if it stands naturally and against
every attack of its row, AutoAttack included on the images that it was tried on."""
UNITED = (
    "adaptive, AutoAttack and worst case are over Linf of 8/255, L2 of 0.5 and L1 of 12; oblivious knows Linf alone"
)
"""Of rows that are judged over several balls."""
CRAFTED_ONCE = "oblivious is one universal perturbation for all images, against which it was made"


def _united(label: str, recipe: RecipeName, *changes: tuple[str, Any]) -> Row:
    return Row(label, recipe, changes=changes, note=UNITED, system="union")


RELATED = Table(
    "related",
    "The systems that the paper stands on, and what is left of each under the attacker who knows it",
    (OBLIVIOUS, ADAPTIVE, WORST),
    (
        Row("Natural", "natural", classifier=NATURAL),
        Row("Squeezing, 4 bits", "natural", classifier=NATURAL, system="bit-depth:4"),
        Row("Squeezing, median 2", "natural", classifier=NATURAL, system="median:2"),
        Row("Squeezing, detector", "natural", classifier=NATURAL, system="detector:squeezing:bit-depth:5+nlm:13,3,2"),
        Row("FGSM training", "fgsm"),
        Row("AT", "at"),
        Row("TRADES", "trades"),
        _united("AT, several norms", "at"),
        _united("Union, MAX", "union", ("union.strategy", "max")),
        _united("Union, AVG", "union", ("union.strategy", "avg")),
        _united("Union, MSD", "union"),
        Row("ALP", "alp"),
        Row("CLP", "clp"),
        Row("Two encoders", "two-encoders"),
        Row("RoCL-AT", "rocl-at"),
        Row("ACL, linear", "acl-linear", classifier=NATURAL),
        Row("ACL, fine-tuned", "acl"),
        Row("AT + rotation", "at-rotation"),
        Row("Rotation, natural", "pretext", changes=(("pretext.images", "natural"),)),
        Row("Rotation, attacked", "pretext"),
        Row("Jigsaw, attacked", "pretext", changes=(("pretext.task", "jigsaw"),)),
        Row("Selfie, attacked", "pretext", changes=(("pretext.task", "selfie"), ("pretext.grid", 4))),
        Row("PRN", "rectifier", classifier=NATURAL, note=CRAFTED_ONCE, system="rectifier"),
        Row("DefenseGAN", "defense-gan", classifier=NATURAL, system="defense-gan:1,50"),
        Row("CLAF", "claf"),
    ),
    legend=LEGEND,
    is_of_the_ball=True,
)
