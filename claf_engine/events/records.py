"""Events as JSON objects, and back.

The field `type` names the class. A number that is not finite is written as null, because JSON has no NaN.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import cache
from typing import Any, get_type_hints

from claf_engine import events as ev
from claf_engine.events.plain import Check, check_of

_CLASSES: dict[str, type[Any]] = {cls.__name__: cls for cls in ev.Event.__args__}
_NESTED: dict[tuple[type[Any], str], type[Any]] = {
    (ev.RunStarted, "phases"): ev.PhasePlan,
    (ev.ProbeFinished, "robust"): ev.RobustFigure,
    (ev.RunFinished, "results"): ev.TestResult,
    (ev.TestResult, "robust"): ev.RobustFigure,
    (ev.ReproductionChanged, "rows"): ev.ReproductionRow,
    (ev.AuditStarted, "checks"): ev.PlannedCheck,
}


def to_record(event: ev.Event) -> dict[str, Any]:
    """Turn an event into a JSON object; numbers that are not finite become null."""
    return {"type": type(event).__name__, **_finite(asdict(event))}


def from_record(record: Mapping[str, Any]) -> ev.Event:
    """Turn a JSON object written by `to_record` back into its event; unknown extra keys are ignored.

    Raises:
        ValueError: the type is unknown, or a field is missing or of another type than it declares.
    """
    cls = _CLASSES.get(str(record.get("type")))
    if cls is None:
        raise ValueError(f"unknown event type {record.get('type')!r}")
    event: ev.Event = build(cls, record)
    return event


def build(cls: type[Any], record: Mapping[str, Any]) -> Any:
    """Make a record of plain values, such as a `RobustFigure`, of the JSON object that it was written as.

    Raises:
        ValueError: a field is missing or of another type than it declares.
    """
    values: dict[str, Any] = {}
    checks = _checks(cls)  # type: ignore[arg-type]  # mypy takes no type[Any] for hashable
    for spec in fields(cls):
        if spec.name not in record:
            continue
        value = record[spec.name]
        nested = _NESTED.get((cls, spec.name))
        if nested is not None:
            if not isinstance(value, list | tuple) or not all(isinstance(item, Mapping) for item in value):
                raise ValueError(f"field {spec.name} of a {cls.__name__} record is no list of objects")
            value = tuple(build(nested, item) for item in value)
        elif isinstance(value, list):
            value = tuple(value)
        elif value is None and spec.type is float:
            value = math.nan
        if not checks[spec.name](value):
            raise ValueError(f"field {spec.name} of a {cls.__name__} record is of another type")
        values[spec.name] = value
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"a {cls.__name__} record lacks a field: {error}") from error


@cache
def _checks(cls: type[Any]) -> dict[str, Check]:
    return {name: check_of(hint) for name, hint in get_type_hints(cls).items()}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
