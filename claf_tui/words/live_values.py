"""Values that may change while a run goes on, as a person writes them. Pure functions."""

import math
from collections.abc import Callable, Mapping

from claf_engine.events.control import LEARNING_RATE, PROBE_EVERY
from claf_engine.terms.errors import ConfigError


def parse_learning_rate(text: str) -> float | None:
    """Read a learning rate; empty leaves it as it is.

    Raises:
        ValueError: with a sentence for the form.
    """
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"the learning rate must be a number such as 0.05, not {text.strip()[:20]!r}") from error
    if not math.isfinite(value) or not 0 < value <= 10:
        raise ValueError("the learning rate must lie above 0 and at most at 10")
    return value


def parse_probe_interval(text: str) -> float | None:
    """Read the epochs between probes; empty leaves them as they are, 0 never probes.

    Raises:
        ValueError: with a sentence for the form.
    """
    if not text.strip():
        return None
    if not text.strip().isdecimal() or int(text) > 100_000:
        raise ValueError("epochs between probes must be a whole number such as 5; 0 never probes")
    return float(int(text))


PARSERS: Mapping[str, Callable[[str], float | None]] = {
    LEARNING_RATE: parse_learning_rate,
    PROBE_EVERY: parse_probe_interval,
}


def parse_change(text: str) -> tuple[str, float]:
    """Read a change as the command line takes it: "learning_rate=0.05".

    Raises:
        ConfigError: it names no value that may change, or another value than that may have.
    """
    name, _, written = text.partition("=")
    parse = PARSERS.get(name.strip())
    if parse is None or not written.strip():
        choices = " and ".join(PARSERS)
        raise ConfigError(
            f"{text!r} sets nothing that may change while a run goes on: {choices} may, written as KEY=VALUE"
        )
    try:
        value = parse(written)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return name.strip(), math.nan if value is None else value
