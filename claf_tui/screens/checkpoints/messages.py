"""What short threads of the checkpoint browser send back to it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from textual.message import Message

from claf_engine.runs.header import TensorInfo
from claf_engine.runs.tensor_statistics import TensorStatistics
from claf_tui.screens.checkpoints.actions import Entry


class CheckpointsListed(Message):
    """The folder was read, or a sentence says why it could not be; standings say what accuracies rest on, by file."""

    def __init__(self, entries: Sequence[Entry], standings: Mapping[Path, str], error: str = "") -> None:
        super().__init__()
        self.entries, self.standings, self.error = entries, standings, error


class TensorMeasured(Message):
    """Statistics of a tensor are ready, or a sentence says why they could not be had."""

    def __init__(self, path: Path, tensor: TensorInfo, statistics: TensorStatistics | str) -> None:
        super().__init__()
        self.path, self.tensor, self.statistics = path, tensor, statistics
