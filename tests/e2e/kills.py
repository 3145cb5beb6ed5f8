"""Runs of every method that are killed with SIGKILL and gone on with: where, and whether nothing was lost."""

import hashlib
import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.numpy import load_file

from claf_engine.runs import list_checkpoints
from claf_engine.runs.journal import EVENTS, read_records
from tests.e2e.deaths import Death
from tests.e2e.processes import Nursery, metrics

SETTINGS = """
batch_size = 16
[data]
num_train = 48
num_validation = 16
num_test = 16
[model]
width = 4
blocks = [1]
projection_hidden = 8
projection_dim = 4
[features_optimizer]
learning_rate = 0.05
[contrastive]
epochs = 2
temperature = 0.2
[adversarial]
epochs = 2
classifier_epochs = 1
[rocl]
epochs = 2
[acl]
epochs = 2
[pretext]
epochs = 2
[defense_gan]
epochs = 2
latent = 4
width = 2
critic_steps = 2
[rectifier]
num_perturbations = 2
perturbation_epochs = 1
num_synthetic = 2
width = 4
blocks = 1
epochs = 2
detector_epochs = 2
[union]
steps = 2
linf = { epsilon = "8/255", step_size = "8/255" }
l2 = { epsilon = "1/2", step_size = "1/4" }
l1 = { epsilon = 2, step_size = 1 }
[supervised]
epochs = 3
[attack]
steps = 1
[linear_evaluation]
epochs = 3
adversarial_epochs = 2
adversarial_steps = 1
[fgsm]
monitor_steps = 2
[probe]
every_epochs = 2
num_examples = 8
epsilons = ["8/255"]
steps = 1
fit_epochs = 1
[evaluation]
epsilons = ["8/255"]
steps = 1
num_examples = 8
[checkpoint]
every_steps = 2
min_seconds = 0
keep_last = 2
[runtime]
threads = 1
precision = "fp32"
layout = "channels_last"
log_every = 1
"""
"""Three batches a pass, and a checkpoint at every other step: a run of any method in a second or two."""

TEMPORARY, CHECKPOINT = "*/checkpoints/.tmp-step-*", "*/checkpoints/step-*"
STATUS = "*/.tmp-status.json-*"
SAVED, ENDED, FINISHED = '"type": "CheckpointSaved"', '"type": "RunFinished"', '"status": "finished"'
A_STEP = Death("write", "*/metrics.jsonl", "after", 4)

POINTS: dict[str, tuple[Death, ...]] = {
    "begin: no settings yet": (Death("replace", "*/config.toml"),),
    "begin: settings, no record of the run yet": (Death("create", "*/.tmp-run.json-*"),),
    "begin: nobody holds it yet": (Death("create", "*/.tmp-holder.json-*"),),
    "begin: looking whether it can be written": (Death("unlink", "*/checkpoints/.tmp-writable"),),
    "begin: its images not yet noted": (Death("replace", "*/run.json", number=2),),
    "begin: first record half written": (Death("write", "*/events.jsonl", "halfway"),),
    "step: record not yet written": (Death("write", "*/metrics.jsonl", number=3),),
    "step: record half written": (Death("write", "*/metrics.jsonl", "halfway", 3),),
    "step: record written": (Death("write", "*/metrics.jsonl", "after", 3),),
    "save: journal not yet flushed": (Death("fsync", "*/metrics.jsonl"),),
    "save: one file of the journal flushed": (Death("fsync", "*/events.jsonl"),),
    "save: temporary file not yet made": (Death("create", TEMPORARY),),
    "save: temporary file empty": (Death("create", TEMPORARY, "after"),),
    "save: temporary file half written": (Death("write", TEMPORARY, "halfway"),),
    "save: temporary file written, not flushed": (Death("fsync", TEMPORARY),),
    "save: temporary file flushed, not renamed": (Death("replace", CHECKPOINT),),
    "save: renamed, folder not flushed": (Death("fsync", "*/checkpoints", number=2),),
    "save: folder flushed": (Death("fsync", "*/checkpoints", "after", 2),),
    "save: an old checkpoint not yet deleted": (Death("unlink", CHECKPOINT),),
    "save: an old checkpoint deleted, folder not flushed": (Death("unlink", CHECKPOINT, "after"),),
    "save: the last old checkpoint deleted": (Death("unlink", CHECKPOINT, "after", 2),),
    "save: not yet recorded": (Death("write", "*/events.jsonl", "before", 1, SAVED),),
    "save: half recorded": (Death("write", "*/events.jsonl", "halfway", 2, SAVED),),
    "save: recorded": (Death("write", "*/events.jsonl", "after", 2, SAVED),),
    "status: temporary file not yet made": (Death("create", STATUS),),
    "status: temporary file half written": (Death("write", STATUS, "halfway"),),
    "status: written, not flushed": (Death("fsync", STATUS),),
    "status: flushed, not renamed": (Death("replace", "*/status.json"),),
    "status: renamed": (Death("replace", "*/status.json", "after"),),
    "end: half recorded": (Death("write", "*/events.jsonl", "halfway", 1, ENDED),),
    "end: recorded, status still of before": (Death("write", "*/events.jsonl", "after", 1, ENDED),),
    "end: status half written": (Death("write", STATUS, "halfway", 1, FINISHED),),
    "end: status not yet renamed": (Death("replace", "*/status.json", "before", 1, FINISHED),),
    "end: status renamed": (Death("replace", "*/status.json", "after", 1, FINISHED),),
    "go on: another's temporary file not yet removed": (Death("fsync", TEMPORARY), Death("unlink", TEMPORARY)),
    "go on: journal not yet cut": (A_STEP, Death("create", "*/.tmp-metrics.jsonl-*")),
    "go on: journal half cut": (A_STEP, Death("write", "*/.tmp-metrics.jsonl-*", "halfway")),
    "go on: journal cut": (A_STEP, Death("replace", "*/metrics.jsonl", "after")),
    "go on: not yet recorded": (A_STEP, Death("write", "*/events.jsonl")),
    "go on: a record after the cut half written": (A_STEP, Death("write", "*/metrics.jsonl", "halfway")),
    "restart: records not yet set aside": (Death("fsync", TEMPORARY), Death("rename", "*/metrics.before-*")),
    "restart: one file of records set aside": (Death("fsync", TEMPORARY), Death("rename", "*/events.before-*")),
    "restart: both files of records set aside": (
        Death("fsync", TEMPORARY),
        Death("rename", "*/events.before-*", "after"),
    ),
}
"""Named points of a run: where the process dies, and, where that is in going on, where the one before it died."""


