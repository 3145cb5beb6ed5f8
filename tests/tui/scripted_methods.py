"""Short plausible runs of every method, as lists of events, without torch."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from claf_engine import events as ev
from tests.tui.scripted import robust_figure, run_started

EPOCHS = 4
STEPS_PER_EPOCH = 5
TEST = ev.PhasePlan("test", "test evaluation", 0, 0)


@dataclass(frozen=True)
class Part:
    """One phase: name, title, the losses it logs by part of the epoch, and the classifier that probes ask."""

    name: str
    title: str
    losses: dict[str, str]
    classifier: str


def _supervised(title: str, loss: str = "cross_entropy", classifier: str = "adversarial") -> tuple[Part, ...]:
    return (Part("supervised", title, {"supervised": loss}, classifier),)


def _linear(number: int) -> tuple[Part, ...]:
    return (
        Part("linear_evaluation", f"{number} · linear evaluation", {"natural": "classifier"}, "natural"),
        Part(
            "adversarial_linear_evaluation",
            f"{number} · adversarial linear eval",
            {"adversarial": "classifier"},
            "adversarial",
        ),
    )


CONTRASTIVE = Part("contrastive", "1 · supervised contrastive", {"encoder": "supcon"}, "quick fit")
ADVERSARIAL = Part("adversarial", "2 · adversarial features", {"retrain": "classifier", "encoder": "supcon"}, "attack")
METHODS: dict[str, tuple[Part, ...]] = {
    "claf": (CONTRASTIVE, ADVERSARIAL, *_linear(3)),
    "natural": _supervised("supervised", classifier="natural"),
    "scl": (CONTRASTIVE, *_linear(2)),
    "at": _supervised("adversarial training"),
    "fgsm": _supervised("fast adversarial training"),
    "trades": _supervised("TRADES", "trades"),
    "alp": _supervised("adversarial logit pairing", "alp"),
    "rocl": (
        Part("instance", "1 · robust contrastive", {"encoder": "nt_xent"}, "quick fit"),
        *_supervised("2 · fine-tuning"),
    ),
    "acl": (
        Part("adversarial_contrastive", "1 · adversarial contrastive", {"encoder": "nt_xent"}, "quick fit"),
        *_supervised("2 · fine-tuning"),
    ),
    "rectifier": (
        *_supervised("1 · natural training", classifier="natural"),
        Part("universal", "2 · universal perturbations", {"universal": "log_odds"}, "natural"),
        Part("rectifier", "3 · rectifier", {"rectifier": "rectified"}, "natural"),
        Part("detector", "4 · detector", {"detector": "hinge"}, "natural"),
    ),
    "clp": _supervised("clean logit pairing", "clp", "natural"),
    "two-encoders": (
        Part("two_encoders", "two encoders, attacked measured", {"encoders": "two_encoders"}, "adversarial"),
    ),
    "defense-gan": (
        Part("generator", "1 · generator (WGAN-GP)", {"critic": "wgan_gp"}, "quick fit"),
        *_supervised("2 · supervised", classifier="natural"),
    ),
    "pretext": (
        Part("pretext", "1 · adversarial rotation", {"encoder": "rotation"}, "quick fit"),
        *_supervised("2 · fine-tuning"),
    ),
    "union": _supervised("several perturbation types"),
}


def released_code(figure: ev.RobustFigure, moved: float = 115 / 255) -> ev.RobustFigure:
    return replace(figure, space="released-code", largest_distance=moved, mean_distance=moved / 2)


def started(directory: Path, method: str, **config: object) -> ev.RunStarted:
    plans = tuple(ev.PhasePlan(p.name, p.title, EPOCHS, EPOCHS * STEPS_PER_EPOCH) for p in METHODS[method])
    settings = {"probe": {"every_epochs": 2}, **config}
    return run_started(directory, method=method, phases=(*plans, TEST), config=settings)


def checked(step: int, epoch: int, multi_step: float, *, has_collapsed: bool = False) -> ev.OverfittingChecked:
    return ev.OverfittingChecked(step, epoch, 0.62, multi_step, 0.41, 256, has_collapsed)


def collapsed(step: int, epoch: int) -> ev.Alert:
    text = f"catastrophic overfitting in epoch {epoch}: PGD accuracy fell from 41.0% to 0.3%, one-step attack 62.0%"
    return ev.Alert(step, "catastrophic-overfitting", text)


def sentinels(step: int, **changes: object) -> ev.SentinelsChecked:
    found = ev.SentinelsChecked(step, EPOCHS, "natural", "8/255", 0.9, 0.9, 0.0, 0.6, 0.55, 0.55, 0.5, 64)
    return replace(found, **changes)  # type: ignore[arg-type]


def played(directory: Path, method: str, *, is_collapsing: bool = False) -> Iterator[ev.Event]:
    """All events of a run that finishes; a collapsing one leaves its phase after two epochs."""
    yield started(directory, method)
    step = 0
    for index, part in enumerate(METHODS[method]):
        yield ev.PhaseStarted(index, part.name, 0)
        for epoch in range(1, 3 if is_collapsing else EPOCHS + 1):
            step += STEPS_PER_EPOCH
            for name, loss in part.losses.items():
                yield ev.StepLogged(step, index, epoch, name, loss, 3 / step, 0.1 / epoch, 800.0, step * 1.0)
            if part.name == "adversarial":
                yield ev.ClassifierRetrained(step, epoch, 0.2, 0.4, 256)
                yield ev.DissociationMeasured(step, epoch, 0.4, 0.3, 0.1, 256)
            if method == "fgsm":
                has_collapsed = is_collapsing and epoch == 2
                yield checked(step, epoch, 0.003 if has_collapsed else 0.41, has_collapsed=has_collapsed)
                if has_collapsed:
                    yield collapsed(step, epoch)
            yield ev.EpochFinished(step, index, epoch, 1.0, 0.5)
        yield probe(step, index, part.classifier)
        yield sentinels(step, classifier=part.classifier)
    yield ev.PhaseStarted(len(METHODS[method]), "test", 0)
    yield ev.RunFinished("finished", step, step * 1.0, results(method), "validation robust accuracy at 8/255")


def probe(step: int, phase: int, classifier: str, **changes: object) -> ev.ProbeFinished:
    robust = (robust_figure("8/255", 0.618), robust_figure("16/255", 0.41))
    found = ev.ProbeFinished(step, phase, EPOCHS, classifier, 0.931, robust, 1.0)
    return replace(found, **changes)  # type: ignore[arg-type]


def results(method: str) -> tuple[ev.TestResult, ...]:
    classifiers = [part.classifier for part in METHODS[method] if part.classifier not in {"quick fit", "attack"}]
    robust = (robust_figure("8/255", 0.618), robust_figure("16/255", 0.41))
    last = [ev.TestResult("last", name, 0.93, robust, index == 0) for index, name in enumerate(classifiers)]
    return (*last, ev.TestResult("best", classifiers[-1], 0.9, robust, selected=False))
