"""A resumed run in a console of its own: what it went through before comes first, so that charts show all of it."""

from collections.abc import Iterator
from pathlib import Path

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.terms.errors import ForeignFileError
from claf_tui.console.bridge import Engine
from claf_tui.console.follower import here
from claf_tui.state.other_run import events_so_far


class WithHistory:
    """An engine that tells a resumed run from its beginning on, as far as its journal knows.

    Args:
        engine: tells of the run from where it goes on.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, control: Control) -> Iterator[ev.Event]:
        """Yield the events of the engine, and before a run goes on those of its journal, of long ones a choice."""
        for event in self._engine(control):
            if isinstance(event, ev.RunStarted) and event.resumed_from_step is not None:
                yield from history(Path(event.directory))
            yield event


def history(directory: Path) -> Iterator[ev.Event]:
    """The events before a run went on, without how they ended then and without the start that was written last.

    A journal that cannot be read costs the earlier part of the curves, which is said, and nothing else.
    """
    held: ev.Event | None = None
    try:
        for event in events_so_far(directory):
            if held is not None:
                yield here(held, directory)
            held = event if not isinstance(event, ev.RunFinished) else None
    except (ForeignFileError, OSError) as error:
        yield ev.Notice("warning", f"what the run went through before is not shown: {error}")
    if held is not None and not isinstance(held, ev.RunStarted):
        yield here(held, directory)
