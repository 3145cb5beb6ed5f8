"""A scripted audit without torch. `python -m tests.tui.scripted_audit [seconds] [released-code] [raise] [card]`."""

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.terms.errors import DeviceError

WHY = "The classifier hides its gradient, so that an attack that follows it measures nothing; the figure is too high."
TOLD: tuple[tuple[str, str, ev.Verdict, str, str], ...] = (
    ("epsilon-zero", "An attack of radius 0 changes nothing", "passes", "0.0 points", "any difference fails"),
    ("distance", "What is attacked stays in the ball", "passes", "moved 8.0/255", "beyond epsilon fails"),
    ("deterministic", "Two forward passes give the same logits", "passes", "0.0", "any difference warns"),
    ("logits", "The classifier gives logits, not probabilities", "passes", "rows sum to -3.1", "sums of 1 fail"),
    ("zero-gradient", "No gradient vanishes", "warns", "6.2% of images", "above 1% warns, above 10% fails"),
    ("scaling", "Scaling the logits changes nothing", "passes", "0.4 points", "above 1 point warns, above 5 fails"),
    ("reach", "The attack can reach every point of the ball", "passes", "2.5 radii", "below 2 radii fails"),
    ("steps", "More attack steps find nothing more", "passes", "0.6 points", "above 1 point warns, above 5 fails"),
    ("restarts", "More random starts find nothing more", "passes", "0.2 points", "above 1 point warns, above 5 fails"),
    ("fgsm", "One large step is not stronger than many small ones", "passes", "-9.8 points", "above 0 fails"),
    ("epsilon-sweep", "Accuracy falls with the radius, to nothing at 255/255", "passes", "0.0% at 255/255", "1% fails"),
    ("noise", "Random noise is not stronger than the attack", "passes", "-21.0 points", "above 0 fails"),
    ("transfer", "Images of another model are no stronger", "not-run", "needs --budget standard", "above 0 fails"),
    (
        "square",
        "An attack without gradients finds nothing more",
        "fails",
        "13.4 points",
        "above 1 warns, above 5 fails",
    ),
    ("refit", "Refitted classifiers find nothing more", "warns", "2.8 points", "above 1 point warns, above 5 fails"),
    ("planted", "A planted adversarial point is found", "passes", "50 of 50", "fewer than 45 fail"),
    ("batch-norm", "Batch statistics change little", "not-run", "the network has no BatchNorm", "5 points warn"),
    ("anchors", "The figure is not too good to be true", "passes", "12.9 points below", "above an anchor warns"),
)
VALUES: dict[str, dict[str, Any]] = {
    "square": {"white_box": 0.412, "black_box": 0.278, "queries": 300, "num_examples": 100},
    "steps": {"steps": [10, 40], "robust_accuracy": [0.418, 0.412]},
}
_COUNT = {"count": 3, "of": 60, "share": 0.05, "interval": [0.02, 0.14]}
DETECTOR: dict[str, Any] = {
    "detector": "squeezing:median:2",
    "threshold": 1.14,
    "wanted_false_positive_rate": 0.05,
    "validation_false_positives": _COUNT,
    "false_positives": _COUNT,
    "natural_accuracy_without": _COUNT,
    "detection": [{"epsilon": "8/255", "knowledge": "adaptive", "detected": _COUNT}],
}
"""What an evaluation or a card says of the detector beside the classifier."""


def checks() -> tuple[ev.PlannedCheck, ...]:
    return tuple(
        ev.PlannedCheck(name, title, threshold, WHY, "Carlini et al. 2019, section 5")
        for name, title, _, _, threshold in TOLD
    )


def diagnostics() -> tuple[ev.DiagnosticFound, ...]:
    return tuple(
        ev.DiagnosticFound(
            name, title, verdict, figure, threshold, WHY, "Carlini et al. 2019, section 5", VALUES.get(name, {}), 1.5
        )
        for name, title, verdict, figure, threshold in TOLD
    )


def attack(label: str, epsilon: str, accuracy: float, *, counts: bool = True, **recipe: object) -> dict[str, Any]:
    shared = {"attack": "pgd", "space": "pixel", "norm": "linf", "precision": "fp32", "steps": 10, "restarts": 1}
    distances = {"largest_distance": 8 / 255, "mean_distance": 7.9 / 255, "step_size": "2/255"}
    figure = {"epsilon": epsilon, "robust_accuracy": accuracy, "counts": counts}
    return {"label": label, **shared, **distances, **figure, **recipe}


