"""What a list tells of a run's probes: the best one, and how they went. No torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from claf_engine.runs.foreign import open_foreign
from claf_engine.runs.journal import METRICS, record_of
from claf_engine.runs.lines import LINE_CAP
from claf_engine.runs.status import typed_status
from claf_engine.terms.errors import ForeignFileError
from claf_engine.terms.reach import written_reach

MAX_VALUES = 64
"""Values of a series; of more every second one goes."""
MAX_SERIES = 8
"""Classifiers with their attacks; ours have two or three."""
PIECE = 2**22
"""Bytes that are read at once."""
USUAL = {"norm": "linf", "space": "pixel", "decides": "last"}
"""What a figure is of that does not say."""
_PROBE = b'"type": "ProbeFinished"'


@dataclass(frozen=True)
class ListedFigure:
    """A robust accuracy, in [0, 1], with what its radius is written from; see `claf_engine.events.RobustFigure`.

    Attributes:
        num_examples: on how many images; 0 where nothing tells.
    """

    accuracy: float
    epsilon: str
    norm: str = "linf"
    space: str = "pixel"
    decides: str = "last"
    notice: str = ""
    num_examples: int = 0

    @property
    def attacked(self) -> tuple[str, str, str, str]:
        """What figures must share to be compared."""
        return self.epsilon, self.norm, self.space, self.decides


@dataclass(frozen=True)
class ProbeSeries:
    """The probes of one classifier at its first radius.

    Attributes:
        best: the highest robust accuracy, and `natural` the other accuracy of that probe, in [0, 1] or None.
        step: of the best one.
        values: robust accuracies, oldest first, one in `stride`.
        num_values: how many there were.
    """

    classifier: str
    best: ListedFigure
    natural: float | None
    step: int
    values: tuple[float, ...] = ()
    stride: int = 1
    num_values: int = 0

    def with_probe(self, probe: "ProbeSeries") -> "ProbeSeries":
        """The same with one more probe."""
        better = probe if probe.best.accuracy > self.best.accuracy else self
        values, stride = self.values, self.stride
        if self.num_values % stride == 0:
            values = (*values, *probe.values)
        if len(values) > MAX_VALUES:
            values, stride = values[::2], stride * 2
        return ProbeSeries(
            self.classifier, better.best, better.natural, better.step, values, stride, self.num_values + 1
        )


@dataclass(frozen=True)
class ProbeHistory:
    """The probes of a journal as far as it was read.

    Attributes:
        offset: bytes that were read.
        inode: of the file.
        series: that of the latest probe last.
    """

    offset: int = 0
    inode: int = 0
    series: tuple[ProbeSeries, ...] = ()

    @property
    def latest(self) -> ProbeSeries | None:
        """The series that the latest probe belongs to."""
        return self.series[-1] if self.series else None


def read_on(run: Path, known: ProbeHistory, max_bytes: int) -> tuple[ProbeHistory, bool]:
    """Read what was added to a journal; from the beginning where it is another file by now.

    Args:
        run: the folder.
        known: what was read of it before.
        max_bytes: how much to read at most, about.

    Returns:
        What is known now, and whether the end was reached; a journal that cannot be read has ended.
    """
    try:
        with open_foreign(run / METRICS) as file:
            status = os.fstat(file.fileno())
            if known.inode != status.st_ino or status.st_size < known.offset:
                known = ProbeHistory(0, status.st_ino)
            file.seek(known.offset)
            end = known.offset + max_bytes
            while known.offset < end:
                piece = file.read(PIECE)
                taken = _whole(piece)
                if not taken:
                    return known, True
                known = replace(known, offset=known.offset + taken, series=_folded(known.series, piece[:taken]))
                file.seek(known.offset)
    except (ForeignFileError, OSError):
        return known, True
    return known, False


def _whole(piece: bytes) -> int:
    """Bytes of the whole lines of a piece; of a line that is longer than any of ours, all of them."""
    end = piece.rfind(b"\n") + 1
    return end or (len(piece) if len(piece) > LINE_CAP else 0)


def _folded(series: tuple[ProbeSeries, ...], lines: bytes) -> tuple[ProbeSeries, ...]:
    place = lines.find(_PROBE)
    while place >= 0:
        begin, end = lines.rfind(b"\n", 0, place) + 1, lines.find(b"\n", place)
        end = end if end >= 0 else len(lines)
        if end - begin <= LINE_CAP and (probe := _probe_in(record_of(lines[begin:end]))) is not None:
            series = _with(series, probe)
        place = lines.find(_PROBE, end)
    return series


def _with(series: tuple[ProbeSeries, ...], probe: ProbeSeries) -> tuple[ProbeSeries, ...]:
    """The series with one more probe, whose own series comes last."""

    def is_same(one: ProbeSeries) -> bool:
        return one.classifier == probe.classifier and one.best.attacked == probe.best.attacked

    before = next((one for one in series if is_same(one)), None)
    grown = replace(probe, num_values=1) if before is None else before.with_probe(probe)
    return (*(one for one in series if not is_same(one)), grown)[-MAX_SERIES:]


def _probe_in(record: Mapping[str, Any] | None) -> ProbeSeries | None:
    """A series of one probe, from its record; None where that is none, or attacks nothing."""
    if record is None or record.get("type") != "ProbeFinished":
        return None
    probe = typed_status({"probe": record}).get("probe")
    classifier, step = record.get("classifier"), record.get("step")
    figure = first_figure(probe)
    if figure is None or not isinstance(classifier, str) or not isinstance(step, int):
        return None
    return ProbeSeries(classifier[:40], figure, record["natural"], step, (figure.accuracy,))


def first_figure(measured: Mapping[str, Any] | None) -> ListedFigure | None:
    """The robust accuracy at the first radius of a probe or a result of a typed status; None where there is none."""
    robust = measured["robust"] if measured else None
    if not robust or robust[0]["accuracy"] is None:
        return None
    item = robust[0]
    norm, space, decides = (str(item.get(name, usual))[:40] for name, usual in USUAL.items())
    if "notice" in item:
        notice = str(item["notice"])
    else:
        notice = written_reach(*(item.get(name) for name in ("attack", "epsilon", "steps", "step_size")))
    accuracy, num_examples = float(item["accuracy"]), max(0, item.get("num_examples", 0))
    return ListedFigure(accuracy, str(item["epsilon"])[:40], norm, space, decides, notice[:400], num_examples)
