"""What AutoAttack has done so far, as a file that an interrupted evaluation goes on from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from claf_engine.config.base import Count
from claf_engine.runs.durable import write_atomically
from claf_engine.runs.foreign import STATE_CAP, read_foreign
from claf_engine.terms.errors import CheckpointError, ForeignFileError, MissingFile

Member = Literal["apgd-ce", "apgd-dlr", "apgd-t", "fab-t", "square"]
ORDER: tuple[Member, ...] = get_args(Member)
"""All attacks in the order in which they run."""
MEMBERS: tuple[Member, ...] = ("apgd-ce", "apgd-t", "fab-t", "square")
"""The attacks of AutoAttack's standard version (Croce and Hein 2020)."""
CLASSES_OF: Mapping[Member, int] = {"apgd-dlr": 3, "apgd-t": 4}
"""Classes that a loss compares: the largest logit with the third, and in its targeted form with the fourth too."""


def members_for(num_classes: int) -> tuple[Member, ...]:
    """The standard version for so many classes: with too few for its targeted APGD the plain one on the same loss."""
    if num_classes >= CLASSES_OF["apgd-t"]:
        return MEMBERS
    in_place: tuple[Member, ...] = ("apgd-dlr",) if num_classes >= CLASSES_OF["apgd-dlr"] else ()
    return (MEMBERS[0], *in_place, *MEMBERS[2:])


class Survivors(BaseModel):
    """The examples under attack and what became of each; one entry an example, in the order of the split.

    Attributes:
        key: hash of everything that the outcome depends on.
        broken_by: the attack that succeeded, or None while the example stands.
        distances: Linf distance in pixel space of the adversarial example from its original, where there is one.
        batches_done: for each attack, how many batches of those that stood when it began are done.
        notices: a sentence for each thing that whoever reads the figure should know.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    key: str
    broken_by: list[Member | None]
    distances: list[Annotated[float, Field(ge=0)] | None]
    batches_done: dict[Member, Count] = {}
    notices: list[str] = []

    @model_validator(mode="after")
    def _is_consistent(self) -> "Survivors":
        if [attack is None for attack in self.broken_by] != [distance is None for distance in self.distances]:
            raise ValueError("an example has a distance just where an attack succeeded")
        return self

    @property
    def count(self) -> int:
        """How many examples still stand."""
        return self.broken_by.count(None)

    def targets(self, attack: Member) -> list[int]:
        """Indices of the examples that stood when an attack began; later successes do not change them."""
        order = ORDER.index(attack)
        return [index for index, by in enumerate(self.broken_by) if by is None or ORDER.index(by) >= order]

    def mark_broken(self, index: int, attack: Member, distance: float) -> None:
        """Take note that an attack succeeded on an example, at this Linf distance."""
        self.broken_by[index] = attack
        self.distances[index] = distance

    def tell(self, notice: str) -> None:
        """Add a notice, once."""
        if notice not in self.notices:
            self.notices.append(notice)


def untouched(key: str, count: int) -> Survivors:
    """The state before the first attack on `count` examples."""
    return Survivors(key=key, broken_by=[None] * count, distances=[None] * count)


def load_survivors(path: Path, key: str, count: int) -> Survivors | None:
    """Read a saved state.

    Returns:
        None where none was saved for this key.

    Raises:
        CheckpointError: the file cannot be read or is damaged.
    """
    try:
        survivors = Survivors.model_validate_json(read_foreign(path, STATE_CAP))
    except MissingFile:
        return None
    except ForeignFileError as error:
        raise CheckpointError(str(error)) from error
    except ValidationError as error:
        raise CheckpointError(f"{path} is damaged: {error.errors()[0]['msg']}") from error
    if survivors.key != key:
        return None
    if len(survivors.broken_by) != count:
        raise CheckpointError(f"{path} is damaged: it is about {len(survivors.broken_by)} examples, not {count}")
    return survivors


def save_survivors(path: Path, survivors: Survivors) -> None:
    """Write a state so that it is whole whatever happens; the folder is made where it is missing, not those above.

    Raises:
        OSError: it cannot be written; an older state is untouched.
    """
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, survivors.model_dump_json().encode())
