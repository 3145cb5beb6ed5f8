"""What short threads of the checkpoint browser send back to it."""

from collections.abc import Sequence
from pathlib import Path

from textual.message import Message

from claf_engine.inspect import TensorInfo, TensorStatistics
from claf_tui.screens.checkpoint_actions import Entry


class CheckpointsListed(Message):
    """The folder was read, or a sentence says why it could not be."""

    def __init__(self, entries: Sequence[Entry], error: str = "") -> None:
        super().__init__()
        self.entries, self.error = entries, error


class TensorMeasured(Message):
    """Statistics of a tensor are ready, or a sentence says why they could not be had."""

    def __init__(self, path: Path, tensor: TensorInfo, statistics: TensorStatistics | str) -> None:
        super().__init__()
        self.path, self.tensor, self.statistics = path, tensor, statistics
