"""Robustness cards: what is known about the robustness of one classifier, and how well. No torch.

A card lies as card.json and card.md in a folder of its own below `<run>/audit/`, and once more in `<run>/audit/cards/`
under a name made of the hash of the weights, so that a figure finds its card without looking into all of them.
"""

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

from claf_engine.evaluation.card_text import as_markdown
from claf_engine.events.plain import Check, check_of
from claf_engine.runs.durable import write_atomically
from claf_engine.runs.foreign import CARD_CAP, read_object
from claf_engine.runs.listing import list_checkpoints
from claf_engine.terms.errors import ForeignFileError, RunError

FOLDER = "audit"
CARDS = "cards"
FORMAT = 1
DEFENCE = "defence"
"""Key of a card that is about a classifier behind a defence."""
HASH_LENGTH = 16
MODEL = "claf.model"
"""Key under which what stands for the header of a model that is no checkpoint says what it is."""

Standing = Literal["unaudited", "evaluated", "audit passes", "audit warns", "audit fails"]
"""What an accuracy rests on: nothing but itself, a card without diagnostics, or an audit."""

STANDINGS: dict[str, Standing] = {"passes": "audit passes", "warns": "audit warns", "fails": "audit fails"}
THOROUGHNESS = ("", "quick", "standard", "full")


def home_of(checkpoint: Path) -> Path:
    """The folder that the cards of a checkpoint lie under: its run's, or the one that the file lies in."""
    folder = checkpoint.absolute().parent
    return folder.parent if folder.name == "checkpoints" else folder


def card_folder(checkpoint: Path, name: str) -> Path:
    """The folder of one audit or evaluation of a checkpoint; `name` tells them apart."""
    return home_of(checkpoint) / FOLDER / f"{checkpoint.stem}-{name}"


def write_card(card: Mapping[str, Any], folder: Path) -> None:
    """Write card.json and card.md into a folder of `card_folder`, and the copy that `find_card` finds.

    Raises:
        OSError: a file cannot be written.
    """
    text = json.dumps(card, indent=1, allow_nan=False).encode()
    copies = folder.parent / CARDS
    # The run's own folder is not among them: one that was moved meanwhile is not made again.
    for place in (folder.parent, folder, copies):
        place.mkdir(exist_ok=True)
    write_atomically(folder / "card.json", text)
    write_atomically(folder / "card.md", as_markdown(card).encode("utf-8", "replace"))
    name = f"{_prefix(str(card['weights_sha256']), str(card['classifier']))}{folder.name}.json"
    write_atomically(copies / name, text)


def find_card(
    run_folder: Path,
    weights_sha256: str,
    classifier: str,
    space: str | None = None,
    epsilons: Collection[str] = (),
) -> dict[str, Any] | None:
    """The most telling card of a classifier: an audit before an evaluation, then the larger budget, then more images.

    Of equals the latest counts. So a quick audit that passes does not hide a full one that fails. What was audited
    behind a defence says nothing of the classifier alone, and does not count.

    Args:
        run_folder: the run's, or `home_of` a checkpoint.
        weights_sha256: of the network.
        classifier: which of its classifiers.
        space: in which the figure was measured that the card is wanted for; None is any.
        epsilons: radii of that figure, such as "8/255", of which the card must be about one; empty is any.

    Returns:
        The card, or None where there is none that can be read.
    """
    paths = (run_folder / FOLDER / CARDS).glob(f"{_prefix(weights_sha256, classifier)}*.json")
    found = [card for path in sorted(paths) if (card := _read(path)) is not None]
    fitting = [
        card
        for card in found
        if card.get("weights_sha256") == weights_sha256
        and card.get("classifier") == classifier
        and DEFENCE not in card
        and space in {None, card.get("space")}
        and (not epsilons or not set(epsilons).isdisjoint(card.get("epsilons", ())))
    ]
    return max(fitting, key=_rank, default=None)


def standing(card: Mapping[str, Any] | None) -> Standing:
    """What the accuracies of a classifier with this card rest on."""
    if card is None:
        return "unaudited"
    return STANDINGS.get(str(card.get("verdict")), "evaluated")


def standing_of_run(directory: Path, status: Mapping[str, Any]) -> Standing:
    """What the figures rest on that a run's status shows: those of its selected result, or of its latest probe.

    Args:
        directory: the run's folder.
        status: its status; another may have written it.
    """
    if not os.path.isdir(os.path.join(directory, FOLDER, CARDS)):
        return "unaudited"
    try:
        chosen = next(result for result in status["results"] if result["selected"])
        wanted, classifier = str(chosen["checkpoint"]), str(chosen["classifier"])
        measured = str(chosen.get("weights_sha256", ""))
        spaces = [str(figure.get("space", "pixel")) for figure in chosen["robust"]]
        epsilons = [str(figure["epsilon"]) for figure in chosen["robust"]]
    except (KeyError, TypeError, AttributeError, StopIteration):
        return "unaudited"
    sha256 = measured or _weights_kept_as(directory, wanted)
    space = spaces[0] if spaces else None
    return standing(find_card(directory, sha256, classifier, space, epsilons)) if sha256 else "unaudited"


def _weights_kept_as(directory: Path, reason: str) -> str:
    """The hash of the weights that a run keeps as "best" or "last", for results of earlier code; empty for none."""
    try:
        entries = list_checkpoints(directory)
    except RunError:
        return ""
    infos = (entry.info for entry in entries if reason in entry.kept_as)
    return next((info.weights_sha256 for info in infos if info is not None), "")


def _prefix(weights_sha256: str, classifier: str) -> str:
    return f"{weights_sha256[:HASH_LENGTH]}-{classifier}-"


def _rank(card: Mapping[str, Any]) -> tuple[bool, int, int, str]:
    budget, count = str(card.get("budget") or ""), card.get("num_examples")
    thoroughness = THOROUGHNESS.index(budget) if budget in THOROUGHNESS else 0
    return (
        standing(card) != "evaluated",
        thoroughness,
        count if isinstance(count, int) else 0,
        str(card.get("date", "")),
    )


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


_is_text = check_of(str)
_is_object = check_of(Mapping[str, Any])
_CHECKS: dict[str, Check] = {
    **dict.fromkeys(("kind", "verdict", "space", "norm", "classifier", "weights_sha256", "date"), _is_text),
    **dict.fromkeys(("natural", "worst_case", "versions"), _is_object),
    **dict.fromkeys(("attacks", "diagnostics"), _are_objects),
    "budget": check_of(str | None),
    "num_examples": check_of(int),
    "epsilons": lambda value: isinstance(value, list) and all(map(_is_text, value)),
}
"""Types of what a card is chosen by, and of its parts; what is shown of them is looked at where it is shown."""


def _read(path: Path) -> dict[str, Any] | None:
    try:
        card = read_object(path, CARD_CAP)
    except ForeignFileError:
        return None
    is_ours = card.get("format") == FORMAT and all(_CHECKS[key](card[key]) for key in _CHECKS.keys() & card.keys())
    return card if is_ours else None
