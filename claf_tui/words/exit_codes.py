"""The exit codes of the command line, each with its meaning, and which of them an ending has.

Errors bring theirs along (`claf_engine.terms.errors`).
"""

from dataclasses import dataclass

from claf_engine.terms.errors import ClafError

OK = 0
UNEXPECTED = 1
USAGE = 2
FAILED_INPUT = 3
DIVERGED = 4
DEVICE = 5
NOT_ROBUST_ENOUGH = 6
ROW_FAILED = 7
AUDIT_FAILED = 8
OUTPUT_LOST = 9
REFUSED = 10
NOT_ANSWERED = 11
SIGNAL_BASE = 128

MEANINGS = {
    str(OK): "success; also a run that a person stopped",
    str(UNEXPECTED): "unexpected error",
    str(USAGE): "wrong usage or configuration",
    str(FAILED_INPUT): "data, checkpoint or run directory cannot be used; another process of the run is gone",
    str(DIVERGED): "training diverged",
    str(DEVICE): "the device, a library or the system does not do, or memory ran out; doctor: a check fails",
    str(NOT_ROBUST_ENOUGH): "eval: --min-robust-accuracy was not reached",
    str(ROW_FAILED): "reproduce: some rows could not be filled",
    str(AUDIT_FAILED): "audit: a diagnostic fails",
    str(OUTPUT_LOST): "nobody could read what was printed",
    str(REFUSED): "steer: the request was refused",
    str(NOT_ANSWERED): "steer: nobody answered",
    "129, 130, 143": "ended by hang-up, ctrl+c or termination",
}


@dataclass(frozen=True)
class Ending:
    """How the work of a command ended; what is left out did not happen.

    Attributes:
        error: what broke it off, be it the work or the looking on.
        has_failed: it said that it failed; its error need not be known.
        is_watched: another process does the work, and its failure is not one of the command that looks on.
        signal: the number of the one that asked it to leave.
        verdict: of an audit over all its diagnostics.
        num_failed_rows: of a reproduction.
    """

    error: BaseException | None = None
    has_failed: bool = False
    is_watched: bool = False
    signal: int | None = None
    verdict: str = ""
    num_failed_rows: int = 0


def code_of(ending: Ending) -> int:
    """Choose the exit code of an ending.

    A failure comes first, because the code of a signal promises that the work was saved; what the work found comes
    last, because that is only known of work that was neither broken off nor stopped by a signal.
    """
    if ending.error is not None or (ending.has_failed and not ending.is_watched):
        return of_error(ending.error)
    if ending.signal is not None:
        return of_signal(ending.signal)
    if ending.verdict == "fails":
        return AUDIT_FAILED
    return ROW_FAILED if ending.num_failed_rows else OK


def of_error(error: BaseException | None) -> int:
    """Choose the exit code of an error: its own when a user can cause it, and one for all that nobody expected."""
    return error.exit_code if isinstance(error, ClafError) else UNEXPECTED


def of_signal(number: int) -> int:
    """Choose the exit code of a process that a signal asked to leave, as shells do."""
    return SIGNAL_BASE + number


def epilog() -> str:
    """The table in one paragraph, for the end of `--help`."""
    return f"Exit codes: {'; '.join(f'{code} {meaning}' for code, meaning in MEANINGS.items())}."
