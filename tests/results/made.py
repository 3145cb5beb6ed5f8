"""A tiny folder of evidence, made: all that the page has sections for."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import tomli_w

from claf_engine.accuracy.intervals import wilson

COUNT, AUTOATTACKED = 2000, 500
COLUMNS = ("PGD-10 at 8/255", "PGD-10 at 16/255", "PGD-20 at 8/255", "PGD-40 at 16/255", "AutoAttack at 8/255")
PAPER = {"Natural": (0.955, 0.0, 0.0), "AT": (0.848, 0.447, 0.259), "CLAF": (0.924, 0.604, 0.483)}
BALL = {"Natural": (0.8, 0.02, 0.0, 0.01, 0.0, 0.0), "AT": (0.6, 0.33, 0.15, 0.32, 0.1, 0.29)}
CLAF = (0.62, 0.3, 0.13, 0.28, 0.08, 0.25)
CLAIMED = (0.62, 0.58, 0.57, 0.1, 0.05, 0.02)


def table(name: str, space: str, rows: dict[str, tuple[float, ...]], paper: dict[str, Any]) -> dict[str, Any]:
    """A finished table, as `reproduce` writes it."""
    titles = list(COLUMNS) if space == "pixel" else [*COLUMNS[:2], *(f"{each} in pixels" for each in COLUMNS[2:])]
    shown = [
        row(number, label, figures, paper.get(label, ()), space) for number, (label, figures) in enumerate(rows.items())
    ]
    pairs = [
        pair(first, second, title, rows[first][place] - rows[second][place])
        for place, title in enumerate(["natural", *titles])
        for first, second in combinations(rows, 2)
    ]
    return {
        "table": name,
        "scale": "small",
        "space": space,
        "compute": "equal",
        "confidence": 0.95,
        "columns": titles,
        "rows": shown,
        "pairs": pairs,
    }


def row(number: int, label: str, figures: tuple[float, ...], paper: Any, space: str) -> dict[str, Any]:
    """One row, of one seed; its run is named after it."""
    natural, *robust = figures
    run = f"20260101-00000{number}-{label.lower().replace(',', '').replace(' ', '-')}"
    return {
        "method": "claf" if label == "CLAF" else "at",
        "label": label,
        "status": "finished",
        "reason": "",
        "natural_accuracy": natural,
        "natural_interval": interval(natural, COUNT),
        "robust": [robust_figure(title, share, space) for title, share in zip(COLUMNS, robust, strict=True)],
        "paper": {"natural_accuracy": paper[0] if paper else None, "robust": list(paper[1:]), "note": ""},
        "spread": None,
        "audit": "passes" if label != "CLAF" else "warns",
        "run": run,
        "runs": [{"run": run, "seed": 0, "natural_accuracy": natural, "data": "folder:cifar10-jpeg"}],
        "seconds": 100.0,
        "units_per_image": 300.0 + 5 * number,
    }


def robust_figure(title: str, share: float, space: str) -> dict[str, Any]:
    """A figure under one of `COLUMNS`; the first two are of the table's space, the others of the ball."""
    attack, _, epsilon = title.partition(" at ")
    count = AUTOATTACKED if attack == "AutoAttack" else COUNT
    return {
        "robust_accuracy": share,
        "interval": interval(share, count),
        "epsilon": epsilon,
        "steps": int(attack.partition("-")[2] or 0),
        "space": space if COLUMNS.index(title) < 2 else "pixel",
        "num_examples": count,
    }


def interval(share: float, count: int) -> list[float]:
    return list(wilson(round(share * count), count))


def pair(first: str, second: str, column: str, difference: float) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "column": column,
        "difference": round(difference, 6),
        "interval": [round(difference - 0.02, 6), round(difference + 0.02, 6)],
        "is_noise": abs(difference) < 0.02,
    }


def curve(run: str, shares: tuple[float, ...]) -> dict[str, Any]:
    """A robustness curve as `eval --json` prints it, at 0/255, 4/255 and so on."""
    points = [{"epsilon": f"{4 * place}/255", "robust_accuracy": share} for place, share in enumerate(shares)]
    return {"run": run, "num_examples": COUNT, "curve": {"natural": {"accuracy": shares[0]}, "points": points}}


def evidence(root: Path) -> Path:
    """Write all of it below a folder."""
    claf = "20260101-000002-claf"
    pixel = table("table1", "pixel", {**BALL, "CLAF": CLAF}, PAPER)
    ablation = {"Natural": (0.6, 0.25, 0.1, 0.24, 0.08, 0.2), "Adversarial": CLAF}
    paper2 = {"Natural": (0.923, 0.561, 0.475), "Adversarial": (0.924, 0.604, 0.483)}
    recipe = {
        "AT": BALL["AT"],
        "TRADES": BALL["AT"],
        "Robust, without contrast": BALL["AT"],
        "Robust, with contrast": CLAF,
    }
    files: dict[str, Any] = {
        "tables/table1-small-pixel/reproduction.json": pixel,
        "tables/table1-small-released-code/reproduction.json": table(
            "table1", "released-code", {"AT": BALL["AT"], "CLAF": CLAIMED}, PAPER
        ),
        "tables/table2-small-pixel/reproduction.json": table("table2", "pixel", ablation, paper2),
        "tables/robust-small-pixel/reproduction.json": table("robust", "pixel", recipe, {}),
        "tables/robust-gpu-pixel/reproduction.json": {**table("robust", "pixel", recipe, {}), "machine": "a GPU"},
        f"curves/{claf}.json": curve(claf, (0.62, 0.45, 0.28, 0.15, 0.08)),
        "curves/20260101-000001-at.json": curve("20260101-000001-at", (0.6, 0.46, 0.32, 0.18, 0.1)),
        f"dissociation/{claf}.json": {
            "run": claf,
            "classifier_epochs": 5,
            "classifier_start": "continue",
            "dissociation": [{"epoch": each, "fitted": 0.3, "moved": 0.2} for each in (1, 2, 3)],
        },
        "search.json": [search_record("a", 0.3), search_record("b", 0.28)],
        "held_out.json": [held_out_record("AT", 60), held_out_record("a", 66)],
        "paper_units.json": {"at": 4600.0, "claf": 15000.0},
        "rates.json": [
            {"machine": "GPU", "what": "PGD-10", "images_per_second": 100, "units_per_image": 20, "source": "a test"}
        ],
        "cards/a-card.json": {},
    }
    for name, record in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record), encoding="utf-8")
    for number, steps in enumerate((3, 3, 1, 1)):
        run = f"20260101-00000{number}-{list(recipe)[number].lower().replace(',', '').replace(' ', '-')}"
        settings = root / "configs" / f"{run}.toml"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(tomli_w.dumps({"method": "at", "seed": number, "attack": {"steps": steps}}))
    return root


def held_out_record(name: str, num_survivors: int) -> dict[str, Any]:
    survivors = "1" * num_survivors + "0" * (200 - num_survivors)
    shares = {"natural": 0.5, "robust": 0.35, "stronger": num_survivors / 200}
    return {"name": name, "units": 320.0, **shares, "survivors": survivors}


def search_record(name: str, selection: float) -> dict[str, Any]:
    return {
        "name": name,
        "changes": {},
        "units": 80.0,
        "seed": 0,
        "epoch": 8,
        "natural": 0.5,
        "robust": {"8/255": 0.31},
        "selection": selection,
        "num_examples": 1000,
    }
