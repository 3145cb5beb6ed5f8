"""Audit a checkpoint in a process of its own, with its progress; it ends with the robustness card."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textual.content import Content

from claf_engine.events import records
from claf_tui.screens.checkpoints.actions import audit_command, typed_audit
from claf_tui.screens.checkpoints.command_dialog import FRAMES_PER_SECOND, CommandScreen
from claf_tui.state.audit import AuditScene, at_moment, reduce, rows, running_index
from claf_tui.state.moment import Moment
from claf_tui.widgets.audit_bar import activity_lines, progress_line
from claf_tui.widgets.diagnostics import list_lines
from claf_tui.words import exit_codes

WIDTH = 58
"""Cells of a line in the dialog."""
SHARE = 0.9
"""Of the screen's height, the dialog takes at most so much."""
AROUND = 9
"""Lines of the dialog that cannot show diagnostics: its frame, the bar, what is being done, and blank ones."""


class AuditDialog(CommandScreen[Mapping[str, Any]]):
    """Runs the audit and ends with its card, or with None where it was left; shows what went wrong.

    Args:
        path: the checkpoint.
        classifier: which one to audit; None is the checkpoint's own choice.
        command: what to run instead of `claf-tui audit PATH --budget quick --ui jsonl`.
        epsilon: radius of the claim, such as "4/255"; None is the command's own choice.
    """

    KEYS = "y copies the command · escape stops and keeps its results"

    def __init__(
        self,
        path: Path,
        classifier: str | None = None,
        command: Sequence[str] | None = None,
        epsilon: str | None = None,
    ) -> None:
        arguments = list(command) if command is not None else audit_command(path, classifier, epsilon)
        super().__init__(f"audit {path.name}", "", typed_audit(path, classifier, epsilon), arguments)
        self._scene = AuditScene()

    def hear(self, line: str) -> None:
        """Fold an event of the audit into the scene; a line that is none is somebody else's."""
        try:
            record = json.loads(line)
            self._scene = reduce(self._scene, records.from_record(record))
        except (ValueError, AttributeError):
            return

    def waiting_lines(self) -> list[Content]:
        """How far the audit is: a segment for each diagnostic, what is being done, and the latest verdicts."""
        self._scene = at_moment(self._scene, Moment("RUNNING", self._frame, self._frame / FRAMES_PER_SECOND))
        width = min(WIDTH, self.query_one("#figures-shown").size.width or WIDTH)
        others = sum(self.query_one(name).outer_size.height for name in ("#command-shown", "#dialog-keys"))
        return audit_lines(self._scene, width, int(SHARE * self.app.size.height) - others - AROUND)

    def may_have_printed(self, return_code: int) -> bool:
        """A card is printed whatever its verdict."""
        return return_code in {exit_codes.OK, exit_codes.AUDIT_FAILED}

    def finish(self) -> None:
        """End with the card.

        Raises:
            ValueError: the audit printed none.
        """
        card = self._scene.card
        if card is None or "worst_case" not in card:
            raise ValueError("the audit printed no card")
        self.dismiss(card)


def audit_lines(scene: AuditScene, width: int, num_rows: int) -> list[Content]:
    """Write an audit that goes on as lines of at most `width` cells, with about `num_rows` diagnostics around the one
    that runs.
    """
    head = [progress_line(scene, width), activity_lines(scene, width)[0]]
    listed = list_lines(scene, -1, width) if scene.checks else []
    running = running_index(rows(scene)) or 0
    first = max(0, min(running - num_rows // 2, len(listed) - num_rows))
    lines = [*head, Content(""), *listed[first : first + max(0, num_rows)]]
    return [line.truncate(width, ellipsis=True) for line in lines]
