import dataclasses
import json
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claf_engine import events as ev
from claf_engine.events.records import from_record, to_record
from tests.properties import examples

PROPERTY = examples(15)
PARTS = (ev.RobustFigure, ev.PhasePlan, ev.TestResult, ev.ReproductionRow, ev.PlannedCheck)
CLASSES: list[type[Any]] = [
    cls for cls in vars(ev).values() if isinstance(cls, type) and dataclasses.is_dataclass(cls) and cls not in PARTS
]
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=8),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
    Any: st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(-1, 1) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
}
every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that an event's field may have."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return PLAIN[hint]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return st.builds(hint, **{name: values_of(inner) for name, inner in get_type_hints(hint).items()})
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is types.UnionType:
        return st.one_of([values_of(argument) for argument in arguments])
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    assert origin is Mapping, f"an event holds a {hint}"
    return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=3)


def through_json(event: ev.Event) -> ev.Event:
    return from_record(json.loads(json.dumps(to_record(event), allow_nan=False)))


@every_class
@PROPERTY
@given(data=st.data())
def test_an_event_survives_json(cls: type[Any], data: st.DataObject) -> None:
    event = data.draw(values_of(cls))
    assert through_json(event) == event


@every_class
@examples(5)
@given(data=st.data())
def test_an_extra_key_is_ignored(cls: type[Any], data: st.DataObject) -> None:
    event = data.draw(values_of(cls))
    assert from_record({"seq": 3, "from_the_future": [1], **to_record(event)}) == event


def required_fields() -> list[tuple[type[Any], str]]:
    return [
        (cls, field.name)
        for cls in CLASSES
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING
    ]


@pytest.mark.parametrize(("cls", "name"), required_fields(), ids=lambda value: getattr(value, "__name__", value))
@examples(1)
@given(data=st.data())
def test_a_record_that_lacks_a_field_is_refused(cls: type[Any], name: str, data: st.DataObject) -> None:
    record = to_record(data.draw(values_of(cls)))
    del record[name]
    with pytest.raises(ValueError, match=f"{cls.__name__} record lacks a field: .*'{name}'"):
        from_record(record)


def optional_fields() -> list[tuple[type[Any], str, Any]]:
    return [
        (cls, field.name, field.default)
        for cls in CLASSES
        for field in dataclasses.fields(cls)
        if field.default is not dataclasses.MISSING
    ]


@pytest.mark.parametrize(("cls", "name", "default"), optional_fields())
@examples(1)
@given(data=st.data())
def test_a_record_from_before_a_field_existed_takes_its_default(
    cls: type[Any], name: str, default: Any, data: st.DataObject
) -> None:
    record = to_record(data.draw(values_of(cls)))
    del record[name]
    assert getattr(from_record(record), name) == default


def float_fields(kind: Any) -> list[tuple[type[Any], str]]:
    return [(cls, name) for cls in CLASSES for name, hint in get_type_hints(cls).items() if hint == kind]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("cls", "name"), float_fields(float) + float_fields(float | None))
@examples(1)
@given(data=st.data())
def test_a_number_that_is_not_finite_is_written_as_null(
    cls: type[Any], name: str, number: float, data: st.DataObject
) -> None:
    event = dataclasses.replace(data.draw(values_of(cls)), **{name: number})
    assert json.loads(json.dumps(to_record(event), allow_nan=False))[name] is None


@pytest.mark.parametrize(("cls", "name"), float_fields(float))
@examples(1)
@given(data=st.data())
def test_a_null_comes_back_as_nan_where_a_number_must_be(cls: type[Any], name: str, data: st.DataObject) -> None:
    event = dataclasses.replace(data.draw(values_of(cls)), **{name: math.nan})
    assert math.isnan(getattr(through_json(event), name))


@pytest.mark.parametrize(("cls", "name"), float_fields(float | None))
@examples(1)
@given(data=st.data())
def test_a_null_comes_back_as_none_where_a_number_may_be_missing(
    cls: type[Any], name: str, data: st.DataObject
) -> None:
    event = dataclasses.replace(data.draw(values_of(cls)), **{name: None})
    assert getattr(through_json(event), name) is None


def test_progress_of_which_only_the_activity_is_known_says_nothing_else() -> None:
    progress = ev.Progressed.of_activity("loading images", 0.5)
    assert (progress.activity, progress.activity_fraction) == ("loading images", 0.5)
    others = {field.name for field in dataclasses.fields(progress)} - {"activity", "activity_fraction"}
    assert {getattr(progress, name) for name in others} == {0, "", None}


FIGURE = ev.RobustFigure("8/255", 0.5, "PGD-10", 10, "2/255", 1, 256)
PROBE = ev.ProbeFinished(9, 1, 2, "attack", 0.75, (FIGURE,), 1.5)


def test_a_nan_inside_a_nested_figure_is_written_as_null() -> None:
    probe = dataclasses.replace(PROBE, robust=(dataclasses.replace(FIGURE, accuracy=math.nan),))
    assert to_record(probe)["robust"][0]["accuracy"] is None


def test_a_nan_inside_a_nested_figure_comes_back() -> None:
    probe = dataclasses.replace(PROBE, robust=(dataclasses.replace(FIGURE, accuracy=math.nan),))
    restored = through_json(probe)
    assert isinstance(restored, ev.ProbeFinished)
    assert math.isnan(restored.robust[0].accuracy)


def test_a_nested_record_that_lacks_a_field_is_refused() -> None:
    record = to_record(PROBE)
    del record["robust"][0]["epsilon"]
    with pytest.raises(ValueError, match="RobustFigure record lacks a field"):
        from_record(record)


def test_an_extra_key_of_a_nested_record_is_ignored() -> None:
    record = to_record(PROBE)
    record["robust"][0]["from_the_future"] = 1
    assert from_record(record) == PROBE


def test_an_old_figure_that_does_not_say_which_point_decided_is_of_the_last() -> None:
    record = to_record(PROBE)
    del record["robust"][0]["decides"]
    restored = from_record(record)
    assert isinstance(restored, ev.ProbeFinished)
    assert restored.robust[0].decides == "last"


@every_class
def test_a_record_names_its_type(cls: type[Any]) -> None:
    with pytest.raises(ValueError, match=f"a {cls.__name__} record lacks a field"):
        from_record({"type": cls.__name__})


@pytest.mark.parametrize(
    "record", [{}, {"type": None}, {"type": "Unheard"}, {"type": ["Notice"]}, {"type": "PhasePlan"}]
)
def test_a_record_of_an_unknown_type_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="unknown event type"):
        from_record(record)


@pytest.mark.parametrize("robust", [None, 3, [3], [None]])
def test_a_record_with_a_damaged_nested_field_is_refused(robust: object) -> None:
    with pytest.raises(ValueError, match="ProbeFinished"):
        from_record({**to_record(PROBE), "robust": robust})


@every_class
@examples(1)
@given(data=st.data())
def test_an_event_cannot_be_changed(cls: type[Any], data: st.DataObject) -> None:
    event = data.draw(values_of(cls))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, dataclasses.fields(cls)[0].name, 1)
