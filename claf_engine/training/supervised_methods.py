"""Methods that train encoder and classifier at once, some with a network beside them."""

from dataclasses import replace
from functools import partial

from claf_engine.config import ObjectiveConfig, RunConfig
from claf_engine.models.network import ADVERSARIAL, NATURAL
from claf_engine.training.costs import (
    Loops,
    alp_loops,
    classification_loops,
    detector_loops,
    fgsm_loops,
    generator_loops,
    natural_loops,
    rectifier_loops,
    supervised_loops,
    trades_loops,
    two_encoders_loops,
    union_loops,
    universal_loops,
)
from claf_engine.training.partner import measured_classifier
from claf_engine.training.phase import Phase
from claf_engine.training.phases.clean_pairing import clp_loss
from claf_engine.training.phases.generator import generator
from claf_engine.training.phases.objectives import (
    Objective,
    adversarial_loss,
    alp_loss,
    fgsm_loss,
    natural_loss,
    trades_loss,
)
from claf_engine.training.phases.rectifier import train_detector, train_rectifier, universal_perturbations
from claf_engine.training.phases.supervised import supervised
from claf_engine.training.phases.two_encoders import two_encoders
from claf_engine.training.phases.union import union_loss

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


def natural_phases(config: RunConfig) -> tuple[Phase, ...]:
    """Natural training."""
    loops = natural_loops(config)
    return (_supervised(config, "supervised", natural_loss, "cross_entropy", loops, is_natural=True),)


def at_phases(config: RunConfig) -> tuple[Phase, ...]:
    """Adversarial training."""
    return (adversarial_training(config, "adversarial training"),)


def adversarial_training(config: RunConfig, title: str) -> Phase:
    """The phase of adversarial training, under a title for the screen."""
    name = _classification_name(config.objective)
    return _supervised(config, title, adversarial_loss, name, classification_loops(config))


def _classification_name(terms: ObjectiveConfig) -> str:
    is_sum = terms.nuclear_weight or terms.contrast_weight or terms.rotation_weight
    return "objective" if is_sum else "cross_entropy"


def fgsm_phases(config: RunConfig) -> tuple[Phase, ...]:
    """One-step adversarial training, watched for collapse at every epoch."""
    name = _classification_name(config.objective)
    phase = _supervised(config, "fast adversarial training", fgsm_loss, name, fgsm_loops(config))
    return (replace(phase, num_watches=1, watch_steps=(1, config.fgsm.monitor_steps)),)


def trades_phases(config: RunConfig) -> tuple[Phase, ...]:
    """TRADES."""
    return (_supervised(config, "TRADES", trades_loss, "trades", trades_loops(config)),)


def alp_phases(config: RunConfig) -> tuple[Phase, ...]:
    """Adversarial logit pairing."""
    return (_supervised(config, "adversarial logit pairing", alp_loss, "alp", alp_loops(config)),)


def clp_phases(config: RunConfig) -> tuple[Phase, ...]:
    """Clean logit pairing and logit squeezing."""
    return (_supervised(config, "clean logit pairing", clp_loss, "clp", natural_loops(config), is_natural=True),)


def two_encoders_phases(config: RunConfig) -> tuple[Phase, ...]:
    """A clean and an attacked encoder, together or one after the other."""
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


def rectifier_phases(config: RunConfig) -> tuple[Phase, ...]:
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


def defense_gan_phases(config: RunConfig) -> tuple[Phase, ...]:
    """The generator comes first, so that every checkpoint of a classifier holds it."""
    loops = generator_loops(config)
    made = Phase("generator", "1 · generator (WGAN-GP)", generator, loops.epochs, loops.parts, None, is_frozen=True)
    (classified,) = natural_phases(config)
    return (made, replace(classified, title="2 · supervised"))


def union_phases(config: RunConfig) -> tuple[Phase, ...]:
    """Adversarial training in the balls of several norms."""
    return (_supervised(config, "several perturbation types", union_loss, "cross_entropy", union_loops(config)),)
