"""Which phases a method consists of, as a table: `METHODS[name]` gives the phases of our own in order.

A phase is a generator over a `Session` plus what the plan, the probe and the screen need to know about it. Methods
share phases: none has a trainer of its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from claf_engine.config import ObjectiveConfig, RunConfig, registry
from claf_engine.events import PhasePlan
from claf_engine.events.ticks import Tick
from claf_engine.models.network import ADVERSARIAL, ATTACK_CLASSIFIER, NATURAL
from claf_engine.terms.errors import ConfigError
from claf_engine.training.costs import (
    Loops,
    Part,
    acl_loops,
    adversarial_linear_loops,
    adversarial_loops,
    alp_loops,
    classification_loops,
    contrastive_loops,
    detector_loops,
    fgsm_loops,
    generator_loops,
    instance_loops,
    linear_loops,
    natural_loops,
    pretext_loops,
    rectifier_loops,
    supervised_loops,
    trades_loops,
    two_encoders_loops,
    union_loops,
    units_of_epoch,
    universal_loops,
)
from claf_engine.training.partner import measured_classifier
from claf_engine.training.phases.acl import adversarial_contrastive
from claf_engine.training.phases.adversarial import adversarial
from claf_engine.training.phases.clean_pairing import clp_loss
from claf_engine.training.phases.contrastive import contrastive
from claf_engine.training.phases.generator import generator
from claf_engine.training.phases.linear import adversarial_linear_evaluation, linear_evaluation
from claf_engine.training.phases.objectives import (
    Objective,
    adversarial_loss,
    alp_loss,
    fgsm_loss,
    natural_loss,
    trades_loss,
)
from claf_engine.training.phases.pretext import pretext
from claf_engine.training.phases.rectifier import train_detector, train_rectifier, universal_perturbations
from claf_engine.training.phases.rocl import instance
from claf_engine.training.phases.supervised import supervised
from claf_engine.training.phases.two_encoders import two_encoders
from claf_engine.training.phases.union import union_loss
from claf_engine.training.session import Session
from claf_engine.training.state import Cursor

CLASSIFIED = ("label_smoothing", "margin")
COMPARED = (*CLASSIFIED, "nuclear_weight", "contrast_weight", "rotation_weight")
TERMS: dict[Objective, tuple[str, ...]] = {
    natural_loss: CLASSIFIED,
    adversarial_loss: (*COMPARED, "cross_entropy"),
    fgsm_loss: (*COMPARED, "cross_entropy"),
    alp_loss: COMPARED,
    trades_loss: COMPARED,
    clp_loss: CLASSIFIED,
    union_loss: CLASSIFIED,
}
"""Which of the settings `objective` each loss of ours heeds."""


@dataclass(frozen=True)
class Phase:
    """One phase of a method.

    Attributes:
        play: the loop; goes on from wherever the session's cursor stands.
        epochs: how many, from the settings.
        parts: its loops.
        classifier: the one that probes ask; None fits one for each probe.
        num_watches: how often the phase measures on its own in an epoch.
        watch_steps: steps of each attack of one such measurement.
        trains_features: it steps encoder and projection head by their common schedule.
        is_frozen: the encoder stands still, so that one probe at the end says all.
        terms: which of the settings `objective` it heeds.
        contrasts: its loss compares projections of features as well.
    """

    name: str
    title: str
    play: Callable[[Session], Iterator[Tick]]
    epochs: int
    parts: tuple[Part, ...]
    classifier: str | None
    num_watches: int = 0
    watch_steps: tuple[int, ...] = ()
    trains_features: bool = False
    is_frozen: bool = False
    terms: tuple[str, ...] = ()
    contrasts: bool = False

    @property
    def units_per_epoch(self) -> float:
        """Forward-units that one training image costs in an epoch, counted as `Part` does."""
        return units_of_epoch(self.parts)

    def plan(self, steps_per_sweep: int) -> PhasePlan:
        """The phase as the run announces it."""
        steps = self.epochs * sum(part.steps(steps_per_sweep) for part in self.parts)
        return PhasePlan(self.name, self.title, self.epochs, steps)


def phases_of(config: RunConfig) -> tuple[Phase, ...]:
    """The phases of the configured method, in order; phases of no epochs are left out.

    Raises:
        ConfigError: none is left, the head of rocl or acl is to be trained for no epochs, attacks are to start warm
        ConfigError: none is left, what follows pretraining is to be trained for no epochs, attacks are to start warm
            where they cannot, a term of the objective would be ignored, or a plugin's method gives no phases.
    """
    if config.attack.warm_start:
        _require_warm_start(config)
    method = METHODS.get(config.method) or partial(registered_phases, config.method)
    phases = tuple(phase for phase in method(config) if phase.epochs > 0)
    if not phases:
        raise ConfigError(f"method {config.method} trains for no epochs: set the epochs of one of its phases above 0")
    _require_terms(config, phases)
    return phases


def units_per_image(config: RunConfig) -> float:
    """Forward-units that a whole run spends on each training image; what it measures is not counted.

    A forward pass of the encoder counts 1, a backward pass to the images 1, a full one 2: adversarial training of ten
    steps costs 23 an epoch.

    Raises:
        ConfigError: the method trains for no epochs.
    """
    return sum(phase.epochs * phase.units_per_epoch for phase in phases_of(config))


def registered_phases(name: str, config: RunConfig) -> tuple[Phase, ...]:
    """The phases that a plugin's method consists of.

    Raises:
        ConfigError: there is no such method, or it gives something else than phases.
    """
    if name not in registry.METHODS.entries:
        raise ConfigError(registry.METHODS.complaint(name))
    with registry.METHODS.calling(name):
        phases = registry.METHODS.entries[name].value(config)
    if not isinstance(phases, tuple | list) or not all(isinstance(phase, Phase) for phase in phases):
        raise ConfigError(f"method {name!r} gives {phases!r:.80}; return a tuple of claf_engine.training.methods.Phase")
    return tuple(phases)


def reported_classifiers(phases: tuple[Phase, ...]) -> set[str]:
    """The classifiers that a run of these phases reports: those of linear evaluation, or else all that it trains."""
    fitted_last = {phase.classifier for phase in phases if phase.is_frozen} - {None}
    return {name for name in fitted_last or {phase.classifier for phase in phases} if name is not None}


def begun_classifiers(phases: tuple[Phase, ...], cursor: Cursor) -> tuple[str, ...]:
    """The classifiers that have taken a step by then, in the order of their phases."""
    begun = phases[: cursor.phase + cursor.has_begun_phase]
    return tuple(dict.fromkeys(phase.classifier for phase in begun if phase.classifier is not None))


def feature_epochs(phases: tuple[Phase, ...]) -> int:
    """Epochs that encoder and projection head train for by their common schedule."""
    return sum(phase.epochs for phase in phases if phase.trains_features)


def _claf(config: RunConfig) -> tuple[Phase, ...]:
    return (_contrastive(config, "1 · "), _adversarial(config), *_linear_evaluations(config, "3 · "))


def _scl(config: RunConfig) -> tuple[Phase, ...]:
    return (_contrastive(config, "1 · "), *_linear_evaluations(config, "2 · "))


def _rocl(config: RunConfig) -> tuple[Phase, ...]:
    loops, title = instance_loops(config), "1 · robust contrastive"
    pretraining = Phase("instance", title, instance, loops.epochs, loops.parts, None, trains_features=True)
    return (pretraining, _head(config, config.rocl.head))


def _acl(config: RunConfig) -> tuple[Phase, ...]:
    loops = acl_loops(config)
    title = "1 · contrastive (SimCLR)" if config.acl.streams == "standard" else "1 · adversarial contrastive"
    play = adversarial_contrastive
    pretraining = Phase("adversarial_contrastive", title, play, loops.epochs, loops.parts, None, trains_features=True)
    return (pretraining, _head(config, config.acl.head))


def _pretext(config: RunConfig) -> tuple[Phase, ...]:
    loops, title = pretext_loops(config), f"1 · {config.pretext.images} {config.pretext.task}"
    pretraining = Phase("pretext", title, pretext, loops.epochs, loops.parts, None)
    return (pretraining, _head(config, config.pretext.head))


def _head(config: RunConfig, kind: str) -> Phase:
    """What is trained on the pretrained encoder of rocl, acl or pretext."""
    match kind:
        case "linear":
            head, epochs = _linear_evaluation(config, "2 · "), "linear_evaluation.epochs"
        case "robust-linear":
            head, epochs = _adversarial_linear_evaluation(config, "2 · "), "linear_evaluation.adversarial_epochs"
        case _:
            head = _adversarial_training(config, "2 · fine-tuning")
            epochs = "supervised.epochs"
    if not head.epochs:
        raise ConfigError(f"{config.method}.head = {kind!r} trains for no epochs: set {epochs} above 0")
    return head


def _contrastive(config: RunConfig, number: str) -> Phase:
    kind = "contrastive (SimCLR)" if config.contrastive.positives == "views" else "supervised contrastive"
    loops = contrastive_loops(config)
    title = f"{number}{kind}"
    return Phase("contrastive", title, contrastive, loops.epochs, loops.parts, None, trains_features=True)


def _adversarial(config: RunConfig) -> Phase:
    loops = adversarial_loops(config)
    return Phase(
        "adversarial",
        "2 · adversarial features",
        adversarial,
        loops.epochs,
        loops.parts,
        ATTACK_CLASSIFIER,
        num_watches=2,
        watch_steps=(config.attack.steps,),
        trains_features=True,
    )


def _require_warm_start(config: RunConfig) -> None:
    """Refuse a warm start that would be ignored, or would begin at a perturbation of another crop."""
    if config.method != "claf":
        raise ConfigError(f"attack.warm_start works in method claf alone, not in {config.method}; set it to false")
    if config.adversarial.source == "crop":
        raise ConfigError("attack.warm_start needs adversarial.source = 'image': every crop of an image is another one")


def _require_terms(config: RunConfig, phases: tuple[Phase, ...]) -> None:
    """Refuse terms of the objective that no phase heeds."""
    plain, heeded = ObjectiveConfig(), {name for phase in phases for name in phase.terms}
    for name in (*COMPARED, "cross_entropy"):
        if getattr(config.objective, name) != getattr(plain, name) and name not in heeded:
            raise ConfigError(f"objective.{name} does nothing in the phases of this {config.method} run; leave it out")


def _linear_evaluations(config: RunConfig, number: str) -> tuple[Phase, Phase]:
    return _linear_evaluation(config, number), _adversarial_linear_evaluation(config, number)


def _linear_evaluation(config: RunConfig, number: str) -> Phase:
    loops, title = linear_loops(config), f"{number}linear evaluation"
    return Phase("linear_evaluation", title, linear_evaluation, loops.epochs, loops.parts, NATURAL, is_frozen=True)


def _adversarial_linear_evaluation(config: RunConfig, number: str) -> Phase:
    loops = adversarial_linear_loops(config)
    return Phase(
        "adversarial_linear_evaluation",
        f"{number}adversarial linear eval",
        adversarial_linear_evaluation,
        loops.epochs,
        loops.parts,
        ADVERSARIAL,
        is_frozen=True,
    )


def supervised_phase(
    config: RunConfig, title: str, objective: Objective, loss_name: str, cost: float, *, is_natural: bool = False
) -> Phase:
    """One supervised phase of `supervised.epochs`, which trains encoder and adversarial classifier.

    Args:
        config: of the run.
        title: for the screen.
        objective: what is minimised.
        loss_name: under which the loss is logged.
        cost: of one image, see `Part`.
        is_natural: nothing is attacked, and the natural classifier is trained.
    """
    loops = supervised_loops(config, cost)
    return _supervised(config, title, objective, loss_name, loops, is_natural=is_natural)


def _supervised(
    config: RunConfig, title: str, objective: Objective, loss_name: str, loops: Loops, *, is_natural: bool = False
) -> Phase:
    classifier = NATURAL if is_natural else ADVERSARIAL
    play = partial(supervised, objective=objective, classifier=classifier, loss_name=loss_name)
    terms = TERMS.get(objective, ())
    contrasts = config.objective.contrast_weight > 0
    return Phase("supervised", title, play, loops.epochs, loops.parts, classifier, terms=terms, contrasts=contrasts)


def _natural(config: RunConfig) -> tuple[Phase, ...]:
    loops = natural_loops(config)
    return (_supervised(config, "supervised", natural_loss, "cross_entropy", loops, is_natural=True),)


def _at(config: RunConfig) -> tuple[Phase, ...]:
    return (_adversarial_training(config, "adversarial training"),)


def _adversarial_training(config: RunConfig, title: str) -> Phase:
    name = _classification_name(config.objective)
    return _supervised(config, title, adversarial_loss, name, classification_loops(config))


def _classification_name(terms: ObjectiveConfig) -> str:
    is_sum = terms.nuclear_weight or terms.contrast_weight or terms.rotation_weight
    return "objective" if is_sum else "cross_entropy"


def _fgsm(config: RunConfig) -> tuple[Phase, ...]:
    name = _classification_name(config.objective)
    phase = _supervised(config, "fast adversarial training", fgsm_loss, name, fgsm_loops(config))
    return (replace(phase, num_watches=1, watch_steps=(1, config.fgsm.monitor_steps)),)


def _trades(config: RunConfig) -> tuple[Phase, ...]:
    return (_supervised(config, "TRADES", trades_loss, "trades", trades_loops(config)),)


def _alp(config: RunConfig) -> tuple[Phase, ...]:
    return (_supervised(config, "adversarial logit pairing", alp_loss, "alp", alp_loops(config)),)


def _clp(config: RunConfig) -> tuple[Phase, ...]:
    return (_supervised(config, "clean logit pairing", clp_loss, "clp", natural_loops(config), is_natural=True),)


def _two_encoders(config: RunConfig) -> tuple[Phase, ...]:
    loops, settings = two_encoders_loops(config), config.two_encoders
    is_separate = settings.training == "separate"
    title = "2 · attacked encoder" if is_separate else f"two encoders, {settings.measured} measured"
    both = Phase(
        "two_encoders",
        title,
        two_encoders,
        loops.epochs,
        loops.parts,
        measured_classifier(config),
        terms=CLASSIFIED,
        contrasts=True,
    )
    return (_clean_encoder(config), both) if is_separate else (both,)


def _clean_encoder(config: RunConfig) -> Phase:
    """Natural training of what becomes the clean one of two encoders; probes fit a classifier to look at it."""
    loops = natural_loops(config)
    play = partial(
        supervised, objective=natural_loss, classifier=measured_classifier(config), loss_name="cross_entropy"
    )
    return Phase("clean_encoder", "1 · clean encoder", play, loops.epochs, loops.parts, None, terms=CLASSIFIED)


def _rectifier(config: RunConfig) -> tuple[Phase, ...]:
    """Natural training, and what is learnt beside the network, which then stands still."""
    first, plays = natural_loops(config), (universal_perturbations, train_rectifier, train_detector)
    natural = _supervised(config, "1 · natural training", natural_loss, "cross_entropy", first, is_natural=True)
    names = ("universal", "rectifier", "detector")
    titles = ("2 · universal perturbations", "3 · rectifier", "4 · detector")
    loops = (universal_loops(config), rectifier_loops(config), detector_loops(config))
    return (
        natural,
        *(
            Phase(name, title, play, each.epochs, each.parts, NATURAL, is_frozen=True)
            for name, title, play, each in zip(names, titles, plays, loops, strict=True)
        ),
    )


def _defense_gan(config: RunConfig) -> tuple[Phase, ...]:
    """The generator comes first, so that every checkpoint of a classifier holds it."""
    loops = generator_loops(config)
    made = Phase("generator", "1 · generator (WGAN-GP)", generator, loops.epochs, loops.parts, None, is_frozen=True)
    (classified,) = _natural(config)
    return (made, replace(classified, title="2 · supervised"))


def _union(config: RunConfig) -> tuple[Phase, ...]:
    return (_supervised(config, "several perturbation types", union_loss, "cross_entropy", union_loops(config)),)


METHODS: dict[str, Callable[[RunConfig], tuple[Phase, ...]]] = {
    "claf": _claf,
    "natural": _natural,
    "scl": _scl,
    "at": _at,
    "fgsm": _fgsm,
    "trades": _trades,
    "alp": _alp,
    "rocl": _rocl,
    "acl": _acl,
    "clp": _clp,
    "two-encoders": _two_encoders,
    "rectifier": _rectifier,
    "defense-gan": _defense_gan,
    "pretext": _pretext,
    "union": _union,
}
