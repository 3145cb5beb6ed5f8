import csv
import json
import math

import pytest

from claf_engine.runs.metric_rows import MetricRow
from claf_tui.reports.metric_export import COLUMNS, ROWS_AT_ONCE, csv_parts, harmless, json_parts

ROWS = [
    MetricRow(1, 0, 1, None, "loss/supcon", 0.1 + 0.2),
    MetricRow(2, 0, 1, 1.5, 'loss/a "quoted", name', math.nan),
]


def test_csv_has_a_head_and_exact_values() -> None:
    lines = b"".join(csv_parts(ROWS)).decode().splitlines()
    assert lines[0] == "step,phase,epoch,elapsed,name,value"
    assert float(lines[1].rsplit(",", 1)[1]) == 0.1 + 0.2
    assert list(csv.reader(lines[2:]))[0] == ["2", "0", "1", "1.5", 'loss/a "quoted", name', "nan"]


def test_json_is_a_list_without_values_that_json_does_not_have() -> None:
    found = json.loads(b"".join(json_parts(ROWS)))
    assert [row["value"] for row in found] == [0.1 + 0.2, None]
    assert found[0]["elapsed"] is None
    assert tuple(found[0]) == COLUMNS
    assert json.loads(b"".join(json_parts([]))) == []


def test_parts_come_while_rows_are_read() -> None:
    taken = 0

    def rows():  # type: ignore[no-untyped-def]
        nonlocal taken
        for taken in range(10 * ROWS_AT_ONCE):  # noqa: B007 (read outside)
            yield ROWS[0]

    next(csv_parts(rows()))
    assert taken < 2 * ROWS_AT_ONCE


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_spreadsheet_computes_a_name(name: str) -> None:
    assert harmless(name)[0] not in "=+-@\t"


def test_a_usual_name_stays_as_it_is() -> None:
    assert harmless("probe/attack/robust 8/255") == "probe/attack/robust 8/255"
