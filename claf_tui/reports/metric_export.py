"""The logged figures of a run as CSV or JSON, row by row. Pure."""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator

from claf_engine.runs.metric_rows import MetricRow
from claf_tui.words.safe_text import safe

COLUMNS = MetricRow._fields
NOT_FINITE = "nan"
FORMULAS = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""
ROWS_AT_ONCE = 512
MAX_NAME = 200


def csv_parts(rows: Iterable[MetricRow]) -> Iterator[bytes]:
    """CSV with a head line, in parts; a value that is not finite is `nan`, an unknown time is empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, row in enumerate(rows, 1):
        value = NOT_FINITE if math.isnan(row.value) else repr(row.value)
        writer.writerow((*row[:3], "" if row.elapsed is None else row.elapsed, harmless(row.name), value))
        if number % ROWS_AT_ONCE == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def json_parts(rows: Iterable[MetricRow]) -> Iterator[bytes]:
    """A JSON list with one row a line, in parts; a value that is not finite is null, and so is an unknown time."""
    yield b"[\n"
    is_first = True
    for row in rows:
        record = {**row._asdict(), "value": None if math.isnan(row.value) else row.value}
        yield b"" if is_first else b",\n"
        yield json.dumps(record, allow_nan=False).encode()
        is_first = False
    yield b"\n]\n"


def harmless(name: str) -> str:
    """A name of a series, clean, that no spreadsheet computes."""
    cleaned = safe(name, MAX_NAME)
    return f"'{cleaned}" if cleaned.startswith(FORMULAS) else cleaned


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()