class Outcome(NamedTuple):
    """What a run comes to: its records, its results on test images, and all tensors of its last checkpoint."""

    metrics: list[dict[str, Any]]
    results: Any
    tensors: dict[str, str]


def outcome(run: Path) -> Outcome:
    """What a finished run came to."""
    *_, ending = read_records(run / EVENTS)
    assert ending["status"] == "finished", ending
    tensors = load_file(list_checkpoints(run)[0].path)
    digests = {
        name: hashlib.sha256(repr((value.dtype, value.shape)).encode() + value.tobytes()).hexdigest()
        for name, value in tensors.items()
    }
    return Outcome(metrics(run), ending["results"], digests)


def survives(nursery: Nursery, folder: Path, method: str, deaths: Sequence[Death], told: dict[str, Any]) -> Outcome:
    """Begin a run, let its processes die one after the other, and go on with it to its end.

    Args:
        nursery: of the processes.
        folder: an empty one.
        method: of the run.
        deaths: of one process each.
        told: takes how far it came: "killed", "resumed".

    Returns:
        What the run came to.
    """
    command = begun(folder, method, "killed")
    for death in deaths:
        trace = folder / f"trace-{len(list(folder.glob('trace-*')))}"
        code = nursery.claf(folder, *command, first=dying(death, trace)).returncode
        assert (code, trace.read_text()[-6:]) == (-signal.SIGKILL, "\ndied\n"), f"the control: {death} was reached"
        told["killed"] = told.get("killed", 0) + 1
        command = going_on(folder, method, "killed")
    done = nursery.claf(folder, *command) if command else None
    assert done is None or done.returncode == 0, done.stderr
    told["resumed"] = True
    run = run_of(folder, "killed")
    assert run is not None
    return outcome(run)


def dying(death: Death | None, trace: Path) -> str:
    """What a process runs first that dies there."""
    names = "from pathlib import Path\nfrom tests.e2e.deaths import Death, die_at\n"
    return f"{names}die_at({death!r}, Path({str(trace)!r}))"


def begun(folder: Path, method: str, name: str) -> list[str]:
    """The command that begins a run of a method."""
    file = folder / f"{method}.toml"
    file.write_text(f'method = "{method}"\n{SETTINGS}')
    return ["train", "--ui", "jsonl", "--config", str(file), "--name", name]


def going_on(folder: Path, method: str, name: str) -> list[str]:
    """The command that goes on with a run, or begins it where there is none yet; empty where it is done."""
    run = run_of(folder, name)
    if run is None:
        return begun(folder, method, name)
    status = run / "status.json"
    if status.exists() and json.loads(status.read_text())["status"] == "finished":
        return []
    restart = [] if any((run / "checkpoints").glob("step-*")) else ["--restart"]
    return ["train", "--ui", "jsonl", "--resume", name, *restart]


def run_of(folder: Path, name: str) -> Path | None:
    """The folder of a run, where it has one with settings."""
    return next((path.parent for path in (folder / "runs").glob(f"*-{name}*/config.toml")), None)


def phases(run: Path) -> dict[str, list[int]]:
    """The steps of each phase that a finished run has gone through; those of the test are none."""
    titles = [record["name"] for record in read_records(run / EVENTS) if record["type"] == "PhaseStarted"]
    steps: dict[str, list[int]] = {title: [] for title in titles}
    for record in metrics(run):
        if record["type"] == "StepLogged":
            steps[titles[record["phase"]]].append(record["step"])
    return steps
