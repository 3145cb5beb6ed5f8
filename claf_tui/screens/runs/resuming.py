"""From where a run of the list is gone on with, or why it is not."""

from claf_engine.runs.overview import Overview
from claf_engine.terms.errors import ClafError, RunError
from claf_tui.screens.checkpoints.actions import ResumeRequest, list_entries, refusal_to_resume


def way_on(run: Overview) -> ResumeRequest:
    """The newest checkpoint of a run that can be read.

    Raises:
        ClafError: it has none, or the run cannot be gone on with.
    """
    if run.is_live:
        raise RunError("it is live: enter opens it")
    try:
        newest = next((entry.path for entry in list_entries(run.directory) if entry.info is not None), None)
    except OSError as error:
        raise RunError(f"cannot look into {run.directory}: {error.strerror}") from error
    if newest is None:
        raise RunError(f"it has no checkpoint; claf-tui train --resume {run.name} --restart begins it anew")
    request = ResumeRequest(newest)
    if refusal := refusal_to_resume(request):
        raise ClafError(refusal)
    return request
