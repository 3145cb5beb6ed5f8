"""Overviews of runs that lie nowhere, and folders as a run leaves them, for tests of lists."""

import json
from dataclasses import replace
from pathlib import Path

from claf_engine import events as ev
from claf_engine.runs.journal import Journal
from claf_engine.runs.labels import Labels
from claf_engine.runs.overview import Digest, Overview, Result
from claf_engine.runs.probe_history import ListedFigure
from tests.engine.runs.folders import old_run

NOW = 1_800_000_000.0
HOUR = 3600.0


def listed(name: str = "20270101-000000-demo", status: str = "finished", **changes: object) -> Overview:
    """A run of claf on CIFAR-10 that was begun two hours ago; `robust`, `tags`, `note` and so on change it."""
    labels = Labels(
        str(changes.pop("note", "")),
        tuple(changes.pop("tags", ())),  # type: ignore[arg-type]
        bool(changes.pop("is_archived", False)),
    )
    robust, natural, newest = changes.pop("robust", 0.4), changes.pop("natural", 0.8), changes.pop("newest", None)
    figure = None if robust is None else ListedFigure(float(robust), "8/255")  # type: ignore[arg-type]
    result = Result(natural, figure, "test")  # type: ignore[arg-type]
    digest = Digest((), said=status, method="claf", data="cifar10", begun=NOW - 2 * HOUR, result=result, labels=labels)
    return Overview(name, Path("/runs") / name, status, replace(digest, **changes), newest)  # type: ignore[arg-type]


def probe(step: int, robust: float, classifier: str = "attack", epsilon: str = "8/255") -> ev.ProbeFinished:
    figure = ev.RobustFigure(epsilon, robust, "pgd", 20, "2/255", 1, 256)
    return ev.ProbeFinished(step, 1, 1, classifier, min(1.0, robust + 0.3), (figure,), 1.0)


def probed_run(root: Path, name: str, *accuracies: float, **status: object) -> Path:
    """The folder of a run with a probe every hundred steps."""
    run = old_run(root, name, **status)
    (run / "run.json").write_text(json.dumps({"created_at": NOW, "folder": name}))
    journal = Journal(run)
    journal.open()
    for number, accuracy in enumerate(accuracies, 1):
        journal.append(probe(100 * number, accuracy))
    journal.close()
    return run
