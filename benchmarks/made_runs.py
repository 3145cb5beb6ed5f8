"""Folders of runs for benchmarks: as many as are asked for, of all states, with journals, in no time. No torch."""

import json
import random
import time
from pathlib import Path
from typing import Any

METHODS = ("claf", "at", "trades", "scl", "natural", "fgsm", "alp", "rocl", "rectifier")
METHODS = ("claf", "at", "trades", "scl", "natural", "fgsm", "alp", "rocl", "union")
DATA = ("cifar10", "shapes", "folder:/data/animals", "torchvision:SVHN")
STATES = ("finished", "finished", "finished", "stopped", "running", "diverged", "failed")
"""Those that say they are running have no process: they were interrupted."""
EPSILON = "8/255"
STEPS = 12_000
NUM_PROBES = 12
HOUR = 3600.0


def make_runs(root: Path, num_runs: int, now: float | None = None) -> None:
    """Write folders of runs as other processes left them, the newest of them begun an hour ago."""
    draw, now = random.Random(0), time.time() if now is None else now
    root.mkdir(parents=True, exist_ok=True)
    for number in range(num_runs):
        begun = now - HOUR * (number + 1)
        name = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(begun))}-{METHODS[number % 8]}-seed{number}"
        _make_run(root / name, STATES[number % len(STATES)], begun, draw)


def _make_run(run: Path, state: str, begun: float, draw: random.Random) -> None:
    (run / "checkpoints").mkdir(parents=True)
    method = run.name.split("-")[2]
    data = draw.choice(DATA)
    (run / "config.toml").write_text(f'method = "{method}"\n[data]\nsource = "{data}"\n')
    (run / "run.lock").touch()
    (run / "run.json").write_text(json.dumps({"created_at": begun, "folder": run.name, "command": ["claf-tui"]}))
    best = draw.uniform(0.2, 0.55)
    fraction = 1.0 if state == "finished" else draw.uniform(0.1, 0.9)
    probes = [_probe(place, best, draw) for place in range(1, max(2, round(NUM_PROBES * fraction)) + 1)]
    (run / "metrics.jsonl").write_text("".join(_lines(probes, draw)))
    step = round(STEPS * fraction)
    (run / "checkpoints" / f"step-{step // 1000 * 1000:09d}.safetensors").touch()
    (run / "status.json").write_text(json.dumps(_status(state, (method, data), step, fraction, begun, probes)))


def _figure(accuracy: float) -> dict[str, Any]:
    attack = {"attack": "pgd", "steps": 20, "step_size": "2/255", "restarts": 1, "num_examples": 512}
    return {"epsilon": EPSILON, "accuracy": round(accuracy, 4), **attack, "notice": ""}


def _probe(place: int, best: float, draw: random.Random) -> dict[str, Any]:
    robust = best * (1 - 0.7 ** (place + 1)) + draw.gauss(0, 0.01)
    natural = min(1.0, best + 0.3 + draw.gauss(0, 0.01))
    return {
        "type": "ProbeFinished",
        "step": place * STEPS // NUM_PROBES,
        "phase": 1,
        "epoch": place,
        "classifier": "attack",
        "natural": round(natural, 4),
        "robust": [_figure(max(0.0, robust))],
        "seconds": 3.0,
        "requested": False,
    }


def _lines(probes: list[dict[str, Any]], draw: random.Random) -> list[str]:
    """A journal: before each probe a few logged steps."""
    lines = []
    for number, probe in enumerate(probes):
        for place in range(5):
            loss = round(2.0 + draw.random(), 4)
            step = {"type": "StepLogged", "step": probe["step"] - 5 + place, "phase": 1, "epoch": number + 1}
            step |= {"part": "adversarial", "loss_name": "supcon", "loss": loss, "learning_rate": 0.1}
            lines.append(step | {"images_per_second": 900.0, "elapsed": 60.0 * number})
        lines.append(probe)
    return [f"{json.dumps({'seq': seq, **line})}\n" for seq, line in enumerate(lines)]


def _status(
    state: str, of: tuple[str, str], step: int, fraction: float, begun: float, probes: list[dict[str, Any]]
) -> dict[str, Any]:
    method, data = of
    last = {"natural": probes[-1]["natural"], "robust": probes[-1]["robust"]}
    record = {
        "status": state,
        "method": method,
        "data": data,
        "phase_title": "2 · adversarial features",
        "probe": last,
        "phase": 1,
        "epoch": probes[-1]["epoch"],
        "epochs": NUM_PROBES,
        "activity": "PGD-10 at 8/255",
        "activity_fraction": 0.5,
        "phase_fraction": fraction,
        "run_fraction": fraction,
        "elapsed": 3600 * fraction,
        "phase_elapsed": 3600 * fraction,
        "phase_remaining": None,
        "run_remaining": 3600 * (1 - fraction),
        "images_per_second": 900.0,
        "memory_bytes": 2**30,
        "step": step,
        "heartbeat": begun + 3600 * fraction,
    }
    if state == "finished":
        record["results"] = [{"checkpoint": "best", "classifier": "linear", **last, "selected": True}]
    elif state == "diverged":
        record["reason"] = "the loss is not finite"
    elif state == "failed":
        record["reason"] = "the disk is full"
    return record
