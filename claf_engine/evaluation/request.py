"""What an evaluation is asked for: whose accuracy, on which images, under which attack."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

from claf_engine.accuracy.curve_steps import require_curve
from claf_engine.accuracy.universal import ALGORITHMS
from claf_engine.attacks.registered import require_registered
from claf_engine.config.registry import ATTACKS
from claf_engine.evaluation.defences import DEFENCES, DefenceChoice
from claf_engine.evaluation.detectors import USUAL_RATE, DetectorChoice
from claf_engine.evaluation.model_source import ModelSource
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import EvaluationAttack, Norm, PointName, SpaceName
from claf_engine.terms.pixels import exact_distance

AS_PAPER: Mapping[str, Any] = {
    "attack": "pgd",
    "norm": "linf",
    "steps": 10,
    "step_size": Fraction(2, 255),
    "restarts": 1,
    "decides": "last",
}
"""The attack that the paper measures with, at every radius; the fields of a request."""
IGNORED = {
    "fgsm": ("takes one step of epsilon from the image itself", ("steps", "step_size", "restarts", "decides")),
    "mi-fgsm": ("starts from the image itself, so that all its runs are the same", ("restarts",)),
    "autoattack": ("sets its own steps and restarts", ("steps", "step_size", "restarts", "decides")),
    "universal": ("is one perturbation for all images, judged as it comes out", ("decides",)),
    "universal-deepfool": (
        "takes the steps that DeepFool asks for, and is judged as it comes out",
        ("step_size", "decides"),
    ),
}
"""What is peculiar to an attack, and the fields of a request that it therefore has no use for."""
OF_A_PLUGIN = ("of a plugin sets its own steps, the last of which decides", ("steps", "step_size", "decides"))
"""The same of every attack that a plugin registers."""


@dataclass(frozen=True)
class Ball:
    """A ball of one norm."""

    norm: Norm
    epsilon: Fraction


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate and how.

    Attributes:
        checkpoint: the file; of a model that no run of ours trained, its `place`.
        epsilons: radii, as fractions, floats or text such as "8/255"; in pixel space unless `space` says otherwise. 0
            is allowed and must give natural accuracy.
        attack: pgd, fgsm, mi-fgsm, autoattack or the name that a plugin registers.
        steps: attack steps; None is as many as cross the ball, at least 10, where the attack does not set its own.
        step_size: length of one; None is the attack's own (see `make_attack`).
        restarts: independent attacks; an example counts as robust only if all fail; None is 1.
        decides: last or any point of each (see `AttackSuite`); None is last.
        norm: of the ball: linf, l2 or l1.
        space: pixel, or released-code, whose figures are not accuracy in an epsilon-ball.
        defence: stands before the classifier, which is then attacked with and without knowledge of it.
        num_examples: test images, in the order of the split, which holds the classes in proportion; None is all.
        data: another source than the run's.
        classifier: attack, natural or adversarial; None is the one that the checkpoint was measured with.
        batch_size: examples attacked at once.
        seed: of the random starts.
        device: auto, cpu, cuda or cuda:N.
        command: the command line, for the card.
        accepts_changed_data: measure although the run's test images are not those that it was trained with.
        source: a model that no run of ours trained, in place of a checkpoint.
        crafted_on: training images that a universal perturbation is crafted on, the first ones; None is 1,000, or all.
        as_paper: with the paper's attack (`AS_PAPER`), and with the usual one where that cannot cross the ball.
        detector: stands beside the classifier and may reject an image; attacked with and without knowledge of it.
        fpr: share of natural images that it may reject, in (0, 1), which its threshold is set by on the run's
            validation images; None is `USUAL_RATE`.
        further: balls of other norms, each attacked too; an example is then also judged by all of them together.
        is_curve: measure the radii as one curve (see `claf_engine.accuracy.curve_steps`) instead of each for itself.

    Raises:
        ConfigError: a distance is none, there is no such attack, an option is given that it would ignore, it does not
            exist in the norm or the space, or no curve is measured of it.
    """

    checkpoint: Path
    epsilons: tuple[Fraction, ...] = (Fraction(8, 255), Fraction(16, 255))
    attack: str = "pgd"
    steps: int | None = None
    step_size: Fraction | None = None
    restarts: int | None = None
    decides: PointName | None = None
    norm: Norm = "linf"
    space: SpaceName = "pixel"
    defence: DefenceChoice | None = None
    num_examples: int | None = None
    data: str | None = None
    classifier: str | None = None
    batch_size: int = 250
    seed: int = 0
    device: str = "auto"
    command: tuple[str, ...] = ()
    is_curve: bool = False
    accepts_changed_data: bool = False
    source: ModelSource | None = None
    as_paper: bool = False
    detector: DetectorChoice | None = None
    fpr: float | None = None
    crafted_on: int | None = None
    further: tuple[Ball, ...] = ()

    def __post_init__(self) -> None:
        self._write_exactly()
        if self.as_paper:
            self._require_paper()
        is_ours = self.attack in get_args(EvaluationAttack)
        if not is_ours:
            if self.attack not in ATTACKS.entries:
                raise ConfigError(f"--attack: {ATTACKS.complaint(self.attack)}")
            require_registered(self.attack, self.norm, self.space)
        peculiarity, ignored = IGNORED.get(self.attack, ("", ()) if is_ours else OF_A_PLUGIN)
        for name in ignored:
            if getattr(self, name) is not None:
                raise ConfigError(f"{self.attack} {peculiarity}; leave out --{name.replace('_', '-')}")
        self._require_space()
        if self.further:
            self._require_union()
        if self.is_curve:
            require_curve(self.attack, self.defence, len(self.epsilons))

    def _require_space(self) -> None:
        """Refuse a space that the model or the attack does not have."""
        if self.source is not None and self.space != "pixel":
            raise ConfigError(
                f"--space {self.space} attacks what a network of ours normalises by, and --model is none; leave it out"
            )
        if self.source is not None and self.defence is not None and DEFENCES[self.defence.name].has_weights:
            raise ConfigError(
                f"--defence {self.defence.name} is trained beside a network of ours, and --model is none; leave it out"
            )
        if self.attack == "autoattack" and self.space != "pixel":
            raise ConfigError(
                f"autoattack searches an epsilon-ball, and --space {self.space} has none; use --attack pgd there"
            )
        self._require_crafting()
        self._require_detectable()

    @property
    def wanted_rate(self) -> float:
        """Share of natural images that a detector may reject."""
        return USUAL_RATE if self.fpr is None else self.fpr

    def _require_detectable(self) -> None:
        """Refuse what is not measured with a detector.

        Raises:
            ConfigError: there is one and it cannot be measured like this, or there is none and a rate is given.
        """
        if self.detector is None:
            if self.fpr is not None:
                raise ConfigError("--fpr is the share of natural images that a --detector may reject; name a detector")
            return
        if not 0 < self.wanted_rate < 1:
            raise ConfigError(f"--fpr is a share of natural images between 0 and 1, and {self.fpr:g} is none; try 0.05")
        refusals = {
            f"--attack {self.attack}": (self.attack != "pgd", "its adaptive attacker is PGD"),
            "--decides": (self.decides is not None, "the oblivious attacker offers its last point, the adaptive any"),
            "--as-paper": (self.as_paper, "the paper measures none"),
            f"--defence {self.defence}": (
                self.defence is not None and DEFENCES[self.defence.name].has_weights,
                "a trained defence has attacks of its own, which look at no detector",
            ),
            "the range of --eps": (self.is_curve, "a range is one curve, and a detector has two attackers"),
            "several --norm": (bool(self.further), "what gets past it is sought in one ball"),
            f"--space {self.space}": (self.space != "pixel", "what gets past it is sought in an epsilon-ball"),
            "--model": (self.source is not None, "its threshold is set on the validation images of a run"),
            "--data": (self.data is not None, "its threshold is set on the validation images of the run's own data"),
        }
        for flag, (is_so, reason) in refusals.items():
            if is_so:
                raise ConfigError(f"a detector is not measured with {flag}: {reason}; leave it out")

    @property
    def is_universal(self) -> bool:
        """Whether one perturbation is crafted for all images, for which training images are needed."""
        return self.attack in ALGORITHMS

    def _require_crafting(self) -> None:
        """Refuse what contradicts one perturbation for all images, or asks for one where there is none."""
        if self.is_universal and self.space != "pixel":
            raise ConfigError(
                f"{self.attack} searches an epsilon-ball, and --space {self.space} has none; leave it out"
            )
        if self.is_universal and self.norm == "l1":
            raise ConfigError(f"{self.attack} moves all pixels, and an L1 ball is for few; use --norm linf or l2")
        if self.crafted_on is not None and not self.is_universal:
            raise ConfigError(
                f"--crafted-on says what a universal perturbation is crafted on, and {self.attack} moves each image by "
                "itself; leave it out, or use --attack universal"
            )

    def in_each_ball(self) -> tuple["EvaluationRequest", ...]:
        """The same request in each of its norms by itself."""
        own = replace(self, further=())
        return (own, *(replace(own, norm=ball.norm, epsilons=(ball.epsilon,)) for ball in self.further))

    def _require_union(self) -> None:
        """Refuse what cannot be asked in several norms at once."""
        norms = [self.norm, *(ball.norm for ball in self.further)]
        if len(set(norms)) < len(norms) or len(self.epsilons) != 1:
            raise ConfigError(
                "with several norms each --norm is given once, with one --eps; measure others by themselves"
            )
        options = {
            "--as-paper": self.as_paper,
            "--step-size": self.step_size is not None,
            "--space": self.space != "pixel",
            "a range of --eps": self.is_curve,
        }
        for option in (name for name, is_given in options.items() if is_given):
            raise ConfigError(f"{option} belongs to one norm; leave it out, or give one --norm")
        self.in_each_ball()

    def _require_paper(self) -> None:
        """Take the paper's attack, or say what contradicts it."""
        for name, value in AS_PAPER.items():
            if getattr(self, name) not in {None, value}:
                raise ConfigError(
                    "--as-paper is PGD in Linf, ten steps of 2/255 from one start, its last point judged; leave out "
                    f"--{name.replace('_', '-')}, or leave out --as-paper"
                )
            object.__setattr__(self, name, value)
        if self.is_curve:
            raise ConfigError(
                "--as-paper measures each radius for itself, and a range of --eps is one curve; give the radii one by "
                "one, or leave out --as-paper"
            )

    def _write_exactly(self) -> None:
        """Take distances as a script writes them, as floats or text, and keep them as fractions."""
        object.__setattr__(self, "epsilons", tuple(exact_distance(epsilon, self.norm) for epsilon in self.epsilons))
        if self.step_size is not None:
            object.__setattr__(self, "step_size", exact_distance(self.step_size, self.norm))
