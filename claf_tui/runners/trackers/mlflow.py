"""MLflow: figures go to the server, file or database that its own variables name."""

import os
from pathlib import Path
from typing import Any

from claf_engine import events as ev
from claf_engine.runs.folder import flat_settings

EXPERIMENT = "claf-tui"
RUN_TAG, STEP_TAG = "claf.run", "claf.step"
"""By which a run is found again, and how far it has been recorded."""
BATCH = 500
"""Numbers that are sent at once."""
MAX_PARAMS, MAX_VALUE = 100, 500
"""What a server takes at once, and of one setting."""
STATUS = {"finished": "FINISHED", "stopped": "KILLED"}


class MlFlow:
    """One run of theirs for a run of ours; a run that goes on is found again, and no step is recorded twice."""

    name = "mlflow"

    def __init__(self) -> None:
        self._client: Any = None
        self._id = ""
        self._recorded = -1
        self._waiting: list[Any] = []
        self._step = -1

    def begin(self, run: ev.RunStarted) -> str:
        """Find the run of this name, or create it."""
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient()
        name, experiment = Path(run.directory).name, self._experiment()
        found = self._client.search_runs([experiment], filter_string=f"tags.`{RUN_TAG}` = '{name}'", max_results=1)
        if found:
            self._id = found[0].info.run_id
            self._recorded = int(found[0].data.tags.get(STEP_TAG, -1))
            self._client.set_terminated(self._id, status="RUNNING")
            return f"goes on with run {name}"
        self._id = self._client.create_run(experiment, run_name=name, tags={RUN_TAG: name}).info.run_id
        params = [Param(key, str(value)[:MAX_VALUE]) for key, value in flat_settings(run.config)]
        for start in range(0, len(params), MAX_PARAMS):
            self._client.log_batch(self._id, params=params[start : start + MAX_PARAMS])
        return f"records run {name}"

    def scalars(self, step: int, values: dict[str, float], at: float) -> None:
        """Send numbers of one step, many at once."""
        from mlflow.entities import Metric

        if step <= self._recorded:
            return
        if self._waiting and step > self._step and len(self._waiting) >= BATCH:
            self._send()
        self._waiting += [Metric(name, value, int(at * 1000), step) for name, value in values.items()]
        self._step = step

    def probed(self, step: int) -> None:  # noqa: ARG002 (others need it)
        """Pictures stay here; what was measured is sent."""
        self._send()

    def end(self, status: str) -> None:
        """Send the rest and close their run."""
        self._send()
        self._client.set_terminated(self._id, status=STATUS.get(status, "FAILED"))

    def _send(self) -> None:
        from mlflow.entities import RunTag

        if self._waiting:
            self._client.log_batch(self._id, metrics=self._waiting, tags=[RunTag(STEP_TAG, str(self._step))])
            self._waiting = []

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found is not None else self._client.create_experiment(name))
