import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from claf_engine.runs.foreign import parse_json
from claf_engine.runs.status import accepted_at_once, typed_status

FIGURE = {
    "epsilon": "8/255",
    "accuracy": 0.0625,
    "attack": "pgd",
    "steps": 2,
    "restarts": 1,
    "space": "pixel",
    "largest_distance": None,
    "mean_distance": 0.031373,
    "notice": "too weak",
}
STATUS: dict[str, Any] = {
    "status": "finished",
    "method": "claf",
    "data": "shapes",
    "phase_title": "1 · contrastive",
    "probe": {"step": 32, "classifier": "natural", "natural": 0.0625, "robust": [FIGURE]},
    "epoch": 3,
    "phase_remaining": None,
    "elapsed": 7.25,
    "images_per_second": 1e-05,
    "heartbeat": 1796030952.7202427,
    "type": "RunFinished",
    "results": [
        {
            "checkpoint": "last",
            "classifier": "a",
            "natural": 1,
            "robust": [FIGURE],
            "selected": True,
            "weights_sha256": "ab",
        }
    ],
    "waited": 0.25,
    "way_back": ["supervised.optimizer.learning_rate=0.01"],
    "checkpoint": None,
}
TEXT = json.dumps(STATUS)
SCALARS = [
    "null",
    "true",
    "0",
    "-0",
    "-0.0",
    "1",
    "1.0",
    "1.5",
    "NaN",
    "-Infinity",
    "1e999",
    "-1e400",
    "1e300",
    "1" + "0" * 299,
    "1" + "0" * 300,
    "1" + "0" * 307,
    "1" + "0" * 400,
    "1" + "0" * 5000,
    "01",
    "1.",
    ".5",
    "+1",
    "1E5",
    "2.2250738585072011e-308",
    "0.1000000000000000055511151231257827",
    "9007199254740993",
    "9007199254740993.0",
    "18446744073709551616",
    '""',
    '"a"',
    '"\\ud800"',
    '"\\udcff"',
    '"\\ud83d\\ude00"',
    '"\\ude00\\ud83d"',
    '"\\u0000"',
    '"\\q"',
    '"a\tb"',
    '"é"',
    "[]",
    "{}",
    "[1,]",
    '{"a": 1}',
    "[" * 70 + "]" * 70,
    "[" * 300 + "]" * 300,
    "[" * 3000,
]
OTHER = st.sampled_from(SCALARS) | st.floats().map(json.dumps) | st.integers().map(json.dumps)


def slowly(data: bytes) -> object:
    """What the way of all foreign files makes of a status; None where it refuses it or a part of it."""
    try:
        record = parse_json(data)
    except ValueError:
        return None
    return record if isinstance(record, dict) and typed_status(record) == record else None


def agrees(data: bytes) -> bool:
    """Whether what is accepted in one go, if it is, is what the slow way gives, to the type and the order."""
    ours = accepted_at_once(data)
    return ours is None or repr(ours) == repr(slowly(data))


def with_value(text: str, value: str) -> bytes:
    return text.replace('"@"', value).encode("utf-8", "surrogatepass")


def test_what_a_run_writes_is_accepted_in_one_go() -> None:
    assert accepted_at_once(TEXT.encode()) == STATUS == slowly(TEXT.encode())


@pytest.mark.parametrize("key", [*STATUS, "later"])
def test_no_value_of_any_part_is_accepted_in_one_go_that_the_slow_way_refuses(key: str) -> None:
    whole = json.dumps({**STATUS, key: "@"})
    assert [value for value in SCALARS if not agrees(with_value(whole, value))] == []


@pytest.mark.parametrize("key", [*FIGURE, "later"])
def test_no_value_of_a_figure_is_accepted_in_one_go_that_the_slow_way_refuses(key: str) -> None:
    measured = {"natural": 0, "robust": [{**FIGURE, key: "@"}]}
    for record in ({"probe": measured}, {"results": [measured]}):
        whole = json.dumps(record)
        assert [value for value in SCALARS if not agrees(with_value(whole, value))] == []


@given(st.data())
def test_no_damage_to_a_status_makes_the_two_ways_disagree(data: st.DataObject) -> None:
    broken = bytearray(TEXT.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(broken)))
        broken[place : place + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=3) | OTHER.map(lambda text: text.encode("utf-8", "surrogatepass"))
        )
    assert agrees(bytes(broken))


@given(st.lists(st.tuples(st.sampled_from([*STATUS, "later"]), OTHER), max_size=6))
@example([("epoch", "1"), ("epoch", "1e999")])
@example([("epoch", "1e999"), ("epoch", "1")])
def test_keys_that_come_twice_do_not_make_the_two_ways_disagree(parts: list[tuple[str, str]]) -> None:
    text = "{" + ", ".join(f'"{key}": {value}' for key, value in parts) + "}"
    assert agrees(text.encode("utf-8", "surrogatepass"))


@given(st.floats(allow_nan=False, allow_infinity=False) | st.decimals(allow_nan=False, allow_infinity=False))
def test_both_ways_read_a_number_to_its_last_bit(number: object) -> None:
    text = f'{{"elapsed": {str(number).lower()}}}'
    assert agrees(text.encode())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_another_encoding_does_not_make_the_two_ways_disagree(encoding: str) -> None:
    assert agrees(TEXT.replace("\\u00b7", "é").encode(encoding))


def test_a_name_that_is_no_utf_8_takes_the_slow_way_and_stays(tmp_path: Path) -> None:
    data = json.dumps({**STATUS, "data": "folder:/a\udcff"}).encode()
    assert accepted_at_once(data) is None
    assert slowly(data) == {**STATUS, "data": "folder:/a\udcff"}
