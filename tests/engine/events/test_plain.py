import math
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from claf_engine.events.plain import MAX_DEPTH, MAX_INTEGER, is_text, require_plain


class Word(StrEnum):
    A = "a"
    HALF = "\ud800"


class Number(IntEnum):
    ONE = 1
    HUGE = MAX_INTEGER


def is_plain(value: Any, depth: int = 0) -> bool:
    """What `require_plain` promises, value by value."""
    if isinstance(value, str):
        return is_text(value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return -MAX_INTEGER < value < MAX_INTEGER
    if isinstance(value, Mapping):
        return depth < MAX_DEPTH and all(is_plain(item, depth + 1) for item in (*value, *value.values()))
    if isinstance(value, list | tuple):
        return depth < MAX_DEPTH and all(is_plain(item, depth + 1) for item in value)
    return True


def nested(depth: int) -> Any:
    value: Any = 1
    for number in range(depth):
        value = [value] if number % 2 else {"a": value}
    return value


BORDERS = st.sampled_from([0, MAX_INTEGER - 1, MAX_INTEGER, 1 - MAX_INTEGER, -MAX_INTEGER, 10**400, *Number])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | BORDERS | st.sampled_from(Word)
TEXTS = st.text(st.characters(), max_size=3) | st.sampled_from(["\ud800", "\udcff", "\ud83d", "\ude00"])
VALUES = st.recursive(
    LEAVES | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(TEXTS, inner, max_size=4)
        | st.dictionaries(TEXTS, inner, max_size=2).map(MappingProxyType)
    ),
    max_leaves=20,
)


@given(VALUES)
@example(["\ud83d", "\ude00"])
@example({"\ud800": 1})
@example((True, [[[math.nan]]]))
def test_looking_at_all_values_of_a_type_at_once_is_looking_at_each(value: Any) -> None:
    if is_plain(value):
        require_plain(value)
    else:
        with pytest.raises(ValueError, match="half a character|not finite|300 digits|too deeply"):
            require_plain(value)


def test_lists_and_objects_may_go_as_deep_as_the_limit_and_no_deeper() -> None:
    require_plain(nested(MAX_DEPTH))
    with pytest.raises(ValueError, match="nested too deeply"):
        require_plain(nested(MAX_DEPTH + 1))


def test_a_nesting_that_no_recursion_can_follow_is_refused() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        require_plain(nested(100_000))
