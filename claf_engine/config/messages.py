"""What is wrong with a configuration, as one plain sentence per mistake."""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from claf_engine.config import RunConfig
from claf_engine.config.suggestion import suggestion

Location = tuple[str | int, ...]

_PLAIN = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text in quotes",
    "tuple_type": "must be a list such as [1, 2]",
    "missing": "needs more items",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_long": "has more than {max_length} items",
    "too_short": "has fewer than {min_length} items",
    "literal_error": "must be one of {expected}",
    "model_type": "is a group of settings and needs a key inside it",
}


@dataclass(frozen=True)
class Layer:
    """Values from one place; `origin` is what a complaint calls that place, `is_packaged` whether it is one of ours."""

    origin: str
    values: dict[str, Any]
    is_packaged: bool = False


def describe(error: ValidationError, layers: list[Layer]) -> str:
    """Write the first mistake as a sentence, and say how many more there are."""
    problems = error.errors(include_url=False)
    first = problems[0]
    location = _located(first)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{_origin(location, layers)}: {_sentence(first, location)}{more}"


@cache
def known_keys() -> tuple[str, ...]:
    """Every dotted key of a configuration, groups included."""
    return tuple(_keys(RunConfig, ""))


def _keys(model: type[BaseModel], prefix: str) -> Iterable[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")


def _sentence(problem: ErrorDetails, location: Location) -> str:
    key = _dotted(location)
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key}{_nearest_key(key)}"
    if problem["type"] == "value_error":
        reason = str(problem.get("ctx", {}).get("error", problem["msg"]))
        return reason if reason.startswith((f"{key} ", f"{key}.")) else f"{key}: {reason}"
    plain = _PLAIN.get(problem["type"])
    if plain is None:
        return f"{key}: {problem['msg']}"
    context = {name: _number(value) for name, value in problem.get("ctx", {}).items()}
    return f"{key} {plain.format(**context)}, not {_short(problem['input'])}"


def _nearest_key(key: str) -> str:
    """Suggest keys of the same last name, else the nearest key, else keys of the nearest last name."""
    name = key.rpartition(".")[2]
    by_name: dict[str, list[str]] = {}
    for known in known_keys():
        by_name.setdefault(known.rpartition(".")[2], []).append(known)
    if name not in by_name:
        near = suggestion(key, known_keys())
        name = next(iter(difflib.get_close_matches(name, by_name, n=1)), "")
        if near or not name:
            return near
    return f"; did you mean {' or '.join(by_name[name])}?"


def _located(problem: ErrorDetails) -> Location:
    """Where the mistake is; a check of a whole group points to the key whose value its message quotes.

    One of the whole configuration points to the key that its message begins with.
    """
    location = problem["loc"]
    if problem["type"] == "value_error" and not location:
        return tuple(str(problem.get("ctx", {}).get("error", "")).partition(" ")[0].split("."))
    if problem["type"] == "value_error" and isinstance(problem["input"], Mapping):
        for name, value in problem["input"].items():
            if isinstance(value, str) and repr(value) in problem["msg"]:
                return (*location, name)
    if problem["type"] == "missing":
        return location[:-1] if isinstance(location[-1], int) else location
    return location


def _origin(location: Location, layers: list[Layer]) -> str:
    """The last layer that wrote the value at a place, or anything inside or around it."""
    for layer in reversed(layers):
        value: Any = layer.values
        for part in location:
            if not isinstance(value, Mapping):
                return layer.origin
            if part not in value:
                break
            value = value[part]
        else:
            return layer.origin
    return layers[-1].origin


def _dotted(location: Location) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and math.isfinite(value) and value == int(value) else value


def _short(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a table"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
