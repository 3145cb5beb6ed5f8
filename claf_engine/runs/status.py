"""What a status record holds, and of which type; what others wrote there of another type is left out. No torch."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from claf_engine import events as ev
from claf_engine.events.plain import Check, check_of


def typed_status(record: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is of another type than a status holds; keys that are not known here stay.

    Args:
        record: plain values, see `claf_engine.events.plain.require_plain`.
    """
    return {key: value for key, value in record.items() if _CHECKS.get(key, _anything)(value)}


def _anything(_value: Any) -> bool:
    return True


def _is_measured(value: Any) -> bool:
    """Whether this is what a probe or a result says: fractions, and a list of robust figures with their radii."""
    return (
        isinstance(value, Mapping)
        and _is_fraction(value.get("natural"))
        and isinstance(value.get("robust"), list)
        and all(_is_figure(item) for item in value["robust"])
    )


def _is_figure(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and {"accuracy", "epsilon"} <= value.keys()
        and all(_FIGURE.get(key, _anything)(item) for key, item in value.items())
    )


def _is_fraction(value: Any) -> bool:
    return value is None or (_is_number(value) and 0 <= value <= 1)


_is_number = check_of(float)


def _are_results(value: Any) -> bool:
    return isinstance(value, list) and all(
        _is_measured(item) and isinstance(item.get("selected", False), bool) for item in value
    )


_FIGURE: dict[str, Check] = {
    **{name: check_of(hint) for name, hint in get_type_hints(ev.RobustFigure).items()},
    "accuracy": _is_fraction,
}
_PROGRESS = get_type_hints(ev.Progressed)
_CHECKS: dict[str, Check] = {
    **{spec.name: check_of(_PROGRESS[spec.name]) for spec in fields(ev.Progressed)},
    **{name: check_of(str) for name in ("status", "method", "data", "phase_title", "reason", "selected_on")},
    "heartbeat": _is_number,
    "probe": lambda value: value is None or _is_measured(value),
    "results": _are_results,
}
