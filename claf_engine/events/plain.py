"""Which values an event may hold once it has been on a disk: plain ones, of the type that its field declares."""

import math
import types
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

MAX_DEPTH = 64
"""Lists and objects inside each other; ours go to 8."""
MAX_INTEGER = 10**300
"""Beyond it an integer is no float any more, and no count of anything."""

Check = Callable[[Any], bool]


def require_plain(value: Any) -> None:
    """Refuse a value that a float, UTF-8, JSON or a table cannot take.

    Every record of every run comes through here, and so values are sorted by their types, level by level, and those of
    one type are looked at together.

    Raises:
        ValueError: a number is not finite or far beyond any count, a text holds half a character, or lists and objects
            go deeper than `MAX_DEPTH`.
    """
    level: list[Iterable[Any]] = [(value,)]
    for _ in range(MAX_DEPTH + 1):
        by_type: defaultdict[type[Any], list[Any]] = defaultdict(list)
        for items in level:
            for item in items:
                by_type[type(item)].append(item)
        level = [items for kind, values in by_type.items() for items in _inside(kind, values)]
        if not level:
            return
    raise ValueError("lists or objects are nested too deeply")


def _inside(kind: type[Any], values: Sequence[Any]) -> Iterable[Iterable[Any]]:
    """Look at values of one type, and give what lies in them."""
    if issubclass(kind, str):
        if not is_text("".join(values)):
            raise ValueError("a text holds half a character")
    elif issubclass(kind, float):
        if not all(map(math.isfinite, values)):
            raise ValueError("a number is not finite")
    elif issubclass(kind, int):
        if not -MAX_INTEGER < min(values) <= max(values) < MAX_INTEGER:
            raise ValueError("an integer has more than 300 digits")
    elif issubclass(kind, Mapping):
        return [part for value in values for part in (value, value.values())]
    elif issubclass(kind, list | tuple):
        return values
    return ()


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
