"""Audit a checkpoint in a process of its own; it ends with the robustness card."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from claf_tui.screens.checkpoints.actions import audit_command, typed_audit
from claf_tui.screens.checkpoints.command_dialog import CommandScreen
from claf_tui.words import exit_codes


class AuditDialog(CommandScreen[dict[str, Any]]):
    """Runs the audit and ends with its card, or with None where it was left; shows what went wrong.

    Args:
        path: the checkpoint.
        classifier: which one to audit; None is the checkpoint's own choice.
        command: what to run instead of `claf-tui audit PATH --budget quick --json`.
    """

    def __init__(self, path: Path, classifier: str | None = None, command: Sequence[str] | None = None) -> None:
        arguments = list(command) if command is not None else audit_command(path, classifier)
        activity = "running diagnostics, about a minute"
        super().__init__(f"audit {path.name}", activity, typed_audit(path, classifier), arguments)

    def may_have_printed(self, return_code: int) -> bool:
        """A card is printed whatever its verdict."""
        return return_code in {exit_codes.OK, exit_codes.AUDIT_FAILED}

    def take(self, output: str) -> None:
        """End with the card.

        Raises:
            ValueError: the output is not what an audit prints.
        """
        card = json.loads(output)
        if not isinstance(card, dict) or "worst_case" not in card:
            raise ValueError("the audit printed no card")
        self.dismiss(card)
