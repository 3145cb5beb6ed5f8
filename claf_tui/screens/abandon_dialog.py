"""The question whether to leave without waiting, asked where an engine was told to stop and has not left yet."""

from claf_tui.screens.confirm_dialog import Answer, ConfirmScreen
from claf_tui.state import RunState

ABANDON = "abandon"


class AbandonScreen(ConfirmScreen):
    """Waits, or leaves with the answer `ABANDON`.

    Args:
        title: the question.
        text: what is lost.
        leave: the words of the answer that leaves.
    """

    def __init__(self, title: str, text: str, leave: str) -> None:
        super().__init__(title, text, [Answer("w", "wait", "", "primary"), Answer("x", leave, ABANDON, "error")])


def unsaved_run(state: RunState) -> AbandonScreen:
    """Ask about a run, and say how many steps it has not saved."""
    newest = state.checkpoints[-1].step if state.checkpoints else 0
    lost = max(0, state.step - newest)
    text = (
        "The run has not saved yet.\n"
        f"Leaving now loses the {lost:,} steps since the last checkpoint; the checkpoint itself stays."
    )
    return AbandonScreen("leave without saving?", text, "leave without saving")
