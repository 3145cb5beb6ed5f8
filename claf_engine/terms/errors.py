"""Everything a user can cause, as one exception tree.

ClafError
├── ConfigError       a preset, TOML file, flag or value is wrong
├── DataError         images are missing, unreadable or out of range
├── DeviceError       the asked-for device or precision is not here, or ran out of memory
├── CheckpointError   a checkpoint is missing, damaged, foreign, or cannot be written
│   └── CheckpointGone it was deleted between being chosen and being opened
├── RunError          a run directory cannot be found, created, written or resumed
│   ├── RunEnded      it is finished or imported
│   ├── RunLocked     another process owns the run directory
│   ├── RequestRefused a run was asked for something by another process, and refused
│   └── NotAnswered   a run was asked for something, and nobody answered
├── ProcessLost       another process that trains the same run is gone
├── ForeignFileError  a file that somebody else may have written cannot be read as what it should be
│   └── MissingFile   there is no such file
└── NonFiniteLoss     training diverged: the loss is NaN or infinite

Each message is one sentence that names the culprit and the fix. Each class carries the process exit code that the
command line uses for it, so the table of exit codes has a single source.
"""


def first_line(error: BaseException) -> str:
    """What an error of a library says, for a sentence of ours: its first line without a full stop, or else its name."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(". ") if lines else type(error).__name__


class ClafError(Exception):
    """Base of all errors that a user can cause."""

    exit_code = 1


class ConfigError(ClafError):
    """A preset, TOML file, flag or value is wrong."""

    exit_code = 2


class DataError(ClafError):
    """Images are missing, unreadable or out of range."""

    exit_code = 3


class CheckpointError(ClafError):
    """A checkpoint is missing, damaged, foreign, or cannot be written."""

    exit_code = 3


class CheckpointGone(CheckpointError):
    """A checkpoint is not there, or not any more: a run that trains deletes old ones."""


class RunError(ClafError):
    """A run directory cannot be found, created, written or resumed."""

    exit_code = 3


class RunEnded(RunError):
    """There is nothing to go on with in a run that has ended.

    Attributes:
        ending: how it stands, without the fix, for a screen that has fixes of its own.
    """

    def __init__(self, message: str, ending: str = "") -> None:
        super().__init__(message)
        self.ending = ending or message


class RunLocked(RunError):
    """Another process owns the run directory."""


class RequestRefused(RunError):
    """A run was asked for something by another process, and refused; or whoever asks may not."""

    exit_code = 10


class NotAnswered(RunError):
    """A run was asked for something by another process, and nobody answered: none trains in it, or it is stuck."""

    exit_code = 11


class ProcessLost(ClafError):
    """Another process that trains the same run is gone or cannot be reached; what was saved is whole."""

    exit_code = 3


class ForeignFileError(ClafError):
    """A file is no regular one, too large, damaged, or holds what no file of its kind holds."""

    exit_code = 3


class MissingFile(ForeignFileError):
    """There is no such file."""


class NonFiniteLoss(ClafError):
    """Training diverged: a loss or a weight is NaN or infinite; nothing was stepped with it, and nothing saved.

    Attributes:
        optimizers: names of those that may have caused it.
    """

    exit_code = 4

    def __init__(self, message: str, optimizers: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.optimizers = optimizers


class DeviceError(ClafError):
    """The asked-for device or precision is not here, or it ran out of memory."""

    exit_code = 5
