"""The cards of figures that no diagnostics stand behind: those of `eval` and of reproduced rows."""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from claf_engine.accuracy.intervals import CONFIDENCE, wilson
from claf_engine.config import RunConfig
from claf_engine.evaluation.cards import FORMAT, MODEL, Standing, card_folder, find_card, home_of, standing, write_card
from claf_engine.runs import to_plain, versions
from claf_engine.runs.header import CheckpointInfo
from claf_engine.terms.names import Verdict

MEASURED = (
    "robust_accuracy",
    "notice",
    "largest_distance",
    "mean_distance",
    "largest_distance_text",
    "mean_distance_text",
)
"""Keys of a figure that tell what came out; the others tell what was asked."""

USUAL_BATCH = 250
"""Random starts are drawn batch by batch, so that another size of batches gives other figures and another card."""


def keep_evaluation_card(
    natural: float, robust: Sequence[Mapping[str, Any]], count: int, about: Mapping[str, Any], checkpoint: Path
) -> Path:
    """Write the card of an evaluation below the run of its checkpoint; the same evaluation again replaces it.

    Args:
        natural: accuracy in [0, 1].
        robust: figures as JSON objects, at least one.
        count: test images.
        about: see `audit_card`.
        checkpoint: the file that was evaluated.

    Returns:
        The folder of card.json and card.md.

    Raises:
        OSError: it cannot be written.
    """
    batch_size = about.get("batch_size", USUAL_BATCH)
    asked = [{key: value for key, value in figure.items() if _is_asked(key, value)} for figure in robust]
    plain = [asked, count, about["data"], *([] if batch_size == USUAL_BATCH else [{"batch_size": batch_size}])]
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    folder = card_folder(checkpoint, f"{about['classifier']}-evaluation-{digest[:12]}")
    write_card(evaluation_card(natural, robust, count, about), folder)
    return folder


def keep_report_card(
    record: Mapping[str, Any], info: CheckpointInfo, config: RunConfig, command: Sequence[str]
) -> tuple[Path, Standing]:
    """Write the card of an evaluation's record.

    Returns:
        Its folder, and what the figures rest on with all cards that there are of them.

    Raises:
        OSError: it cannot be written.
    """
    about = {
        **facts(info, config, record["classifier"]),
        **{key: record[key] for key in ("data", "device", "seed", "batch_size", "image_size", "seconds", "notices")},
        "command": command_line(command),
        **({"detector": record["detector"]} if "detector" in record else {}),
        **({"union": record["union"]} if "union" in record else {}),
    }
    robust = record["robust"]
    folder = keep_evaluation_card(record["natural_accuracy"], robust, record["num_examples"], about, info.path)
    return folder, standing_of_figures(info.path, info.weights_sha256, record["classifier"], robust)


def standing_of_figures(
    checkpoint: Path, weights_sha256: str, classifier: str, robust: Sequence[Mapping[str, Any]]
) -> Standing:
    """What figures of one classifier under one attack rest on, by the cards that lie beside its checkpoint."""
    if not robust:
        return "unaudited"
    radii = [str(figure["epsilon"]) for figure in robust]
    return standing(find_card(home_of(checkpoint), weights_sha256, classifier, str(robust[0]["space"]), radii))


def _is_asked(key: str, value: object) -> bool:
    """Whether a value of a figure tells evaluations apart.

    What decides does only where it does not go without saying, and what one perturbation for all was crafted on only
    where there is one, so that a card that says nothing of it is replaced.
    """
    return key not in MEASURED and (key != "decides" or value == "any") and (key != "num_crafted" or value is not None)


NO_RADIUS = ("0", "0/255")


def config_sha256(config: RunConfig) -> str:
    """Hash of all settings of a run."""
    return hashlib.sha256(json.dumps(to_plain(config), sort_keys=True).encode()).hexdigest()


def facts(info: CheckpointInfo, config: RunConfig, classifier: str) -> dict[str, Any]:
    """What a card says of the checkpoint that it is about, or of the model that stands in its place."""
    if (model := info.metadata.get(MODEL)) is not None:
        return {
            "run": info.run,
            "method": "foreign",
            "checkpoint": Path(str(model.get("weights", info.run))).name,
            "step": 0,
            "phase": "",
            "classifier": classifier,
            "weights_sha256": info.weights_sha256,
            "model": model,
        }
    return {
        "run": info.run,
        "method": config.method,
        "checkpoint": info.path.name,
        "step": info.step,
        "phase": info.phase,
        "classifier": classifier,
        "weights_sha256": info.weights_sha256,
        "config_sha256": config_sha256(config),
        **({} if info.weights is None else {"weights": info.weights}),
        **({"edited": info.edited} if info.edited else {}),
    }


