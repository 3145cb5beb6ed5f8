"""Accuracy of every class by itself, which an accuracy over all of them may hide."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from claf_engine.accuracy.measure import Accuracy

MAX_NAMED = 5
"""Classes that a sentence names."""


def class_records(accuracy: Accuracy, labels: Tensor, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Natural and robust accuracy of every class, as JSON objects of the form that a curve has.

    Args:
        accuracy: of a split.
        labels: (N,) of the same split.
        class_names: one name for each label.

    Returns:
        One object for each class; an accuracy is None where the class has no example. Nothing where the outcomes of
        single examples are not known.
    """
    if accuracy.curve is not None:
        found: list[dict[str, Any]] = accuracy.curve.to_record()["classes"]
        return found
    if accuracy.correct is None or len(accuracy.outcomes) != len(accuracy.robust):
        return []
    records = []
    for label, name in enumerate(class_names):
        members = labels == label
        records.append(
            {
                "name": name,
                "num_examples": int(members.sum()),
                "natural_accuracy": _share(accuracy.correct, members),
                "robust_accuracy": [_share(survives, members) for survives in accuracy.outcomes],
            }
        )
    return records


def unmeasured_notices(classes: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Name the classes that no measured image is of: nothing was found out about them."""
    return missing_notices([str(item["name"]) for item in classes if not item["num_examples"]], "test")


def missing_notices(names: Sequence[str], what: str) -> tuple[str, ...]:
    """A sentence for classes without images of a split; nothing where there are none."""
    if not names:
        return ()
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    which = f"class {names[0]}" if len(names) == 1 else f"classes {', '.join(names[:MAX_NAMED])}{more}"
    return (f"there is no {what} image of {which}",)


def chance_notices(natural: float, num_examples: int, num_classes: int) -> tuple[str, ...]:
    """Say that natural accuracy is no better than guessing, within one standard deviation.

    Args:
        natural: accuracy in [0, 1].
        num_examples: that it was measured on.
        num_classes: K; guessing gives 1 / K.
    """
    chance = 1 / num_classes
    deviation = (chance * (1 - chance) / num_examples) ** 0.5
    if natural > chance + deviation:
        return ()
    return (
        f"natural accuracy {100 * natural:.1f} % is no better than guessing among {num_classes} classes: look whether "
        "the order of the classes, the normalisation and the data are those that the network was trained with",
    )


def _share(holds: Tensor, members: Tensor) -> float | None:
    count = int(members.sum())
    return int((holds & members).sum()) / count if count else None
