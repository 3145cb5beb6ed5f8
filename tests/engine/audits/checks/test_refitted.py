"""What the checks that refit classifiers on an encoder have in common."""

import pytest

from claf_engine.audits.checks import classifiers, features
from claf_engine.audits.diagnostic import Check, NotRun
from tests.engine.audits.fixtures import (
    RELEASED,
    found,
    refitting_bench,
    robust,
    robust_network,
    undefended,
    undefended_network,
)

REFITTING = pytest.mark.parametrize("check", [*classifiers.CHECKS, *features.CHECKS], ids=lambda check: check.name)


@REFITTING
def test_in_the_released_codes_space_the_attacks_are_made_there(check: Check) -> None:
    bench = refitting_bench(undefended(), undefended_network(), space=RELEASED)
    found(check, bench)
    assert all("(released-code)" in label for label in bench.outcomes if "PGD" in label)


@REFITTING
def test_without_an_encoder_it_is_not_run(check: Check) -> None:
    with pytest.raises(NotRun, match="needs an encoder"):
        found(check, refitting_bench(robust(), None))


@REFITTING
def test_without_training_images_it_is_not_run(check: Check) -> None:
    with pytest.raises(NotRun, match="needs training images"):
        found(check, refitting_bench(robust(), robust_network(), train=None))
