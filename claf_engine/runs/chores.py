"""What is done around training and may fail without ending it: status, flushing, deleting what is no longer kept."""

from collections.abc import Iterator
from contextlib import contextmanager

from claf_engine.terms.errors import ClafError, RunError


class Chores:
    """Tries chores; a failure becomes a sentence that is told once, and the next time comes round by itself."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._untold: list[str] = []

    @contextmanager
    def attempt(self, chore: str) -> Iterator[None]:
        """Do what is inside, and go on when the disk refuses.

        Args:
            chore: what is done, as the rest of a sentence that begins with "cannot".
        """
        try:
            yield
        except (OSError, RunError) as error:
            self.failed(chore, error)

    def failed(self, chore: str, error: OSError | ClafError) -> None:
        """Note that a chore failed."""
        cause = error if isinstance(error, OSError) else error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(error)
        self.tell(f"cannot {chore}: {reason}; training goes on, and it is tried again")

    def tell(self, sentence: str) -> None:
        """Have a sentence told, unless it was before."""
        if sentence not in self._told:
            self._told.add(sentence)
            self._untold.append(sentence)

    def take_untold(self) -> list[str]:
        """The sentences that nobody was told yet; they count as told."""
        taken, self._untold = self._untold, []
        return taken
