"""Evaluate a checkpoint in a process of its own and show its figures."""

import json
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content

from claf_engine.accuracy.curve import Curve
from claf_tui.reports.curve import quartile_sentence
from claf_tui.screens.checkpoints.actions import evaluate_command, figure_lines, typed_command, warning_lines
from claf_tui.screens.checkpoints.command_dialog import CommandScreen
from claf_tui.widgets.diagnostics import wrapped
from claf_tui.widgets.robustness_curve import RobustnessCurve, curve_of

WIDTH = 54
CURVE = ("--eps", "0:16/255:2/255")


class EvaluateScreen(CommandScreen[None]):
    """Runs the evaluation, shows that it is going on, then the figures, or the curve, or what went wrong.

    Args:
        path: the checkpoint.
        classifier: which one to ask; None is the checkpoint's own choice.
        command: what to run instead of `claf-tui eval PATH --json`.
    """

    BINDINGS = [Binding("c", "curve", "accuracy over epsilon")]
    KEYS = "c curve over ε · y copies the command · escape closes"

    def __init__(self, path: Path, classifier: str | None = None, command: Sequence[str] | None = None) -> None:
        arguments = list(command) if command is not None else evaluate_command(path, classifier)
        typed = typed_command(path, classifier)
        super().__init__(f"evaluate {path.name}", "attacking test images", typed, arguments)

    def compose_more(self) -> ComposeResult:
        """Lay out the curve, hidden until there is one."""
        chart = RobustnessCurve(id="evaluation-curve")
        chart.display = False
        yield chart

    def finish(self) -> None:
        """Show the figures, or the curve where one was measured.

        Raises:
            ValueError: the output is not what an evaluation prints.
        """
        lines = figure_lines(self.printed, WIDTH)
        record = json.loads(self.printed)
        curve = curve_of(record) if "curve" in record else None
        chart = self.query_one(RobustnessCurve)
        chart.display = curve is not None
        if curve is not None:
            chart.show_curve(curve)
            sentence = quartile_sentence(Curve.from_record(record["curve"]))
            lines = [Content.styled(line, "$foreground") for line in wrapped(sentence, WIDTH)]
            lines += warning_lines(record, WIDTH)
        self.show_lines(lines)

    def action_curve(self) -> None:
        """Measure accuracy over epsilon instead."""
        if CURVE[1] not in self._command:
            self._command += CURVE
            self._typed = f"{self._typed} {' '.join(CURVE)}"
            self.start()
