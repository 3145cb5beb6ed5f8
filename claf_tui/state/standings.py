"""What the accuracies on the screen rest on: an audit, a card without one, or nothing but themselves.

Cards are looked up by the hash of the weights. No torch; `claf_engine.evaluation.cards` is loaded when something is
looked up.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from claf_engine.events import RunFinished
from claf_engine.runs.header import CheckpointInfo
from claf_tui.words.attack_words import PIXEL

UNAUDITED = "unaudited"
WORDS = {
    "audit passes": ("✔ passes", "green"),
    "audit warns": ("! warns", "yellow"),
    "audit fails": ("✘ fails", "bold red"),
}
"""A standing in nine cells, and its colour; any other is told as it is."""


def standing_of(info: CheckpointInfo | None) -> str:
    """What the accuracies in a checkpoint's header rest on; empty for a file that cannot be read."""
    if info is None:
        return ""
    from claf_engine.evaluation.cards import find_card, home_of, standing

    space = _probe_space(info.metadata)
    return standing(find_card(home_of(info.path), info.weights_sha256, info.classifier, space))


def card_of(info: CheckpointInfo, classifiers: tuple[str, ...]) -> dict[str, Any] | None:
    """The card of a checkpoint, of the first of these classifiers that has one."""
    from claf_engine.evaluation.cards import find_card, home_of

    cards = (find_card(home_of(info.path), info.weights_sha256, name) for name in classifiers)
    return next((card for card in cards if card is not None), None)


def standing_of_results(directory: str, finished: RunFinished) -> str:
    """What the selected test result of a finished run rests on; empty for one without results."""
    if not finished.results:
        return ""
    from claf_engine.evaluation.cards import standing_of_run

    return standing_of_run(Path(directory), {"results": [asdict(result) for result in finished.results]})


def cards_changed(directory: str) -> float:
    """When the cards of a run last changed, as cheaply as it can be told; 0 where there are none."""
    try:
        return (Path(directory) / "audit" / "cards").stat().st_mtime
    except OSError:
        return 0.0


def _probe_space(metadata: Mapping[str, Any]) -> str:
    config = metadata.get("claf.config")
    probe = config.get("probe") if isinstance(config, Mapping) else None
    return str(probe.get("space", PIXEL)) if isinstance(probe, Mapping) else PIXEL
