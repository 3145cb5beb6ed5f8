"""Whether a figure is too good to be true: compared with what has been published."""

import tomllib
from collections.abc import Generator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from claf_engine.audits.bench import Bench
from claf_engine.audits.chance import share
from claf_engine.audits.crafted import attackable_steps, percent
from claf_engine.audits.diagnostic import Check, Finding, NotRun
from claf_engine.events.ticks import Pulse
from claf_engine.terms.names import BudgetName, Verdict
from claf_engine.terms.pixels import format_distance


@dataclass(frozen=True)
class Anchor:
    """A published network; accuracies are percentages.

    Attributes:
        name: who published it.
        architecture: of the network.
        data: what it was trained on besides CIFAR-10.
        natural: accuracy without an attack.
        autoattack: accuracy under AutoAttack.
        source: where the figures are from.
    """

    name: str
    architecture: str
    data: str
    natural: float
    autoattack: float
    source: str


@dataclass(frozen=True)
class Thresholds:
    """What no anchor has reached, and for which models that says something.

    Attributes:
        data: name of the images.
        epsilon: Linf radius, in pixel space.
        robust: robust accuracy in percent, whatever the natural one.
        natural: natural accuracy in percent, together with:
        robust_at_natural: robust accuracy in percent.
        parameters: of the largest network that the anchors speak of.
    """

    data: str
    epsilon: str
    robust: float
    natural: float
    robust_at_natural: float
    parameters: int

    def are_exceeded(self, natural: float, robust: float) -> bool:
        """Whether accuracies in [0, 1] are beyond what has been published."""
        return 100 * robust > self.robust or (100 * natural > self.natural and 100 * robust > self.robust_at_natural)


SAME_IMAGES = {"torchvision:CIFAR10": "cifar10"}
"""Sources that hold the images of another one."""


@cache
def published() -> tuple[Thresholds, tuple[Anchor, ...]]:
    """The thresholds and the anchors, best robust accuracy first."""
    text = resources.files("claf_engine.audits").joinpath("anchors.toml").read_text(encoding="utf-8")
    record: dict[str, Any] = tomllib.loads(text)
    anchors = sorted((Anchor(**item) for item in record["anchors"]), key=lambda anchor: -anchor.autoattack)
    return Thresholds(**record["thresholds"]), tuple(anchors)


def too_good(bench: Bench) -> Generator[Pulse, None, Finding]:
    """Natural accuracy and the worst case over everything that was run, against published ones."""
    thresholds, anchors = published()
    _require_comparable(bench, thresholds)
    yield from attackable_steps(bench)
    yield from bench.attack(steps=bench.budget.steps[0])
    natural = (yield from bench.natural()).accuracy
    robust = float(bench.worst_case().double().mean())
    count = len(bench.subject.split)
    lowest = at_least(natural, count), at_least(robust, count)
    verdict = judge(*lowest, bench.budget.name)
    figure = f"natural {percent(natural)} (at least {percent(lowest[0])}), robust {percent(robust)}"
    figure += f" (at least {percent(lowest[1])})"
    if verdict != "passes":
        anchor = exceeded(robust)
        figure += f"; {anchor.name} has {anchor.natural} and {anchor.autoattack} %"
    values = {
        "natural": natural,
        "robust": robust,
        "natural_at_least": lowest[0],
        "robust_at_least": lowest[1],
        "anchors": [vars(each) for each in anchors],
    }
    return Finding(verdict, figure, values)


def at_least(accuracy: float, count: int) -> float:
    """What an accuracy in [0, 1] over `count` examples is of all but for chance, in [0, 1]."""
    return share(round(accuracy * count), count).at_least


def judge(natural: float, robust: float, budget: BudgetName) -> Verdict:
    """A verdict on the lower bounds of accuracies, in [0, 1].

    After a full audit what is exceeded only warns, because then the other diagnostics have had their say.
    """
    thresholds, _ = published()
    if not thresholds.are_exceeded(natural, robust):
        return "passes"
    return "warns" if budget == "full" else "fails"


def exceeded(robust: float) -> Anchor:
    """The anchor that accuracies beyond the thresholds are told against.

    That is the most robust one where robust accuracy alone is beyond them; else the one of the highest natural
    accuracy, which pays for it with robustness.
    """
    thresholds, anchors = published()
    return anchors[0] if 100 * robust > thresholds.robust else max(anchors, key=lambda anchor: anchor.natural)


def _require_comparable(bench: Bench, thresholds: Thresholds) -> None:
    """Refuse what the anchors say nothing about.

    Raises:
        NotRun: other images, another radius or space, or a larger network.
    """
    subject, epsilon = bench.subject, format_distance(bench.subject.epsilon)
    if SAME_IMAGES.get(subject.data, subject.data) != thresholds.data:
        raise NotRun(
            f"the anchors are of {thresholds.data}, and these images are of {subject.data or 'another source'}"
        )
    if not subject.space.is_pixel or epsilon != thresholds.epsilon:
        raise NotRun(
            f"the anchors are of epsilon {thresholds.epsilon} in pixel space, and the claim is of {epsilon} in "
            f"{subject.space.name} space"
        )
    size = sum(parameter.numel() for parameter in subject.model.parameters())
    if size > thresholds.parameters:
        raise NotRun(f"the anchors are of ResNet-18, and this network is larger: {size / 1e6:.1f} million parameters")


CHECKS: tuple[Check, ...] = (
    Check(
        name="too-good",
        title="The figures are no better than any that was published",
        threshold=(
            "for ResNet-18 on CIFAR-10 at 8/255 without extra data: robust accuracy above 53 %, or natural above 88 % "
            "with robust above 45 %, fails; warns if the audit is full"
        ),
        meaning=(
            "Nothing published without extra data is as good, and entries that were lost most of it to a stronger "
            "attack; run --budget full before any claim, and say what data the network was trained on."
        ),
        source="RobustBench (Croce et al. 2021, arXiv 2010.09670); each anchor names its own",
        run=too_good,
        comparisons=2,
    ),
)
