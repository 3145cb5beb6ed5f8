"""Labels as sources give them, whole numbers or names, to whole numbers from 0 with a name for each."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from claf_engine.data.listing import images_of
from claf_engine.terms.errors import DataError


def plain_label(value: Any) -> int | str | None:
    """A label as a plain value: numbers of arrays and tensors become whole numbers; None for what is no label."""
    if isinstance(value, str):
        return value
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "ndim", 0) == 0:
        value = item()
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def numbered(
    labels: Mapping[str, Sequence[Any]], names: Sequence[str] | None, place: str
) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    """Class names, and the labels of each part as indices of them.

    Without names, labels that are texts are put in alphabetical order, and numbers name themselves.

    Args:
        labels: of each part.
        names: in the order of the labels, where the source knows them.
        place: what sentences call the source.

    Raises:
        DataError: a label is neither number nor text, or out of range, or there are fewer than two classes.
    """
    plain = {part: [plain_label(value) for value in values] for part, values in labels.items()}
    seen = set(chain.from_iterable(plain.values()))
    if None in seen or len({type(value) for value in seen}) > 1:
        part, index = _first_odd(plain)
        raise DataError(
            f"label {index} of the {images_of(part)} of {place} is {labels[part][index]!r}; give whole numbers from 0, "
            "or names of classes"
        )
    if any(isinstance(value, str) for value in seen):
        known = tuple(names) if names is not None else tuple(sorted(map(str, seen)))
        if unknown := sorted(map(str, seen - set(known))):
            raise DataError(f"{place} has images of class {unknown[0]!r}, which is none of its {len(known)} classes")
        places = {name: index for index, name in enumerate(known)}
        found = {part: [places[str(value)] for value in values] for part, values in plain.items()}
    else:
        found = {part: [int(value or 0) for value in values] for part, values in plain.items()}
        numbers = list(chain.from_iterable(found.values()))
        known = tuple(names) if names is not None else tuple(map(str, range(max(numbers, default=-1) + 1)))
        if numbers and (min(numbers) < 0 or max(numbers) >= len(known)):
            raise DataError(
                f"the labels of {place} lie in [{min(numbers)}, {max(numbers)}], and its {len(known)} classes allow 0 "
                f"to {len(known) - 1}; give each image a label of its class"
            )
    if len(known) < 2 or len(set(known)) < len(known):
        raise DataError(f"{place} has the classes {known[:4]}; give two or more different ones")
    return known, found


def _first_odd(plain: Mapping[str, Sequence[int | str | None]]) -> tuple[str, int]:
    """The first label that is none, or is of another type than the very first."""
    kind = type(next(iter(chain.from_iterable(plain.values()))))
    odd = ((part, index) for part, values in plain.items() for index, value in enumerate(values))
    return next(
        (part, index) for part, index in odd if plain[part][index] is None or not isinstance(plain[part][index], kind)
    )
