"""How many examples a property is tested with: few and always the same, or, in a soak, many and new ones each time."""

import os
from typing import Any

from hypothesis import settings

SOAK = "soak"
SOAK_FACTOR = 20
"""Examples in a soak for each one that a property is tested with in every run."""
USUAL_EXAMPLES = 100


def load_profile() -> None:
    """Take the profile that HYPOTHESIS_PROFILE names: `ci`, which is usual, or `soak`.

    No example has a time limit, which a machine under load would miss. Nothing is kept between runs: a report of a
    failure holds all that it takes to see it again.
    """
    kept: dict[str, Any] = {"deadline": None, "database": None}
    settings.register_profile("ci", derandomize=True, max_examples=USUAL_EXAMPLES, **kept)
    settings.register_profile(SOAK, max_examples=USUAL_EXAMPLES * SOAK_FACTOR, print_blob=True, **kept)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def examples(count: int, soaked: int | None = None, **more: Any) -> settings:
    """The settings of a property.

    Args:
        count: how many examples it is usually tested with.
        soaked: how many in a soak; None is many times `count`.
        more: other settings of Hypothesis.
    """
    if settings.get_current_profile_name() == SOAK:
        count = count * SOAK_FACTOR if soaked is None else soaked
    return settings(max_examples=count, **more)
