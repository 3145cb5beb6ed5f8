"""The exit codes of the command line, each with its meaning; errors bring theirs along (`claf_engine.terms.errors`)."""

OK = 0
UNEXPECTED = 1
USAGE = 2
FAILED_INPUT = 3
DIVERGED = 4
DEVICE = 5
NOT_ROBUST_ENOUGH = 6
ROW_FAILED = 7
AUDIT_FAILED = 8
SIGNAL_BASE = 128
INTERRUPTED = SIGNAL_BASE + 2

MEANINGS = {
    str(OK): "success; also a run that a person stopped",
    str(UNEXPECTED): "unexpected error",
    str(USAGE): "wrong usage or configuration",
    str(FAILED_INPUT): "data, checkpoint or run directory cannot be used",
    str(DIVERGED): "training diverged",
    str(DEVICE): "the device is missing or out of memory; doctor: a check fails",
    str(NOT_ROBUST_ENOUGH): "eval: --min-robust-accuracy was not reached",
    str(ROW_FAILED): "reproduce: a row could not be filled",
    str(AUDIT_FAILED): "audit: a diagnostic fails",
    "129, 130, 143": "ended by hang-up, ctrl+c or termination",
}


def epilog() -> str:
    """The table in one paragraph, for the end of `--help`."""
    return f"Exit codes: {'; '.join(f'{code} {meaning}' for code, meaning in MEANINGS.items())}."
