"""Values that may change while a run goes on, as a person writes them. Pure functions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from claf_engine.events.control import EPOCHS_LEFT, LEARNING_RATE, LIVE_NAMES, TEMPERATURE, Later, Value
from claf_engine.terms.errors import ConfigError
from claf_tui.words import figures
from claf_tui.words.safe_text import safe


@dataclass(frozen=True)
class LiveValue:
    """One value as a form shows it.

    Attributes:
        label: what it is, in a few words.
        hint: what may be written.
    """

    name: str
    label: str
    hint: str = ""


EPSILONS = "probe.epsilons"
LIVE_VALUES: tuple[LiveValue, ...] = (
    LiveValue(LEARNING_RATE, "learning rate of this phase"),
    LiveValue(TEMPERATURE, "contrastive temperature of this phase"),
    LiveValue(EPOCHS_LEFT, "epochs left of this phase, this one included"),
    LiveValue("probe.every_epochs", "epochs between probes", "0 never probes"),
    LiveValue(EPSILONS, "radii of the probes", "the first one stays"),
    LiveValue("checkpoint.every_epochs", "epochs between checkpoints"),
    LiveValue("checkpoint.every_steps", "steps between checkpoints", "none: only after epochs"),
    LiveValue("checkpoint.min_seconds", "least seconds between checkpoints of epochs"),
)
NO_NUMBERS = (EPSILONS,)
UNSET = "none"


def parse_value(name: str, text: str) -> Value | None:
    """Read what was written for a live value; nothing leaves it as it is. Whether it may be that, the run says.

    Raises:
        ValueError: with a sentence for the form.
    """
    written = text.strip()
    if not written or name in NO_NUMBERS or written == UNSET:
        return written or None
    label = next(value.label for value in LIVE_VALUES if value.name == name)
    try:
        value = float(written)
    except ValueError as error:
        raise ValueError(f"{name} ({label}) must be a number, not {safe(written, 20)!r}") from error
    if not math.isfinite(value):
        raise ValueError(f"{name} ({label}) must be a finite number, not {safe(written, 20)!r}")
    return value


def parse_change(text: str) -> tuple[str, Value]:
    """Read a change as the command line takes it: "learning_rate=0.05".

    Raises:
        ConfigError: it names no value that may change, or says nothing of it.
    """
    name, _, written = text.partition("=")
    name = name.strip()
    if name not in LIVE_NAMES or not written.strip():
        choices = f"{', '.join(LIVE_NAMES[:-1])} and {LIVE_NAMES[-1]}"
        raise ConfigError(
            f"{text!r} sets nothing that may change while a run goes on: {choices} may, written as KEY=VALUE"
        )
    try:
        value = parse_value(name, written)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    assert value is not None, "it was looked at above"
    return name, value


def parse_later(text: str) -> Later:
    """Read when a run is to pause: a number of steps, "epoch" or "phase".

    Raises:
        ValueError: with a sentence for the form.
    """
    written = text.strip().replace(",", "")
    if written in ("epoch", "e"):
        return Later("epoch")
    if written in ("phase", "p"):
        return Later("phase")
    if not written.isdecimal() or not 1 <= int(written) < 10**12:
        raise ValueError("write a number of steps such as 100, or epoch, or phase")
    return Later("steps", int(written))


def value_text(value: Value | None) -> str:
    """Write a live value as it stands; unknown is a dash."""
    return safe(value, 60) if isinstance(value, str) else figures.figure(value)


def edit_text(name: str, old: Value, new: Value) -> str:
    """Write an edit in the few characters that a chart has room for: "temperature 0.07→0.1"."""
    return f"{safe(name, 60).rpartition('.')[2]} {value_text(old)}→{value_text(new)}"


def values_of(config: Mapping[str, object], names: tuple[str, ...]) -> dict[str, Value]:
    """The values that settings have under dotted names, of those that are numbers or lists of distances."""
    found: dict[str, Value] = {}
    for name in names:
        section, _, key = name.partition(".")
        group = config.get(section)
        value = group.get(key) if isinstance(group, Mapping) else None
        if isinstance(value, list | tuple):
            found[name] = ", ".join(map(str, value)) or UNSET
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = float(value)
    return found
