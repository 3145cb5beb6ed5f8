"""Robustness cards of audits and of plain evaluations, as JSON objects."""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from claf_engine.accuracy.intervals import CONFIDENCE, wilson
from claf_engine.audit.bench import NATURAL, Outcome
from claf_engine.audit.diagnostic import Verdict
from claf_engine.audit.examine import Examination
from claf_engine.config import RunConfig
from claf_engine.evaluation.cards import FORMAT
from claf_engine.runs import to_plain, versions
from claf_engine.runs.header import CheckpointInfo

NO_RADIUS = ("0", "0/255")


def config_sha256(config: RunConfig) -> str:
    """Hash of all settings of a run."""
    return hashlib.sha256(json.dumps(to_plain(config), sort_keys=True).encode()).hexdigest()


def facts(info: CheckpointInfo, config: RunConfig, classifier: str) -> dict[str, Any]:
    """What a card says of the checkpoint that it is about."""
    return {
        "run": info.run,
        "method": config.method,
        "checkpoint": info.path.name,
        "step": info.step,
        "phase": info.phase,
        "classifier": classifier,
        "weights_sha256": info.weights_sha256,
        "config_sha256": config_sha256(config),
    }


def command_line(command: Sequence[str]) -> str:
    """A command line to paste, without the folder that the program lies in; empty where there was none."""
    return shlex.join([Path(command[0]).name, *command[1:]]) if command else ""


def proportion(share: float, count: int) -> dict[str, Any]:
    """An accuracy in [0, 1] over `count` examples, with its interval."""
    low, high = wilson(round(share * count), count)
    return {"accuracy": share, "interval": [low, high], "confidence": CONFIDENCE}


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Fails if any fails, else warns if any warns, else passes; not-run when nothing was run."""
    for verdict in ("fails", "warns", "passes"):
        if verdict in verdicts:
            return verdict
    return "not-run"


def audit_card(examination: Examination, claim: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """The card of an audit.

    Args:
        examination: what was found.
        claim: epsilon, norm and space of the figure that is audited.
        about: facts of the checkpoint and of how it was audited; they are keys of the card.
    """
    attacks = [outcome for outcome in examination.outcomes if outcome.label != NATURAL]
    natural = next(outcome for outcome in examination.outcomes if outcome.label == NATURAL)
    count = len(examination.worst_case)
    counting = sum(outcome.is_in_ball for outcome in attacks)
    worst = float(examination.worst_case.double().mean())
    return {
        **_frame("audit", overall([item.verdict for item in examination.diagnostics]), claim, about),
        "epsilons": [claim["epsilon"]],
        "num_examples": count,
        "natural": proportion(natural.accuracy, count),
        "worst_case": _worst_case(proportion(worst, count), claim, counting, is_per_example=True),
        "attacks": [_attack(outcome) for outcome in attacks],
        "diagnostics": [asdict(item) for item in examination.diagnostics],
    }


def evaluation_card(
    natural: float, robust: Sequence[Mapping[str, Any]], count: int, about: Mapping[str, Any]
) -> dict[str, Any]:
    """The card of figures without diagnostics; it says that none were run.

    The worst case is told at the first radius above 0. Under one attack it is per example, because every figure is; of
    several attacks the lowest figure is told, which is an upper bound of the worst case per example.

    Args:
        natural: accuracy in [0, 1].
        robust: figures as `figure_record` gives them, at least one, all of one space and norm.
        count: test images.
        about: as for `audit_card`.
    """
    first = next((item for item in robust if item["epsilon"] not in NO_RADIUS), robust[0])
    claim = {key: first[key] for key in ("epsilon", "norm", "space")}
    claimed = [item for item in robust if item["epsilon"] == claim["epsilon"]]
    worst = proportion(min(natural, *(item["robust_accuracy"] for item in claimed)), count)
    return {
        **_frame("evaluation", "not-run", claim, about),
        "epsilons": list(dict.fromkeys(item["epsilon"] for item in robust)),
        "num_examples": count,
        "natural": proportion(natural, count),
        "worst_case": {
            **_worst_case(worst, claim, len(claimed), is_per_example=len(claimed) == 1),
            "decides": first["decides"],
        },
        "attacks": [_evaluated(item, is_claimed=item in claimed) for item in robust],
        "diagnostics": [],
    }


def _frame(kind: str, verdict: Verdict, claim: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """What all cards have: what they are about, when they were made, and with what."""
    made = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "versions": versions(), "split": "test"}
    optional: dict[str, Any] = {"budget": None, "command": "", "notices": []}
    return {"format": FORMAT, "kind": kind, "verdict": verdict, **claim, **made, **optional, **about}


def _worst_case(
    figure: Mapping[str, Any], claim: Mapping[str, Any], num_attacks: int, *, is_per_example: bool
) -> dict[str, Any]:
    is_ball = claim["space"] == "pixel"
    shared = {"num_attacks": num_attacks, "is_per_example": is_per_example, "is_epsilon_ball": is_ball}
    return {**figure, **claim, **shared}


def _attack(outcome: Outcome) -> dict[str, Any]:
    keys = ("attack", "epsilon", "space", "steps", "step_size", "restarts", "norm", "precision")
    recipe = dict.fromkeys(keys) if outcome.recipe is None else asdict(outcome.recipe)
    return {
        "label": outcome.label,
        **recipe,
        "robust_accuracy": outcome.accuracy,
        "largest_distance": outcome.largest_distance,
        "mean_distance": outcome.mean_distance,
        "counts": outcome.is_in_ball,
    }


def _evaluated(figure: Mapping[str, Any], *, is_claimed: bool) -> dict[str, Any]:
    keys = ("attack", "epsilon", "space", "steps", "step_size", "restarts", "norm", "precision")
    distances = ("robust_accuracy", "largest_distance", "mean_distance")
    behind = "" if figure["defence"] == "none" else f", behind {figure['defence']}, {figure['knowledge']}"
    decides = ", any point decides" if figure["decides"] == "any" else ""
    return {
        "label": f"{figure['attack']}-{figure['steps']} at {figure['epsilon']}{behind}{decides}",
        **{key: figure[key] for key in (*keys, "decides", *distances)},
        "counts": is_claimed,
    }
