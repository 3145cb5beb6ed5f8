import pytest

from claf_engine.training.costs import LOOPS, steps_of_share
from claf_engine.training.methods import METHODS, phases_of
from tests.engine.tiny import tiny_config
from tests.engine.training.test_methods import SINGLE_TERMS, VARIANTS

HEADS = {
    f"{method} with a {head} head": {"method": method, f"{method}__head": head}
    for method in ("rocl", "acl", "pretext")
    for head in ("linear", "robust-linear", "fine-tune")
}
ALL = {method: {"method": method} for method in METHODS} | VARIANTS | SINGLE_TERMS | HEADS


@pytest.mark.parametrize("variant", ALL)
def test_what_a_method_costs_is_known_without_its_phases(variant: str) -> None:
    config = tiny_config(**ALL[variant])
    counted = [(loops.epochs, loops.parts) for loops in LOOPS[config.method](config) if loops.epochs]
    assert counted == [(phase.epochs, phase.parts) for phase in phases_of(config)]


@pytest.mark.parametrize(
    ("share", "steps", "expected"),
    [(1.0, 3, 3), (0.5, 3, 2), (0.34, 3, 2), (0.01, 3, 1), (0.07, 100, 7), (0.1, 30, 3), (1 / 3, 3, 1)],
)
def test_a_share_of_the_batches_is_rounded_up_and_meant_as_it_is_written(
    share: float, steps: int, expected: int
) -> None:
    assert steps_of_share(share, steps) == expected
