"""Run folders to compare: small whole ones, made without training."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from claf_engine import events as ev
from claf_engine.config import RunConfig
from claf_engine.events.records import to_record
from claf_engine.runs.folder import settings_text
from claf_engine.runs.journal import Journal
from claf_tui.state.compared_run import ComparedRun, read_compared
from claf_tui.state.followed import FollowedRun
from tests.tui.scripted import robust_figure, write_checkpoint
from tests.tui.scripted_methods import played

SHA256 = "5" * 64
WEIGHTS = "0" * 64


def result(robust: Sequence[ev.RobustFigure], natural: float = 0.9, weights: str = WEIGHTS) -> ev.TestResult:
    return ev.TestResult("best", "attack", natural, tuple(robust), True, weights)


def figure(accuracy: float, epsilon: str = "8/255", count: int = 1000, **changes: Any) -> ev.RobustFigure:
    return replace(robust_figure(epsilon, accuracy), num_examples=count, **changes)


def compared_folder(
    root: Path,
    name: str,
    *,
    method: str = "claf",
    results: Sequence[ev.TestResult] | None = None,
    status: str = "finished",
    settings: RunConfig | None = None,
    test_images: str = SHA256,
    events: Iterable[ev.Event] | None = None,
) -> Path:
    """The folder of a run that played a method's script and ended with these results."""
    folder = root / name
    folder.mkdir(parents=True)
    config = settings or RunConfig(method=method)
    (folder / "config.toml").write_text(settings_text(config), encoding="utf-8")
    splits = {part: {"num_images": 1000, "sha256": test_images} for part in ("train", "validation", "test")}
    data = {"class_names": ["disc"], "splits": splits}
    begun = {"created_at": 1_796_000_000.0, "folder": name, "command": ["claf-tui", "train"], "data": data}
    (folder / "run.json").write_text(json.dumps({**begun, "versions": {"torch": "2.14.0"}}))
    ended = (figure(0.6), figure(0.4, "16/255"))
    found = tuple(results) if results is not None else (result(ended),)
    journal = Journal(folder)
    journal.open()
    last = None
    for event in played(folder, method) if events is None else events:
        last = replace(event, results=found) if isinstance(event, ev.RunFinished) else event
        journal.append(last)
    journal.close()
    record = to_record(last) if isinstance(last, ev.RunFinished) else {"step": 10, "elapsed": 10.0}
    told = {"status": status, "method": method, "data": "shapes"}
    (folder / "status.json").write_text(json.dumps({**record, **told}))
    return folder


def with_best(folder: Path) -> Path:
    """The same folder with a checkpoint, the best and last one."""
    write_checkpoint(folder, 40)
    return folder


def read_folder(key: str, folder: Path, epoch_units: tuple[float, ...] = ()) -> ComparedRun:
    followed = FollowedRun(folder)
    followed.look()
    return read_compared(key, folder, followed.state, epoch_units)
