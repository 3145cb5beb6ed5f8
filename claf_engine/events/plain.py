"""Which values an event may hold once it has been on a disk: plain ones, of the type that its field declares."""

import math
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

MAX_DEPTH = 64
"""Lists and objects inside each other; ours go to 8."""
MAX_INTEGER = 10**300
"""Beyond it an integer is no float any more, and no count of anything."""

Check = Callable[[Any], bool]


def require_plain(value: Any, depth: int = 0) -> None:
    """Refuse a value that a float, UTF-8, JSON or a table cannot take.

    Raises:
        ValueError: a number is not finite or far beyond any count, a text holds half a character, or lists and objects
            go deeper than `MAX_DEPTH`.
    """
    if isinstance(value, Mapping | list | tuple):
        if depth >= MAX_DEPTH:
            raise ValueError("lists or objects are nested too deeply")
        for item in (*value, *value.values()) if isinstance(value, Mapping) else value:
            require_plain(item, depth + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a number is not finite")
    elif isinstance(value, int):
        if not -MAX_INTEGER < value < MAX_INTEGER:
            raise ValueError("an integer has more than 300 digits")
    elif isinstance(value, str) and not is_text(value):
        raise ValueError("a text holds half a character")


def is_text(value: str) -> bool:
    """Whether a text can be written down: as UTF-8, or as the bytes of a path that is not."""
    if value.isascii():
        return True
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def check_of(hint: Any) -> Check:
    """Make a function that tells whether a value is of a declared type; NaN is a float, infinity is not.

    Args:
        hint: str, int, float, bool, None, Any, a literal, a tuple, a mapping, a class, or a union of such.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        checks = [check_of(argument) for argument in arguments]
        return lambda value: any(check(value) for check in checks)
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in arguments
    if origin is tuple:
        inner = check_of(arguments[0])
        return lambda value: isinstance(value, tuple) and all(map(inner, value))
    if origin is not None:
        of_values = check_of(arguments[1])
        return lambda value: _is_plain_mapping(value) and all(map(of_values, value.values()))
    return _CHECKS.get(hint, lambda value: isinstance(value, hint))


def _is_plain_mapping(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    try:
        require_plain(value)
    except ValueError:
        return False
    return True


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -MAX_INTEGER < value < MAX_INTEGER


def _is_number(value: Any) -> bool:
    return (isinstance(value, float) and not math.isinf(value)) or _is_count(value)


_CHECKS: dict[Any, Check] = {
    str: lambda value: isinstance(value, str) and is_text(value),
    int: _is_count,
    float: _is_number,
    bool: lambda value: isinstance(value, bool),
    Any: lambda _: True,
    type(None): lambda value: value is None,
}
