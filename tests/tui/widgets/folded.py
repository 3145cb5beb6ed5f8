"""Folded states for the tests of widgets."""

from collections.abc import Iterable, Sequence

from textual.content import Content

from claf_engine import events as ev
from claf_tui.state import RunState, reduce


def fold(events: Iterable[ev.Event]) -> RunState:
    state = RunState()
    for event in events:
        state = reduce(state, event)
    return state


def plain(lines: Sequence[Content]) -> list[str]:
    return [line.plain for line in lines]
