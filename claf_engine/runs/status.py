"""What a status record holds, and of which type; what others wrote there of another type is left out. No torch.

A list of ten thousand runs reads as many records, so there are two ways to the same result. What our own code wrote is
accepted in one go, by a parser and a schema that work outside Python. Everything else takes the way of all foreign
files, part by part. The schema is the stricter one: what it accepts, the slow way lets through unchanged.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from pydantic_core import CoreSchema, SchemaValidator, core_schema, from_json

from claf_engine import events as ev
from claf_engine.events.plain import MAX_INTEGER, Check, check_of
from claf_engine.runs.foreign import STATUS_CAP, StrPath, parse_object, read_foreign
from claf_engine.terms.errors import ForeignFileError, MissingFile


def read_status(path: StrPath) -> tuple[dict[str, Any], str]:
    """What a run's status says, and a sentence on what of it cannot be read; the sentence is empty where all can."""
    try:
        data = read_foreign(path, STATUS_CAP)
        if (ours := accepted_at_once(data)) is not None:
            return ours, ""
        record = parse_object(path, data)
    except MissingFile:
        return {}, ""
    except ForeignFileError as error:
        return {}, str(error)
    typed = typed_status(record)
    lost = ", ".join(sorted(record.keys() - typed.keys()))
    return typed, f"passed over {lost} of {path}: not of the type that a status holds" if lost else ""


def accepted_at_once(data: bytes) -> dict[str, Any] | None:
    """The record, if every part of it is one that our own code writes; None where that is not known."""
    try:
        record: dict[str, Any] = from_json(data, allow_inf_nan=False)
    except ValueError:
        return None
    return record if _OURS.isinstance_python(record) else None


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
        _is_measured(item)
        and isinstance(item.get("selected", False), bool)
        and isinstance(item.get("weights_sha256", ""), str)
        for item in value
    )


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


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
    "way_back": _are_texts,
}

_COUNT = core_schema.int_schema(strict=True, gt=-MAX_INTEGER, lt=MAX_INTEGER)
_NUMBER = core_schema.float_schema(strict=True, gt=-float(MAX_INTEGER), lt=float(MAX_INTEGER))
_ACCURACY = core_schema.nullable_schema(core_schema.float_schema(strict=True, ge=0, le=1))
_TEXT = core_schema.str_schema(strict=True)
_SCHEMAS: dict[Any, CoreSchema] = {str: _TEXT, int: _COUNT, float: _NUMBER}


def _schema_of(hint: Any) -> CoreSchema:
    """The schema of text, count, number, or of one of them that may be missing."""
    if options := get_args(hint):
        return core_schema.nullable_schema(_SCHEMAS[options[0]])
    return _SCHEMAS[hint]


def _object(required: dict[str, CoreSchema], optional: dict[str, CoreSchema]) -> CoreSchema:
    """An object with these parts and no others."""
    needed = {name: core_schema.typed_dict_field(schema, required=True) for name, schema in required.items()}
    others = {name: core_schema.typed_dict_field(schema, required=False) for name, schema in optional.items()}
    return core_schema.typed_dict_schema({**others, **needed}, strict=True, extra_behavior="forbid")


_FIGURE_SCHEMA = _object(
    {"accuracy": _ACCURACY, "epsilon": _TEXT},
    {name: _schema_of(hint) for name, hint in get_type_hints(ev.RobustFigure).items()},
)
_MEASURED_SCHEMA = _object(
    {"natural": _ACCURACY, "robust": core_schema.list_schema(_FIGURE_SCHEMA, strict=True)},
    {
        **dict.fromkeys(("checkpoint", "classifier", "weights_sha256"), _TEXT),
        "step": _COUNT,
        "selected": core_schema.bool_schema(strict=True),
    },
)
_TEXTS = ("status", "method", "data", "phase_title", "reason", "selected_on", "type")
_OURS = SchemaValidator(
    _object(
        {},
        {
            **{spec.name: _schema_of(_PROGRESS[spec.name]) for spec in fields(ev.Progressed)},
            **dict.fromkeys(_TEXTS, _TEXT),
            "heartbeat": _NUMBER,
            "probe": core_schema.nullable_schema(_MEASURED_SCHEMA),
            "results": core_schema.list_schema(_MEASURED_SCHEMA, strict=True),
            "checkpoint": core_schema.nullable_schema(_TEXT),
            "way_back": core_schema.list_schema(_TEXT, strict=True),
        },
    )
)
