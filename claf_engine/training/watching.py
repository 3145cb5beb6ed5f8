"""What a run is watched for beside its sentinels: room on the disk, memory of the accelerator, a fall of accuracy."""

import contextlib
import shutil

from claf_engine.compute.device import Compute
from claf_engine.config.alerts import AlertSettings
from claf_engine.events import ProbeFinished
from claf_engine.runs import RunDirectory
from claf_engine.runs.alerting import Finding, disk_finding, drop_finding, memory_finding
from claf_engine.training.state import Ledger

WATCH_SECONDS = 10.0
"""Between two looks at the machine."""


def machine_findings(directory: RunDirectory, compute: Compute) -> list[Finding]:
    """What the disk of a run and the memory of its accelerator say; nothing where they cannot be asked."""
    rules, found = directory.alerts, []
    if rules.disk.on:
        with contextlib.suppress(OSError):  # the folder is gone, which the run tells when it saves
            found.append(disk_finding(rules.disk, shutil.disk_usage(directory.path).free))
    if rules.gpu_memory.on and (share := compute.memory_share()) is not None:
        found.append(memory_finding(rules.gpu_memory, share))
    return found


def probe_findings(rules: AlertSettings, probe: ProbeFinished, ledger: Ledger) -> list[Finding]:
    """How the first attacked radius of a probe stands against the best by the same classifier, which is kept.

    Args:
        rules: what a person wants to be told of.
        probe: that has just been made.
        ledger: of the run; its `best_robust` grows.
    """
    figure = next((figure for figure in probe.robust if figure.epsilon != "0"), None)
    if figure is None:
        return []
    key = f"{probe.classifier} {figure.norm} {figure.epsilon}"
    best = ledger.best_robust[key] = max(figure.accuracy, ledger.best_robust.get(key, 0.0))
    found = drop_finding(rules.robust_drop, figure.accuracy, best, figure.epsilon)
    return [found if rules.robust_drop.on else Finding(found.name, False, True, found.text)]
