"""How a checkpoint is evaluated, audited and looked up from the browser."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.app import App

from claf_engine.runs.header import CheckpointInfo
from claf_tui.screens.card import CardScreen
from claf_tui.screens.checkpoints.actions import MakeCommand, trained_classifiers
from claf_tui.screens.checkpoints.audit_dialog import AuditDialog
from claf_tui.screens.checkpoints.evaluate_dialog import EvaluateScreen
from claf_tui.screens.checkpoints.questions import classifier_question
from claf_tui.state.standings import card_of
from claf_tui.words.safe_text import safe


@dataclass(frozen=True)
class Commands:
    """What measures a checkpoint, instead of the command line of claf-tui."""

    evaluate: MakeCommand | None = None
    audit: MakeCommand | None = None


OWN_COMMANDS = Commands()


@dataclass(frozen=True)
class Measuring:
    """Opens the dialogs that measure a checkpoint.

    Attributes:
        app: shows them.
        commands: what they run.
        after_audit: called with the card that an audit has left.
    """

    app: App[Any]
    commands: Commands
    after_audit: Callable[[Mapping[str, Any]], object]

    def evaluate(self, info: CheckpointInfo) -> None:
        """Evaluate a checkpoint."""

        def ask(classifier: str) -> None:
            command = self.commands.evaluate(info.path, classifier) if self.commands.evaluate else None
            self.app.push_screen(EvaluateScreen(info.path, classifier, command))

        self._with_classifier(info, "evaluate", ask)

    def audit(self, info: CheckpointInfo) -> None:
        """Audit a checkpoint."""
        self._with_classifier(info, "audit", lambda classifier: self.audit_classifier(info.path, classifier))

    def audit_classifier(self, path: Path, classifier: str, epsilon: str | None = None) -> None:
        """Audit one classifier of a checkpoint, at a radius such as "4/255" or at the command's own."""

        def take(card: Mapping[str, Any] | None) -> None:
            if card is not None:
                self.after_audit(card)

        command = self.commands.audit(path, classifier) if self.commands.audit else None
        self.app.push_screen(AuditDialog(path, classifier, command, epsilon), take)

    def view(self, info: CheckpointInfo, classifier: str | None = None, key: str = "a") -> None:
        """Open the card of a checkpoint, or say that there is none and which key audits it.

        Args:
            info: the checkpoint.
            classifier: whose card is wanted first; None is the one that the checkpoint was measured with.
            key: that audits.
        """
        card = card_of(info, (classifier or info.classifier, *trained_classifiers(info)))
        if card is None:
            self._tell(f"unaudited: these weights have no card yet; {key} audits them")
        else:
            self.app.push_screen(CardScreen(card))

    def _with_classifier(self, info: CheckpointInfo, verb: str, then: Callable[[str], None]) -> None:
        """Choose the classifier; ask where the method trained several."""
        names = trained_classifiers(info)
        if not names:
            self._tell("no classifier is trained yet in this checkpoint: choose one of a later phase")
        elif len(names) == 1:
            then(names[0])
        else:
            self.app.push_screen(classifier_question(names, verb), lambda name: then(name) if name else None)

    def _tell(self, text: str) -> None:
        self.app.notify(safe(text, 300), markup=False, timeout=4)
