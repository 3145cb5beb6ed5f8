"""The cards of figures that no diagnostics stand behind: those of `eval` and of reproduced rows."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from claf_engine.audit.card import command_line, evaluation_card, facts
from claf_engine.config import RunConfig
from claf_engine.evaluation.cards import Standing, card_folder, find_card, home_of, standing, write_card
from claf_engine.runs.header import CheckpointInfo

MEASURED = ("robust_accuracy", "largest_distance", "mean_distance", "largest_distance_text", "mean_distance_text")
"""Keys of a figure that tell what came out; the others tell what was asked."""


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
    asked = [{key: value for key, value in figure.items() if _is_asked(key, value)} for figure in robust]
    digest = hashlib.sha256(json.dumps([asked, count, about["data"]], sort_keys=True).encode()).hexdigest()
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
        **{key: record[key] for key in ("data", "device", "seed", "seconds", "notices")},
        "command": command_line(command),
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

    What decides does only where it does not go without saying, so that a card that says nothing of it is replaced.
    """
    return key not in MEASURED and (key != "decides" or value == "any")
