"""What can become of a file that somebody else may have written: any bytes, and damaged copies of a whole one."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import tomli_w
from hypothesis import strategies as st

Plain = Any
Dump = Callable[[Plain], str]
"""A value of JSON or TOML to its text."""


KINDS = ("overwrite", "flip", "truncate", "insert", "delete", "duplicate")
CHANGE_BYTES = 8


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """Copies of a file with one to four damages, drawn as eight bytes each, which is fast: what, where, span, data."""
    drawn = st.binary(min_size=CHANGE_BYTES, max_size=4 * CHANGE_BYTES)
    return drawn.map(lambda plan: _all_damaged(whole, plan))


def _all_damaged(data: bytes, plan: bytes) -> bytes:
    for first in range(0, len(plan) - CHANGE_BYTES + 1, CHANGE_BYTES):
        kind, high, low, length, *new = plan[first : first + CHANGE_BYTES]
        start = (256 * high + low) * len(data) // 2**16
        span = data[start : start + 1 + length % 40]
        middle, end = {
            "overwrite": (bytes(new), start + len(new)),
            "flip": (bytes(byte ^ (new[0] or 1) for byte in span), start + len(span)),
            "truncate": (b"", len(data)),
            "insert": (bytes(new), start),
            "delete": (b"", start + len(span)),
            "duplicate": (span, start),
        }[KINDS[kind % len(KINDS)]]
        data = data[:start] + middle + data[end:]
    return data


TEXTS = [
    "null", "true", "-1", "0", "1", "0.5", "2", "1e999", "-1e308", "NaN", "-Infinity", "nan", "inf",
    '""', '"a"', '"8/255"', '"1/0"', '"nan"', '"\\ud800"', '"\\u0000"', '"../../x"', '"' + "x" * 100_000 + '"',
    "[]", "[[]]", "{}", "[1]", '["a"]', '[{"a": 1}]', '{"a": {"a": 1}}',
    "1" + "0" * 30, "1" + "0" * 400, "-1" + "0" * 400, "1" + "0" * 5000,
    "[" * 70 + "]" * 70, "[" * 2000 + "]" * 2000, '{"a":' * 2000 + "1" + "}" * 2000,
]  # fmt: skip
"""Values in place of another, as they are written."""
PLACEHOLDER = '"@{}@"'


MOVES = ("text", "text", "text", "move", "delete")
MOVE_BYTES = 6


def restructured(whole: Plain, dump: Dump) -> st.SearchStrategy[bytes]:
    """Copies of a file of JSON or TOML in which one to three values are others, moved or gone; drawn as six bytes each.

    Places are drawn by what stands at the top, so that a large section does not hide the small ones.
    """
    tops = [
        [place for place in _places(whole) if place[:1] == top] for top in dict.fromkeys(p[:1] for p in _places(whole))
    ]

    def plan_of(plan: bytes) -> list[tuple[Any, str, str, Any]]:
        moves = [plan[first : first + MOVE_BYTES] for first in range(0, len(plan) - MOVE_BYTES + 1, MOVE_BYTES)]
        return [
            (
                _pick(tops, *move[:2]),
                MOVES[move[2] % len(MOVES)],
                TEXTS[move[3] % len(TEXTS)],
                _pick(tops, *move[4:]),
            )
            for move in moves
        ]

    drawn = st.binary(min_size=MOVE_BYTES, max_size=3 * MOVE_BYTES)
    return drawn.map(lambda plan: _restructured(whole, plan_of(plan), dump))


def _pick(tops: list[list[tuple[Any, ...]]], first: int, second: int) -> tuple[Any, ...]:
    places = tops[first % len(tops)]
    return places[second % len(places)]


def json_text(value: Plain) -> str:
    """JSON, with what is not its own: NaN and halves of characters."""
    return json.dumps(value)


def json_lines(values: Plain) -> str:
    """JSON, a line for each value of a list."""
    if not isinstance(values, list):
        return json.dumps(values)
    return "".join(json.dumps(value) + "\n" for value in values)


def toml_text(value: Plain) -> str:
    """TOML; a value that is no table is written as it is."""
    return tomli_w.dumps(value) if isinstance(value, dict) else json.dumps(value)


def _places(value: Plain, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _places(item, (*above, key))


def _restructured(whole: Plain, changes: list[tuple[Any, str, str, Any]], dump: Dump) -> bytes:
    # Placed under one key, so that the whole is a place too.
    tree = {"": json.loads(json.dumps(whole))}
    texts: list[str] = []
    for place, kind, text, other in changes:
        *above, last = ("", *place)
        holder = _at(tree, tuple(above))
        is_there = (
            last in holder if isinstance(holder, dict) else isinstance(holder, list) and last in range(len(holder))
        )
        if not is_there:
            continue
        if kind == "delete" and place:
            del holder[last]
        elif kind == "move" and (moved := _at(tree, ("", *other))) is not None:
            holder[last] = json.loads(json.dumps(moved))
        else:
            holder[last] = PLACEHOLDER.format(len(texts))[1:-1]
            texts.append(text)
    written = dump(tree[""])
    for index, text in enumerate(texts):
        written = written.replace(PLACEHOLDER.format(index), text)
    return written.encode("utf-8", "surrogatepass")


def _at(tree: Plain, place: tuple[Any, ...]) -> Plain:
    """What stands at a place; None where a change has taken it away."""
    for key in place:
        try:
            tree = tree[key]
        except (KeyError, IndexError, TypeError):
            return None
    return tree