def command_line(command: Sequence[str]) -> str:
    """A command line to paste, without the folder that the program lies in; empty where there was none."""
    return shlex.join([Path(command[0]).name, *command[1:]]) if command else ""


def proportion(share: float, count: int) -> dict[str, Any]:
    """An accuracy in [0, 1] over `count` examples, with its interval."""
    low, high = wilson(round(share * count), count)
    return {"accuracy": share, "interval": [low, high], "confidence": CONFIDENCE}


def evaluation_card(
    natural: float, robust: Sequence[Mapping[str, Any]], count: int, about: Mapping[str, Any]
) -> dict[str, Any]:
    """The card of figures without diagnostics; it says that none were run.

    The worst case is told at the first radius above 0. Under one attack it is per example, because every figure is; of
    several attacks the lowest figure is told, which is an upper bound of the worst case per example.

    Args:
        natural: accuracy in [0, 1].
        robust: figures as `figure_record` gives them, at least one, all of one space; the first one's norm is told.
        count: test images.
        about: as for `audit_card`.
    """
    first = next((item for item in robust if item["epsilon"] not in NO_RADIUS), robust[0])
    claim = {key: first[key] for key in ("epsilon", "norm", "space")}
    claimed = [item for item in robust if (item["epsilon"], item["norm"]) == (claim["epsilon"], claim["norm"])]
    worst = proportion(min(natural, *(item["robust_accuracy"] for item in claimed)), count)
    return {
        **card_frame("evaluation", "not-run", claim, about),
        "epsilons": list(dict.fromkeys(item["epsilon"] for item in robust)),
        "num_examples": count,
        "natural": proportion(natural, count),
        "worst_case": {
            **worst_case_record(worst, claim, len(claimed), is_per_example=len(claimed) == 1),
            "decides": first["decides"],
            "notice": _shared_notice(claimed),
        },
        "attacks": [_evaluated(item, is_claimed=item in claimed) for item in robust],
        "diagnostics": [],
    }


def card_frame(kind: str, verdict: Verdict, claim: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """What all cards have: what they are about, when they were made, and with what."""
    made = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "versions": versions(), "split": "test"}
    optional: dict[str, Any] = {"budget": None, "command": "", "notices": []}
    return {"format": FORMAT, "kind": kind, "verdict": verdict, **claim, **made, **optional, **about}


def worst_case_record(
    figure: Mapping[str, Any], claim: Mapping[str, Any], num_attacks: int, *, is_per_example: bool
) -> dict[str, Any]:
    """The worst case of a card.

    Args:
        figure: see `proportion`.
        claim: epsilon, norm and space.
        num_attacks: that count for it.
        is_per_example: whether an example counts as broken that any of them broke.
    """
    is_ball = claim["space"] == "pixel"
    shared = {"num_attacks": num_attacks, "is_per_example": is_per_example, "is_epsilon_ball": is_ball}
    return {**figure, **claim, **shared}


def _evaluated(figure: Mapping[str, Any], *, is_claimed: bool) -> dict[str, Any]:
    keys = ("attack", "epsilon", "space", "steps", "step_size", "restarts", "norm", "precision")
    distances = ("robust_accuracy", "largest_distance", "mean_distance")
    behind = "" if figure["defence"] == "none" else f", behind {figure['defence']}, {figure['knowledge']}"
    decides = ", any point decides" if figure["decides"] == "any" else ""
    crafted = figure.get("num_crafted")
    one_for_all = "" if crafted is None else f", one for all, crafted on {crafted} training images"
    steps = f"-{figure['steps']}" if figure["steps"] else ""
    return {
        "label": f"{figure['attack']}{steps} at {figure['epsilon']}{behind}{decides}{one_for_all}",
        **{key: figure[key] for key in (*keys, "decides", *distances)},
        "notice": figure.get("notice", ""),
        "counts": is_claimed,
    }


def _shared_notice(figures: Sequence[Mapping[str, Any]]) -> str:
    """Why a worst case over these figures cannot be right: nothing, as soon as one of them has nothing against it."""
    notices = [str(figure.get("notice", "")) for figure in figures]
    return notices[0] if all(notices) else ""
