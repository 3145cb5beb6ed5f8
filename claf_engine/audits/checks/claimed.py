"""Whether the attack that the figure rests on found most of what all attacks together find.

Each of the others may find a little more than the claimed one, none of them enough to be more than chance; together
they say how far the claim lies above what is known to be so.
"""

from collections.abc import Generator

from claf_engine.audits.bench import Bench
from claf_engine.audits.crafted import attackable_steps, lost, percent
from claf_engine.audits.diagnostic import Check, Finding, graded
from claf_engine.events.ticks import Pulse

WARNS_AT, FAILS_AT = 0.05, 0.10
"""Of what the claim leaves; adversarially trained networks lose 3 to 4.6 points from PGD-10 to AutoAttack."""


def claimed_attack(bench: Bench) -> Generator[Pulse, None, Finding]:
    """What everything together breaks of what the claim's own attack left."""
    standing = yield from attackable_steps(bench)
    claimed = yield from bench.attack(steps=bench.budget.steps[0])
    left = standing & claimed.survives
    worst = left & bench.worst_case()
    more = lost(left, worst)
    claim, rest = (float(survives.double().mean()) for survives in (left, worst))
    return Finding(
        graded(more.at_least, WARNS_AT, FAILS_AT),
        f"{more}: {claimed.label} leaves {percent(claim)}, all attacks together {percent(rest)}",
        {"claim": claim, "worst": rest, "drop": more.value, "at_least": more.at_least},
    )


CHECKS: tuple[Check, ...] = (
    Check(
        name="claimed-attack",
        title="All attacks together find little more than the claimed one",
        threshold="warns above 5 points that the claim's own attack left, fails above 10",
        meaning="The claim's attack misses what others find, so its figure is too high; report AutoAttack, or the "
        "worst case of this audit.",
        source="Carlini et al. 2019, section 4 (arXiv 1902.06705): the worst case per example; gaps of RobustBench's "
        "entries",
        run=claimed_attack,
    ),
)
