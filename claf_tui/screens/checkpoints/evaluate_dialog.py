"""Evaluate a checkpoint in a process of its own and show its figures."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import Input

from claf_engine.accuracy.curve import Curve
from claf_tui.reports.curve import quartile_sentence
from claf_tui.screens.checkpoints.actions import evaluate_command, figure_lines, typed_command, warning_lines
from claf_tui.screens.checkpoints.command_dialog import CommandScreen
from claf_tui.widgets.diagnostics import wrapped
from claf_tui.widgets.robustness_curve import RobustnessCurve, curve_of

WIDTH = 54
CURVE = ("--eps", "0:16/255:2/255")
EXAMPLE = "--norm l2 · --attack universal · --defence median:2"
"""What stands in the field of options until one is typed."""


class EvaluateScreen(CommandScreen[None]):
    """Runs the evaluation, shows that it is going on, then the figures, or the curve, or what went wrong.

    Args:
        path: the checkpoint.
        classifier: which one to ask; None is the checkpoint's own choice.
        command: what to run instead of `claf-tui eval PATH --json`.
    """

    BINDINGS = [Binding("c", "curve", "accuracy over epsilon"), Binding("o", "options", "other options")]
    KEYS = "c curve over ε · o options · y copies · escape closes"
    AUTO_FOCUS = ""

    def __init__(self, path: Path, classifier: str | None = None, command: Sequence[str] | None = None) -> None:
        self._plain = list(command) if command is not None else evaluate_command(path, classifier)
        self._plain_typed = typed_command(path, classifier)
        super().__init__(f"evaluate {path.name}", "attacking test images", self._plain_typed, self._plain)

    def compose_more(self) -> ComposeResult:
        """Lay out the curve and the field of options, hidden until there is one and until it is asked for."""
        chart = RobustnessCurve(id="evaluation-curve")
        field = Input(placeholder=EXAMPLE, id="evaluation-options", compact=True)
        chart.display = field.display = False
        yield chart
        yield field

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
            self._ask(CURVE)

    def action_options(self) -> None:
        """Ask for whatever else `claf-tui eval` takes."""
        field = self.query_one("#evaluation-options", Input)
        field.display = True
        field.focus()

    @on(Input.Submitted, "#evaluation-options")
    def _take_options(self, event: Input.Submitted) -> None:
        try:
            options = shlex.split(event.value)
        except ValueError as error:
            self.notify(f"{error}: close the quotation", severity="error", markup=False)
            return
        event.input.display = False
        self.set_focus(None)
        self._ask(options)

    def _ask(self, options: Sequence[str]) -> None:
        """Evaluate anew, with these options on top of checkpoint and classifier."""
        self._command = [*self._plain, *options]
        self._typed = shlex.join([*shlex.split(self._plain_typed), *options])
        self.query_one(RobustnessCurve).display = False
        self.start()