def card(**changes: object) -> dict[str, Any]:
    """A card as an audit prints it."""
    made: dict[str, Any] = {
        "format": 1,
        "kind": "audit",
        "verdict": "fails",
        "epsilon": "8/255",
        "norm": "linf",
        "space": "pixel",
        "date": "2026-11-24T19:30:00+00:00",
        "versions": {"python": "3.11.9", "torch": "2.14.0", "claf-tui": "0.1.0"},
        "split": "test",
        "budget": "quick",
        "command": "claf-tui audit demo --budget quick",
        "notices": ["AutoAttack is not installed, so that square and apgd come from no library"],
        "run": "20261124-demo",
        "method": "claf",
        "checkpoint": "step-000000300.safetensors",
        "step": 300,
        "phase": "3 · linear evaluation",
        "classifier": "attack",
        "weights_sha256": "0" * 64,
        "config_sha256": "1f" * 32,
        "data": "shapes",
        "device": "cpu (8 threads)",
        "seed": 0,
        "epsilons": ["8/255"],
        "num_examples": 100,
        "seconds": 43.2,
        "natural": {"accuracy": 0.931, "interval": [0.862, 0.968], "confidence": 0.95},
        "worst_case": {
            "accuracy": 0.273,
            "interval": [0.194, 0.367],
            "confidence": 0.95,
            "epsilon": "8/255",
            "norm": "linf",
            "space": "pixel",
            "num_attacks": 6,
            "is_per_example": True,
            "is_epsilon_ball": True,
        },
        "attacks": [
            attack("PGD-10 at 8/255, step 2/255, 1 starts", "8/255", 0.418),
            attack("PGD-40 at 8/255, step 2/255, 1 starts", "8/255", 0.412, steps=40),
            attack("PGD-10 at 8/255, step 2/255, 5 starts", "8/255", 0.414, restarts=5),
            attack("FGSM at 8/255", "8/255", 0.516, attack="fgsm", steps=1),
            attack("Square at 8/255, 300 queries", "8/255", 0.278, attack="square", steps=300),
            attack("PGD-10 at 4/255, step 2/255, 1 starts", "4/255", 0.644),
            attack("PGD-10 at 16/255, step 4/255, 1 starts", "16/255", 0.151, counts=False),
            attack("PGD-10 at 64/255, step 16/255, 1 starts", "64/255", 0.0, counts=False),
        ],
        "diagnostics": [asdict(item) for item in diagnostics()],
        "folder": "/runs/20261124-demo/audit/step-000000300-attack-8-255-pixel-quick",
    }
    return {**made, **changes}


@dataclass
class Audit:
    """What is played; `delay` is the time of one pulse, and `error` is raised after a few diagnostics."""

    delay: float = 0.0
    num_pulses: int = 4
    error: Exception | None = None
    is_held: bool = False
    verdicts: tuple[ev.Verdict, ...] | None = None
    card: Mapping[str, Any] | None = None
    lists_checks: bool = True

    def __call__(self, control: Control) -> Iterator[ev.Event]:
        for event in self._events():
            yield event
            if isinstance(event, ev.Progressed):
                control.wait_while_paused()
                if control.stop_requested:
                    return

    def _events(self) -> Iterator[ev.Event]:
        if self.lists_checks:
            yield ev.AuditStarted(checks())
        for part in range(self.num_pulses):
            time.sleep(self.delay)
            yield ev.Progressed.of_activity("natural accuracy", part / self.num_pulses)
        for number, item in enumerate(diagnostics()):
            for part in range(self.num_pulses):
                time.sleep(self.delay)
                activity = f"PGD-{10 * (1 + part)} at 8/255, batch {part + 1}/4"
                yield ev.Progressed.of_activity(activity, part / self.num_pulses)
            if self.error is not None and number == 5:
                raise self.error
            while self.is_held and number == 5:
                time.sleep(0.02)
                yield ev.Progressed.of_activity("PGD-40 at 8/255", 1 / 3)
            verdict = item.verdict if self.verdicts is None else self.verdicts[number % len(self.verdicts)]
            yield replace(item, verdict=verdict)
        yield ev.AuditFinished(card() if self.card is None else self.card)


def main() -> int:
    """Play an audit in the real terminal."""
    from claf_tui.console.audit_app import AuditApp
    from claf_tui.console.launch import run_console, tell_failure

    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    changes: dict[str, object] = {"space": "released-code"} if "released-code" in sys.argv else {}
    error = DeviceError("the GPU ran out of memory at batch size 250; lower it with --batch-size 100")
    audit = Audit(delay=seconds / 80, error=error if "raise" in sys.argv else None, card=card(**changes))
    with tempfile.TemporaryDirectory() as folder:
        log_path = Path(folder) / "console.log"
        result = run_console(AuditApp, audit, Control(), log_path=log_path)
        tell_failure(result, log_path)
    return result.return_code


if __name__ == "__main__":
    sys.exit(main())
