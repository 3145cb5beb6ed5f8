"""Methods that train an encoder first, and then a classifier on it or everything."""

from claf_engine.config import RunConfig
from claf_engine.models.network import ADVERSARIAL, ATTACK_CLASSIFIER, NATURAL
from claf_engine.terms.errors import ConfigError
from claf_engine.training.costs import (
    acl_loops,
    adversarial_linear_loops,
    adversarial_loops,
    contrastive_loops,
    instance_loops,
    linear_loops,
    pretext_loops,
)
from claf_engine.training.phase import Phase
from claf_engine.training.phases.acl import adversarial_contrastive
from claf_engine.training.phases.adversarial import adversarial
from claf_engine.training.phases.contrastive import contrastive
from claf_engine.training.phases.linear import adversarial_linear_evaluation, linear_evaluation
from claf_engine.training.phases.pretext import pretext
from claf_engine.training.phases.rocl import instance
from claf_engine.training.supervised_methods import adversarial_training


def claf_phases(config: RunConfig) -> tuple[Phase, ...]:
    """Supervised contrastive learning, adversarial features, linear evaluation."""
    return (_contrastive(config, "1 · "), _adversarial(config), *_linear_evaluations(config, "3 · "))


def scl_phases(config: RunConfig) -> tuple[Phase, ...]:
    """Supervised contrastive learning and linear evaluation."""
    return (_contrastive(config, "1 · "), *_linear_evaluations(config, "2 · "))


def rocl_phases(config: RunConfig) -> tuple[Phase, ...]:
    """Robust contrastive learning without labels, and what `rocl.head` says on top."""
    loops, title = instance_loops(config), "1 · robust contrastive"
    pretraining = Phase("instance", title, instance, loops.epochs, loops.parts, None, trains_features=True)
    return (pretraining, _head(config, config.rocl.head))


def acl_phases(config: RunConfig) -> tuple[Phase, ...]:
    """Adversarial contrastive pretraining, and what `acl.head` says on top."""
    loops = acl_loops(config)
    title = "1 · contrastive (SimCLR)" if config.acl.streams == "standard" else "1 · adversarial contrastive"
    play = adversarial_contrastive
    pretraining = Phase("adversarial_contrastive", title, play, loops.epochs, loops.parts, None, trains_features=True)
    return (pretraining, _head(config, config.acl.head))


def pretext_phases(config: RunConfig) -> tuple[Phase, ...]:
    """Pretraining on a pretext task, and what `pretext.head` says on top."""
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
            head = adversarial_training(config, "2 · fine-tuning")
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
