"""What a person asks for in the list of runs that the list itself cannot do, and how the list is found again after."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from claf_tui.state.run_order import Order

if TYPE_CHECKING:
    from claf_tui.state.draft import Draft


@dataclass(frozen=True)
class RunsView:
    """How the list is looked at.

    Attributes:
        filter_text: as it was typed.
        chosen: name of the run under the cursor.
        marked: names of runs with a mark, in the order in which they were marked.
    """

    filter_text: str = ""
    order: Order = Order()
    chosen: str | None = None
    marked: tuple[str, ...] = ()


@dataclass(frozen=True)
class NewRunRequest:
    """The person wants to train the run that was put together in the form."""

    draft: "Draft"


@dataclass(frozen=True)
class OpenRequest:
    """The person wants to see a run.

    Attributes:
        run: its folder.
        view: how the list was looked at.
    """

    run: Path
    view: RunsView = field(default_factory=RunsView)
